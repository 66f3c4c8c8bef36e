use super::*;
use crate::recipe::LockTool;
use crate::source::python::target::{Machine, Target};

fn read_for(minor: u32, text: &str) -> Result<Vec<LockedPackage>> {
    let environment = Environment::of(&Target::new(minor, Machine::Aarch64, (2, 34)));
    read(text, Path::new("/p/uv.lock"), None, None, &environment)
}

const LOCK: &str = r#"
version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "fn"
version = "0.1"
source = { virtual = "." }
dependencies = [
    { name = "client", extra = ["fast"] },
    { name = "old", version = "1", source = { registry = "https://i/simple" }, marker = "python_full_version < '3.10'" },
    { name = "old", version = "2", source = { registry = "https://i/simple" }, marker = "python_full_version >= '3.10'" },
    { name = "local" },
]
[package.optional-dependencies]
plots = [{ name = "never" }]
[package.dev-dependencies]
dev = [{ name = "never" }]

[[package]]
name = "client"
version = "3"
source = { registry = "https://i/simple" }
dependencies = [{ name = "colours", marker = "sys_platform == 'win32'" }, { name = "base" }]
wheels = [{ url = "https://f/client-3-py3-none-any.whl", hash = "sha256:HEX", size = 9 }]
[package.optional-dependencies]
fast = [{ name = "speed" }]

[[package]]
name = "base"
version = "1"
source = { registry = "https://i/simple" }
dependencies = [{ name = "client" }]
resolution-markers = ["python_full_version < '3.10'"]

[[package]]
name = "base"
version = "2"
source = { registry = "https://i/simple" }
resolution-markers = ["python_full_version >= '3.10'"]

[[package]]
name = "speed"
version = "1"
source = { registry = "../wheels" }
wheels = [{ path = "speed-1-py3-none-any.whl", hash = "sha256:HEX" }]

[[package]]
name = "old"
version = "1"
source = { registry = "https://i/simple" }

[[package]]
name = "old"
version = "2"
source = { registry = "https://i/simple" }

[[package]]
name = "local"
version = "5"
source = { path = "w/local-5-py3-none-any.whl" }
wheels = [{ filename = "local-5-py3-none-any.whl", hash = "sha256:HEX" }]

[[package]]
name = "never"
version = "1"
source = { url = "https://g/never.zip", subdirectory = "x" }

[[package]]
name = "colours"
version = "1"
source = { registry = "https://i/simple" }
"#;

fn lock() -> String {
    LOCK.replace("HEX", &"cd".repeat(32))
}

#[test]
fn the_projects_dependencies_on_the_target_are_found() {
    let names = |minor| {
        let found = read_for(minor, &lock()).unwrap();
        let text = |locked: &LockedPackage| {
            format!("{} {}{}", locked.name, locked.version, if locked.requested { " *" } else { "" })
        };
        found.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(names(12), ["client 3 *", "base 2", "speed 1", "old 2 *", "local 5 *"]);
    assert_eq!(names(9), ["client 3 *", "base 1", "speed 1", "old 1 *", "local 5 *"]);
}

#[test]
fn a_lock_fits_if_one_of_its_environments_is_the_images() {
    let markers = r#"supported-markers = ["sys_platform == 'win32'", "platform_machine == 'aarch64'"]"#;
    let text = lock().replacen("requires-python", &format!("{markers}\nrequires-python"), 1);
    assert_eq!(read_for(12, &text).unwrap().len(), 5);
}

#[test]
fn files_are_found_by_url_and_by_path() {
    let found = read_for(12, &lock()).unwrap();
    let file = |number: usize| found[number].files[0].clone();
    assert_eq!((file(0).url.as_str(), file(0).size), ("https://f/client-3-py3-none-any.whl", Some(9)));
    assert!(!file(0).hashes.is_empty() && !found[0].direct);
    assert!(file(2).url.ends_with("/wheels/speed-1-py3-none-any.whl"), "{}", file(2).url);
    assert_eq!(file(4).url, "file:///p/w/local-5-py3-none-any.whl");
    assert!(found[4].direct);
}

#[test]
fn an_unsupported_package_or_lock_is_named() {
    for (from, to, fault) in [
        ("version = 1\nrevision", "version = 2\nrevision", "its version is 2"),
        (">=3.9", ">=3.13", "it is for Python >=3.13"),
        (
            "requires-python",
            "supported-markers = [\"sys_platform == 'win32'\", \"platform_machine == 'x86_64'\"]\nrequires-python",
            "its environments do not include",
        ),
        ("requires-python", "supported-markers = ['x']\nrequires-python", "the marker `x` cannot be read"),
        ("virtual = \".\"", "virtual = \"x\"", "no project at its root"),
        ("{ name = \"base\" }]", "{ name = \"gone\" }]", "gone is needed, but not locked"),
        (
            "{ path = \"w/local-5-py3-none-any.whl\" }",
            "{ url = \"https://h/a.zip\", subdirectory = \"x\" }",
            "local from /p/uv.lock: it is a directory of an archive",
        ),
        ("{ path = \"w/", "{ future = \"w/", "local from /p/uv.lock: it has a source that lbuild does not"),
        ("resolution-markers = [\"python_full_version >= '3.10'\"]", "", "base is needed, but not locked"),
    ] {
        assert!(lock().contains(from), "{from}");
        let error = read_for(12, &lock().replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(fault), "{to}: {error}");
    }
}

#[test]
fn a_command_selects_groups_extras_and_the_project() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pyproject.toml"), "[project]\nname = 'fn'\n").unwrap();
    let text = LOCK
        .replace("{ name = \"never\" }", "{ name = \"base\" }")
        .replace("virtual = \".\"", "editable = \".\"");
    let environment = Environment::of(&Target::new(12, Machine::Aarch64, (2, 34)));
    let names = |change: &dyn Fn(&mut LockSelection)| {
        let mut selection = LockSelection::of(LockTool::Uv);
        change(&mut selection);
        let path = dir.path().join("uv.lock");
        let found = read(&text, &path, Some(dir.path()), Some(&selection), &environment);
        found.map(|found| found.into_iter().map(|package| package.name).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(names(&|to| to.only = vec!["dev".into()]).unwrap(), "base");
    let all = names(&|to| to.project = LockedProject::Package).unwrap();
    assert!(all.split(' ').any(|name| name == "fn"), "{all}");
    let error = names(&|to| to.project = LockedProject::Editable).unwrap_err();
    assert!(matches!(error, Error::EditablePackage { package } if package == "fn"));
}
