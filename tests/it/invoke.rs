//! `lbuild invoke` and `lbuild run`: functions on this machine, as Lambda would run them.

mod answers;
mod browser;
mod emulator;
mod everywhere;
mod extensions;
mod guide;
mod leaks;
mod misbehaving;
mod networks;
pub mod rig;
mod served;
mod streams;
