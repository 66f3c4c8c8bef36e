//! From instructions to a recipe: which stages are needed, what variables hold, what each instruction does.

mod command_lines;
mod config;
mod copy;
mod expand;
mod globals;
mod mounts;
pub(in crate::frontend) mod plan;
mod ports;
pub(in crate::frontend) mod recipe;
mod run;
mod scope;
mod signal;
mod stage;
mod tools;
mod unreadable;
