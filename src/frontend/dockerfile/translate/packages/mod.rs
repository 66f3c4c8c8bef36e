//! Commands that install packages.

mod options;
pub mod pip;
mod requirement;
pub mod uv;
