//! Commands that install packages, and those that read locks.

mod node_options;
pub mod npm;
mod options;
pub mod pip;
pub mod pipenv;
pub mod pnpm;
pub mod poetry;
mod requirement;
pub mod settings;
pub mod uv;
mod uv_project;
pub mod yarn;

pub(in crate::frontend) use requirement::{are_tools, name as tool_name};
pub(in crate::frontend) use settings::ToolSettings;
