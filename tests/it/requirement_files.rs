//! Requirement and lock files in the code directory: passwords in them, and packages that no flag installs.

use crate::support::lbuild::{Lbuild, function};
use crate::support::wheelhouse::Wheelhouse;
use crate::support::{run, tool};
use std::path::Path;
use std::process::Command;

/// Code with a requirements file of this name.
fn project(file: &str, text: &str) -> tempfile::TempDir {
    function(&[("app.py", "import demo"), (file, text)])
}

#[test]
fn a_password_is_not_packed_with_the_code() {
    let text = "demo\n--extra-index-url https://me:hunter2@i.example/simple\n";
    let base = crate::support::lbuild::tiny_base();
    for (name, flag) in [("requirements.txt", None), ("wanted", Some("--requirements"))] {
        let (dir, lbuild, house) = (project(name, text), Lbuild::new(), Wheelhouse::new());
        let (file, function) =
            (dir.path().join(name).display().to_string(), dir.path().display().to_string());
        let (to, wheels) = (format!("oci:{}:it", lbuild.text("image")), house.path().display().to_string());
        let mut all = vec!["push", &function, "--base", &base, "--arch", "arm64", "--to", &to];
        all.extend(flag.iter().flat_map(|flag| [flag, file.as_str(), "--wheels", &wheels]));
        let error = lbuild.run(&all).failed(3);
        let told = format!("{file}:2: a login for i.example would be packed with the code");
        assert!(error.contains(&told) && error.contains(".lambdaignore"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        std::fs::write(dir.path().join(".lambdaignore"), name).unwrap();
        lbuild.ok(&all);
    }
    let (dir, lbuild) = (tempfile::tempdir().unwrap(), Lbuild::new());
    let archive = dir.path().join("function.zip").display().to_string();
    let script =
        "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('requirements.txt', sys.argv[2])";
    run(Command::new(tool("python3")).args(["-c", script, &archive, text])).unwrap();
    let to = format!("oci:{}:it", lbuild.text("image"));
    let error = lbuild.run(&["push", &archive, "--base", &base, "--arch", "arm64", "--to", &to]).failed(3);
    assert!(
        error.contains("requirements.txt:2: a login for i.example") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn packages_without_a_flag_are_reported_once() {
    let base = crate::support::lbuild::tiny_base();
    let (lbuild, house) = (Lbuild::new(), Wheelhouse::new());
    let warnings = |dir: &Path, more: &[&str]| {
        let (function, to) = (dir.display().to_string(), format!("oci:{}:it", lbuild.text("image")));
        let all = ["push", &function, "--base", &base, "--arch", "arm64", "--to", &to];
        let done = lbuild.ok(&[&all[..], more].concat());
        let notes = done.stderr.lines().filter(|line| line.contains("are not put into the image"));
        (notes.count(), done.stderr)
    };
    for name in ["uv.lock", "pylock.toml", "poetry.lock", "Pipfile.lock", "requirements.txt"] {
        let dir = project(name, "demo\n");
        let (count, said) = warnings(dir.path(), &[]);
        let flag = if name == "requirements.txt" { "--requirements" } else { "--lock" };
        let file = dir.path().join(name).display().to_string();
        assert!(count == 1 && said.contains(&format!("hint: add {flag} {file}")), "{said}");
        let deps = function(&[("demo.py", "")]);
        assert_eq!(warnings(dir.path(), &["--deps", deps.path().to_str().unwrap()]).0, 0);
        lbuild.ok(&["init", dir.path().to_str().unwrap()]);
        let written = std::fs::read_to_string(dir.path().join("lbuild.toml")).unwrap();
        assert!(written.contains(&format!("\n{} = \"{name}\"\n", &flag[2..])), "{written}");
    }
    let named = project("requirements.txt", "demo\n");
    let (file, wheels) = (named.path().join("requirements.txt"), house.path().display().to_string());
    let more = ["--requirements", file.to_str().unwrap(), "--wheels", &wheels];
    assert_eq!(warnings(named.path(), &more).0, 0);
    for dir in [project("requirements.txt", "# none\n\n"), project("notes.txt", "demo\n")] {
        assert_eq!(warnings(dir.path(), &[]).0, 0);
    }
    let installed = function(&[("requirements.txt", "demo\n"), ("demo-1.0.dist-info/METADATA", "")]);
    assert_eq!(warnings(installed.path(), &[]).0, 0);
}
