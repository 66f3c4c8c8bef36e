//! Runs the built `lbuild` with its own home and cache, without the environment of the tests.

use super::registry::Registry;
use super::{bases, testdata, tool};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A user with an empty home and an empty cache; both are removed when it is dropped.
pub struct Lbuild {
    dir: TempDir,
    variables: Vec<(String, String)>,
}

/// Exit code and output of a run.
#[derive(Debug)]
pub struct RunOutput {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Lbuild {
    pub fn new() -> Lbuild {
        let dir = tempfile::Builder::new().prefix("lbuild-").tempdir().expect("a temporary directory");
        for name in ["home", "docker", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).expect("ours");
        }
        Lbuild { dir, variables: Vec::new() }
    }

    /// A user for a registry of any mode, who trusts its certificate and has its login stored as by `docker login`.
    pub fn for_registry(registry: &Registry) -> Lbuild {
        let mut user = Lbuild::new();
        if let Some((name, password)) = registry.login() {
            user.log_in(&registry.host(), name, password);
        }
        if registry.is_tls() {
            user.set("SSL_CERT_FILE", &registry.ca_path().display().to_string());
        }
        user
    }

    /// Sets a variable for all later runs.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Stores a login like `docker login`, and replaces any other.
    pub fn log_in(&self, registry: &str, user: &str, password: &str) {
        let auth = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
        let config = json!({ "auths": { registry: { "auth": auth } } });
        std::fs::write(self.dir.path().join("docker/config.json"), config.to_string()).expect("ours");
    }

    /// Creates the program `bin/NAME` with this script; returns its directory, for `PATH`.
    pub fn program_of(&self, name: &str, script: &str) -> String {
        let dir = self.path("bin");
        std::fs::create_dir_all(&dir).expect("ours");
        // Written by another process: if this one had it open for writing, a child that another test is just starting
        // would inherit it, and executing the script would fail with ETXTBSY until that child calls exec.
        let mut install = Command::new(tool("install"))
            .args(["-m", "755", "/dev/stdin"])
            .arg(dir.join(name))
            .stdin(Stdio::piped())
            .spawn()
            .expect("install starts");
        install.stdin.take().expect("piped").write_all(script.as_bytes()).expect("install reads");
        assert!(install.wait().expect("install ends").success());
        dir.display().to_string()
    }

    /// `$LBUILD_CACHE`.
    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A path in the user's directory, for files of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        self.environment(Command::new(env!("CARGO_BIN_EXE_lbuild")), arguments)
    }

    /// A program that runs `lbuild`, such as `setpriv`, with the same environment.
    pub fn wrapped<S: AsRef<OsStr>>(&self, wrapper: &[&str], arguments: &[S]) -> Command {
        let mut command = Command::new(tool(wrapper[0]));
        command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_lbuild"));
        self.environment(command, arguments)
    }

    /// Another program, with the same environment.
    pub fn program<S: AsRef<OsStr>>(&self, name: &str, arguments: &[S]) -> Command {
        self.environment(Command::new(tool(name)), arguments)
    }

    fn environment<S: AsRef<OsStr>>(&self, mut command: Command, arguments: &[S]) -> Command {
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LBUILD_CACHE", self.cache());
        command
            .env("HOME", self.dir.path().join("home"))
            .env("DOCKER_CONFIG", self.dir.path().join("docker"));
        command.env("TMPDIR", self.dir.path().join("tmp"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> RunOutput {
        RunOutput::of(self.command(arguments).output().expect("lbuild starts"))
    }

    /// Runs with `input` on standard input.
    pub fn run_with(&self, input: &str, arguments: &[&str]) -> RunOutput {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("lbuild starts");
        // the child may end without reading
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        RunOutput::of(child.wait_with_output().expect("lbuild ends"))
    }

    /// A run that has to succeed.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> RunOutput {
        self.run(arguments).succeeded()
    }

    /// `lbuild push FUNCTION …`, which has to succeed; returns the image's digest.
    #[track_caller]
    pub fn push(&self, function: &Path, more: &[&str]) -> String {
        let mut arguments = vec!["push", function.to_str().expect("UTF-8")];
        arguments.extend(more);
        self.ok(&arguments).digest()
    }

    /// Builds a layout at `name` of the committed base; returns its directory.
    #[track_caller]
    pub fn layout(&self, name: &str, function: &Path, more: &[&str]) -> PathBuf {
        let (base, to) = (tiny_base(), format!("oci:{}:it", self.text(name)));
        let mut arguments = vec!["--base", &base, "--arch", "arm64", "--to", &to];
        arguments.extend(more);
        self.push(function, &arguments);
        self.path(name)
    }
}

impl RunOutput {
    pub fn of(output: Output) -> RunOutput {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("lbuild writes UTF-8");
        RunOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub fn succeeded(self) -> RunOutput {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless the run ended with this code; returns standard error.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "standard output is for results");
        self.stderr
    }

    /// The number of layers that were made, and of those that were unchanged.
    pub fn layer_counts(&self) -> (usize, usize) {
        let lines = |end: &str| {
            self.stderr.lines().filter(|line| line.starts_with("layer ") && line.ends_with(end)).count()
        };
        (lines(" made"), lines(" unchanged"))
    }

    /// The digest of the only image on standard output.
    #[track_caller]
    pub fn digest(&self) -> String {
        let digests = self.digests();
        assert_eq!(digests.len(), 1, "{}", self.stdout);
        digests[0].1.clone()
    }

    /// Every line of standard output, which must be `repository@sha256:…`.
    #[track_caller]
    pub fn digests(&self) -> Vec<(String, String)> {
        let split = |line: &str| {
            let (name, digest) = line.split_once('@').unwrap_or_else(|| panic!("not an image: {line}"));
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            assert!(hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
            (name.to_owned(), digest.to_owned())
        };
        self.stdout.lines().map(split).collect()
    }
}

/// `oci:…` of the base in the repository: amd64 and arm64, a config like Lambda's, and tiny layers.
pub fn tiny_base() -> String {
    format!("oci:{}:python3.12", testdata("base").display())
}

pub fn hello() -> PathBuf {
    testdata("functions/hello-python")
}

/// A directory of these files; a path that ends with `*` is executable.
pub fn function<C: AsRef<[u8]>>(files: &[(&str, C)]) -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("function-").tempdir().expect("a temporary directory");
    for (name, content) in files {
        let path = dir.path().join(name.trim_end_matches('*'));
        std::fs::create_dir_all(path.parent().expect("below the directory")).expect("ours");
        std::fs::write(&path, content).expect("ours");
        let mode = if name.ends_with('*') { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("ours");
    }
    dir
}

/// Every file below a directory, by its relative path.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{dir:?}: {error}")) {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                files(&path).into_iter().map(|(below, content)| (format!("{name}/{below}"), content)),
            );
        } else {
            found.insert(name, std::fs::read(&path).expect("readable"));
        }
    }
    found
}

/// Incompressible bytes, always the same for a seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

/// Manifest and config of an image in a layout, which may be an index for several architectures.
pub fn image_of(layout: &Path, tag: &str, architecture: &str) -> (Value, Value) {
    let blob = |descriptor: &Value| {
        bases::read(&bases::blob(layout, descriptor["digest"].as_str().expect("a descriptor")))
    };
    let mut found = blob(&bases::named(layout, tag));
    if let Some(entries) = found["manifests"].as_array() {
        let entry = entries.iter().find(|entry| entry["platform"]["architecture"] == architecture);
        found = blob(entry.expect("the index has the architecture"));
    }
    let config = blob(&found["config"]);
    (found, config)
}
