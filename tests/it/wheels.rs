//! Python packages, from a lock file or from requirements to layers.

mod fetch;

use crate::support::http::{Response, Server};
use crate::support::lbuild::{Lbuild, function};
use crate::support::wheelhouse::{LOCK, Wheelhouse};
use crate::support::{layers, part, run, tool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Code with a requirements file of this name.
fn project(file: &str, text: &str) -> tempfile::TempDir {
    function(&[("app.py", "import demo"), (file, text)])
}

/// A user who has uv and no pip.
fn with_uv() -> Lbuild {
    let mut lbuild = Lbuild::new();
    let uv = part("python/bin");
    // A shim of a version manager would not work in this environment.
    let ask = ["-c", "import sys; print(sys.executable)"];
    let python = PathBuf::from(run(Command::new(tool("python3")).args(ask)).unwrap().trim());
    let dir = lbuild.path("bin");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink(python.canonicalize().unwrap(), dir.join("python3")).unwrap();
    lbuild.set("PATH", &format!("{}:{}", uv.display(), dir.display()));
    lbuild
}

/// Builds for an architecture; returns the layers above the base, and the digest.
#[track_caller]
fn built(lbuild: &Lbuild, dir: &Path, arch: &str, more: &[&str]) -> (Vec<Vec<layers::Member>>, String) {
    let (base, name) = (crate::support::lbuild::tiny_base(), crate::support::nonce());
    let to = format!("oci:{}:it", lbuild.text(&name));
    let mut arguments = vec!["--base", &base, "--arch", arch, "--to", &to];
    arguments.extend(more);
    let digest = lbuild.push(dir, &arguments);
    let blobs = layers::blobs(&lbuild.path(&name), "it", arch);
    (blobs[2..].iter().map(|blob| layers::members(blob)).collect(), digest)
}

/// The files of `/var/task` by path, each with its content and whether it is executable.
fn files(layers: &[Vec<layers::Member>]) -> BTreeMap<String, (Vec<u8>, bool)> {
    let all = layers.iter().flatten().filter(|member| member.kind.is_file());
    let under = |path: &str| path.strip_prefix("var/task/").unwrap_or_else(|| panic!("{path}")).to_owned();
    all.map(|member| (under(&member.path), (member.content.clone(), member.mode == 0o755))).collect()
}

fn installed(dir: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, (std::fs::read(&path).unwrap(), executable));
        }
    }
    found
}

/// The paths in a RECORD.
fn recorded(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_owned()).collect()
}

/// A function with a pylock.toml for these wheels.
fn locked(house: &Wheelhouse, files: &[&str]) -> tempfile::TempDir {
    let entry = |file: &&str| house.locked(file, &format!("path = '{}'", house.wheel(file).display()));
    project("pylock.toml", &format!("{LOCK}{}", files.iter().map(entry).collect::<String>()))
}

#[test]
fn the_tree_equals_that_of_uv() {
    let house = Wheelhouse::new();
    let lbuild = with_uv();
    let target = lbuild.path("target");
    let mut uv = Command::new(part("python/bin").join("uv"));
    uv.env_clear().env("HOME", lbuild.path("home")).env("PATH", lbuild.path("bin"));
    uv.args(["pip", "install", "--quiet", "--no-cache", "--no-index", "--python-version", "3.12"]);
    uv.args(["--python-platform", "x86_64-manylinux_2_28", "--find-links"]).arg(house.path());
    run(uv.arg("--target").arg(&target).args(["demo", "big"])).unwrap();
    let dir = project("requirements.txt", "demo\nbig\n");
    let requirements = dir.path().join("requirements.txt").display().to_string();
    let wheels = house.path().display().to_string();
    let (layers, _) =
        built(&lbuild, dir.path(), "amd64", &["--requirements", &requirements, "--wheels", &wheels]);
    assert_eq!(layers.len(), 3, "one for the large wheel, one for the small ones, one for the code");

    let (mut ours, mut theirs) = (files(&layers[..2]), installed(&target));
    assert_eq!(theirs.remove(".lock").map(|(content, _)| content), Some(Vec::new()), "uv's own");
    for package in ["big-1.0", "demo-1.0", "dep-2.0", "native-3.0"] {
        let path = |name: &str| format!("{package}.dist-info/{name}");
        // uv records a time stamp of the wheel.
        theirs.remove(&path("uv_cache.json"));
        let (Some(our), Some(their)) = (ours.remove(&path("RECORD")), theirs.remove(&path("RECORD"))) else {
            panic!("{package} has no RECORD");
        };
        let mut expected = recorded(&their.0);
        expected.remove(&path("uv_cache.json"));
        if !ours.contains_key(&path("REQUESTED")) {
            // lbuild writes REQUESTED only for named packages, uv for every package.
            theirs.remove(&path("REQUESTED")).expect("uv's");
            expected.remove(&path("REQUESTED"));
        }
        assert_eq!(recorded(&our.0), expected, "{package}");
        let said = (ours.remove(&path("INSTALLER")).unwrap().0, theirs.remove(&path("INSTALLER")).unwrap().0);
        assert_eq!(said, (b"lbuild".to_vec(), b"uv".to_vec()));
    }
    assert!(["demo", "big"].iter().all(|name| ours.contains_key(&format!("{name}-1.0.dist-info/REQUESTED"))));
    for script in ["run", "run3.12", "gui", "hello", "window"] {
        let path = format!("bin/{script}");
        let rest = |content: Vec<u8>| {
            let text = String::from_utf8(content).unwrap();
            let (first, rest) = text.split_once('\n').unwrap();
            (first.to_owned(), rest.to_owned())
        };
        let (our, their) = (ours.remove(&path).unwrap(), theirs.remove(&path).unwrap());
        assert_eq!(our.1, their.1, "{path}");
        let (our, their) = (rest(our.0), rest(their.0));
        assert_eq!((our.0.as_str(), our.1), ("#!/var/lang/bin/python3.12", their.1), "{path}");
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    assert!(ours == theirs);
}

#[test]
fn the_record_lists_every_file_with_its_hash() {
    let house = Wheelhouse::new();
    let dir = locked(&house, &["demo-1.0-py3-none-any.whl"]);
    let lock = dir.path().join("pylock.toml").display().to_string();
    let lbuild = Lbuild::new();
    let (layers, _) = built(&lbuild, dir.path(), "arm64", &["--lock", &lock]);
    let target = lbuild.path("unpacked");
    for (path, (content, _)) in files(&layers[..1]) {
        let path = target.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let script = "
import base64, hashlib, importlib.metadata as metadata, sys
package, = metadata.distributions(path=[sys.argv[1]])
assert package.metadata['Name'] == 'demo' and package.read_text('INSTALLER') == 'lbuild'
for file in package.files:
    content = file.locate().read_bytes()
    if file.hash:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()
        assert (file.hash.value, file.size) == (digest, len(content)), file
print(len(package.files))
";
    let counted = run(Command::new(tool("python3")).args(["-c", script]).arg(&target)).unwrap();
    assert_eq!(counted.trim(), installed(&target).len().to_string(), "each file is recorded");
}

#[test]
fn the_wheel_is_always_for_the_machine_of_the_image() {
    let house = Wheelhouse::new();
    let wheels = house.path().display().to_string();
    let dir = project("requirements.txt", "native\n");
    let requirements = dir.path().join("requirements.txt").display().to_string();
    let arguments = ["--requirements", requirements.as_str(), "--wheels", &wheels];
    for (arch, machine) in [("arm64", "aarch64"), ("amd64", "x86_64")] {
        for lbuild in [with_uv(), Lbuild::new()] {
            let (layers, _) = built(&lbuild, dir.path(), arch, &arguments);
            let tag = &files(&layers)["native/tag.txt"].0;
            assert_eq!(String::from_utf8_lossy(tag), format!("cp312-cp312-manylinux_2_17_{machine}"));
        }
    }
    let dir = locked(&house, &["intel-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]);
    let lock = dir.path().join("pylock.toml").display().to_string();
    let (lbuild, base) = (Lbuild::new(), crate::support::lbuild::tiny_base());
    let (function, to) = (dir.path().display().to_string(), format!("oci:{}:it", lbuild.text("image")));
    let arguments = ["push", &function, "--base", &base, "--lock", &lock, "--to", &to, "--arch", "arm64"];
    let said = lbuild.run(&arguments).failed(3);
    let expected = "intel 1.0 has no wheel for Python 3.12 on aarch64 with glibc 2.28: its wheels are for manylinux_2_17_x86_64";
    assert!(said.contains(expected), "{said}");
    lbuild.ok(&[&arguments[..9], &["amd64"]].concat());
}

#[test]
fn uv_and_pip_give_the_same_image() {
    let house = Wheelhouse::new();
    let wheels = house.path().display().to_string();
    let dir = project("requirements.txt", "demo\nnewest\nbig # large\n");
    let requirements = dir.path().join("requirements.txt").display().to_string();
    for arch in ["arm64", "amd64"] {
        let more = ["--requirements", requirements.as_str(), "--wheels", &wheels];
        let (layers, with_pip) = built(&Lbuild::new(), dir.path(), arch, &more);
        let (_, uv) = built(&with_uv(), dir.path(), arch, &more);
        let (_, one_job) = built(&with_uv(), dir.path(), arch, &[&more[..], &["--jobs", "1"]].concat());
        assert_eq!((&with_pip, &with_pip), (&uv, &one_job), "{arch}");
        let found = files(&layers);
        assert!(found.contains_key("dep.py"), "a dependency is missing");
        assert_eq!(found["newest.py"].0, b"2", "the version for the image's Python");
    }
}

#[test]
fn files_that_a_function_never_reads_can_be_left_out() {
    let house = Wheelhouse::new();
    let dir = locked(&house, &["demo-1.0-py3-none-any.whl"]);
    let lock = dir.path().join("pylock.toml").display().to_string();
    let lbuild = Lbuild::new();
    let whole = files(&built(&lbuild, dir.path(), "arm64", &["--lock", &lock]).0);
    let slim = files(&built(&lbuild, dir.path(), "arm64", &["--lock", &lock, "--slim"]).0);
    let gone: Vec<_> = whole.keys().filter(|path| !slim.contains_key(*path)).collect();
    assert_eq!(gone, ["demo/stub.pyi", "demo/tests/test_demo.py"]);
    let record = recorded(&slim["demo-1.0.dist-info/RECORD"].0);
    assert!(!record.contains("demo/stub.pyi") && record.contains("demo/prog"), "{record:?}");
}

#[test]
fn a_uv_lock_is_read_without_uv() {
    let house = Wheelhouse::new();
    let entry = |name: &str, version: &str, file: &str, more: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = {{ registry = '{}' }}\n{more}wheels = [{{ path = '{file}', hash = 'sha256:{}' }}]\n",
            house.path().display(),
            house.sha256(file)
        )
    };
    let text = [
        "version = 1\nrequires-python = '>=3.9'\n[[package]]\nname = 'fn'\nversion = '0'\nsource = { virtual = '.' }\n\
        dependencies = [{ name = 'demo' }, { name = 'intel', marker = \"platform_machine == 'x86_64'\" }]\n"
            .to_owned(),
        entry("demo", "1.0", "demo-1.0-py3-none-any.whl", "dependencies = [{ name = 'dep' }]\n"),
        entry("dep", "2.0", "dep-2.0-py3-none-any.whl", ""),
        entry("intel", "1.0", "intel-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", ""),
        entry("big", "1.0", "big-1.0-py3-none-any.whl", ""),
    ]
    .concat();
    let dir = project("uv.lock", &text);
    let lock = dir.path().join("uv.lock").display().to_string();
    let lbuild = Lbuild::new();
    for (arch, intel) in [("arm64", false), ("amd64", true)] {
        let found = files(&built(&lbuild, dir.path(), arch, &["--lock", &lock]).0);
        assert_eq!(found.contains_key("intel.py"), intel, "{arch}");
        assert!(found.contains_key("dep.py") && !found.contains_key("big/__init__.py"));
        let asked = |path: &str| found.contains_key(&format!("{path}.dist-info/REQUESTED"));
        assert_eq!((asked("demo-1.0"), asked("dep-2.0")), (true, false));
    }
}

#[test]
fn the_pins_of_poetry_and_pipenv_locks_are_kept() {
    let house = Wheelhouse::new();
    let hash = |file: &str| format!("sha256:{}", house.sha256(file));
    let (dep, demo) = (hash("dep-2.0-py3-none-any.whl"), hash("demo-1.0-py3-none-any.whl"));
    let native = hash("native-3.0-cp312-cp312-manylinux_2_17_aarch64.whl");
    let package = |name: &str, version: &str, group: &str, hash: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\ngroups = ['{group}']\nfiles = [{{ file = 'x', hash = '{hash}' }}]\n"
        )
    };
    let poetry = [
        package("demo", "1.0", "main", &demo),
        package("dep", "2.0", "main", &dep),
        package("native", "3.0", "main", &native),
        package("big", "1.0", "dev", &dep),
    ]
    .concat();
    let pipenv = format!(
        r#"{{"_meta":{{"sources":[]}},"default":{{"dep":{{"hashes":["{dep}"],"version":"==2.0"}}}},
        "develop":{{"big":{{"version":"==1.0"}}}}}}"#
    );
    let wheels = house.path().display().to_string();
    // A package that the lock omits is not resolved again.
    let alone = package("demo", "1.0", "main", &demo);
    let locks = [
        ("poetry.lock", &poetry, true, true),
        ("poetry.lock", &alone, true, false),
        ("Pipfile.lock", &pipenv, false, true),
    ];
    for (name, text, has_demo, has_dep) in locks {
        let dir = project(name, text);
        let lock = dir.path().join(name).display().to_string();
        let more = ["--lock", lock.as_str(), "--wheels", &wheels];
        let (layers, with_uv) = built(&with_uv(), dir.path(), "arm64", &more);
        let (_, with_pip) = built(&Lbuild::new(), dir.path(), "arm64", &more);
        assert_eq!(with_uv, with_pip, "{name}");
        let found = files(&layers);
        assert_eq!(found.contains_key("demo/__init__.py"), has_demo, "{name}");
        assert_eq!(found.contains_key("dep.py"), has_dep, "{name}");
        assert!(!found.contains_key("big/__init__.py"), "{name}");
    }
    let wrong = project("poetry.lock", &poetry.replace(&native, &dep));
    let lock = wrong.path().join("poetry.lock").display().to_string();
    let (lbuild, base) = (Lbuild::new(), crate::support::lbuild::tiny_base());
    let (function, to) = (wrong.path().display().to_string(), format!("oci:{}:it", lbuild.text("image")));
    let arguments = ["push", &function, "--base", &base, "--arch", "arm64", "--to", &to];
    let said = lbuild.run(&[&arguments[..], &["--lock", &lock, "--wheels", &wheels]].concat()).failed(3);
    assert!(said.contains("its hash is not among those in the requirements"), "{said}");
}

#[test]
fn modules_in_the_directory_of_the_requirements_are_not_run() {
    let house = Wheelhouse::new();
    let wheels = house.path().display().to_string();
    let hostile = "raise SystemExit('a module of the function was run')";
    let dir = project("requirements.txt", "dep\n");
    for name in ["json", "logging", "pip"] {
        std::fs::write(dir.path().join(name).with_extension("py"), hostile).unwrap();
    }
    let (base, lbuild) = (crate::support::lbuild::tiny_base(), Lbuild::new());
    let arguments = ["plan", ".", "--base", &base, "--arch", "arm64", "--wheels", &wheels];
    // lbuild also runs with that working directory.
    let mut command = lbuild.command(&[&arguments[..], &["--requirements", "requirements.txt"]].concat());
    let plan = run(command.current_dir(dir.path())).unwrap();
    assert!(plan.contains("dep-2.0-py3-none-any.whl"), "{plan}");
}

#[test]
fn uv_finds_its_settings_in_the_directory_of_another_tools_lock() {
    let house = Wheelhouse::new();
    let hash = format!("sha256:{}", house.sha256("dep-2.0-py3-none-any.whl"));
    let lock = format!(
        r#"{{"_meta":{{"sources":[]}},"default":{{"dep":{{"hashes":["{hash}"],"version":"==2.0"}}}}}}"#
    );
    let dir = project("Pipfile.lock", &lock);
    let settings = format!("no-index = true\nfind-links = ['{}']\n", house.path().display());
    std::fs::write(dir.path().join("uv.toml"), settings).unwrap();
    let lock = dir.path().join("Pipfile.lock").display().to_string();
    let found = files(&built(&with_uv(), dir.path(), "arm64", &["--lock", &lock]).0);
    assert!(found.contains_key("dep.py"));
}

#[test]
fn settings_in_lbuild_toml_equal_flags() {
    let house = Wheelhouse::new();
    let lock = format!(
        "{LOCK}{}",
        house.locked("demo-1.0-py3-none-any.whl", "path = '../gone/demo-1.0-py3-none-any.whl'")
    );
    let toml = "lock = 'pylock.toml'\nwheels = 'house'\nslim = true\npython-version = '3.13'\n";
    let dir = function(&[
        ("app.py", ""),
        ("pylock.toml", &lock),
        ("lbuild.toml", toml),
        (".lambdaignore", "house"),
    ]);
    std::os::unix::fs::symlink(house.path(), dir.path().join("house")).unwrap();
    let found = files(&built(&Lbuild::new(), dir.path(), "arm64", &[]).0);
    assert!(found.contains_key("demo/__init__.py") && !found.contains_key("demo/stub.pyi"));
    let script = String::from_utf8(found["bin/run"].0.clone()).unwrap();
    assert!(script.starts_with("#!/var/lang/bin/python3.13\n"), "{script}");
}

#[test]
fn contradictory_flags_are_refused_with_a_hint() {
    let dir = project("requirements.txt", "demo\n");
    let function = dir.path().display().to_string();
    let requirements = dir.path().join("requirements.txt").display().to_string();
    let lbuild = Lbuild::new();
    for (arguments, said) in [
        (
            ["--base", "scratch", "--requirements", &requirements],
            "the image's version of Python is not known",
        ),
        (
            ["--base", "r.example/python:3.12-alpine", "--requirements", &requirements],
            "the base is Alpine, whose C library is musl",
        ),
        (["--runtime", "python3.12", "--lock", &requirements], "is not a lock file that lbuild knows"),
    ] {
        let arguments = [&["plan", &function, "--arch", "arm64"][..], &arguments].concat();
        let stderr = lbuild.run(&arguments).failed(2);
        assert!(stderr.contains(said) && stderr.contains("hint: give "), "{stderr}");
    }
    let mut nothing = Lbuild::new();
    nothing.set("PATH", "/nonexistent");
    let base = crate::support::lbuild::tiny_base();
    let arguments = ["plan", &function, "--arch", "arm64", "--base", &base, "--requirements", &requirements];
    let stderr = nothing.run(&arguments).failed(3);
    assert!(
        stderr.contains("neither uv nor pip is installed") && stderr.contains("hint: install uv"),
        "{stderr}"
    );
}
