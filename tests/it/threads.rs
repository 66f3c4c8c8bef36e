//! A machine that allows few threads or open files: a clear error or success, never a panic and never a hang.

use crate::support::lbuild::{Lbuild, RunOutput, function, noise, tiny_base};
use crate::support::tool;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A copy of lbuild that any user may run, and its input.
struct Setup {
    lbuild: Lbuild,
    code: TempDir,
    /// A user without other processes.
    user: u32,
}

impl Setup {
    fn new() -> Setup {
        let lbuild = Lbuild::new();
        let code =
            function(&[("data", noise(3, 3 << 20)), ("a/b/c", noise(4, 1000)), ("app.py", b"x".to_vec())]);
        std::fs::copy(env!("CARGO_BIN_EXE_lbuild"), lbuild.path("lbuild")).unwrap();
        let mut open = Command::new(tool("chmod"));
        assert!(open.args(["-R", "a+rwX"]).arg(lbuild.path("")).arg(code.path()).status().unwrap().success());
        Setup { lbuild, code, user: 65_000 + std::process::id() % 400 }
    }

    /// Runs lbuild with at most `limit` processes and threads, and an empty cache.
    fn run(&self, limit: usize, json: bool) -> RunOutput {
        let script = format!("ulimit -u {limit}; exec \"$@\"");
        let (reuid, regid) = (format!("--reuid={}", self.user), format!("--regid={}", self.user));
        let (program, base, to) = (self.lbuild.text("lbuild"), tiny_base(), format!("oci:image-{limit}:1"));
        let path = self.code.path().to_str().unwrap();
        let mut all = vec![&reuid[..], &regid, "--clear-groups", "bash", "-c", &script, "limited"];
        all.extend([&program, "build", path, "--base", &base, "--arch", "arm64", "--to", &to]);
        if json {
            all.push("--json");
        }
        let mut command = self.lbuild.program("setpriv", &all);
        command.env("LBUILD_CACHE", self.lbuild.path(&format!("cache-{limit}")));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("it hangs with {limit} threads");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        RunOutput::of(child.wait_with_output().unwrap())
    }
}

#[test]
fn too_few_threads_are_one_clear_error() {
    if !rustix::process::getuid().is_root() {
        return; // only root can become a user without other processes
    }
    let (setup, mut failed, mut succeeded) = (Setup::new(), 0, 0);
    for limit in (1..12).chain([16, 24, 40]) {
        let done = setup.run(limit, limit % 2 == 0);
        assert!(!done.stderr.contains("panicked"), "{limit}: {}", done.stderr);
        match done.code {
            Some(0) => succeeded += 1,
            _ => {
                let error = done.failed(7);
                failed += 1;
                assert!(error.contains("cannot start a thread"), "{limit}: {error}");
                assert!(error.contains("ulimit -u"), "{limit}: {error}");
                assert_eq!(error.matches("cannot start").count(), 1, "{limit}: {error}");
            }
        }
    }
    assert!(failed >= 3 && succeeded >= 3, "{failed} failed, {succeeded} succeeded");
}

#[test]
fn too_few_open_files_are_an_error() {
    let lbuild = Lbuild::new();
    let mut failed = 0;
    for limit in 4..16 {
        let script = format!("ulimit -n {limit}; exec \"$@\"");
        let all = ["-c", &script, "limited", env!("CARGO_BIN_EXE_lbuild"), "inspect", "oci:none"];
        let done = RunOutput::of(lbuild.program("bash", &all).output().unwrap());
        assert!(!done.stderr.contains("panicked"), "{limit}: {}", done.stderr);
        // With fewer, the dynamic loader fails.
        match done.code {
            Some(4 | 127) => {}
            _ => {
                let error = done.failed(7);
                assert!(
                    error.contains("cannot start") || error.contains("Too many open files"),
                    "{limit}: {error}"
                );
                failed += 1;
            }
        }
    }
    assert!(failed > 0);
}
