//! A project, a registry with its base, and a link by which lbuild is the executor.

use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, run, testdata, tool};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// The program and the Dockerfiles of the project, below `workspace`. `HOST` is the registry.
const FILES: [(&str, &str); 7] = [
    ("app.py", "def handler(event, context):\n    return event\n"),
    ("service/app.py", "def handler(event, context):\n    return 'service'\n"),
    ("service/Dockerfile", "FROM HOST/base:1\nCOPY app.py ./\nCMD [\"app.handler\"]\n"),
    (".dockerignore", "*.md\n"),
    ("README.md", "not in the image\n"),
    ("Dockerfile", DOCKERFILE),
    ("hub.Dockerfile", "FROM base:1\nCOPY . ./\nCMD [\"app.handler\"]\n"),
];

const DOCKERFILE: &str = "FROM HOST/base:1 AS first\nARG RELEASE=0\nENV RELEASE=$RELEASE\nCOPY app.py ./\nCMD [\"app.handler\"]\n\
                          FROM first\nCOPY . ./\n";

pub struct Project {
    pub user: Lbuild,
    pub registry: Registry,
}

impl Project {
    pub fn start(mode: Mode) -> Project {
        let (registry, user) = (Registry::start(mode), Lbuild::new());
        for repository in ["base", "library/base"] {
            bases::seed(&registry, &testdata("base"), "python3.12", repository, "1");
        }
        fs::create_dir_all(user.path("workspace/service")).unwrap();
        for (name, text) in FILES {
            fs::write(user.path("workspace").join(name), text.replace("HOST", &registry.host())).unwrap();
        }
        let tar = |name: &str, flags: &str| {
            let mut tar = Command::new(tool("tar"));
            run(tar.args([flags, name, "-C", "workspace", "."]).current_dir(user.path(""))).unwrap();
        };
        tar("context.tar.gz", "-czf");
        tar("context.tar", "-cf");
        fs::create_dir(user.path("kaniko")).unwrap();
        symlink(env!("CARGO_BIN_EXE_lbuild"), user.path("kaniko/executor")).unwrap();
        Project { user, registry }
    }

    /// The words of a line, with the registry in the place of HOST, and the user's directory in that of DIR.
    pub fn words(&self, line: &str) -> Vec<String> {
        let (host, dir) = (self.registry.host(), self.user.text(""));
        let word = |word: &str| word.replace("HOST", &host).replace("DIR", dir.trim_end_matches('/'));
        line.split_whitespace().map(word).collect()
    }

    /// Runs the executor, with variables as `NAME=VALUE` in front of its arguments.
    pub fn executor(&self, line: &str) -> RunOutput {
        let words = self.words(line);
        let is_variable = |word: &&String| {
            word.split_once('=')
                .is_some_and(|(name, _)| name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_'))
        };
        let variables = words.iter().take_while(is_variable).count();
        let mut command = self.user.program(&self.user.text("kaniko/executor"), &words[variables..]);
        command.envs(words[..variables].iter().filter_map(|word| word.split_once('=')));
        RunOutput::of(command.output().expect("it starts"))
    }

    /// The same with a file on standard input.
    pub fn executor_with(&self, file: &str, line: &str) -> RunOutput {
        let mut command = self.user.program(&self.user.text("kaniko/executor"), &self.words(line));
        command.stdin(Stdio::from(fs::File::open(self.user.path(file)).unwrap()));
        RunOutput::of(command.output().expect("it starts"))
    }

    /// The digest of the image that `lbuild build` makes, for Docker if the line has no `--format`.
    pub fn built(&self, line: &str) -> String {
        let format = if line.contains("--format") { "" } else { "--format docker" };
        let line = format!("build {line} {format} --no-check --to oci:out");
        let mut command = self.user.command(&self.words(&line));
        command.env("LBUILD_REGISTRY_ENDPOINT", format!("docker.io=http://{}", self.registry.host()));
        RunOutput::of(command.env("RELEASE", "8").output().expect("it starts")).succeeded().digest()
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.user.path(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
