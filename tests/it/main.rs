//! One binary for all integration tests, a file per behaviour. `tests/run` installs what they need.

mod commands;
mod content;
mod destinations;
mod determinism;
mod errors;
mod examples;
mod layer;
mod layering;
mod push;
mod registries;
mod rig;
mod support;
