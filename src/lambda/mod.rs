//! What Lambda demands and offers, as data and pure functions.

mod handler;
mod python;
mod registry;
mod runtimes;

pub use handler::{BOOTSTRAP, handler_files};
pub use python::PythonBase;
pub use registry::refused_registry;
pub use runtimes::{Runtime, RuntimeBase, runtime_base};
