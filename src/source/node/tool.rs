//! The package managers.

/// The package managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Npm,
    Pnpm,
    /// yarn 1, whose lock has a format of its own.
    Yarn,
    /// yarn 2 and later, which is a different program.
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

    /// The npm package that contains the program.
    pub(super) fn package(self) -> &'static str {
        match self {
            Tool::Npm => "npm",
            Tool::Pnpm => "pnpm",
            Tool::Yarn => "yarn@1",
            Tool::Berry => "@yarnpkg/cli-dist",
        }
    }
}
