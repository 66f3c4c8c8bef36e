//! lbuild as `docker`, for the tools that call it. The registry of the tests is in the place of ECR and of AWS's bases.

mod actions;
mod cdk;
mod check_at_push;
mod concurrent;
mod damage;
mod kills;
mod logins;
mod others;
mod socket;
mod store;
mod transcript;
mod with_command;
mod wrong_calls;

use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::moto::NO_METADATA;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// The registry of an account, as tools name it.
const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// The image of a function that needs nothing.
const DOCKERFILE: &str =
    "FROM public.ecr.aws/lambda/python:3.12\nCOPY app.py ${LAMBDA_TASK_ROOT}/\nCMD [\"app.handler\"]\n";

/// A user who has lbuild as `docker`, and a function in the directory `fn`.
struct DockerUser {
    user: Lbuild,
    registry: Registry,
}

impl DockerUser {
    /// With a login for ECR, which takes any.
    fn new() -> DockerUser {
        let docker = DockerUser::of(Mode::Plain);
        docker.user.log_in(ECR, "AWS", "TOKEN");
        docker
    }

    /// With a registry of this mode in ECR's place, and no login.
    fn of(mode: Mode) -> DockerUser {
        let (mut user, registry) = (Lbuild::new(), Registry::start(mode));
        bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
        user.ok(&["shim", "install", "shim"]);
        let host = registry.host();
        let endpoints = format!("{ECR}=http://{host},public.ecr.aws=http://{host}");
        let path = format!("{}:/usr/bin:/bin", user.text("shim"));
        for (name, value) in [NO_METADATA, ("LBUILD_REGISTRY_ENDPOINT", &endpoints), ("PATH", &path)] {
            user.set(name, value);
        }
        let docker = DockerUser { user, registry };
        docker.write("fn/Dockerfile", DOCKERFILE);
        docker.write("fn/app.py", "def handler(event, context):\n    return 'fn'\n");
        docker
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.user.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.user.path(name)).unwrap()
    }

    /// Runs a line of a shell.
    fn shell(&self, line: &str) -> RunOutput {
        RunOutput::of(self.user.program("sh", &["-c", line]).output().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.user.command(&[&["docker"], arguments].concat())
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn docker(&self, arguments: &[&str]) -> RunOutput {
        RunOutput::of(self.command(arguments).output().unwrap())
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        self.docker(arguments).succeeded().stdout
    }

    /// Builds the function for arm64, and returns its id.
    #[track_caller]
    fn build(&self, path: &str, more: &[&str]) -> String {
        let all = [&["build", "-q", "--platform", "linux/arm64", path], more].concat();
        self.ok(&all).trim().to_owned()
    }

    /// Builds a function of this number, which no other has, in a directory of its own.
    fn numbered(&self, number: usize) -> String {
        let path = format!("fn{number}");
        self.write(&format!("{path}/Dockerfile"), DOCKERFILE);
        self.write(&format!("{path}/app.py"), format!("def handler(event, context):\n    return {number}\n"));
        self.user.text(&path)
    }

    /// The names of the images.
    #[track_caller]
    fn names(&self) -> Vec<String> {
        let lines = self.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        lines.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn id(&self, name: &str) -> String {
        self.ok(&["inspect", "--format", "{{.Id}}", name]).trim().to_owned()
    }
}

/// The output of a command that reads this text.
fn with_input(command: &mut Command, input: &[u8]) -> RunOutput {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    RunOutput::of(child.wait_with_output().unwrap())
}
