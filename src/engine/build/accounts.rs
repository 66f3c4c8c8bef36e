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
}

fn number(text: &str) -> Option<u64> {
    text.parse::<u32>().ok().filter(|_| !text.starts_with('+')).map(u64::from)
}

/// The fields of the line for a name.
fn entry<'f>(file: &'f [u8], name: &str) -> Option<Vec<&'f str>> {
    let mut lines = file.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.find_map(|line| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        (fields.first() == Some(&name)).then_some(fields)
    })
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
}
