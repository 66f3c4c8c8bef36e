//! The programs that install packages, and their name for a machine.

use crate::image::Arch;

/// The programs that install what a lock file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Npm,
    Pnpm,
    /// yarn 1, whose locks are of a format of their own.
    Yarn,
    /// yarn 2 and later, a different program.
    Berry,
}

impl Tool {
    /// The program's name on `PATH`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
            Tool::Yarn | Tool::Berry => "yarn",
        }
    }

    /// The package that npm installs the program from.
    pub(super) fn package(self) -> &'static str {
        match self {
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
            Tool::Yarn => "yarn@1",
            Tool::Berry => "@yarnpkg/cli-dist",
        }
    }
}

/// Node's name for a machine.
pub(super) fn cpu(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x64",
        Arch::Arm64 => "arm64",
    }
}
