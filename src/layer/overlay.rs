//! The layers one above the other: what a container sees, and what it never will.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::survey::{Member, MemberKind, Survey};

/// The names by which a layer takes away what is below it.
///
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// The most names that are passed on one way, and the longest target of a link: Linux takes 4096 bytes, each of which
/// may be written as four letters. What hostile links ask for stays small.
const MAX_NAMES: usize = 4096;
const MAX_TARGET: usize = 4 * 4096;

/// How much larger a tree is than what is below it, for a look at each file there to be worth it.
const MUCH: usize = 4;

/// What a container sees of the layers.
#[derive(Debug)]
pub struct Files<'a> {
    seen: BTreeMap<&'a str, Seen<'a>>,
    /// By the path of a hard link: what it was made a name of, which may have lost its other names since.
    linked: BTreeMap<&'a str, Seen<'a>>,
    hidden: Vec<Hidden<'a>>,
    /// Whether nothing is unknown: each layer is known, and nothing in them lies below what is no directory, which
    /// every reader puts somewhere else.
    pub complete: bool,
}

/// A file, and the layer it is from.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The layer's number from the lowest, which is 0.
    pub layer: usize,
    /// What the layer has of it.
    pub member: &'a Member,
}

/// A file that a higher layer replaces or deletes.
#[derive(Clone, Copy, Debug)]
pub struct Hidden<'a> {
    /// The file.
    pub file: Seen<'a>,
    /// The higher layer.
    pub by: usize,
    /// Whether something else is there instead.
    pub replaced: bool,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
pub enum Leads<'a> {
    /// To this.
    To(Seen<'a>),
    /// To a directory that no layer has an entry for, as the root.
    Directory,
    /// To nothing.
    Nowhere,
    /// Round in a circle, or further than Linux follows.
    Astray,
}

/// A path that was followed from link to link.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// Where it leads.
    pub leads: Leads<'a>,
    /// The path of its end, without a slash in front, whether anything is there or not.
    pub end: String,
    /// Whether a `..` on it leads above the root, where the kernel stays.
    pub leaves_root: bool,
}

impl<'a> Files<'a> {
    /// The layers one above the other, the lowest first; `None` where nobody knows.
    pub fn of(surveys: &'a [Option<Survey>]) -> Files<'a> {
        let (seen, linked) = (BTreeMap::new(), BTreeMap::new());
        let mut files = Files { seen, linked, hidden: Vec::new(), complete: false };
        for (layer, survey) in surveys.iter().enumerate() {
            let Some(survey) = survey else { continue };
            if files.lay(layer, survey) {
                continue;
            }
            // A layer takes away what is below it, never what is its own.
            let whiteouts = survey.members.iter().filter(|member| member.name().starts_with(WHITEOUT));
            whiteouts.for_each(|whiteout| files.white_out(layer, whiteout));
            let others = survey.members.iter().filter(|member| !member.name().starts_with(WHITEOUT));
            others.for_each(|member| files.put(Seen { layer, member }));
        }
        files.complete = surveys.iter().all(Option::is_some) && files.is_tree();
        files.keep_linked();
        files
    }

    /// Puts a tree over what there is at one go, when it is far larger and takes nothing away.
    fn lay(&mut self, layer: usize, tree: &'a Survey) -> bool {
        let members = &tree.members;
        if !tree.from_tree || members.len() < MUCH * (self.seen.len() + 1) {
            return false;
        }
        if members.iter().any(|member| member.name().starts_with(WHITEOUT)) {
            return false;
        }
        let is_directory = |file: &Seen<'_>| file.member.kind == MemberKind::Directory;
        let file = |member: &'a Member| (member.path.as_str(), Seen { layer, member });
        let mut new: BTreeMap<_, _> = members.iter().map(file).collect();
        let stays = |(path, old): (&&str, &Seen<'a>)| {
            let mut dirs = std::iter::successors(parent(path), |dir| parent(dir));
            dirs.all(|dir| new.get(dir).is_none_or(is_directory))
                && new.get(path).is_none_or(|new| is_directory(new) && is_directory(old))
        };
        let is_clear = self.seen.iter().all(stays);
        if is_clear {
            std::mem::swap(&mut self.seen, &mut new);
            for (path, below) in new {
                self.seen.entry(path).or_insert(below);
            }
        }
        is_clear
    }

    fn white_out(&mut self, layer: usize, whiteout: &'a Member) {
        let (dir, name) = whiteout.path.rsplit_once('/').unwrap_or(("", &whiteout.path));
        if name == OPAQUE {
            self.hide_below(dir, layer);
            return;
        }
        // One that names nothing takes nothing away.
        let Some(name) = name.strip_prefix(WHITEOUT).filter(|name| !name.is_empty()) else { return };
        let path = if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        self.hide_below(&path, layer);
        if let Some(file) = self.seen.remove(path.as_str()) {
            self.hidden.push(Hidden { file, by: layer, replaced: false });
        }
    }

    fn put(&mut self, file: Seen<'a>) {
        let (path, kind) = (file.member.path.as_str(), &file.member.kind);
        let is_directory = *kind == MemberKind::Directory;
        // Nothing else takes the place of the root.
        if *kind == MemberKind::Outside || (path.is_empty() && !is_directory) {
            return;
        }
        if let MemberKind::HardLink(target) = kind {
            match self.named(target) {
                Some(inode) => self.linked.insert(path, inode),
                None => self.linked.remove(path),
            };
        }
        let old = self.seen.insert(path, file);
        // A directory that comes again keeps what is in it; all else takes the place of a whole tree. The lowest layer
        // has nothing below it.
        let was_directory = old.is_some_and(|old| old.member.kind == MemberKind::Directory);
        if !is_directory && (file.layer > 0 || was_directory) {
            self.hide_below(path, file.layer);
        }
        if let Some(old) = old
            && old.member.kind == MemberKind::File
            && old.layer < file.layer
        {
            self.hidden.push(Hidden { file: old, by: file.layer, replaced: true });
        }
    }

    /// Takes away what is below a directory. What the layer itself has there was replaced by the layer itself: that
    /// is no matter of layers.
    fn hide_below(&mut self, dir: &str, layer: usize) {
        let below: Vec<&'a str> = self.below(dir).map(|file| file.member.path.as_str()).collect();
        for path in below {
            if let Some(file) = self.seen.remove(path)
                && file.layer < layer
            {
                self.hidden.push(Hidden { file, by: layer, replaced: false });
            }
        }
    }

    /// What a hard link to this path becomes a name of, as the layers are so far.
    fn named(&self, path: &str) -> Option<Seen<'a>> {
        let by_link = || {
            let (dir, name) = path.rsplit_once('/')?;
            self.get(&format!("{}/{name}", self.way(dir).end))
        };
        let inode = self.inode(self.get(path).or_else(by_link)?)?;
        (inode.member.kind != MemberKind::Directory).then_some(inode)
    }

    /// Whether all that is below something is below a directory.
    fn is_tree(&self) -> bool {
        let mut before = "";
        self.seen.keys().all(|&path| {
            // The directories that the path before is in as well were looked at with that.
            let is_new = |dir: &&str| before.strip_prefix(*dir).is_none_or(|rest| !rest.starts_with('/'));
            let dirs = std::iter::successors(parent(path), |dir| parent(dir));
            let nearest = dirs.take_while(is_new).find_map(|dir| self.get(dir));
            before = path;
            nearest.is_none_or(|dir| dir.member.kind == MemberKind::Directory)
        })
    }

    /// A file that has lost a name is seen as long as a hard link is another name of it.
    fn keep_linked(&mut self) {
        let is_seen = |path: &str| {
            self.get(path).is_some_and(|file| matches!(file.member.kind, MemberKind::HardLink(_)))
        };
        let links = self.linked.iter().filter(|(path, _)| is_seen(path));
        let kept: BTreeSet<*const Member> = links.map(|(_, file)| std::ptr::from_ref(file.member)).collect();
        self.hidden.retain(|hidden| !kept.contains(&std::ptr::from_ref(hidden.file.member)));
    }

    /// What is at exactly this path, which has no slash at either end.
    pub fn get(&self, path: &str) -> Option<Seen<'a>> {
        self.seen.get(path).copied()
    }

    /// What this is a name of: of a hard link the file that it was made a name of, whatever became of the other names
    /// of that; of all else itself.
    pub fn inode(&self, file: Seen<'a>) -> Option<Seen<'a>> {
        match file.member.kind {
            MemberKind::HardLink(_) => self.linked.get(file.member.path.as_str()).copied(),
            _ => Some(file),
        }
    }

    /// All that a container sees, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = Seen<'a>> + '_ {
        self.seen.values().copied()
    }

    /// What is below this directory, which has no slash at either end.
    pub fn below(&self, dir: &str) -> impl Iterator<Item = Seen<'a>> + '_ {
        let start = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        // The root may have an entry, which is not below itself.
        let from = self.seen.range::<str, _>((Bound::Excluded(start.as_str()), Bound::Unbounded));
        from.take_while(move |(path, _)| path.starts_with(start.as_str())).map(|(_, file)| *file)
    }

    /// What is in the layers and seen by nobody.
    pub fn hidden(&self) -> &[Hidden<'a>] {
        &self.hidden
    }

    /// Where a path leads, links in its middle included; it may begin with a slash.
    pub fn resolve(&self, path: &str) -> Leads<'a> {
        self.way(path).leads
    }

    /// Follows a path as the kernel would; it may begin with a slash.
    pub fn way(&self, path: &str) -> Way<'a> {
        let mut ahead: Vec<&str> = path.rsplit('/').collect();
        let mut way = Way { leads: Leads::Directory, end: String::new(), leaves_root: false };
        let (mut names, mut links) = (0, 0);
        while let Some(part) = ahead.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    way.leaves_root |= way.end.is_empty();
                    way.end.truncate(way.end.rfind('/').unwrap_or(0));
                    if !matches!(way.leads, Leads::Nowhere) {
                        way.leads = self.get(&way.end).map_or(Leads::Directory, Leads::To);
                    }
                    continue;
                }
                _ => {}
            }
            names += 1;
            if names > MAX_NAMES {
                return Way { leads: Leads::Astray, ..way };
            }
            let dir = way.end.len();
            if dir > 0 {
                way.end.push('/');
            }
            way.end.push_str(part);
            if matches!(way.leads, Leads::Nowhere) {
                continue;
            }
            let Some(found) = self.get(&way.end) else {
                let is_parent = self.below(&way.end).next().is_some();
                way.leads = if is_parent { Leads::Directory } else { Leads::Nowhere };
                continue;
            };
            way.leads = Leads::To(found);
            match self.inode(found).map(|inode| &inode.member.kind) {
                Some(MemberKind::Symlink(target)) => {
                    links += 1;
                    if links > MAX_LINKS || target.len() > MAX_TARGET {
                        return Way { leads: Leads::Astray, ..way };
                    }
                    way.end.truncate(if target.starts_with('/') { 0 } else { dir });
                    way.leads = self.get(&way.end).map_or(Leads::Directory, Leads::To);
                    ahead.extend(target.rsplit('/'));
                }
                Some(MemberKind::Directory) => {}
                _ if ahead.iter().any(|part| !part.is_empty() && *part != ".") => way.leads = Leads::Nowhere,
                _ => {}
            }
        }
        way
    }

    /// The file that a path leads to, if it is one; of a hard link the one that it was made a name of.
    pub fn file(&self, path: &str) -> Option<Seen<'a>> {
        let Leads::To(found) = self.resolve(path) else { return None };
        self.inode(found).filter(|file| file.member.kind == MemberKind::File)
    }
}

/// The directory that a path is in, unless that is the root.
fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(dir, _)| dir)
}

#[cfg(test)]
mod tests;
