//! The house's doors: which room may import which.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each room may import, besides itself, `error` and `event`. What stands below a room's neighbours is
/// below the room too.
const DOORS: [(&str, &[&str]); 10] = [
    ("image", &[]),
    ("recipe", &["image"]),
    ("layer", &["image"]),
    ("store", &["image"]),
    ("source", &["store", "layer", "recipe", "image"]),
    ("engine", &["source", "store", "layer", "recipe", "image"]),
    ("lambda", &["layer", "image"]),
    ("aws", &["store", "source", "image"]),
    // Both only name what others hold: a digest, a platform.
    ("error", &["image"]),
    ("event", &["image"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

fn room(path: &Path) -> String {
    Path::new(path.components().next().unwrap().as_os_str()).with_extension("").display().to_string()
}

/// Code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms named after `crate::` anywhere in the code, grouped imports included.
fn imports(code: &str) -> BTreeSet<String> {
    let names = code.split("crate::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(group) => group.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
        None => vec![rest],
    });
    let first =
        |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned();
    names.map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_run_as_the_design_draws_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let room = room(&path);
        if ["lib", "main", "cli"].contains(&room.as_str()) {
            continue;
        }
        let doors = DOORS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, doors)| doors);
        for import in imports(&code(&text)) {
            let known = import == room || ["error", "event"].contains(&import.as_str());
            if !known && !doors.contains(&import.as_str()) {
                wrong.push(format!("{}: crate::{import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_wrong_import_would_be_seen() {
    assert_eq!(imports("use crate::store::Cache;"), BTreeSet::from(["store".to_owned()]));
    let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    assert_eq!(imports("use crate::{a::X, b};"), both);
    assert_eq!(imports("fn f() -> crate::a::X { crate::b::y() }"), both);
    assert!(code("// use crate::x;\n").is_empty());
}

#[test]
fn the_pure_rooms_neither_read_nor_wait() {
    for (path, text) in sources() {
        let room = room(&path);
        let code = code(&text);
        let refused: &[&str] = match room.as_str() {
            "image" | "recipe" | "frontend" => {
                &["std::fs", "std::net", "std::process", "tokio", "async ", "env::var"]
            }
            "layer" | "rootfs" => &["tokio", "async "],
            _ => &[],
        };
        for word in refused {
            assert!(!code.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn the_library_never_prints_and_never_exits() {
    for (path, text) in sources() {
        let test = path.iter().any(|part| part == "tests");
        if test || ["main", "cli"].contains(&room(&path).as_str()) {
            continue;
        }
        let code = code(&text);
        for word in ["println!", "eprintln!", "print!(", "dbg!", "process::exit"] {
            assert!(!code.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn only_one_room_knows_the_sdk() {
    for (path, text) in sources() {
        let sdk = code(&text).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| {
            ["aws_config", "aws_credential_types"].contains(&word) || word.starts_with("aws_sdk_")
        });
        assert!(!sdk || room(&path) == "aws", "{}", path.display());
    }
}

/// The library alone needs nothing of AWS's but its cryptography, which is rustls's.
#[test]
fn without_its_feature_no_crate_of_the_sdk_is_built() {
    let crates = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p}"]);
        let tree = cargo.args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        let of_aws = names.filter(|name| name.starts_with("aws-") && !name.starts_with("aws-lc-"));
        of_aws.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(crates(&["--no-default-features"]), BTreeSet::new());
    assert!(crates(&[]).contains("aws-sdk-ecr"));
}

#[test]
fn the_command_uses_the_public_surface_only() {
    for (path, text) in sources() {
        if room(&path) == "cli" {
            let foreign: Vec<_> = imports(&code(&text)).into_iter().filter(|name| name != "cli").collect();
            assert!(foreign.is_empty(), "{}: {foreign:?}", path.display());
        }
    }
}
