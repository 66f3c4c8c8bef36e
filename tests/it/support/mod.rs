//! Support code of the tests: real and fake registries, bases, and programs that verify an image. `tests/run` builds
//! the parts under target/parts; a test fails with the name of a missing part.
#![allow(dead_code, reason = "each test needs other parts")]

pub mod aws_api;
pub mod aws_network;
pub mod bases;
pub mod buildah;
pub mod busybox;
pub mod command_builds;
pub mod debian;
pub mod environments;
pub mod fake_ecr;
pub mod faults;
pub mod faulty_images;
pub mod http;
pub mod image_builder;
pub mod image_tools;
pub mod image_tree;
pub mod index;
pub mod invoke;
pub mod lambda_api;
pub mod lambda_layers;
pub mod layers;
pub mod lbuild;
pub mod moto;
pub mod npm;
pub mod npm_registry;
pub mod package_fixture;
pub mod processes;
pub mod proxy;
pub mod python;
pub mod records;
pub mod registry;
pub mod root_tree;
pub mod sample_images;
pub mod sandbox;
pub mod tampering;
pub mod token_service;
pub mod wheelhouse;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The path of the part `name` of `tests/run`, such as `bases/zstd`.
pub fn part(name: &str) -> PathBuf {
    // the test binary is in target/<profile>/deps
    let binary = std::env::current_exe().expect("a test binary knows its path");
    let target = binary.ancestors().find(|dir| dir.join("parts").is_dir());
    target
        .map(|dir| dir.join("parts").join(name))
        .filter(|path| path.exists())
        .unwrap_or_else(|| panic!("run tests/run first: missing part {name}"))
}

/// The full path of a program that the tests need.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("run tests/run first: missing program {name}"))
}

pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A text that differs on every call, so that data of another test cannot give the expected answer.
pub fn nonce() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{now:x}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs a command; returns standard output, or a description of the failure with all output.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{}: {error}", describe(command)))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let (status, out, err) = (output.status, text(&output.stdout), text(&output.stderr));
    Err(format!("{}: {status}\n{out}{err}", describe(command)))
}

/// The command line, without its environment and without scripts.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| word.to_string_lossy());
    words.map(|word| if word.contains('\n') { "…".into() } else { word }).collect::<Vec<_>>().join(" ")
}

/// `sha256:…` of a file.
pub fn digest(file: &Path) -> String {
    let sum = run(Command::new(tool("sha256sum")).arg(file)).expect("sha256sum reads a file");
    format!("sha256:{}", &sum[..64])
}

/// A program that is killed when this value is dropped or the test process ends for any reason: its parent shell waits
/// on a pipe that only this process holds.
pub struct KillOnDrop(Child);

impl KillOnDrop {
    pub fn spawn(program: &Path, arguments: &[&Path], log: &Path) -> KillOnDrop {
        let log = std::fs::File::create(log).expect("the log can be made");
        let script = r#""$@" </dev/null & read -r _; kill -9 $!; wait"#;
        let child = Command::new(tool("bash"))
            .args(["-c", script, "tied"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log is a file"))
            .stderr(log)
            .spawn();
        KillOnDrop(child.expect("bash starts"))
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
