//! The files of an image and of a directory, without what an install leaves and lbuild does not.

use crate::support::image_builder;
use crate::support::layers::{self, Member};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tar::EntryType;

/// By path: mode and content, or the target of a link.
pub type Tree = BTreeMap<String, String>;

/// The longest content that is shown; of a longer one the size and a sum are compared.
const SHOWN: usize = 600;

/// The files in a directory. Those that are links to files of `lower` have the lines of those.
pub fn of_directory(dir: &Path, lower: Option<(&Path, &Tree)>) -> Tree {
    let mut tree = Tree::new();
    walk(dir, "", lower, &mut tree);
    tree
}

fn walk(root: &Path, prefix: &str, lower: Option<(&Path, &Tree)>, tree: &mut Tree) {
    for entry in fs::read_dir(root.join(prefix)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if is_noise(&path) {
            continue;
        }
        let found = root.join(&path).symlink_metadata().unwrap();
        let same = lower.and_then(|(lower, tree)| {
            let below = lower.join(&path).symlink_metadata().ok()?;
            tree.get(&path).filter(|_| !found.is_dir() && below.ino() == found.ino())
        });
        let mode = found.permissions().mode() & 0o7777;
        let line = if let Some(line) = same {
            line.clone()
        } else if found.is_symlink() {
            format!("-> {}", root.join(&path).read_link().unwrap().display())
        } else if found.is_file() {
            of_file(&path, mode, &fs::read(root.join(&path)).unwrap())
        } else if found.is_dir() {
            walk(root, &path, lower, tree);
            format!("{mode:04o} directory")
        } else {
            continue;
        };
        tree.insert(path, line);
    }
}

/// The files of an image with these layers above those of `lower`.
pub fn of_layers<'l>(lower: &Tree, blobs: impl Iterator<Item = &'l Vec<u8>>) -> Tree {
    let mut tree = lower.clone();
    for blob in blobs {
        let members = layers::members(blob);
        for member in &members {
            let (dir, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
            let gone = match name.strip_prefix(".wh.") {
                Some(".wh..opq") => format!("{dir}/"),
                Some(gone) => {
                    let gone = format!("{dir}/{gone}").trim_start_matches('/').to_owned();
                    tree.remove(&gone);
                    gone + "/"
                }
                None => continue,
            };
            tree.retain(|path, _| !path.starts_with(&gone));
        }
        for Member { path, kind, mode, link, content, owner, .. } in members {
            let name = path.rsplit('/').next().unwrap();
            if name.starts_with(".wh.") || is_noise(&path) {
                continue;
            }
            assert_eq!((owner.0, owner.1), (0, 0), "{path}");
            let line = match kind {
                EntryType::Directory => format!("{:04o} directory", mode & 0o7777),
                EntryType::Symlink => format!("-> {}", link.unwrap()),
                EntryType::Regular => of_file(&path, mode & 0o7777, &content),
                EntryType::Link => tree[&link.unwrap()].clone(),
                other => format!("{other:?}"),
            };
            tree.insert(path, line);
        }
    }
    tree
}

fn of_file(path: &str, mode: u32, content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    if path.ends_with(".dist-info/RECORD") {
        return format!("{mode:04o} {}", of_record(&text));
    }
    if path.ends_with(".dist-info/direct_url.json") {
        let origin: serde_json::Value = serde_json::from_slice(content).unwrap();
        return format!("{mode:04o} of {}", origin["url"]);
    }
    let is_program = path.rsplit('/').nth(1) == Some("bin");
    if let Some(program) = text.strip_prefix("#!").filter(|_| is_program) {
        return format!("{mode:04o} {:?}", of_program(program));
    }
    match content.len() {
        0..=SHOWN => format!("{mode:04o} {text:?}"),
        length => format!("{mode:04o} {length} bytes, sha256 {}", image_builder::hex(content)),
    }
}

/// The rows that both have, without sums of what differs: see `differences.md`.
fn of_record(text: &str) -> String {
    let differs = |row: &str| {
        ["__pycache__/", "include/", "uv_cache.json,", "direct_url.json,"]
            .iter()
            .any(|part| row.contains(part))
    };
    let rows = text.lines().map(|row| row.trim_end_matches('\r')).filter(|row| !differs(row));
    let row = |row: &str| {
        let row = row.trim_start_matches("../");
        match row.split(',').next() {
            Some(path) if path.starts_with("bin/") => path.to_owned(),
            _ => row.to_owned(),
        }
    };
    rows.map(row).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("\n")
}

/// The interpreter, of which one file has several names; and the text, or of a command what it calls.
fn of_program(text: &str) -> String {
    let (interpreter, text) = text.split_once('\n').unwrap_or((text, ""));
    let interpreter = match interpreter.strip_prefix("/var/lang/bin/python") {
        Some(version) if ["", "3", "3.11"].contains(&version) => "the interpreter",
        _ => interpreter,
    };
    let is_call = |line: &&str| line.starts_with("from ") || line.trim_start().starts_with("sys.exit(");
    match text.lines().filter(is_call).collect::<Vec<_>>() {
        calls if calls.len() == 2 => format!("{interpreter}: {}", calls.join("; ")),
        _ => format!("{interpreter}: {text}"),
    }
}

/// What only one of the two leaves: see `differences.md`.
fn is_noise(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_left_out = |part: &&str| ["__pycache__", "include", ".lock", "uv_cache.json"].contains(part);
    let below =
        |dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["dev", "proc", "sys"].contains(&parts[0])
        || parts.iter().any(is_left_out)
        || ["root/.cache", "root/.config", "tmp"].into_iter().any(below)
}

pub fn difference(ours: &Tree, real: &Tree) -> String {
    let paths: BTreeSet<&String> = ours.keys().chain(real.keys()).collect();
    let is_origin_on_disk = |path: &String| {
        path.ends_with("/direct_url.json") && real.get(path).is_some_and(|line| line.contains("\"file:"))
    };
    let differing = paths
        .into_iter()
        .filter(|path| ours.get(*path) != real.get(*path))
        .filter(|path| ours.contains_key(*path) || !is_origin_on_disk(path));
    let shown = |line: Option<&String>| line.map_or("nothing", |line| line).to_owned();
    differing
        .take(40)
        .map(|path| {
            format!("  {path}:\n    {}\n    instead of {}\n", shown(ours.get(path)), shown(real.get(path)))
        })
        .collect()
}
