//! Lambda's requirements and runtimes, as data and pure functions; and its invocations, on this machine.

mod base;
mod base_traits;
#[cfg(feature = "check")]
pub mod check;
mod handler;
#[cfg(target_os = "linux")]
pub mod invoke;
mod python;
mod registry;
mod runtimes;

pub use base::{
    ENTRY_SCRIPT, is_aws_base, is_for_lambda, is_lambda_base, is_named_after_lambda, runtime_of_base,
    starts_with_entry_script,
};
pub use base_traits::{BaseAnnotator, BaseTraits, System};
pub use handler::{BOOTSTRAP, class_file, handler_files};
pub use python::PythonBase;
pub use registry::refused_registry;
pub use runtimes::{Runtime, RuntimeBase, runtime_base, runtime_of};
