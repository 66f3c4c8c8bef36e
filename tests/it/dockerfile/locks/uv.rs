//! `uv export` and `uv sync`.

use super::{Project, assert_same, content, environment};
use crate::dockerfile::installs::installed;
use crate::support::image_tools::ImageLocation;
use crate::support::invoke;
use std::fs;

pub const PROJECT: &str = r#"
[project]
name = "fn"
version = "0.1.0"
requires-python = ">=3.11,<3.13"
dependencies = ["requests", "rig-schemes", "jmespath; sys_platform == 'win32' or python_version < '3.12'"]
[project.optional-dependencies]
more = ["docopt"]
[dependency-groups]
dev = ["packaging"]
lint = ["typing-extensions", { include-group = "dev" }]
"#;

#[test]
fn an_export_of_uv_is_that_of_uv() {
    let project = Project::new("pyproject.toml", PROJECT);
    project.uv(&["lock", "--quiet"]);
    let forms = [
        "--frozen --no-dev --no-emit-project",
        "--frozen",
        "--locked --no-hashes",
        "--frozen --no-header --no-annotate --all-extras",
        "--frozen --only-group lint --no-hashes",
        "--frozen --no-hashes --extra more --no-default-groups",
        "--frozen --no-hashes --group lint --no-emit-workspace --format requirements-txt",
        "--frozen --no-hashes --all-groups --no-group dev",
    ];
    let mut lines = String::new();
    for (number, form) in forms.iter().enumerate() {
        let to = ["-o", "--output-file"][number % 2];
        lines += &format!("RUN uv export {form} {to} r{number}.txt > /dev/null\n");
    }
    let (lbuild, done) = project.build(&["pyproject.toml", "uv.lock"], &lines, "amd64");
    done.succeeded();
    for (number, form) in forms.iter().enumerate() {
        let name = format!("r{number}.txt");
        let to = ["-o", "--output-file"][number % 2];
        let arguments: Vec<&str> = ["export"].into_iter().chain(form.split(' ')).chain([to, &name]).collect();
        project.uv(&arguments);
        let ours = content(&lbuild, &format!("app/{name}"));
        assert_eq!(ours, project.text(&name), "{form}");
    }
}

#[test]
fn a_sync_of_uv_leaves_the_environment_of_uv() {
    let project = Project::new("pyproject.toml", PROJECT);
    project.uv(&["lock", "--quiet"]);
    let files = ["pyproject.toml", "uv.lock"];
    for options in
        ["--frozen --no-dev --no-install-project", "--locked --all-extras --group lint", "--only-group lint"]
    {
        let arguments: Vec<&str> = ["sync", "--quiet"].into_iter().chain(options.split(' ')).collect();
        // An environment of before would keep empty directories.
        let _ = fs::remove_dir_all(project.dir().join(".venv"));
        project.uv(&arguments);
        let (lbuild, done) = project.build(&files, &format!("RUN uv sync {options}\n"), "amd64");
        done.succeeded();
        let ours = installed(&lbuild, "amd64", "app/.venv");
        assert_same(ours, environment(&project.dir().join(".venv")), "uv");
        let script = content(&lbuild, "app/.venv/pyvenv.cfg");
        assert!(
            script.starts_with("home = /var/lang/bin\n") && script.ends_with("prompt = fn\n"),
            "{script}"
        );
    }
    // A second sync of the same environment adds and removes.
    let lines = "RUN uv sync --frozen --all-groups\nRUN uv sync --frozen --no-dev --extra more\n";
    fs::remove_dir_all(project.dir().join(".venv")).unwrap();
    project.uv(&["sync", "--quiet", "--frozen", "--all-groups"]);
    project.uv(&["sync", "--quiet", "--frozen", "--no-dev", "--extra", "more"]);
    let (lbuild, done) = project.build(&files, lines, "amd64");
    done.succeeded();
    assert_same(installed(&lbuild, "amd64", "app/.venv"), environment(&project.dir().join(".venv")), "uv");
    let lines = "ENV UV_PROJECT_ENVIRONMENT=/opt/venv\nRUN uv sync --frozen --inexact\nRUN uv sync --frozen --inexact --only-group lint\n";
    let (lbuild, done) = project.build(&files, lines, "arm64");
    done.succeeded();
    let tree = installed(&lbuild, "arm64", "opt/venv/lib/python3.11/site-packages");
    assert!(tree.contains_key("requests/__init__.py") && tree.contains_key("typing_extensions.py"));
    assert!(
        tree.keys().any(|path| path.starts_with("charset_normalizer/") && path.contains("aarch64")),
        "{tree:?}"
    );
}

/// A virtual environment of an image serves a program of that image.
#[test]
fn the_interpreter_of_an_environment_finds_its_packages() {
    const APP: &str = "\
import subprocess

def handler(event, context):
    program = 'import jmespath, sys; print(sys.prefix, jmespath.search(\"a\", {\"a\": 2}))'
    said = subprocess.run(['/app/.venv/bin/python', '-c', program], capture_output=True, text=True, check=True)
    shell = '. /app/.venv/bin/activate && python -c \"import sys; print(sys.prefix)\" && deactivate && echo $VIRTUAL_ENV.'
    active = subprocess.run(['sh', '-c', shell], capture_output=True, text=True, check=True)
    return {'nonce': event.get('nonce'), 'said': said.stdout.strip(), 'active': active.stdout.split()}
";
    let project = Project::new("pyproject.toml", PROJECT);
    project.uv(&["lock", "--quiet"]);
    fs::write(project.dir().join("app.py"), APP).unwrap();
    for arch in ["amd64", "arm64"] {
        let lines =
            "RUN uv sync --frozen --no-dev\nWORKDIR /var/task\nCOPY app.py ./\nCMD [\"app.handler\"]\n";
        let (lbuild, done) = project.build(&["pyproject.toml", "uv.lock", "app.py"], lines, arch);
        done.succeeded();
        let answer = invoke::answer(&ImageLocation::layout(&lbuild.path("out"), arch)).unwrap();
        assert_eq!(answer["said"], "/app/.venv 2", "{answer}");
        assert_eq!(answer["active"], serde_json::json!(["/app/.venv", "."]), "{answer}");
    }
}
