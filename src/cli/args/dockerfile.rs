//! The flags of builds from a Dockerfile, named as those of `docker build`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use lbuild::RunMode;

/// The name of a Dockerfile that is read from standard input.
pub const STDIN: &str = "-";

/// The Dockerfile, and the values that it takes.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Dockerfile")]
pub struct DockerfileArgs {
    /// Build from this Dockerfile, or from standard input (-) [default: PATH/Dockerfile, if no base is given]
    #[arg(short = 'f', long, visible_alias = "file", value_name = "FILE")]
    pub dockerfile: Option<PathBuf>,
    /// Build this stage [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Set an ARG, without VALUE to that of the environment (repeatable)
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// Use a directory or image for NAME in FROM, COPY --from and mounts (repeatable)
    #[arg(long, value_name = "NAME=DIR|IMAGE")]
    pub build_context: Vec<String>,
    #[command(flatten)]
    pub commands: CommandArgs,
    /// Ask for moved tags of bases; lbuild always does
    #[arg(long)]
    pub pull: bool,
    /// The Dockerfile that was read from standard input.
    #[arg(skip)]
    pub stdin: Option<Vec<u8>>,
    /// Whether `.lambdaignore`, which Docker does not know, is ignored.
    #[arg(skip)]
    pub only_dockers_ignore_file: bool,
}

/// How the commands of a Dockerfile run, and what they may use.
#[derive(ClapArgs, Default, Clone, PartialEq, Eq)]
#[command(next_help_heading = "Dockerfile")]
pub struct CommandArgs {
    /// Give RUN --mount=type=secret a file or a variable of the environment (repeatable)
    #[arg(long, value_name = "id=ID[,src=FILE|,env=NAME]")]
    pub secret: Vec<String>,
    /// Let RUN --mount=type=ssh use an SSH agent, without SOCKET that of SSH_AUTH_SOCK (repeatable)
    #[arg(long, value_name = "ID[=SOCKET]")]
    pub ssh: Vec<String>,
    /// Do RUN lines without starting a process: those that need none, all or none [default: auto]
    #[arg(long, value_name = "WHICH")]
    pub translate: Option<TranslateArg>,
    /// Run commands, and a function, in this mode only: namespaces, copy, chroot, proot or none [default: the first that works]
    #[arg(long, value_name = "MODE")]
    pub run_mode: Option<RunMode>,
    /// Keep files that differ with each run of a command, such as logs of package managers
    #[arg(long)]
    pub keep_noise: bool,
}

/// Which RUN lines are translated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TranslateArg {
    /// Those that need no process
    Auto,
    /// All; a line that needs a process is an error
    Always,
    /// None
    Never,
}

impl DockerfileArgs {
    /// Whether the Dockerfile is on standard input.
    pub fn is_stdin(&self) -> bool {
        self.dockerfile.as_ref().is_some_and(|file| file.as_os_str() == STDIN)
    }

    /// The first given flag that has a meaning only for a Dockerfile.
    pub fn given(&self) -> Option<&'static str> {
        let given = [
            ("-f", self.dockerfile.is_some()),
            ("--target", self.target.is_some()),
            ("--build-arg", !self.build_arg.is_empty()),
            ("--build-context", !self.build_context.is_empty()),
            ("--secret", !self.commands.secret.is_empty()),
            ("--ssh", !self.commands.ssh.is_empty()),
            ("--translate", self.commands.translate.is_some()),
            ("--run-mode", self.commands.run_mode.is_some()),
            ("--keep-noise", self.commands.keep_noise),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}
