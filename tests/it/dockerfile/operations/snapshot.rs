//! The files of an image and of a directory, one line each, to be compared.

use crate::support::layers;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use tar::EntryType;

/// By path: kind, mode, owner, content or target, and all names of the file.
pub type Snapshot = BTreeMap<String, String>;

/// An inode: its line, and its number.
type Files = BTreeMap<String, (String, usize)>;

/// Directories with the tools of the tests.
pub const OF_TOOLS: [&str; 6] = ["bin", "dev", "lib", "lib64", "sbin", "usr"];

fn is_of_tools(path: &str) -> bool {
    path.split('/').next().is_some_and(|first| OF_TOOLS.contains(&first))
}

pub fn of_image(layout: &Path) -> Snapshot {
    with_names(&files_of(layout))
}

/// The directories `0`, `1`, … of an image, each with the files of an image.
pub fn of_images(layout: &Path, count: usize) -> Vec<Snapshot> {
    let mut images = vec![Files::new(); count];
    for (path, entry) in files_of(layout) {
        if let Some((number, path)) = path.split_once('/') {
            images[number.parse::<usize>().unwrap()].insert(path.to_owned(), entry);
        }
    }
    images.iter().map(with_names).collect()
}

fn files_of(layout: &Path) -> Files {
    let (mut files, mut number) = (Files::new(), 0);
    for blob in layers::blobs(layout, "1", "amd64") {
        let members = layers::members(&blob);
        for member in &members {
            let (dir, name) = member.path.rsplit_once('/').unwrap_or(("", &member.path));
            let gone = match name.strip_prefix(".wh.") {
                Some(".wh..opq") => format!("{dir}/"),
                Some(gone) => {
                    let gone = if dir.is_empty() { gone.to_owned() } else { format!("{dir}/{gone}") };
                    files.remove(&gone);
                    format!("{gone}/")
                }
                None => continue,
            };
            files.retain(|path, _| !path.starts_with(&gone));
        }
        for member in members {
            if member.path.rsplit('/').next().unwrap().starts_with(".wh.") {
                continue;
            }
            number += 1;
            let owner = format!("{}:{}", member.owner.0, member.owner.1);
            let content = String::from_utf8_lossy(&member.content).into_owned();
            let entry = match member.kind {
                EntryType::Link => files[member.link.as_deref().unwrap()].clone(),
                EntryType::Directory => (format!("{:04o} {owner} directory", member.mode), number),
                EntryType::Symlink => (format!("{owner} -> {}", member.link.unwrap()), number),
                EntryType::Regular => (format!("{:04o} {owner} {content:?}", member.mode), number),
                other => (format!("{:04o} {owner} {other:?}", member.mode), number),
            };
            if member.kind != EntryType::Directory {
                let below = format!("{}/", member.path);
                files.retain(|path, _| !path.starts_with(&below));
            }
            files.insert(member.path, entry);
        }
    }
    files
}

pub fn of_directory(root: &Path) -> Snapshot {
    let mut files = Files::new();
    walk(root, "", &mut files);
    with_names(&files)
}

fn walk(dir: &Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if is_of_tools(&path) {
            continue;
        }
        let found = entry.path().symlink_metadata().unwrap();
        let (mode, owner) = (found.mode() & 0o7777, format!("{}:{}", found.uid(), found.gid()));
        let line = if found.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
            format!("{mode:04o} {owner} directory")
        } else if found.is_symlink() {
            format!("{owner} -> {}", entry.path().read_link().unwrap().display())
        } else if found.file_type().is_fifo() {
            format!("{mode:04o} {owner} Fifo")
        } else {
            let content = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            format!("{mode:04o} {owner} {content:?}")
        };
        files.insert(path, (line, usize::try_from(found.ino()).unwrap()));
    }
}

fn with_names(files: &Files) -> Snapshot {
    let mut names: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (path, (_, inode)) in files.iter().filter(|(path, _)| !is_of_tools(path)) {
        names.entry(*inode).or_default().push(path);
    }
    let line = |(path, (line, inode)): (&String, &(String, usize))| {
        let names = &names[inode];
        let linked = if names.len() > 1 { format!(" = {}", names.join(" ")) } else { String::new() };
        (path.clone(), format!("{line}{linked}"))
    };
    files.iter().filter(|(path, _)| !is_of_tools(path)).map(line).collect()
}

pub fn difference(ours: &Snapshot, real: &Snapshot) -> String {
    let mut lines = String::new();
    let paths: std::collections::BTreeSet<&String> = ours.keys().chain(real.keys()).collect();
    for path in paths {
        let (one, other) = (ours.get(path), real.get(path));
        if one != other {
            let shown = |line: Option<&String>| line.map_or("nothing".to_owned(), String::clone);
            writeln!(lines, "  {path}: {} instead of {}", shown(one), shown(other)).unwrap();
        }
    }
    lines
}
