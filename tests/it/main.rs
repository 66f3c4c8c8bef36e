//! One binary for all integration tests, a file per behaviour. `tests/run` installs what they need.

mod layering;
mod rig;
mod support;
