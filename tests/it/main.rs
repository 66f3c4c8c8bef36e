//! One binary for all integration tests, a file per behaviour. `tests/run` installs what they need.

mod aws;
mod aws_commands;
mod aws_rights;
mod commands;
mod content;
mod destinations;
mod determinism;
mod ecr;
mod ecr_names;
mod ecr_public;
mod ecr_refusals;
mod errors;
mod examples;
mod faults;
mod layer;
mod layering;
mod memory;
mod push;
mod recipes;
mod registries;
mod rig;
mod stops;
mod support;
mod transfer;
mod wheels;
mod zip;
