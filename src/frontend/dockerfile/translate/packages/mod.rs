//! Commands that install packages.

mod node_options;
pub mod npm;
mod options;
pub mod pip;
pub mod pnpm;
mod requirement;
pub mod uv;
pub mod yarn;
