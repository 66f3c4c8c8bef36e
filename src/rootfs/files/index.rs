//! [`Index`]: what a root holds, without its contents.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::directories::{above, is_too_long, join, split};
use crate::image::Digest;
use crate::tree::{Entry, EntryKind, ImagePath};

/// The first word of a saved index; it changes with the format.
const FORMAT: &str = "lbuild-index-1";

/// The maximum number of links that Linux follows in one path.
const MAX_LINKS: usize = 40;

/// A regular file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileFact {
    /// Bytes.
    #[serde(rename = "s")]
    pub size: u64,
    #[serde(rename = "h")]
    pub sha256: Digest,
}

/// A file of a root. Its entry has no kind that exists in layers only: no hard link, whiteout or opaque directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub entry: Entry<FileFact>,
    /// The modification time, in seconds since 1970.
    pub mtime: u64,
    /// The number of the file whose name this is; 0 for a file without other names. In a root each name is a file of
    /// its own, so that writing to one cannot change the other; only layers have hard links.
    pub group: u32,
}

/// The files of a root by their paths. The root itself has the empty path and always exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Shared, because every command of a build has an index of its own, which differs in a few files.
    pub(super) nodes: BTreeMap<Arc<[u8]>, Arc<Node>>,
    groups: u32,
}

/// A node as it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    #[serde(rename = "p")]
    pub(super) path: ImagePath,
    #[serde(rename = "e")]
    entry: Entry<FileFact>,
    #[serde(rename = "t", default, skip_serializing_if = "is_epoch")]
    mtime: u64,
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    group: u32,
}

fn is_epoch(mtime: &u64) -> bool {
    *mtime == 0
}

fn is_zero(group: &u32) -> bool {
    *group == 0
}

impl Saved {
    pub fn of(path: &[u8], Node { entry, mtime, group }: &Node) -> Saved {
        Saved { path: ImagePath::new(path), entry: entry.clone(), mtime: *mtime, group: *group }
    }
}

impl Node {
    pub fn new(entry: Entry<FileFact>, mtime: u64) -> Node {
        Node { entry, mtime, group: 0 }
    }

    /// A directory that a layer does not describe, as readers of layers make it.
    pub fn implied() -> Node {
        Node::new(Entry::directory(), 0)
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.entry.kind, EntryKind::Directory)
    }
}

impl Index {
    /// Of an empty root, 0755.
    pub fn new() -> Index {
        Index { nodes: BTreeMap::from([(Arc::default(), Arc::new(Node::implied()))]), groups: 0 }
    }

    /// Describes the root itself.
    pub fn describe_root(&mut self, mode: u32, uid: u64, gid: u64) {
        self.insert(&[], Node::new(Entry { mode, uid, gid, ..Entry::directory() }, 0));
    }

    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path).map(|node| &**node)
    }

    pub fn is_directory(&self, path: &[u8]) -> bool {
        self.get(path).is_some_and(Node::is_directory)
    }

    /// All files with their paths, in the order of the paths' bytes; the root comes first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &Node)> {
        self.nodes.iter().map(|(path, node)| (&**path, &**node))
    }

    /// The files below a directory.
    pub fn below<'i>(&'i self, dir: &[u8]) -> impl Iterator<Item = (&'i [u8], &'i Node)> + use<'i> {
        let start = if dir.is_empty() { Vec::new() } else { [dir, b"/"].concat() };
        let from = self.nodes.range::<[u8], _>((Bound::Excluded(start.as_slice()), Bound::Unbounded));
        from.take_while(move |(path, _)| path.starts_with(&start)).map(|(path, node)| (&**path, &**node))
    }

    /// Puts a file at a path. One that is not a directory replaces the whole tree at the path. Returns the directories
    /// above it that did not exist.
    pub fn put(&mut self, path: &[u8], node: Node) -> Vec<Vec<u8>> {
        let mut made = Vec::new();
        for dir in above(path) {
            if self.is_directory(dir) {
                break;
            }
            made.push(dir.to_vec());
        }
        for dir in &made {
            self.insert(dir, Node::implied());
        }
        if !node.is_directory() && self.is_directory(path) {
            self.clear(path);
        }
        self.insert(path, node);
        made
    }

    /// Puts a saved node at its path; nothing else changes.
    pub(super) fn restore(&mut self, Saved { path, entry, mtime, group }: Saved) {
        self.insert(path.as_bytes(), Node { entry, mtime, group });
    }

    fn insert(&mut self, path: &[u8], node: Node) {
        self.groups = self.groups.max(node.group);
        self.nodes.insert(path.into(), Arc::new(node));
    }

    /// Removes the file at a path and all below it.
    pub fn remove(&mut self, path: &[u8]) {
        if self.is_directory(path) {
            self.clear(path);
        }
        if !path.is_empty() {
            self.nodes.remove(path);
        }
    }

    /// Removes all below a directory.
    pub fn clear(&mut self, dir: &[u8]) {
        let below: Vec<Vec<u8>> = self.below(dir).map(|(path, _)| path.to_vec()).collect();
        below.iter().for_each(|path| drop(self.nodes.remove(path.as_slice())));
    }

    /// Gives the file at `path` a number, if it has none, before another name of it is put.
    pub fn number(&mut self, path: &[u8]) {
        if let Some(node) = self.nodes.get_mut(path)
            && node.group == 0
        {
            self.groups += 1;
            Arc::make_mut(node).group = self.groups;
        }
    }

    /// The paths of each file with several names, by its number.
    pub fn groups(&self) -> HashMap<u32, Vec<&[u8]>> {
        let mut groups: HashMap<u32, Vec<&[u8]>> = HashMap::new();
        for (path, node) in self.iter().filter(|(_, node)| node.group > 0) {
            groups.entry(node.group).or_default().push(path);
        }
        groups.retain(|_, paths| paths.len() > 1);
        groups
    }

    /// Applies the entries of a layer whose paths are sorted, unique and resolved, as those of a
    /// [`FileTree`](crate::tree::FileTree). `mtime` is that of all entries.
    pub fn apply<'e, C: 'e>(
        &mut self,
        entries: impl IntoIterator<Item = (&'e [u8], &'e Entry<C>)>,
        mtime: u64,
        fact: impl Fn(&C) -> FileFact,
    ) {
        for (path, Entry { kind, mode, uid, gid, xattrs }) in entries {
            let kind = match kind {
                EntryKind::Whiteout => {
                    self.remove(path);
                    continue;
                }
                EntryKind::Opaque => {
                    self.clear(path);
                    EntryKind::Directory
                }
                EntryKind::HardLink(target) => {
                    self.number(target);
                    if let Some(node) = self.get(target).cloned() {
                        self.put(path, node);
                    }
                    continue;
                }
                kind => kind.map_content(&fact),
            };
            let entry = Entry { kind, mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone() };
            self.put(path, Node::new(entry, mtime));
        }
    }

    /// The path that a member of a layer with this path gets: links in its directories are followed as in a container.
    /// `None` if an entry above it is a file, or a link that leads nowhere.
    pub fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (dir, name) = split(path);
        if self.is_directory(dir) {
            return Some(path.to_vec());
        }
        Some(join(&self.follow(dir)?, name))
    }

    fn follow(&self, dir: &[u8]) -> Option<Vec<u8>> {
        let mut ahead: Vec<&[u8]> = dir.rsplit(|&byte| byte == b'/').collect();
        let (mut at, mut links) = (Vec::new(), 0);
        while let Some(part) = ahead.pop() {
            match part {
                b"" | b"." => continue,
                b".." => {
                    at.truncate(split(&at).0.len());
                    continue;
                }
                _ => {}
            }
            let parent = at.len();
            at = join(&at, part);
            match self.get(&at).map(|node| &node.entry.kind) {
                None | Some(EntryKind::Directory) => {}
                Some(EntryKind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS || is_too_long(target) {
                        return None;
                    }
                    at.truncate(if target.starts_with(b"/") { 0 } else { parent });
                    ahead.extend(target.rsplit(|&byte| byte == b'/'));
                }
                Some(_) => return None,
            }
        }
        Some(at)
    }

    /// Writes the index, with a checksum in front.
    pub fn save(&self, out: &mut impl Write) -> io::Result<()> {
        let nodes = serde_json::to_vec(self)?;
        writeln!(out, "{FORMAT} {}", Digest::of(&nodes).hex())?;
        out.write_all(&nodes)
    }

    /// Reads a saved index.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for bytes that are not a complete index of this version.
    pub fn load(bytes: &[u8]) -> io::Result<Index> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not an index of a root of this version");
        let line = bytes.iter().position(|&byte| byte == b'\n').ok_or_else(wrong)?;
        let (line, nodes) = (&bytes[..line], &bytes[line + 1..]);
        let sum = Digest::of(nodes);
        if line != format!("{FORMAT} {}", sum.hex()).as_bytes() {
            return Err(wrong());
        }
        Ok(serde_json::from_slice(nodes)?)
    }
}

impl Serialize for Index {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(path, node)| Saved::of(path, node)))
    }
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Index, D::Error> {
        let mut index = Index::new();
        Vec::<Saved>::deserialize(deserializer)?.into_iter().for_each(|saved| index.restore(saved));
        Ok(index)
    }
}
