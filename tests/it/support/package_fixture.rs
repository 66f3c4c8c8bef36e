//! A package index, a registry and a function for tests with real packages.

use super::index::{Index, IndexBehaviour};
use super::lbuild::{Lbuild, function};
use super::python::{Clients, MACHINES};
use super::registry::{Mode, Registry};
use super::{bases, part, run, tool};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const APP: &str = "
import platform
import jmespath, numpy, pydantic_core

def handler(event, context):
    return {
        'nonce': event.get('nonce'),
        'machine': platform.machine(),
        'sum': int(numpy.arange(5).sum()),
        'core': pydantic_core.from_json('[1]'),
        'found': jmespath.search('a.b', {'a': {'b': 2}}),
        'numpy': numpy.__file__,
    }
";

/// An index of real packages, a registry with a base, and code that uses the packages.
pub struct PackageFixture {
    pub index: Index,
    pub registry: Registry,
    pub base: String,
    files: TempDir,
    code: TempDir,
}

impl PackageFixture {
    pub fn new() -> PackageFixture {
        let (files, real) = (tempfile::tempdir().unwrap(), part("packages/index"));
        for entry in std::fs::read_dir(&real).unwrap() {
            let name = entry.unwrap().file_name();
            std::os::unix::fs::symlink(real.join(&name), files.path().join(&name)).unwrap();
        }
        let registry = Registry::start(Mode::Plain);
        // Not named like Lambda's image: for that image, lbuild assumes a glibc that is too old for numpy.
        let base = bases::push(&registry, "docker-list", "team/python", "3.11");
        let index = Index::of(files.path(), IndexBehaviour::default());
        PackageFixture { index, registry, base, files, code: function(&[("app.py", APP)]) }
    }

    /// Publishes a newer pydantic-core.
    pub fn publish_newer(&self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/bump_version.py");
        for machine in MACHINES {
            let tag = format!("cp311-cp311-manylinux2014_{machine}.manylinux_2_17_{machine}");
            let wheel = part("packages/index").join(format!("pydantic_core-2.50.4-{tag}.whl"));
            let mut python = Command::new(tool("python3"));
            run(python.arg(&script).arg(wheel).args(["2.50.4", "2.50.5"]).arg(self.files.path())).unwrap();
        }
    }

    /// The `uv.lock` that uv writes for these requirements.
    pub fn lock(&self, wanted: &[&str]) -> UvLock {
        let clients = Clients::new();
        let project = clients.uv_lock(&self.index.url(), wanted).unwrap_or_else(|error| panic!("{error}"));
        let path = project.join("uv.lock").display().to_string();
        self.index.clear();
        UvLock { path, _clients: clients }
    }

    /// The arguments that push the function to `to`; `more` names its packages.
    pub fn arguments(&self, arch: &str, to: &str, more: &[&str]) -> Vec<String> {
        let code = self.code.path().display().to_string();
        let all =
            ["push", &code, "--base", &self.base, "--arch", arch, "--to", to, "--handler", "app.handler"];
        all.iter().chain(more).map(|&word| word.to_owned()).collect()
    }

    pub fn reference(&self, tag: &str) -> String {
        format!("{}/function:{tag}", self.registry.host())
    }
}

pub struct UvLock {
    pub path: String,
    _clients: Clients,
}

/// A user who has uv.
pub fn with_uv() -> Lbuild {
    let mut user = Lbuild::new();
    user.set("PATH", &format!("{}:/usr/bin:/bin", part("packages/only/uv").display()));
    user
}
