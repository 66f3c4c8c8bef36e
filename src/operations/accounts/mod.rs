//! Users and groups of the image: looked up for `chown` and `USER`, and added by `useradd`, `adduser`, `groupadd` and
//! `addgroup`.

mod database;
mod names;

pub(super) use names::{Account, owner, user};

use crate::operations::shell::Shell;
use crate::recipe::{AddGroup, AddUser};

impl Shell<'_> {
    pub(super) fn add_user(&mut self, user: &AddUser) {
        self.fail(format!("cannot add {} yet", user.name));
    }

    pub(super) fn add_group(&mut self, group: &AddGroup) {
        self.fail(format!("cannot add {} yet", group.name));
    }
}
