//! What stands against a way to run commands.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use rustix::io::Errno;

/// A step that the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// What was attempted, such as "create a user namespace".
    pub(crate) step: &'static str,
    pub(crate) errno: Errno,
}

impl Display for Obstacle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.step, self.errno)
    }
}

impl Error for Obstacle {}
