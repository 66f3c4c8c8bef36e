//! What Lambda demands and offers, as data and pure functions.

mod handler;
mod runtimes;

pub use handler::handler_files;
pub use runtimes::{Runtime, RuntimeBase, runtime_base};
