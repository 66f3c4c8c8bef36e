//! A machine that allows few threads: a clear error or success, never a panic and never a hang.

use crate::support::lbuild::{Lbuild, RunOutput, function, noise, tiny_base};
use crate::support::tool;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Runs lbuild as an own user who may have `limit` processes and threads.
fn run(limit: usize, user: u32, json: bool) -> RunOutput {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", b"x".to_vec()), ("data", noise(3, 3 << 20)), ("a/b/c", noise(4, 1000))]);
    let program = lbuild.path("lbuild");
    std::fs::copy(env!("CARGO_BIN_EXE_lbuild"), &program).unwrap();
    let mut open = std::process::Command::new(tool("chmod"));
    assert!(open.args(["-R", "a+rwX"]).arg(lbuild.path("")).arg(code.path()).status().unwrap().success());
    let script = format!("ulimit -u {limit}; exec \"$@\"");
    let (reuid, regid) = (format!("--reuid={user}"), format!("--regid={user}"));
    let base = tiny_base();
    let mut all = vec![&reuid[..], &regid, "--clear-groups", "bash", "-c", &script, "limited"];
    let (program, path) = (program.display().to_string(), code.path().display().to_string());
    all.extend([&program, "build", &path, "--base", &base, "--arch", "arm64", "--to", "oci:image:1"]);
    if json {
        all.push("--json");
    }
    let mut command = lbuild.program("setpriv", &all);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it hangs with {limit} threads");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    RunOutput::of(child.wait_with_output().unwrap())
}

#[test]
fn too_few_threads_are_one_clear_error() {
    if !rustix::process::getuid().is_root() {
        return; // only root can become a user without other processes
    }
    let (mut failed, mut succeeded) = (0, 0);
    for limit in (1..16).chain([20, 30, 40]) {
        let done = run(limit, 65_000 + std::process::id() % 400, limit % 2 == 0);
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
