//! `adduser` and `addgroup` of busybox.
//!
//! <https://git.busybox.net/busybox/tree/loginutils/adduser.c>

use super::database::{Database, Fault, field};
use super::home::Home;
use crate::operations::files::{Last, ROOT};
use crate::operations::shell::Shell;
use crate::recipe::AddUser;

/// The numbers of system accounts, and the highest one.
const SYSTEM: (u64, u64) = (100, 999);
const LAST: u64 = 60_000;

impl Shell<'_> {
    pub(super) fn busybox_adduser(&mut self, user: &AddUser) -> Result<(), Fault> {
        let (passwd, groups) = (self.files.database("/etc/passwd"), self.files.database("/etc/group"));
        for path in ["/etc/shadow", "/etc/gshadow"] {
            self.files.text(path);
        }
        let name = &user.name;
        let home = user.home.clone().unwrap_or_else(|| format!("/home/{name}"));
        // Alpine's package has another shell for system accounts than busybox itself.
        let is_alpine = self.files.has_file("/etc/alpine-release");
        let roots = passwd.of("root").and_then(|fields| fields.get(6).map(|shell| (*shell).to_owned()));
        let shell = match &user.shell {
            Some(shell) => shell.clone(),
            None if user.system => if is_alpine { "/sbin/nologin" } else { "/bin/false" }.to_owned(),
            None => roots.filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".to_owned()),
        };
        let group = user.group.as_deref().or(user.system.then_some("nogroup"));
        let gid = match group {
            None => None,
            Some(group) => {
                let gid = groups.of(group).and_then(|fields| field(&fields, 2));
                Some(gid.ok_or_else(|| format!("unknown group {group}"))?)
            }
        };
        if passwd.of(name).is_some() {
            return Err(format!("user '{name}' in use"));
        }
        let is_free =
            |id: u64| passwd.with_number(id).is_none() && (gid.is_some() || groups.with_number(id).is_none());
        let uid = match user.uid.map(u64::from) {
            Some(uid) if !is_free(uid) => return Err(format!("uid '{uid}' in use")),
            Some(uid) => uid,
            None => range(user.system).find(|id| is_free(*id)).ok_or("no uids left")?,
        };
        if gid.is_none() && groups.of(name).is_some() {
            return Err(format!("group '{name}' in use"));
        }
        let (own, gid) = (gid.is_none(), gid.unwrap_or(uid));
        let comment = user.comment.as_deref().unwrap_or("Linux User,,,");
        self.files.add_line("/etc/passwd", format!("{name}:x:{uid}:{gid}:{comment}:{home}:{shell}"));
        self.files.add_line("/etc/shadow", format!("{name}:!:{}:0:99999:7:::", self.day));
        match group {
            Some(group) => self.busybox_add_member(name, group)?,
            None if own => self.busybox_addgroup(name, u32::try_from(gid).ok(), false)?,
            None => {}
        }
        if user.make_home != Some(false) {
            self.make_busybox_home(&home, uid, gid);
        }
        Ok(())
    }

    /// A home directory with set-group-id, even if it exists. It is not a failure if there is none.
    fn make_busybox_home(&mut self, path: &str, uid: u64, gid: u64) {
        let skeleton = Some("/etc/skel");
        let home = Home { path, uid, gid, mode: 0o2755, skeleton, inner_mode: None, parents: false };
        if self.files.make_home(&home) == Ok(false)
            && let Ok(dir) = self.files.find(ROOT, path.as_bytes(), Last::Follow)
        {
            let owned = self.files.set_owner(dir, Some(uid), Some(gid));
            let _ = owned.and_then(|()| self.files.set_mode(dir, 0o2755));
        }
    }

    pub(super) fn busybox_addgroup(
        &mut self,
        name: &str,
        gid: Option<u32>,
        system: bool,
    ) -> Result<(), Fault> {
        let groups: Database = self.files.database("/etc/group");
        self.files.text("/etc/gshadow");
        if groups.of(name).is_some() {
            return Err(format!("group '{name}' in use"));
        }
        let is_free = |id: u64| groups.with_number(id).is_none();
        let gid = match gid.map(u64::from) {
            Some(gid) if !is_free(gid) => return Err(format!("gid '{gid}' in use")),
            Some(gid) => gid,
            None => range(system).find(|id| is_free(*id)).ok_or("no gids left")?,
        };
        self.files.add_line("/etc/group", format!("{name}:x:{gid}:"));
        self.files.add_line("/etc/gshadow", format!("{name}:!::"));
        Ok(())
    }

    pub(super) fn busybox_add_member(&mut self, user: &str, group: &str) -> Result<(), Fault> {
        if self.files.database("/etc/passwd").of(user).is_none() {
            return Err(format!("unknown user {user}"));
        }
        if self.files.database("/etc/group").of(group).is_none() {
            return Err(format!("unknown group {group}"));
        }
        self.files.text("/etc/gshadow");
        self.files.add_to_group("/etc/group", group, user);
        self.files.add_to_group("/etc/gshadow", group, user);
        Ok(())
    }
}

fn range(system: bool) -> std::ops::RangeInclusive<u64> {
    if system { SYSTEM.0..=SYSTEM.1 } else { SYSTEM.1 + 1..=LAST }
}
