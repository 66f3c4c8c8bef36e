//! Commands are run for real: by the machine's root, by a user with subordinate ids, and by a user with one id; in an
//! overlay and in a tree. `tests/run` installs busybox, the files of the image, and creates the account.

mod bound;
mod ends;
mod places;
mod program;
mod proot;
mod rig;
mod trees;
mod users;
