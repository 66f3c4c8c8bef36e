//! Flags that say what the image is made of.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use lbuild::image::Arch;
use lbuild::recipe::Bytecode;

/// What the image is made of. Every value can stand in lbuild.toml instead.
#[derive(ClapArgs)]
pub struct ImageArgs {
    /// The function's directory, whose lbuild.toml is read; or its zip package, or one file
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// The architecture: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long)]
    pub arch: Option<Arch>,
    /// The Lambda runtime whose base image to use, as python3.12
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    pub runtime: Option<String>,
    /// The base image: REGISTRY/REPO[:TAG], oci:DIR[:TAG], docker-archive:FILE[:NAME[:TAG]] or scratch
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Dependencies as a layer below the code: a directory, or the zip of a Lambda layer, which goes to /opt; may be
    /// repeated
    #[arg(long, value_name = "SRC[:/PATH]")]
    pub deps: Vec<String>,
    #[command(flatten)]
    pub python: Python,
    #[command(flatten)]
    pub node: Node,
    /// Files for another place in the image, as a layer above the code; may be repeated
    #[arg(long, value_name = "SRC:/PATH")]
    pub add: Vec<String>,
    /// The function's handler, as app.handler
    #[arg(long, conflicts_with = "cmd")]
    pub handler: Option<String>,
    /// The program to run: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub entrypoint: Option<String>,
    /// The arguments of the entrypoint: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub cmd: Option<String>,
    /// The directory to start in
    #[arg(long, value_name = "/PATH")]
    pub workdir: Option<String>,
    /// A variable; $NAME in the value stands for what the base has, as in PATH=/x:$PATH; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// A label; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// The user to run as
    #[arg(long)]
    pub user: Option<String>,
}

/// Python packages, as layers of wheels below the code.
#[derive(ClapArgs)]
pub struct Python {
    /// Python packages, as layers below the code: a requirements.txt, which uv or pip resolves for the image
    #[arg(long, value_name = "FILE", conflicts_with = "lock")]
    pub requirements: Option<PathBuf>,
    /// Python packages, as layers below the code: uv.lock, pylock.toml, poetry.lock or Pipfile.lock
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Take wheels from this directory, and from nowhere else
    #[arg(long, value_name = "DIR")]
    pub wheels: Option<PathBuf>,
    /// Refuse a package that the requirements have no hash for
    #[arg(long)]
    pub require_hashes: bool,
    /// Leave out what a function never reads: tests, type stubs, static libraries
    #[arg(long)]
    pub slim: bool,
    /// Compile modules ahead, with an interpreter of the image's version on this machine: the image then depends on it
    /// [default: never]
    #[arg(long, value_name = "WHEN", value_parser = bytecode)]
    pub compile_bytecode: Option<Bytecode>,
    /// The image's version of Python, where the runtime or the base's name does not say it
    #[arg(long, value_name = "VERSION")]
    pub python_version: Option<String>,
}

fn bytecode(text: &str) -> Result<Bytecode, String> {
    match text {
        "auto" => Ok(Bytecode::Auto),
        "always" => Ok(Bytecode::Always),
        "never" => Ok(Bytecode::Never),
        _ => Err("it is auto, always or never".to_owned()),
    }
}

/// Node packages, as a layer below the code.
#[derive(ClapArgs)]
pub struct Node {
    /// Node packages, as a layer below the code: what PATH's package-lock.json or pnpm-lock.yaml names, installed for
    /// the image by npm or pnpm
    #[arg(long)]
    pub npm: bool,
    /// Run the packages' install scripts, on this machine
    #[arg(long)]
    pub npm_scripts: bool,
}

impl ImageArgs {
    /// The first of the flags that say how to make an image, if one was given.
    #[cfg(feature = "check")]
    pub fn making(&self) -> Option<&'static str> {
        let Python { requirements, lock, wheels, require_hashes, slim, compile_bytecode, python_version } =
            &self.python;
        let given = [
            ("--runtime", self.runtime.is_some()),
            ("--base", self.base.is_some()),
            ("--deps", !self.deps.is_empty()),
            ("--requirements", requirements.is_some()),
            ("--lock", lock.is_some()),
            ("--wheels", wheels.is_some()),
            ("--require-hashes", *require_hashes),
            ("--slim", *slim),
            ("--compile-bytecode", compile_bytecode.is_some()),
            ("--python-version", python_version.is_some()),
            ("--npm", self.node.npm),
            ("--npm-scripts", self.node.npm_scripts),
            ("--add", !self.add.is_empty()),
            ("--handler", self.handler.is_some()),
            ("--entrypoint", self.entrypoint.is_some()),
            ("--cmd", self.cmd.is_some()),
            ("--workdir", self.workdir.is_some()),
            ("--env", !self.env.is_empty()),
            ("--label", !self.label.is_empty()),
            ("--user", self.user.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }
}
