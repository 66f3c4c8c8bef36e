//! Users and groups of the image: looked up for `chown` and `USER`, and added by `useradd`, `adduser`, `groupadd` and
//! `addgroup` as the programs of the image do ([`shadow`], [`debian`], [`busybox`]).
//!
//! Left out, because it is of no use in an image: the copies of changed files that shadow-utils and busybox leave
//! (`/etc/passwd-`), and locks. The date of a password's change is the day of the recipe's epoch, as shadow-utils has it
//! with `SOURCE_DATE_EPOCH`.

mod busybox;
mod database;
mod debian;
mod home;
mod names;
mod program;
mod settings;
mod shadow;

pub(super) use names::{Account, owner, user};

use self::program::Program;
use super::shell::Shell;
use crate::recipe::{AccountTool, AddGroup, AddUser};

impl Shell<'_> {
    pub(super) fn add_user(&mut self, user: &AddUser) {
        let name = if user.tool == AccountTool::Shadow { "useradd" } else { "adduser" };
        let added = self.program(name, user.tool).and_then(|program| match program {
            Program::Shadow => self.useradd(user),
            Program::Debian { script } => self.debian_adduser(user, &script),
            Program::Busybox => self.busybox_adduser(user),
        });
        added.unwrap_or_else(|fault| self.fail(fault));
    }

    pub(super) fn add_group(&mut self, group: &AddGroup) {
        let name = match (group.tool, &group.member) {
            (AccountTool::Shadow, _) => "groupadd",
            (AccountTool::Adduser, _) if self.name == "adduser" => "adduser",
            (AccountTool::Adduser, _) => "addgroup",
        };
        let added = self.program(name, group.tool).and_then(|program| match (program, &group.member) {
            (Program::Busybox, Some(user)) => self.busybox_add_member(user, &group.name),
            (_, Some(user)) => self.add_member(user, &group.name),
            (Program::Shadow, None) => self.groupadd(group),
            (Program::Debian { .. }, None) => self.debian_addgroup(group),
            (Program::Busybox, None) => self.busybox_addgroup(&group.name, group.gid, group.system),
        });
        added.unwrap_or_else(|fault| self.fail(fault));
    }
}
