//! The files that a container sees of an image, one line each: kind, mode, owner and content.

use super::layers::{self, Member};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tar::EntryType;

/// By path. Whiteouts are applied, and a hard link is shown as the file that it names.
pub type ImageTree = BTreeMap<String, String>;

/// The tree of an image in a layout.
pub fn of(layout: &Path, tag: &str, architecture: &str) -> ImageTree {
    let mut tree: BTreeMap<String, Member> = BTreeMap::new();
    for blob in layers::blobs(layout, tag, architecture) {
        lay(&mut tree, layers::members(&blob));
    }
    tree.iter().map(|(path, member)| (path.clone(), line(&tree, member))).collect()
}

fn lay(tree: &mut BTreeMap<String, Member>, members: Vec<Member>) {
    for member in &members {
        let (dir, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
        let below = |dir: &str| if dir.is_empty() { String::new() } else { format!("{dir}/") };
        match name.strip_prefix(".wh.") {
            Some(".wh..opq") => tree.retain(|path, _| !path.starts_with(&below(dir))),
            Some(gone) => {
                let gone = below(dir) + gone;
                tree.retain(|path, _| *path != gone && !path.starts_with(&below(&gone)));
            }
            None => {}
        }
    }
    for member in members {
        let path = member.path.trim_start_matches("./").to_owned();
        let name = path.rsplit('/').next().unwrap_or_default();
        if path.is_empty() || path == "." || name.starts_with(".wh.") {
            continue;
        }
        if member.kind != EntryType::Directory {
            let below = format!("{path}/");
            tree.retain(|other, _| !other.starts_with(&below));
        }
        tree.insert(path, member);
    }
}

fn line(tree: &BTreeMap<String, Member>, member: &Member) -> String {
    let (uid, gid, ..) = &member.owner;
    let link = member.link.as_deref().unwrap_or_default();
    match member.kind {
        EntryType::Directory => format!("{:04o} {uid}:{gid} directory", member.mode & 0o7777),
        EntryType::Symlink => format!("{uid}:{gid} -> {link}"),
        EntryType::Link => match tree.get(link.trim_start_matches("./").trim_start_matches('/')) {
            Some(named) if named.kind != EntryType::Link => line(tree, named),
            _ => format!("a hard link to nothing: {link}"),
        },
        EntryType::Regular => {
            let content = String::from_utf8_lossy(&member.content);
            let shown: String = content.chars().take(60).collect();
            format!("{:04o} {uid}:{gid} {shown:?}", member.mode & 0o7777)
        }
        other => format!("{:04o} {uid}:{gid} {other:?}", member.mode & 0o7777),
    }
}

/// The files below a directory of this machine, as they are in an image.
pub fn of_directory(dir: &Path) -> ImageTree {
    fn walk(root: &Path, dir: &Path, tree: &mut ImageTree) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("readable").path();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            let metadata = path.symlink_metadata().expect("readable");
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_symlink() {
                tree.insert(name, format!("0:0 -> {}", fs::read_link(&path).expect("a link").display()));
            } else if metadata.is_dir() {
                tree.insert(name, format!("{mode:04o} 0:0 directory"));
                walk(root, &path, tree);
            } else {
                let content = fs::read(&path).expect("readable");
                let shown: String = String::from_utf8_lossy(&content).chars().take(60).collect();
                tree.insert(name, format!("{mode:04o} 0:0 {shown:?}"));
            }
        }
    }
    let mut tree = ImageTree::new();
    walk(dir, dir, &mut tree);
    tree
}

/// The lines that differ, for a message.
pub fn difference(ours: &ImageTree, theirs: &ImageTree) -> String {
    let mut lines = String::new();
    let paths: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for path in paths {
        let (one, other) = (ours.get(path), theirs.get(path));
        if one != other {
            lines += &format!("{path}: {one:?} instead of {other:?}\n");
        }
    }
    lines
}
