//! Builds Dockerfiles with buildah, which runs commands by chroot.

use super::{run, tool};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How buildah keeps the layers of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A copy for each layer: needs no mount.
    Copies,
    /// As Docker does.
    Overlay,
}

/// A storage of buildah; removed when dropped.
pub struct Buildah {
    dir: TempDir,
    driver: Driver,
}

impl Buildah {
    pub fn new(driver: Driver) -> Buildah {
        let dir = tempfile::Builder::new().prefix("buildah-").tempdir().expect("a temporary directory");
        Buildah { dir, driver }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn driver(&self) -> &'static str {
        match self.driver {
            Driver::Copies => "vfs",
            Driver::Overlay => "overlay",
        }
    }

    /// Stores the image `tag` of a layout as `name:latest`.
    pub fn add(&self, name: &str, layout: &Path, tag: &str) {
        let (root, runroot) = (self.path("root"), self.path("run"));
        let to = format!(
            "containers-storage:[{}@{}+{}]{name}:latest",
            self.driver(),
            root.display(),
            runroot.display()
        );
        let from = format!("oci:{}:{tag}", layout.display());
        run(self.command("skopeo").args(["copy", "--quiet", &from, &to])).expect("skopeo copies");
    }

    /// A program whose mounts and processes end with it.
    fn command(&self, program: &str) -> Command {
        if !rustix::process::getuid().is_root() {
            return Command::new(tool(program));
        }
        let mut command = Command::new(tool("unshare"));
        command.args(["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(tool(program));
        command
    }

    /// `buildah` with these arguments; returns its standard output, or its messages.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command("buildah");
        command.arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run"));
        command.args(["--storage-driver", self.driver()]).args(arguments).env("BUILDAH_ISOLATION", "chroot");
        let output = command.output().expect("buildah starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Builds a Dockerfile to an image of an OCI layout, `DIRECTORY:TAG`. `options`: those of `buildah push`.
    pub fn build(&self, context: &Path, file: &Path, to: &str, options: &[&str]) -> Result<(), String> {
        let (context, file, to) =
            (context.display().to_string(), file.display().to_string(), format!("oci:{to}"));
        let id =
            self.run(&["bud", "--quiet", "--pull-never", "--format", "docker", "-f", &file, &context])?;
        self.run(&[&["push", "--format", "oci"], options, &[id.trim(), &to]].concat()).map(drop)
    }
}
