//! The layers one above the other: what a container sees, and what it never will.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use super::survey::{Member, MemberKind, Survey};

/// The names by which a layer takes away what is below it.
///
/// <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// As many links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// What a container sees of the layers.
#[derive(Debug)]
pub struct Files<'a> {
    seen: BTreeMap<&'a str, Seen<'a>>,
    hidden: Vec<Hidden<'a>>,
    /// Whether nothing is unknown.
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
    /// Beyond the root by way of `..`, or round in a circle.
    Astray,
}

impl<'a> Files<'a> {
    /// The layers one above the other, the lowest first; `None` where nobody knows.
    pub fn of(surveys: &'a [Option<Survey>]) -> Files<'a> {
        let complete = surveys.iter().all(Option::is_some);
        let mut files = Files { seen: BTreeMap::new(), hidden: Vec::new(), complete };
        for (layer, survey) in surveys.iter().enumerate() {
            let Some(survey) = survey else { continue };
            // A layer takes away what is below it, never what is its own.
            let whiteouts = survey.members.iter().filter(|member| member.name().starts_with(WHITEOUT));
            whiteouts.for_each(|whiteout| files.white_out(layer, whiteout));
            let others = survey.members.iter().filter(|member| !member.name().starts_with(WHITEOUT));
            others.for_each(|member| files.put(Seen { layer, member }));
        }
        files
    }

    fn white_out(&mut self, layer: usize, whiteout: &'a Member) {
        let (dir, name) = whiteout.path.rsplit_once('/').unwrap_or(("", &whiteout.path));
        let at = |name: &str| if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") };
        if name == OPAQUE {
            self.hide_below(dir, layer);
        } else if let Some(name) = name.strip_prefix(WHITEOUT) {
            let path = at(name);
            self.hide_below(&path, layer);
            if let Some(file) = self.seen.remove(path.as_str()) {
                self.hidden.push(Hidden { file, by: layer, replaced: false });
            }
        }
    }

    fn put(&mut self, file: Seen<'a>) {
        let path = file.member.path.as_str();
        if file.member.kind == MemberKind::Outside {
            return;
        }
        // A directory that comes again keeps what is in it; all else takes the place of a whole tree. The lowest layer
        // has nothing below it.
        if file.member.kind != MemberKind::Directory && file.layer > 0 {
            self.hide_below(path, file.layer);
        }
        match self.seen.entry(path) {
            Entry::Vacant(place) => drop(place.insert(file)),
            Entry::Occupied(mut place) => {
                let old = place.insert(file);
                if old.member.kind == MemberKind::File && old.layer != file.layer {
                    self.hidden.push(Hidden { file: old, by: file.layer, replaced: true });
                }
            }
        }
    }

    fn hide_below(&mut self, dir: &str, layer: usize) {
        let start = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let bounds = (Bound::Included(start.as_str()), Bound::Unbounded);
        let below = self.seen.range::<str, _>(bounds).take_while(|(path, _)| path.starts_with(&start));
        let below: Vec<&str> = below.filter(|(_, file)| file.layer < layer).map(|(path, _)| *path).collect();
        for path in below {
            if let Some(file) = self.seen.remove(path) {
                self.hidden.push(Hidden { file, by: layer, replaced: false });
            }
        }
    }

    /// What is at exactly this path, which has no slash at either end.
    pub fn get(&self, path: &str) -> Option<Seen<'a>> {
        self.seen.get(path).copied()
    }

    /// All that a container sees, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = Seen<'a>> + '_ {
        self.seen.values().copied()
    }

    /// What is below this directory, which has no slash at either end.
    pub fn below(&self, dir: &str) -> impl Iterator<Item = Seen<'a>> + '_ {
        let start = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let from = self.seen.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
        let from: Vec<_> =
            from.take_while(|(path, _)| path.starts_with(&start)).map(|(_, file)| *file).collect();
        from.into_iter()
    }

    /// What is in the layers and seen by nobody.
    pub fn hidden(&self) -> &[Hidden<'a>] {
        &self.hidden
    }

    /// Follows a path as the kernel would, links in its middle included; the path may begin with a slash.
    pub fn resolve(&self, path: &str) -> Leads<'a> {
        let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut place: Vec<String> = Vec::new();
        let (mut links, mut last) = (0, None);
        while let Some(part) = ahead.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    // At the root, the kernel stays there; what counts on that is not of this image.
                    if place.pop().is_none() {
                        return Leads::Astray;
                    }
                    last = self.get(&place.join("/"));
                    continue;
                }
                _ => place.push(part),
            }
            let here = place.join("/");
            last = self.get(&here);
            let Some(found) = last else {
                let is_parent = self.seen.range::<str, _>((Bound::Included(here.as_str()), Bound::Unbounded));
                let is_parent = is_parent.take(1).any(|(path, _)| path.starts_with(&format!("{here}/")));
                if is_parent {
                    continue;
                }
                return Leads::Nowhere;
            };
            match &found.member.kind {
                MemberKind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Leads::Astray;
                    }
                    place.pop();
                    if target.starts_with('/') {
                        place.clear();
                    }
                    ahead.extend(target.rsplit('/').map(str::to_owned));
                }
                MemberKind::Directory => {}
                _ if ahead.iter().any(|part| !part.is_empty() && part != ".") => return Leads::Nowhere,
                _ => {}
            }
        }
        last.map_or(Leads::Directory, Leads::To)
    }

    /// The file that a path leads to, if it is one.
    pub fn file(&self, path: &str) -> Option<Seen<'a>> {
        match self.resolve(path) {
            Leads::To(found) => match &found.member.kind {
                MemberKind::File => Some(found),
                MemberKind::HardLink(target) => {
                    self.get(target).filter(|file| file.member.kind == MemberKind::File)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Compression, Digest};

    /// A layer of these members: `a/` is a directory, `a -> b` a link.
    fn layer(members: &[&str]) -> Option<Survey> {
        let member = |&text: &&str| {
            let (path, kind) = match text.split_once(" -> ") {
                Some((path, target)) => (path, MemberKind::Symlink(target.to_owned())),
                None if text.ends_with('/') => (text.trim_end_matches('/'), MemberKind::Directory),
                None => (text, MemberKind::File),
            };
            let path = path.to_owned();
            Member { path, kind, mode: 0o644, uid: 0, gid: 0, size: 1, mtime: 0, sha256: None, content: None }
        };
        let members = members.iter().map(member).collect();
        Some(Survey { diff_id: Digest::of(b""), uncompressed: 0, compression: Compression::Gzip, members })
    }

    fn seen(layers: &[Option<Survey>]) -> Vec<String> {
        Files::of(layers).iter().map(|file| format!("{}{}", file.layer, file.member.path)).collect()
    }

    #[test]
    fn higher_layers_replace_and_delete() {
        let layers = [
            layer(&["a/", "a/b", "a/c", "d/e"]),
            layer(&["a/c", "a/.wh.b"]),
            layer(&["d/f", "d/.wh..wh..opq"]),
        ];
        assert_eq!(seen(&layers), ["0a", "1a/c", "2d/f"]);
        let files = Files::of(&layers);
        let hidden: Vec<_> = files
            .hidden()
            .iter()
            .map(|file| (file.file.member.path.as_str(), file.by, file.replaced))
            .collect();
        assert_eq!(hidden, [("a/b", 1, false), ("a/c", 1, true), ("d/e", 2, false)]);
    }

    #[test]
    fn a_file_in_place_of_a_directory_hides_what_was_in_it() {
        assert_eq!(seen(&[layer(&["a/", "a/b"]), layer(&["a"])]), ["1a"]);
        assert_eq!(seen(&[layer(&["a/", "a/b"]), layer(&["a/", "a/c"])]), ["1a", "0a/b", "1a/c"]);
    }

    #[test]
    fn links_are_followed_as_the_kernel_would() {
        let layers = [layer(&[
            "bin -> usr/bin",
            "usr/bin/sh",
            "usr/bin/bash -> /bin/sh",
            "up -> ../../x",
            "round -> round",
            "dead -> none",
        ])];
        let files = Files::of(&layers);
        assert!(files.file("/bin/bash").is_some_and(|found| found.member.path == "usr/bin/sh"));
        assert!(files.file("/bin/sh/x").is_none() && matches!(files.resolve("/usr"), Leads::Directory));
        assert!(
            matches!(files.resolve("/up"), Leads::Astray) && matches!(files.resolve("round"), Leads::Astray)
        );
        assert!(matches!(files.resolve("dead"), Leads::Nowhere));
        assert!(files.complete && !Files::of(&[None]).complete);
    }
}
