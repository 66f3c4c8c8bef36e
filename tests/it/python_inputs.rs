//! Python packages as projects in the field name them: workspaces, directories, several indexes, hashes of other
//! algorithms, text in other encodings.

use crate::support::index::{Index, IndexBehaviour};
use crate::support::layers;
use crate::support::lbuild::{Lbuild, files, function};
use crate::support::package_fixture::with_uv;
use crate::support::wheelhouse::{LOCK, Wheelhouse};
use crate::support::{run, tool};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The files of all layers of the layout `image` that `lbuild` built, without the packages' metadata.
fn packed(lbuild: &Lbuild) -> BTreeSet<String> {
    let blobs = layers::blobs(&lbuild.path("image"), "it", "arm64");
    let found = blobs.iter().flat_map(|blob| layers::files(blob)).filter_map(|(path, _)| {
        let path = path.strip_prefix("var/task/")?.to_owned();
        (!path.contains(".dist-info/")).then_some(path)
    });
    found.collect()
}

fn build(lbuild: &Lbuild, dir: &Path, more: &[&str]) -> BTreeSet<String> {
    lbuild.layout("image", dir, &[more, &["--python-version", "3.12"]].concat());
    packed(lbuild)
}

fn failure(lbuild: &Lbuild, dir: &Path, more: &[&str]) -> String {
    let (base, to) = (crate::support::lbuild::tiny_base(), format!("oci:{}:it", lbuild.text("image")));
    let all = ["push", dir.to_str().unwrap(), "--base", &base, "--arch", "arm64", "--to", &to];
    lbuild.run(&[&all[..], more, &["--python-version", "3.12"]].concat()).failed(3)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A package of pure Python, whose build backend is in its own directory and needs no other package.
fn library(dir: &Path, name: &str) {
    let files = [
        (
            "pyproject.toml",
            format!(
                "[project]\nname = '{name}'\nversion = '0.1'\n[build-system]\nrequires = []\nbuild-backend = 'backend'\n\
                 backend-path = ['.']\n"
            ),
        ),
        (
            "backend.py",
            format!(
                "import zipfile\n\
                 def build_wheel(out, settings=None, metadata=None):\n  \
                   name, info = '{name}-0.1-py3-none-any.whl', '{name}-0.1.dist-info/'\n  \
                   with zipfile.ZipFile(out + '/' + name, 'w') as wheel:\n    \
                     wheel.write('{name}.py')\n    \
                     wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: {name}\\nVersion: 0.1\\n')\n    \
                     wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')\n    \
                     wheel.writestr(info + 'RECORD', '')\n  \
                   return name\n"
            ),
        ),
        (&format!("{name}.py"), "value = 1\n".to_owned()),
    ]
    .map(|(path, text)| (dir.join(path), text));
    std::fs::create_dir_all(dir).unwrap();
    for (path, text) in files {
        std::fs::write(path, text).unwrap();
    }
}

/// A workspace with the member `fns/one`, which needs `newest` and the member `libs/shared`; its root needs `dep`.
fn workspace(house: &Wheelhouse) -> TempDir {
    let dir = function(&[("fns/one/app.py", ""), ("fns/one/src/deep.py", ""), ("tool/main.py", "")]);
    library(&dir.path().join("libs/shared"), "shared");
    let wheels = text(house.path());
    let package = |name: &str, file: &str| {
        let hash = house.sha256(file);
        format!(
            "[[package]]\nname = '{name}'\nversion = '2.0'\nsource = {{ registry = '{wheels}' }}\n\
             wheels = [{{ path = '{file}', hash = 'sha256:{hash}' }}]\n"
        )
    };
    let lock = format!(
        "version = 1\nrequires-python = '>=3.9'\n[manifest]\nmembers = ['one', 'root', 'shared']\n\
         [[package]]\nname = 'one'\nversion = '1'\nsource = {{ virtual = 'fns/one' }}\n\
         dependencies = [{{ name = 'newest' }}, {{ name = 'shared' }}]\n\
         [[package]]\nname = 'root'\nversion = '1'\nsource = {{ virtual = '.' }}\ndependencies = [{{ name = 'dep' }}]\n\
         [[package]]\nname = 'shared'\nversion = '0.1'\nsource = {{ editable = 'libs/shared' }}\n{}{}",
        package("newest", "newest-2.0-py3-none-any.whl"),
        package("dep", "dep-2.0-py3-none-any.whl"),
    );
    std::fs::write(dir.path().join("uv.lock"), lock).unwrap();
    dir
}

#[test]
fn a_member_of_a_workspace_gets_its_own_packages() {
    let house = Wheelhouse::new();
    let (dir, outside) = (workspace(&house), function(&[("app.py", "")]));
    let lock = dir.path().join("uv.lock");
    let lbuild = with_uv();
    let packages = |place: &str| {
        let found = build(&lbuild, &dir.path().join(place), &["--lock", text(&lock)]);
        ["newest.py", "shared.py", "dep.py"].map(|file| found.contains(file))
    };
    assert_eq!(packages("fns/one"), [true, true, false]);
    assert_eq!(packages("fns/one/src"), [true, true, false], "the nearest member above decides");
    assert_eq!(packages("tool"), [false, false, true], "a directory of the root");
    let error = failure(&lbuild, outside.path(), &["--lock", text(&lock)]);
    assert!(
        error.contains("the workspace members one, root, shared") && error.contains("uv export"),
        "{error}"
    );

    // In lbuild.toml, and in the lock of a workspace without a project at its root.
    let rootless = std::fs::read_to_string(&lock).unwrap().replace("virtual = '.'", "virtual = 'fns/two'");
    std::fs::write(&lock, rootless).unwrap();
    let member = dir.path().join("fns/one");
    std::fs::write(member.join("lbuild.toml"), "lock = '../../uv.lock'\n").unwrap();
    assert!(build(&lbuild, &member, &[]).contains("newest.py"));
    assert!(failure(&lbuild, &dir.path().join("tool"), &["--lock", text(&lock)]).contains("none of them"));
}

#[test]
fn a_directory_is_built_once_and_again_when_it_changes() {
    let house = Wheelhouse::new();
    let dir = workspace(&house);
    let library = dir.path().join("libs/shared");
    let before = files(&library);
    let (lock, member) = (dir.path().join("uv.lock"), dir.path().join("fns/one"));
    for lbuild in [with_uv(), Lbuild::new()] {
        let digest = |more: &[&str]| {
            let base = crate::support::lbuild::tiny_base();
            let to = format!("oci:{}:it", lbuild.text("image"));
            let all = [
                "push",
                text(&member),
                "--base",
                &base,
                "--arch",
                "arm64",
                "--to",
                &to,
                "--lock",
                text(&lock),
            ];
            let done = lbuild.ok(&[&all[..], &["--python-version", "3.12"], more].concat());
            (done.digest(), packed(&lbuild))
        };
        let (first, found) = digest(&[]);
        assert!(found.contains("shared.py"), "{found:?}");
        assert_eq!(files(&library), before, "nothing is written beside the package");
        // Files of tools do not count, and an unchanged package needs no build.
        std::fs::create_dir_all(library.join("__pycache__")).unwrap();
        std::fs::write(library.join("__pycache__/shared.pyc"), "x").unwrap();
        assert_eq!(digest(&[]).0, first);
        std::fs::remove_dir_all(library.join("__pycache__")).unwrap();
        std::fs::write(library.join("shared.py"), "value = 2\n").unwrap();
        assert_ne!(digest(&[]).0, first);
        std::fs::write(library.join("shared.py"), "value = 1\n").unwrap();
        assert_eq!(digest(&["--no-cache"]).0, first);
    }
    let error = failure(&with_uv(), &member, &["--lock", text(&lock), "--require-hashes"]);
    assert!(error.contains("shared-0.1/ is refused: it is a directory, which has no hash"), "{error}");
}

#[test]
fn directories_of_all_lists_are_taken() {
    let dir = function(&[("fn/app.py", "")]);
    library(&dir.path().join("libs/shared"), "shared");
    let poetry = "[[package]]\nname = 'shared'\nversion = '0.1'\ngroups = ['main']\n\
         [package.source]\ntype = 'directory'\nurl = 'libs/shared'\n";
    let pylock = format!(
        "{LOCK}[[packages]]\nname = 'shared'\ndirectory = {{ path = 'libs/shared', editable = true }}\n"
    );
    let pipfile = r#"{"_meta":{"sources":[]},"default":{"shared":{"path":"./libs/shared","editable":true}}}"#;
    for (file, list, flag) in [
        ("poetry.lock", poetry, "--lock"),
        ("pylock.toml", &pylock, "--lock"),
        ("Pipfile.lock", pipfile, "--lock"),
        ("requirements.txt", "./libs/shared\n", "--requirements"),
    ] {
        let path = dir.path().join(file);
        std::fs::write(&path, list).unwrap();
        let found = build(&with_uv(), &dir.path().join("fn"), &[flag, text(&path)]);
        assert!(found.contains("shared.py"), "{file}: {found:?}");
    }
    std::fs::write(dir.path().join("requirements.txt"), "shared @ git+https://127.0.0.1:1/shared\n").unwrap();
    let path = dir.path().join("requirements.txt");
    let error = failure(&with_uv(), &dir.path().join("fn"), &["--requirements", text(&path)]);
    assert!(!error.contains("pylock.toml"), "{error}");
}

#[test]
fn hashes_of_all_algorithms_are_checked() {
    let house = Wheelhouse::new();
    let file = "dep-2.0-py3-none-any.whl";
    let hash = |algorithm: &str| {
        let script = "import hashlib, sys; print(hashlib.new(sys.argv[1], open(sys.argv[2], 'rb').read()).hexdigest())";
        let wheel = house.wheel(file).display().to_string();
        run(Command::new(tool("python3")).args(["-c", script, algorithm, &wheel])).unwrap().trim().to_owned()
    };
    let dir = function(&[("app.py", "")]);
    let pylock = |server: &str, hashes: String| {
        let text =
            format!("{LOCK}[[packages]]\nname = 'dep'\nwheels = [{{ {server}, hashes = {{ {hashes} }} }}]\n");
        let path = dir.path().join("pylock.toml");
        std::fs::write(&path, text).unwrap();
        path
    };
    let server = house.serve("127.0.0.1");
    let url = server.url(file);
    for algorithm in ["sha384", "sha512"] {
        let (right, lbuild) = (hash(algorithm), Lbuild::new());
        let lock = pylock(&url, format!("{algorithm} = '{right}'"));
        assert!(build(&lbuild, dir.path(), &["--lock", text(&lock)]).contains("dep.py"));
        server.seen();
        build(&lbuild, dir.path(), &["--lock", text(&lock), "--require-hashes"]);
        assert_eq!(server.seen().len(), 0, "an unchanged package is not fetched again");
        let lock = pylock(&url, format!("{algorithm} = '{}'", "0".repeat(right.len())));
        let error = failure(&lbuild, dir.path(), &["--lock", text(&lock)]);
        assert!(error.contains("its hash is not among those in the lock"), "{error}");
    }
    for (hashes, fault) in [
        ("md5 = '00'", "its only hash in the lock is md5"),
        ("blake2b = '00'", "its only hash in the lock is blake2b"),
        ("sha512 = '00'", "its sha512 in the lock is not a hash"),
    ] {
        let error = failure(&Lbuild::new(), dir.path(), &["--lock", text(&pylock(&url, hashes.to_owned()))]);
        assert!(error.contains(fault), "{error}");
    }
    let requirements = dir.path().join("wanted.txt");
    let wheels = house.path().display().to_string();
    let wanted = ["--requirements", text(&requirements), "--wheels", &wheels];
    let (right, wrong) = (format!("sha512:{}", hash("sha512")), format!("sha384:{}", "0".repeat(96)));
    std::fs::write(&requirements, format!("dep==2.0 --hash={wrong} --hash={right}\n")).unwrap();
    assert!(build(&with_uv(), dir.path(), &wanted).contains("dep.py"));
    std::fs::write(&requirements, format!("dep==2.0 --hash={wrong}\n")).unwrap();
    let error = failure(&with_uv(), dir.path(), &wanted);
    assert!(error.contains("its hash is not among those in the requirements"), "{error}");
    let of_url = format!("dep @ file://{}#sha512={}\n", house.wheel(file).display(), "0".repeat(128));
    std::fs::write(&requirements, of_url).unwrap();
    let error = failure(&with_uv(), dir.path(), &["--requirements", text(&requirements)]);
    assert!(error.contains("its hash is not among those in the requirements"), "{error}");
}

/// Two indexes: `own` has an older version of a package that is also in the default index, and one of its own.
#[test]
fn each_package_of_a_lock_comes_from_its_own_index() {
    let house = Wheelhouse::new();
    let (default, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [dep, newest, older] =
        ["dep-2.0-py3-none-any.whl", "newest-2.0-py3-none-any.whl", "newest-1.0-py3-none-any.whl"];
    for (dir, file) in [(&default, newest), (&own, older), (&own, dep)] {
        std::fs::copy(house.wheel(file), dir.path().join(file)).unwrap();
    }
    let serve = |dir: &TempDir| Index::of(dir.path(), IndexBehaviour::default());
    let (default, own) = (serve(&default), serve(&own));
    let hash = |file: &str| format!("sha256:{}", house.sha256(file));
    let poetry = format!(
        "[[package]]\nname = 'newest'\nversion = '2.0'\ngroups = ['main']\nfiles = [{{ file = '{newest}', hash = '{}' }}]\n\
         [[package]]\nname = 'dep'\nversion = '2.0'\ngroups = ['main']\nfiles = [{{ file = '{dep}', hash = '{}' }}]\n\
         [package.source]\ntype = 'legacy'\nurl = '{}'\nreference = 'own'\n",
        hash(newest),
        hash(dep),
        own.url(),
    );
    // The second package names no index.
    let pipfile = serde_json::json!({
        "_meta": { "sources": [{ "name": "own", "url": own.url() }, { "name": "default", "url": default.url() }] },
        "default": {
            "newest": { "version": "==2.0", "hashes": [hash(newest)], "index": "default" },
            "dep": { "version": "==2.0", "hashes": [hash(dep)] },
        },
    });
    let dir =
        function(&[("fn/app.py", ""), ("poetry.lock", &poetry), ("Pipfile.lock", &pipfile.to_string())]);
    for mut lbuild in [with_uv(), Lbuild::new()] {
        lbuild.set("UV_DEFAULT_INDEX", &default.url());
        lbuild.set("PIP_INDEX_URL", &default.url());
        for lock in ["poetry.lock", "Pipfile.lock"] {
            let lock = dir.path().join(lock);
            let found = build(&lbuild, &dir.path().join("fn"), &["--lock", text(&lock)]);
            assert!(found.contains("newest.py") && found.contains("dep.py"), "{found:?}");
        }
    }
    let asked =
        |index: &Index, name: &str| index.log().iter().any(|seen| seen.target.contains(&format!("/{name}/")));
    assert!(asked(&own, "dep") && !asked(&own, "newest"), "{:?}", own.log());
}

#[test]
fn files_of_windows_tools_are_read() {
    let house = Wheelhouse::new();
    let wheels = house.path().display().to_string();
    let dir = function(&[("fn/app.py", "")]);
    let utf_16 =
        |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let requirements = format!("dep==2.0 --hash=sha256:{}\r\n", house.sha256("dep-2.0-py3-none-any.whl"));
    let path = house.wheel("dep-2.0-py3-none-any.whl");
    let pylock = format!(
        "{LOCK}{}",
        house.locked("dep-2.0-py3-none-any.whl", &format!("path = '{}'", path.display()))
    );
    for (file, flag, list) in
        [("wanted.txt", "--requirements", &requirements), ("pylock.toml", "--lock", &pylock)]
    {
        let marked = format!("\u{feff}{list}");
        for bytes in [
            marked.clone().into_bytes(),
            utf_16(&marked, u16::to_le_bytes),
            utf_16(&marked, u16::to_be_bytes),
        ] {
            let path = dir.path().join(file);
            std::fs::write(&path, bytes).unwrap();
            let found = build(&with_uv(), &dir.path().join("fn"), &[flag, text(&path), "--wheels", &wheels]);
            assert!(found.contains("dep.py"), "{file}: {found:?}");
        }
    }
    // A login in such a file, beside the code.
    let login = "\u{feff}--index-url https://me:hunter2@i.example/simple\n";
    std::fs::write(dir.path().join("fn/requirements.txt"), utf_16(login, u16::to_le_bytes)).unwrap();
    let error = failure(&Lbuild::new(), &dir.path().join("fn"), &[]);
    assert!(error.contains("a login for i.example would be packed"), "{error}");
}

/// Makes wheels, each of a name and the path of one file.
fn wheels(dir: &Path, wanted: &[(&str, &str)]) -> String {
    let script = "import sys, zipfile\nname, path = sys.argv[2:]\n\
         with zipfile.ZipFile(f'{sys.argv[1]}/{name}-1-py3-none-any.whl', 'w') as wheel:\n  \
         info = f'{name}-1.dist-info/'\n  \
         [wheel.writestr(*file) for file in ((path, ''), (info + 'METADATA', f'Name: {name}'), \
         (info + 'WHEEL', 'Wheel-Version: 1.0'), (info + 'RECORD', ''))]";
    let mut lock = LOCK.to_owned();
    for (name, path) in wanted {
        run(Command::new(tool("python3")).args(["-c", script, text(dir), name, path])).unwrap();
        lock +=
            &format!("[[packages]]\nname = '{name}'\nwheels = [{{ path = '{name}-1-py3-none-any.whl' }}]\n");
    }
    lock
}

#[test]
fn wheels_that_clash_are_both_named() {
    for (one, other, directory) in [
        ("shared", "shared/a.py", "zeta-1-py3"),
        ("shared/a.py", "shared", "alpha-1-py3"),
        ("shared/", "shared", "alpha-1-py3"),
        ("shared", "zeta-1.data/purelib/shared/deep/a.py", "zeta-1-py3"),
    ] {
        let dir = function(&[("fn/app.py", "")]);
        let lock = wheels(dir.path(), &[("alpha", one), ("zeta", other)]);
        let path = dir.path().join("pylock.toml");
        std::fs::write(&path, lock).unwrap();
        let error = failure(&Lbuild::new(), &dir.path().join("fn"), &["--lock", text(&path)]);
        assert!(error.contains("alpha-1-py3") && error.contains("zeta-1-py3"), "{error}");
        assert!(error.contains(&format!("shared where {directory}")), "{error}");
    }
}

#[test]
fn a_virtual_environment_stays_out_when_packages_are_installed() {
    let house = Wheelhouse::new();
    let wheel = house.wheel("dep-2.0-py3-none-any.whl");
    let lock = format!(
        "{LOCK}{}",
        house.locked("dep-2.0-py3-none-any.whl", &format!("path = '{}'", wheel.display()))
    );
    let dir = function(&[
        ("app.py", ""),
        ("pylock.toml", &lock),
        (".venv/pyvenv.cfg", ""),
        (".venv/lib/python3.12/site-packages/dep.py", ""),
        ("service/env/pyvenv.cfg", ""),
        ("venv/not_one.py", ""),
    ]);
    let lbuild = Lbuild::new();
    let found = build(&lbuild, dir.path(), &["--lock", text(&dir.path().join("pylock.toml"))]);
    assert!(found.contains("dep.py") && found.contains("venv/not_one.py"), "{found:?}");
    assert!(!found.iter().any(|path| path.contains("pyvenv.cfg") || path.contains(".venv")), "{found:?}");

    let (base, to) = (crate::support::lbuild::tiny_base(), format!("oci:{}:it", lbuild.text("image")));
    let all = ["push", text(dir.path()), "--base", &base, "--arch", "arm64", "--to", &to];
    let said = lbuild.ok(&all).stderr;
    assert_eq!(said.matches("is a virtual environment, and is packed").count(), 2, "{said}");
    std::fs::write(dir.path().join(".lambdaignore"), ".venv\nservice\n").unwrap();
    let said = lbuild.ok(&all).stderr;
    assert!(!said.contains("virtual environment"), "{said}");
}
