//! The machine that packages are installed for.

use crate::image::Arch;

/// The architecture and the C library of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeMachine {
    pub(super) arch: Arch,
    pub(super) musl: bool,
}

impl NodeMachine {
    /// Node's name for the processor.
    pub(super) fn cpu(self) -> &'static str {
        match self.arch {
            Arch::Amd64 => "x64",
            Arch::Arm64 => "arm64",
        }
    }

    /// The package managers' name for the C library.
    pub(super) fn libc(self) -> &'static str {
        if self.musl { "musl" } else { "glibc" }
    }
}
