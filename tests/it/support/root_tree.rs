//! The files of an image with everything that a layer can hold: kind, mode, owner, attributes, hard links, device numbers
//! and content; not times.

use super::image_builder::hex;
use super::layers;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use tar::EntryType;

/// Names are bytes in an image; here they are as in a Rust literal where they are not printable UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootTree {
    entries: BTreeMap<String, Entry>,
    /// The number of files that were ever made, which hard links share.
    files: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// The file among those with several names.
    file: usize,
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    /// The target of a link, the number of a device, or the content.
    content: String,
    attributes: BTreeMap<String, String>,
}

/// The longest content that is shown; of a longer one, its size and its sum.
const SHOWN: usize = 200;

impl RootTree {
    /// The tree of an image in a layout. `lower`: the tree of its first layers and their number.
    pub fn of(layout: &Path, tag: &str, architecture: &str, lower: Option<(&RootTree, usize)>) -> RootTree {
        let (mut tree, known) = lower.map_or((RootTree::default(), 0), |(tree, known)| (tree.clone(), known));
        for blob in layers::blobs(layout, tag, architecture).iter().skip(known) {
            let is_gzip = blob.starts_with(&[0x1f, 0x8b]);
            tree.lay(&if is_gzip { layers::inflate(blob) } else { blob.clone() });
        }
        tree
    }

    /// Lays a layer over the tree. Whiteouts hold for what is below, wherever they are in the archive.
    pub fn lay(&mut self, tar: &[u8]) {
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().expect("a tar") {
            let entry = entry.expect("a tar entry");
            let path = name(&entry.path_bytes());
            let (dir, base) = path.rsplit_once('/').unwrap_or(("", &path));
            match base.strip_prefix(".wh.") {
                Some(".wh..opq") => self.remove_below(dir),
                Some(gone) => {
                    let gone = if dir.is_empty() { gone.to_owned() } else { format!("{dir}/{gone}") };
                    self.entries.remove(&gone);
                    self.remove_below(&gone);
                }
                None => {}
            }
        }
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("a tar entry");
            let path = name(&entry.path_bytes());
            let is_marker = path.rsplit('/').next().is_some_and(|base| base.starts_with(".wh."));
            if path.is_empty() || is_marker {
                continue;
            }
            let entry = self.entry(&mut entry);
            if entry.kind != EntryType::Directory {
                self.remove_below(&path);
            }
            self.entries.insert(path, entry);
        }
    }

    fn entry(&mut self, entry: &mut tar::Entry<&[u8]>) -> Entry {
        let link = entry.link_name_bytes().map(|target| target.into_owned()).unwrap_or_default();
        let kind = entry.header().entry_type();
        if kind == EntryType::Link {
            let named = self.entries.get(&name(&link));
            return named.unwrap_or_else(|| panic!("a hard link to nothing: {}", name(&link))).clone();
        }
        let attributes = attributes(entry);
        let header = entry.header();
        let mode = header.mode().expect("octal") & 0o7777;
        let owner = (header.uid().expect("octal"), header.gid().expect("octal"));
        let content = match kind {
            EntryType::Symlink => escaped(&link),
            EntryType::Char | EntryType::Block => {
                let number = |part: std::io::Result<Option<u32>>| part.expect("octal").expect("of a device");
                format!("{}:{}", number(header.device_major()), number(header.device_minor()))
            }
            EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).expect("as long as its header says");
                shown(&content)
            }
            _ => String::new(),
        };
        self.files += 1;
        Entry { file: self.files, kind, mode, owner, content, attributes }
    }

    fn remove_below(&mut self, dir: &str) {
        if dir.is_empty() {
            self.entries.clear();
            return;
        }
        let prefix = format!("{dir}/");
        let below: Vec<String> = self.entries.range(prefix.clone()..).map(|(path, _)| path.clone()).collect();
        for path in below.into_iter().take_while(|path| path.starts_with(&prefix)) {
            self.entries.remove(&path);
        }
    }

    /// A line for each path. The names of a file with several name the first one.
    pub fn lines(&self) -> BTreeMap<String, String> {
        let mut first: BTreeMap<usize, &str> = BTreeMap::new();
        for (path, entry) in &self.entries {
            first.entry(entry.file).or_insert(path);
        }
        let several: BTreeSet<usize> = {
            let mut seen = BTreeSet::new();
            self.entries.values().map(|entry| entry.file).filter(|file| !seen.insert(*file)).collect()
        };
        let line = |(path, entry): (&String, &Entry)| {
            let mut line = entry.line();
            if several.contains(&entry.file) {
                line += &format!(" = {}", first[&entry.file]);
            }
            (path.clone(), line)
        };
        self.entries.iter().map(line).collect()
    }

    /// The line of one path; `None` if there is nothing.
    pub fn line(&self, path: &str) -> Option<String> {
        self.entries.get(path).map(Entry::line)
    }

    /// The paths that differ, each with its two lines.
    pub fn difference(&self, other: &RootTree) -> Vec<(String, String)> {
        let (ours, theirs) = (self.lines(), other.lines());
        let paths: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let show = |line: Option<&String>| line.cloned().unwrap_or_else(|| "nothing".to_owned());
        paths
            .into_iter()
            .filter(|path| ours.get(*path) != theirs.get(*path))
            .map(|path| {
                (path.clone(), format!("{} instead of {}", show(ours.get(path)), show(theirs.get(path))))
            })
            .collect()
    }
}

impl Entry {
    fn line(&self) -> String {
        let (uid, gid) = self.owner;
        let kind = match self.kind {
            EntryType::Regular => "file",
            EntryType::Directory => "directory",
            EntryType::Symlink => "->",
            EntryType::Char => "character device",
            EntryType::Block => "block device",
            EntryType::Fifo => "fifo",
            other => panic!("an entry of kind {other:?}"),
        };
        // nothing reads the mode of a symbolic link
        let mode =
            if self.kind == EntryType::Symlink { String::new() } else { format!("{:04o} ", self.mode) };
        let mut line = format!("{mode}{uid}:{gid} {kind} {}", self.content).trim_end().to_owned();
        for (name, value) in &self.attributes {
            line += &format!(" {name}={value}");
        }
        line
    }
}

fn attributes(entry: &mut tar::Entry<&[u8]>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for record in entry.pax_extensions().expect("PAX records").into_iter().flatten() {
        let record = record.expect("a PAX record");
        let key = record.key().expect("UTF-8");
        if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
            let value: String = record.value_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            attributes.insert(name.to_owned(), value);
        }
    }
    attributes
}

fn shown(content: &[u8]) -> String {
    match content.len() {
        0..=SHOWN => format!("{:?}", escaped(content)),
        length => format!("{length} bytes, sha256 {}", hex(content)),
    }
}

/// A path without what archives put around it.
fn name(path: &[u8]) -> String {
    let text = escaped(path);
    let text = text.trim_start_matches("./").trim_start_matches('/').trim_end_matches('/');
    if text == "." { String::new() } else { text.to_owned() }
}

fn escaped(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
