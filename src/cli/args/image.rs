//! The flags that describe the image.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use lbuild::image::Arch;
use lbuild::recipe::Bytecode;

use super::dockerfile::DockerfileArgs;

/// The names of images and destinations, for `--help`.
pub const NAMES: &str = "\
Names of images and destinations:
  REGISTRY/REPO[:TAG][@DIGEST]      in a registry; a destination has no digest
  oci:DIR[:TAG]                     in an OCI layout directory
  docker-archive:FILE[:NAME[:TAG]]  in a docker-archive tar file
  local:NAME[:TAG]                  in the local image store, where `lbuild docker build` puts it";

/// The content and the config of the image. Each value can be set in lbuild.toml instead.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Image")]
pub struct ImageArgs {
    /// Package this directory (and read its lbuild.toml), zip package or file; `push` and `build` also take a finished image
    #[arg(default_value = ".", help_heading = None::<&str>)]
    pub path: PathBuf,
    /// Build for this architecture: arm64 (aarch64) or amd64 (x86_64)
    #[arg(long)]
    pub arch: Option<Arch>,
    /// Build for this platform, as --arch: linux/arm64 or linux/amd64
    #[arg(long, value_name = "OS/ARCH", conflicts_with = "arch")]
    pub platform: Vec<String>,
    /// Start from the base image of this Lambda runtime, such as python3.12
    #[arg(long, value_name = "NAME", conflicts_with = "base")]
    pub runtime: Option<String>,
    /// Start from this image, or from `scratch`
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Add files as a layer above the code (repeatable)
    #[arg(long, value_name = "SRC:/PATH")]
    pub add: Vec<String>,
    /// Set the function's handler, such as app.handler
    #[arg(long, conflicts_with = "cmd")]
    pub handler: Option<String>,
    /// Set the program to run: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub entrypoint: Option<String>,
    /// Set the arguments of the entrypoint: words, or a JSON array
    #[arg(long, value_name = "WORDS")]
    pub cmd: Option<String>,
    /// Set the directory to start in
    #[arg(long, value_name = "/PATH")]
    pub workdir: Option<String>,
    /// Set a variable; in PATH=/x:$PATH, $PATH is the base's (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Set a label (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// Set the user to run as
    #[arg(long)]
    pub user: Option<String>,
    /// Add a directory or layer zip (to /opt) below the code (repeatable)
    #[arg(long, value_name = "SRC[:/PATH]", help_heading = "Dependencies")]
    pub deps: Vec<String>,
    #[command(flatten)]
    pub layers: LayerArgs,
    #[command(flatten)]
    pub python: Python,
    #[command(flatten)]
    pub node: Node,
    #[command(flatten)]
    pub dockerfile: DockerfileArgs,
}

/// Files in `/opt`, which zip functions get from Lambda layers. They are below the code; a later layer is on top of an
/// earlier one.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Layers and extensions")]
pub struct LayerArgs {
    /// Add a Lambda layer to /opt, by its zip or by the ARN of a version (repeatable)
    #[arg(long, value_name = "FILE|ARN")]
    pub layer: Vec<String>,
    /// Add /opt, or another directory, of an image to /opt (repeatable)
    #[arg(long, value_name = "IMAGE[:/PATH]")]
    pub layer_image: Vec<String>,
    /// Add an extension: a program, or those of /opt/extensions of an image (repeatable)
    #[arg(long, value_name = "FILE|IMAGE")]
    pub extension: Vec<String>,
    /// Start the runtime by this script, which is added, or is in a layer (AWS_LAMBDA_EXEC_WRAPPER)
    #[arg(long, value_name = "FILE|/opt/PATH")]
    pub wrapper: Option<String>,
    /// Add AWS's web adapter, by which a web server answers, or the one of IMAGE [default image: public.ecr.aws/awsguru/aws-lambda-adapter:1.0.0]
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub web_adapter: Option<String>,
    /// Add the runtime interface client to a base that has none, and start it: python or nodejs [default: the base's]
    #[arg(long, value_name = "LANGUAGE", num_args = 0..=1, require_equals = true, default_missing_value = "",
        conflicts_with_all = ["entrypoint", "dockerfile"])]
    pub runtime_client: Option<String>,
}

/// Python packages, as layers of wheels below the code.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Dependencies")]
pub struct Python {
    /// Add Python packages from a requirements.txt, resolved by uv or pip
    #[arg(long, value_name = "FILE", conflicts_with = "lock")]
    pub requirements: Option<PathBuf>,
    /// Add Python packages from uv.lock, pylock.toml, poetry.lock or Pipfile.lock
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Take wheels from this directory only
    #[arg(long, value_name = "DIR")]
    pub wheels: Option<PathBuf>,
    /// Refuse packages that have no hash in the requirements
    #[arg(long)]
    pub require_hashes: bool,
    /// Leave out unused files: tests, type stubs, static libraries
    #[arg(long)]
    pub slim: bool,
    /// Compile modules with a local Python, on which the image then depends: auto, always or never [default: never]
    #[arg(long, value_name = "WHEN", value_parser = bytecode)]
    pub compile_bytecode: Option<Bytecode>,
    /// Set the Python version [default: that of the runtime or the base]
    #[arg(long, value_name = "VERSION")]
    pub python_version: Option<String>,
}

fn bytecode(text: &str) -> Result<Bytecode, String> {
    match text {
        "auto" => Ok(Bytecode::Auto),
        "always" => Ok(Bytecode::Always),
        "never" => Ok(Bytecode::Never),
        _ => Err("expected auto, always or never".to_owned()),
    }
}

/// Node packages, as a layer below the code.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Dependencies")]
pub struct Node {
    /// Add Node packages from PATH's lock file, through npm, pnpm or yarn
    #[arg(long)]
    pub npm: bool,
    /// Run the packages' install scripts, on this machine
    #[arg(long)]
    pub npm_scripts: bool,
}

impl ImageArgs {
    /// The first given flag that describes the image to build.
    pub fn making(&self) -> Option<&'static str> {
        let given = [
            ("--handler", self.handler.is_some()),
            ("--entrypoint", self.entrypoint.is_some()),
            ("--cmd", self.cmd.is_some()),
            ("--workdir", self.workdir.is_some()),
            ("--env", !self.env.is_empty()),
            ("--label", !self.label.is_empty()),
            ("--user", self.user.is_some()),
        ];
        self.making_files().or_else(|| given.into_iter().find_map(|(flag, given)| given.then_some(flag)))
    }

    /// The first given flag that describes the files of the image to build.
    pub fn making_files(&self) -> Option<&'static str> {
        let Python { requirements, lock, wheels, require_hashes, slim, compile_bytecode, python_version } =
            &self.python;
        let given = [
            ("--runtime", self.runtime.is_some()),
            ("--base", self.base.is_some()),
            ("--deps", !self.deps.is_empty()),
            ("--layer", !self.layers.layer.is_empty()),
            ("--layer-image", !self.layers.layer_image.is_empty()),
            ("--extension", !self.layers.extension.is_empty()),
            ("--wrapper", self.layers.wrapper.is_some()),
            ("--web-adapter", self.layers.web_adapter.is_some()),
            ("--runtime-client", self.layers.runtime_client.is_some()),
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
        ];
        self.dockerfile.given().or_else(|| given.into_iter().find_map(|(flag, given)| given.then_some(flag)))
    }
}
