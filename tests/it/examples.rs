//! Runs the examples as their first lines describe, and checks that each is short.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::lbuild::{Lbuild, hello};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, run, testdata};

/// A built example; `cargo build --examples` and a plain `cargo test` put it next to the test binary.
fn example(name: &str) -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    let path = binary.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(path.exists(), "run `cargo build --examples` first: missing {}", path.display());
    path
}

fn command(lbuild: &Lbuild, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(example(name));
    command.args(arguments).env_clear().env("LBUILD_CACHE", lbuild.cache()).env("HOME", lbuild.path("home"));
    command
}

fn registry(mode: Mode) -> (Registry, String) {
    let registry = Registry::start(mode);
    bases::seed(&registry, &testdata("base"), "python3.12", "base", "1");
    let base = format!("{}/base:1", registry.host());
    (registry, base)
}

#[test]
fn a_layer_is_appended() {
    let ((registry, base), lbuild) = (registry(Mode::Plain), Lbuild::new());
    let to = format!("{}/appended:1", registry.host());
    let printed = run(&mut command(&lbuild, "append_layer", &[&base, &to])).unwrap();
    let shown = lbuild.ok(&["inspect", printed.trim(), "--json"]).stdout;
    assert!(shown.contains("append_layer: build info"), "{shown}");
}

#[test]
fn credentials_come_from_a_custom_provider() {
    let ((registry, base), lbuild) = (registry(Mode::Basic { user: "me", password: "mine" }), Lbuild::new());
    let with = |whose: &str| {
        let mut command = command(&lbuild, "custom_credentials", &[&base]);
        run(command.env("VAULT_REGISTRY", whose).env("VAULT_USER", "me").env("VAULT_PASSWORD", "mine"))
    };
    let without = run(&mut command(&lbuild, "custom_credentials", &[&base])).unwrap_err();
    assert!(without.contains("anonymous"), "{without}");
    let printed = with(&registry.host()).unwrap();
    assert!(printed.contains("linux/arm64"), "{printed}");
    // the password is right but belongs to another registry
    let refused = with("registry.example").unwrap_err();
    assert!(refused.contains("anonymous"), "{refused}");
}

#[test]
fn progress_is_shown() {
    let ((registry, base), lbuild) = (registry(Mode::Plain), Lbuild::new());
    let to = format!("{}/progress:1", registry.host());
    let output = command(&lbuild, "progress", &[hello().to_str().unwrap(), &base, &to]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && stderr.contains("packing /var/task") && stderr.contains("sending sha256:"),
        "{stderr}"
    );
}

#[test]
fn no_example_is_longer_than_forty_lines() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 40, "{}: {lines} lines", path.display());
        }
    }
}
