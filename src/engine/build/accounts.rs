//! Users and groups of an image, from its `/etc/passwd` and `/etc/group`.
//!
//! <https://man7.org/linux/man-pages/man5/passwd.5.html>, <https://man7.org/linux/man-pages/man5/group.5.html>

/// The two files; empty if the image has none, or if no name is looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub passwd: Vec<u8>,
    pub group: Vec<u8>,
}

/// The owner of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub uid: u64,
    pub gid: u64,
}

/// The user and the groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub uid: u32,
    pub gid: u32,
    /// The groups besides `gid`.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
}

/// The fault, and a proposed fix.
type Fault = (String, Option<String>);

impl Accounts {
    /// The owner that `USER[:GROUP]` names. Without a group it is the user's own; for a user given as a number, the
    /// group of the same number, as with BuildKit.
    pub fn owner(&self, text: &str) -> Result<Owner, Fault> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (text, None),
        };
        let (uid, own) = match (user, number(user)) {
            ("", _) => (0, 0),
            (_, Some(uid)) => (uid, uid),
            // Every image has it, even one without the file.
            ("root", None) if self.passwd.is_empty() => (0, 0),
            (name, None) => {
                let fields = entry(&self.passwd, name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
                let numbers =
                    (fields.get(2).and_then(|uid| number(uid)), fields.get(3).and_then(|gid| number(gid)));
                let (Some(uid), Some(gid)) = numbers else {
                    return Err(unknown("user", name, "/etc/passwd"));
                };
                (uid, gid)
            }
        };
        let gid = match group {
            None => own,
            Some(group) => match number(group) {
                Some(gid) => gid,
                None => {
                    let fields = entry(&self.group, group);
                    let gid = fields.and_then(|fields| number(fields.get(2)?));
                    gid.ok_or_else(|| unknown("group", group, "/etc/group"))?
                }
            },
        };
        Ok(Owner { uid, gid })
    }

    /// The process of the user that `USER[:GROUP]` names; root without a name. Unlike the owner of files, a user given as
    /// a number has the group of its own entry, or else group 0. It has further groups unless one is given.
    pub fn login(&self, text: &str) -> Result<Login, Fault> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (text, None),
        };
        let user = if user.is_empty() { "root" } else { user };
        let fields = self.user(user);
        let field = |at: usize| fields.as_ref().and_then(|fields| fields.get(at).copied());
        let of_entry = |at| field(at).and_then(id);
        let is_root = user == "root" || id(user) == Some(0);
        let Some(uid) = id(user).or_else(|| of_entry(2)).or(is_root.then_some(0)) else {
            return Err(unknown("user", user, "/etc/passwd"));
        };
        let gid = match group {
            None => of_entry(3).unwrap_or_default(),
            Some(group) => match id(group) {
                Some(gid) => gid,
                None => {
                    let found = entry(&self.group, group).and_then(|fields| id(fields.get(2)?));
                    found.ok_or_else(|| unknown("group", group, "/etc/group"))?
                }
            },
        };
        let home = field(5).filter(|home| home.starts_with('/'));
        let home = home.unwrap_or(if uid == 0 { "/root" } else { "/" }).to_owned();
        let groups = match (group, field(0)) {
            (None, Some(name)) => self.groups_of(name).filter(|of_user| *of_user != gid).collect(),
            _ => Vec::new(),
        };
        Ok(Login { uid, gid, groups, home })
    }

    /// The fields of the user's line, by the name or the number.
    fn user(&self, user: &str) -> Option<Vec<&str>> {
        entry(&self.passwd, user).or_else(|| {
            let uid = id(user)?;
            lines(&self.passwd).find(|fields| fields.get(2).and_then(|field| id(field)) == Some(uid))
        })
    }

    /// The numbers of the groups that list a user.
    fn groups_of<'f>(&'f self, name: &'f str) -> impl Iterator<Item = u32> + 'f {
        let lists = move |fields: &Vec<&str>| {
            fields.get(3).is_some_and(|users| users.split(',').any(|user| user == name))
        };
        lines(&self.group).filter(lists).filter_map(|fields| id(fields.get(2)?))
    }
}

fn id(text: &str) -> Option<u32> {
    number(text).and_then(|number| u32::try_from(number).ok())
}

/// The fields of each line.
fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&str>> {
    let lines = file.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.map(|line| line.trim().split(':').collect())
}

fn number(text: &str) -> Option<u64> {
    text.parse::<u32>().ok().filter(|_| !text.starts_with('+')).map(u64::from)
}

/// The fields of the line for a name.
fn entry<'f>(file: &'f [u8], name: &str) -> Option<Vec<&'f str>> {
    lines(file).find(|fields| fields.first() == Some(&name))
}

fn unknown(kind: &str, name: &str, file: &str) -> Fault {
    let hint = format!("add the {kind} to the image before this line, or write its number");
    (format!("the image has no {kind} `{name}` in {file}"), Some(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_numbers_or_names_of_the_image() {
        let accounts = Accounts {
            passwd: b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nodd:x\n".to_vec(),
            group: b"root:x:0:\nstaff:x:50:app\n".to_vec(),
        };
        for (rule, text, uid, gid) in [
            (104, "app", 1000, 1001),
            (104, "1000", 1000, 1000),
            (104, "1000:50", 1000, 50),
            (104, "app:staff", 1000, 50),
            (104, "app:7", 1000, 7),
            (104, "7:staff", 7, 50),
            (104, ":staff", 0, 50),
            (103, "root:root", 0, 0),
        ] {
            assert_eq!(accounts.owner(text), Ok(Owner { uid, gid }), "rule {rule}: {text}");
        }
        for text in ["nobody", "app:nobody", "odd", "99999999999"] {
            assert!(accounts.owner(text).is_err(), "rule 103: {text}");
        }
    }

    #[test]
    fn a_process_has_the_groups_and_the_home_of_its_user() {
        let accounts = Accounts {
            passwd: b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nodd:x\n".to_vec(),
            group: b"root:x:0:\nstaff:x:50:app,other\naudio:x:60:app\napp:x:1001:app\n".to_vec(),
        };
        for (text, uid, gid, groups, home) in [
            ("", 0, 0, &[][..], "/root"),
            ("root", 0, 0, &[], "/root"),
            ("0", 0, 0, &[], "/root"),
            ("app", 1000, 1001, &[50, 60], "/home/app"),
            ("1000", 1000, 1001, &[50, 60], "/home/app"),
            ("app:staff", 1000, 50, &[], "/home/app"),
            ("app:7", 1000, 7, &[], "/home/app"),
            ("7", 7, 0, &[], "/"),
            (":60", 0, 60, &[], "/root"),
        ] {
            let login = Login { uid, gid, groups: groups.to_vec(), home: home.to_owned() };
            assert_eq!(accounts.login(text), Ok(login), "rules 131, 132: {text}");
        }
        assert_eq!(Accounts::default().login("root").map(|login| login.home), Ok("/root".to_owned()));
        for text in ["nobody", "app:nobody", "odd", "99999999999"] {
            assert!(accounts.login(text).is_err(), "rule 130: {text}");
        }
    }
}
