//! Builds of Dockerfiles with commands, in an environment: on the busybox image and the Debian one.

use super::environments::{Environment, Place, as_root};
use super::lbuild::RunOutput;
use super::{busybox, debian};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A place with the busybox image, and builds to one layout in it.
pub struct Builds {
    pub place: Place,
}

/// The modes that an environment has, the one that is used without `--run-mode` first.
pub fn modes(environment: Environment) -> &'static [&'static str] {
    match environment {
        Environment::Root => &["namespaces", "copy", "chroot"],
        Environment::Account | Environment::SubordinateIds => &["namespaces", "copy", "proot"],
        Environment::Unconfined => &["namespaces", "copy", "chroot"],
        Environment::UnconfinedUser => &["namespaces", "copy", "proot"],
        Environment::Docker
        | Environment::DockerWithoutMknod
        | Environment::RemappedDocker
        | Environment::EmulatingDocker
        | Environment::MountsRefused => &["chroot"],
        Environment::Restricted => &["proot"],
    }
}

impl Builds {
    pub fn in_place(environment: Environment) -> Builds {
        let place = environment.place();
        let base = tempfile::tempdir().expect("a temporary directory");
        busybox::write(base.path());
        place.copy_in(base.path(), "busybox");
        Builds { place }
    }

    /// The arguments of a build of `context`.
    pub fn arguments(&self, context: &str, more: &[&str]) -> Vec<String> {
        let busybox = format!("localhost/busybox=oci:{}:{}", self.place.text("busybox"), busybox::TAG);
        let debian = format!("localhost/debian=oci:{}:{}", self.place.part("debian/image"), debian::TAG);
        let (context, to) = (self.place.text(context), format!("oci:{}:1", self.place.text("out")));
        let all = ["build", &context, "--build-context", &busybox, "--build-context", &debian];
        let rest = ["--arch", debian::ARCHITECTURE, "--no-check", "--to", &to];
        all.iter().chain(&rest).chain(more).map(|&word| word.to_owned()).collect()
    }

    /// Builds this Dockerfile, with the files that are in the directory `context`.
    pub fn build(&self, dockerfile: &str, more: &[&str]) -> RunOutput {
        self.place.write("context/Dockerfile", dockerfile);
        self.place.lbuild(&self.arguments("context", more))
    }

    pub fn out(&self) -> PathBuf {
        self.place.path("out")
    }

    pub fn cache(&self) -> PathBuf {
        self.place.path("cache")
    }

    /// The names in a directory of the cache; none if it does not exist.
    pub fn cached(&self, name: &str) -> Vec<String> {
        names(&self.cache().join(name))
    }
}

/// The names in a directory; none if it does not exist.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The number of commands that a build without `--json` has run.
pub fn commands_of(done: &RunOutput) -> usize {
    done.stderr.lines().filter(|line| line.starts_with("run      ")).count()
}

/// The events of a build with `--json`.
pub fn events(done: &RunOutput) -> Vec<Value> {
    done.stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The events of one kind.
pub fn events_of(events: &[Value], reason: &str) -> Vec<Value> {
    events.iter().filter(|event| event["reason"] == reason).cloned().collect()
}

/// The files below a directory that have one of these texts, whoever owns them.
pub fn files_with(dir: &Path, texts: &[&str]) -> String {
    let mut command = as_root(
        "grep",
        &["--recursive", "--files-with-matches", "--text", "--fixed-strings"].map(AsRef::as_ref),
    );
    for text in texts {
        command.arg("--regexp").arg(text);
    }
    let output = command.arg("--").arg(dir).output().expect("grep starts");
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
