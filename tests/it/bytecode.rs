//! `--compile-bytecode`: modules compiled for the image, which its interpreter loads without checking the sources.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::Lbuild;
use crate::support::package_fixture::{PackageFixture, UvLock};
use crate::support::{layers as tar, lbuild, run, tool};
use std::collections::BTreeMap;
use std::process::Command;

const WANTED: [&str; 3] = ["pydantic-core==2.50.4", "jmespath", "urllib3"];
const NEWER: [&str; 3] = ["pydantic-core==2.50.5", "jmespath", "urllib3"];

fn push(fixture: &PackageFixture, lock: &UvLock, user: &Lbuild, more: &[&str]) -> lbuild::RunOutput {
    let all = [&["--lock", lock.path.as_str()], more].concat();
    user.ok(&fixture.arguments("arm64", &fixture.reference("1"), &all))
}

/// A user with only these programs on `PATH`.
fn with(programs: &[(&str, &str)]) -> Lbuild {
    let mut user = Lbuild::new();
    let bin = user.path("bin").display().to_string();
    for (name, text) in programs {
        user.program_of(name, text);
    }
    user.set("PATH", &bin);
    user
}

#[test]
fn the_image_imports_compiled_modules() {
    let fixture = PackageFixture::new();
    let (lock, user) = (fixture.lock(&WANTED), Lbuild::new());
    let done = push(&fixture, &lock, &user, &["--compile-bytecode", "always"]);
    assert_eq!(done.layer_counts(), (5, 0), "two of wheels, two of bytecode, the code: {}", done.stderr);
    assert!(done.stderr.contains("layer    bytecode of pydantic-core 2.50.4 "), "{}", done.stderr);
    let location = ImageLocation::registry(&fixture.registry, "function:1");
    let unpacked = image_tools::umoci_unpack(&location).unwrap();
    let task = unpacked.rootfs().join("var/task");
    // The base's version of Python, on this machine; -v prints the origin of each module's code.
    let mut python = Command::new("/usr/bin/python3.11");
    python
        .args(["-B", "-v", "-c", "import jmespath, urllib3"])
        .env("PYTHONPATH", &task)
        .env("LC_ALL", "C.UTF-8");
    let said = python.output().unwrap();
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    for module in
        ["jmespath/__pycache__/parser.cpython-311.pyc", "urllib3/__pycache__/__init__.cpython-311.pyc"]
    {
        let path = task.join(module);
        assert!(said.contains(&format!("# code object from '{}'", path.display())), "{module}: {said}");
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(bytes[4..8], [1, 0, 0, 0], "an unchecked hash-based pyc");
    }
    // The interpreter does not read the source.
    std::fs::write(task.join("jmespath/__init__.py"), "raise SystemExit('read')").unwrap();
    run(Command::new("/usr/bin/python3.11").args(["-c", "import jmespath"]).env("PYTHONPATH", &task))
        .unwrap();
    let script = "import jmespath.parser as m; print(m.__cached__, m.Parser.parse.__code__.co_filename)";
    let python = ["--entrypoint=/var/lang/bin/python3.11", "--workdir=/var/task"];
    let said = image_tools::podman_run(&location, &python, &["-c", script]).unwrap();
    let parser = "/var/task/jmespath/__pycache__/parser.cpython-311.pyc /var/task/jmespath/parser.py";
    assert_eq!(said.trim(), parser);
}

/// The compiled modules of the last push, by path.
fn compiled(user: &Lbuild) -> BTreeMap<String, Vec<u8>> {
    let blobs = tar::blobs(&user.path("image"), "it", "arm64");
    let members = blobs.iter().flat_map(|blob| tar::members(blob));
    let found = members.filter(|member| member.path.ends_with(".pyc"));
    found.map(|member| (member.path, member.content)).collect()
}

#[test]
fn bytecode_is_reproducible_and_cached_like_wheels() {
    let fixture = PackageFixture::new();
    fixture.publish_newer();
    let (lock, newer) = (fixture.lock(&WANTED), fixture.lock(&NEWER));
    let always = ["--compile-bytecode", "always"];
    let (user, first) = (Lbuild::new(), push(&fixture, &lock, &Lbuild::new(), &always));
    fixture.index.clear();
    let again = push(&fixture, &lock, &user, &always);
    assert_eq!((again.digest(), again.layer_counts()), (first.digest(), (0, 5)), "{}", again.stderr);
    assert!(fixture.index.log().is_empty());
    for jobs in ["1", "8"] {
        let made =
            push(&fixture, &lock, &Lbuild::new(), &[&always[..], &["--no-cache", "--jobs", jobs]].concat());
        assert_eq!(made.digest(), first.digest());
    }
    let verified = push(&fixture, &lock, &user, &[&always[..], &["--verify-cache"]].concat());
    assert_eq!(verified.digest(), first.digest());
    fixture.index.clear();
    let upgraded = push(&fixture, &newer, &Lbuild::new(), &always);
    assert_eq!(upgraded.layer_counts(), (2, 3), "{}", upgraded.stderr);
    assert_eq!(fixture.index.fetched().len(), 1, "a wheel that two layers need is fetched once");
    // Bytecode changes the image but not the layers of the wheels.
    let without = push(&fixture, &lock, &user, &[]);
    assert!(without.digest() != first.digest() && without.layer_counts() == (0, 3), "{}", without.stderr);
}

#[test]
fn bytecode_does_not_depend_on_the_environment_of_the_interpreter() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["jmespath", "urllib3", "idna", "typing-extensions"]);
    let variables =
        [("PYTHONHASHSEED", "7"), ("PYTHONOPTIMIZE", "2"), ("LC_ALL", "C"), ("PYTHONPATH", "/nowhere")];
    let mut all = Vec::new();
    for variable in [None].into_iter().chain(variables.map(Some)) {
        let mut user = Lbuild::new();
        if let Some((name, value)) = variable {
            user.set(name, value);
        }
        let to = format!("oci:{}:it", user.text("image"));
        let more = ["--lock", lock.path.as_str(), "--compile-bytecode", "always"];
        user.ok(&fixture.arguments("arm64", &to, &more));
        all.push(compiled(&user));
    }
    assert!(all[0].len() > 50 && all.iter().all(|found| *found == all[0]));
    // The bytecode equals that of Python's own compiler, except for reference flags.
    let script = "
import marshal, sys
path, source, cached = sys.argv[1:]
assert marshal.loads(open(cached, 'rb').read()[16:]) == compile(open(source).read(), path, 'exec')
";
    let dir = tempfile::tempdir().unwrap();
    let (source, cached) = (dir.path().join("core.py"), dir.path().join("core.pyc"));
    let wheel = crate::support::part("packages/index/idna-3.20-py3-none-any.whl");
    let unzip =
        "import sys, zipfile; sys.stdout.write(zipfile.ZipFile(sys.argv[1]).read('idna/core.py').decode())";
    let text = run(Command::new(tool("python3")).args(["-c", unzip]).arg(wheel)).unwrap();
    std::fs::write(&source, text).unwrap();
    std::fs::write(&cached, &all[0]["var/task/idna/__pycache__/core.cpython-311.pyc"]).unwrap();
    let mut python = Command::new("/usr/bin/python3.11");
    run(python.args(["-c", script, "/var/task/idna/core.py"]).arg(source).arg(cached)).unwrap();
}

#[test]
fn a_missing_interpreter_of_the_version_is_an_error_or_a_note() {
    let fixture = PackageFixture::new();
    let lock = fixture.lock(&["jmespath"]);
    let other = "#!/bin/sh\necho '{\"name\":\"cpython\",\"version\":[3,12,0],\"full\":\"3.12.0\",\"magic\":\"00\",\"tag\":\"cpython-312\"}'\n";
    let shim = "#!/bin/sh\necho 'no such version' >&2\nexit 127\n";
    for user in [with(&[]), with(&[("python3.11", shim), ("python3", other)])] {
        let all = fixture.arguments(
            "arm64",
            &fixture.reference("1"),
            &["--lock", &lock.path, "--compile-bytecode", "always"],
        );
        let error = user.run(&all).failed(3);
        assert!(error.contains("no Python 3.11 interpreter is installed"), "{error}");
        assert!(error.contains("hint: install one, as with `uv python install 3.11`"), "{error}");
        let auto = push(&fixture, &lock, &user, &["--compile-bytecode", "auto"]);
        assert!(auto.stderr.contains("warning: no bytecode is compiled"), "{}", auto.stderr);
        assert_eq!(auto.digest(), push(&fixture, &lock, &user, &[]).digest());
    }
    // The interpreter that `uv python find` reports is used.
    let uv = "#!/bin/sh\n[ \"$1 $2\" = 'python find' ] && echo /usr/bin/python3.11\n";
    let done = push(&fixture, &lock, &with(&[("uv", uv)]), &["--compile-bytecode", "auto"]);
    assert!(done.stderr.contains("layer    bytecode of "), "{}", done.stderr);
}
