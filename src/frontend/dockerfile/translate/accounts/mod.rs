//! Users and groups. `adduser` and `addgroup` are Debian's programs, busybox's, or on Red Hat and Amazon Linux a link to
//! those of shadow-utils; an option that they understand differently is refused.

pub(super) mod group;
mod name;
pub(super) mod user;
