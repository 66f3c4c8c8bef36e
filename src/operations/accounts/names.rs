//! Users and groups by name or number.

use super::database::{field, number_of};
use crate::operations::files::{Filesystem, User};

/// The numbers that a command names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::operations) struct Account {
    pub uid: Option<u64>,
    pub gid: Option<u64>,
}

/// The owner that `chown USER:GROUP` names; an empty group is the user's login group.
///
/// # Errors
/// What is invalid.
pub(in crate::operations) fn owner(
    files: &mut Filesystem,
    user: Option<&str>,
    group: Option<&str>,
) -> Result<Account, &'static str> {
    let is_number = |name: &str| number_of(name).is_some();
    let mut account = Account::default();
    // Numbers need no file, unless a user of this name exists, which no sensible image has.
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        if is_number(user) && group != Some("") {
            account.uid = number_of(user);
        } else {
            let passwd = files.database("/etc/passwd");
            let fields = passwd.of(user);
            account.uid = fields.as_ref().and_then(|fields| field(fields, 2)).or_else(|| number_of(user));
            let Some(uid) = account.uid.or((user == "root").then_some(0)) else {
                return Err("invalid user");
            };
            account.uid = Some(uid);
            if group == Some("") {
                let login = fields.or_else(|| passwd.with_number(uid));
                let gid = login.and_then(|fields| field(&fields, 3));
                account.gid = Some(gid.ok_or("invalid spec")?);
            }
        }
    }
    match group {
        None | Some("") => {}
        Some(group) if is_number(group) => account.gid = number_of(group),
        Some(group) => {
            let found = files.database("/etc/group").of(group).and_then(|fields| field(&fields, 2));
            let gid = found.or((group == "root").then_some(0));
            account.gid = Some(gid.ok_or("invalid group")?);
        }
    }
    Ok(account)
}

/// The user of a command, as `USER` names it: a number that `/etc/passwd` does not have gets the group 0. Without a
/// group, the user also is in those of `/etc/group`.
///
/// # Errors
/// For a name that the image does not have.
pub(in crate::operations) fn user(files: &mut Filesystem, text: &str) -> Result<User, String> {
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let (passwd, groups) = (files.database("/etc/passwd"), files.database("/etc/group"));
    let fields = passwd.of(name).or_else(|| passwd.with_number(number_of(name)?));
    let uid = fields.as_ref().and_then(|fields| field(fields, 2)).or_else(|| number_of(name));
    let uid = uid.or(["root", ""].contains(&name).then_some(0));
    let uid = uid.ok_or_else(|| format!("the image has no user `{name}` in /etc/passwd"))?;
    if let Some(group) = group {
        let gid = groups.of(group).and_then(|fields| field(&fields, 2)).or_else(|| number_of(group));
        let gid = gid.ok_or_else(|| format!("the image has no group `{group}` in /etc/group"))?;
        return Ok(User { uid, gid, groups: Vec::new() });
    }
    let gid = fields.as_ref().and_then(|fields| field(fields, 3)).unwrap_or(0);
    let login = fields.as_ref().and_then(|fields| fields.first().copied()).unwrap_or(name);
    let is_member =
        |fields: &Vec<&str>| fields.get(3).is_some_and(|users| users.split(',').any(|user| user == login));
    let also = groups.entries().filter(is_member).filter_map(|fields| field(&fields, 2));
    Ok(User { uid, gid, groups: also.collect() })
}
