//! Decides which entries of directories the layers of an image lack, by the rules of `lbuild check`.

use std::collections::{BTreeSet, HashMap};

use crate::layer::Completion;
use crate::scan::{LayerScan, NoFact, ScannedFile, view};
use crate::tree::{Entry, ImagePath, MOST_FAULTS, Member, Paths, View, faults_of_directories};

type Scan = LayerScan<NoFact>;
type File = ScannedFile<NoFact>;

/// Upper bound on the bytes of the paths that are put into the layers of an image: hostile layers of some hundred bytes can
/// lack directories with paths of megabytes.
const MOST_BYTES: usize = 16 << 20;

/// The entries that each layer lacks, the lowest first. `epoch` is the time of directories without an entry, which get the
/// mode and the owner that container engines create them with. An unknown layer may have any directory, so nothing is added
/// to it and to the layers above it.
pub(super) fn completions(scans: &[Option<Scan>], epoch: u64) -> Vec<Completion> {
    let known: Vec<&Scan> = scans.iter().map_while(Option::as_ref).collect();
    let paths: Vec<Paths<'_, File>> = known.iter().map(|scan| Paths::of(&scan.members)).collect();
    let mut links = Links::new(scans);
    let mut added: BTreeSet<ImagePath> = BTreeSet::new();
    let (mut all, mut bytes) = (vec![Completion::default(); scans.len()], 0);
    for (number, (scan, listed)) in known.iter().zip(&paths).enumerate() {
        let is_below = |path: &str| {
            added.contains(&ImagePath::from(path)) || paths[..number].iter().any(|lower| lower.contains(path))
        };
        let faults = faults_of_directories(&scan.members, listed, is_below);
        let lengths = faults.keys().map(|path| path.len());
        bytes += lengths.chain(listed.repeated_directories().map(|path| path.len())).sum::<usize>();
        // The check reports them.
        if faults.len() > MOST_FAULTS || bytes > MOST_BYTES {
            break;
        }
        let mut directories = Directories { completion: Completion::default(), scan, listed };
        for (text, fault) in &faults {
            let path = upper_part(&fault.member.path, text);
            if !links.lead_to(path) {
                directories.put(&ImagePath::new(path), Some((fault.position, epoch)));
            }
        }
        listed.repeated_directories().for_each(|path| directories.put(path, None));
        let mut completion = directories.completion;
        for entries in completion.before.values_mut() {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            added.extend(entries.iter().map(|entry| entry.path.clone()));
        }
        all[number] = completion;
    }
    all
}

/// The directories that are put into a layer.
struct Directories<'a> {
    completion: Completion,
    scan: &'a Scan,
    listed: &'a Paths<'a, File>,
}

impl Directories<'_> {
    /// Puts the entry of a directory to a position of the layer and with a time, if it is missing there, else to the place of
    /// its first entry. The layer's own entries of it are left out; the last of them is the one that engines leave on disk.
    fn put(&mut self, path: &ImagePath, missing: Option<(usize, u64)>) {
        let own: Vec<usize> = self.listed.entries(path.as_str()).collect();
        // Which of several kinds of entries a path has is for the user to decide.
        let is_directory = |at: &usize| {
            let member = &self.scan.members[*at];
            member.is_directory() && member.path == *path
        };
        if !own.iter().all(is_directory) {
            return;
        }
        let entry = match (own.last(), missing) {
            (Some(last), _) => self.scan.members[*last].clone().map_content(|_| ()),
            (None, Some((_, epoch))) => {
                Member { path: path.clone(), entry: Entry::directory(), mtime: epoch }
            }
            (None, None) => return,
        };
        let Some(place) = missing.map(|(position, _)| position).or(own.first().copied()) else { return };
        // A directory that is both late and repeated is put in once.
        if own.first().is_some_and(|first| !self.completion.without.insert(*first)) {
            return;
        }
        self.completion.without.extend(own);
        self.completion.before.entry(place).or_default().push(entry);
    }
}

/// The bytes of the directory of a member whose printable path is `text`.
fn upper_part<'m>(member: &'m ImagePath, text: &str) -> &'m [u8] {
    let bytes = member.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
    let end = ends.chain([bytes.len()]).nth(text.bytes().filter(|byte| *byte == b'/').count());
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Tells which paths are reached through symbolic links, as the check does: the entry of such a directory is at the link's
/// target, and one for it would change what is there.
struct Links<'a> {
    scans: &'a [Option<Scan>],
    /// The image, once a directory is missing.
    view: Option<View<'a, File>>,
    /// For directories that were looked at.
    known: HashMap<&'a [u8], bool>,
}

impl<'a> Links<'a> {
    fn new(scans: &'a [Option<Scan>]) -> Links<'a> {
        Links { scans, view: None, known: HashMap::new() }
    }

    /// Whether a directory above this path is a link.
    fn lead_to(&mut self, path: &'a [u8]) -> bool {
        let view = self.view.get_or_insert_with(|| view(self.scans));
        let (mut unknown, mut dir, mut found) = (Vec::new(), path, false);
        while let Some(end) = dir.iter().rposition(|byte| *byte == b'/') {
            dir = &dir[..end];
            if let Some(known) = self.known.get(dir) {
                found = *known;
                break;
            }
            unknown.push(dir);
        }
        // From the top down.
        for dir in unknown.into_iter().rev() {
            found = found || view.get(dir).is_some_and(|entry| entry.member.is_symlink());
            self.known.insert(dir, found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Compression, Digest};
    use crate::tree::EntryKind;

    fn member(path: &[u8], entry: Entry<File>) -> Member<File> {
        Member { path: ImagePath::new(path), entry, mtime: 5 }
    }

    fn file(path: &str) -> Member<File> {
        member(path.as_bytes(), Entry::new(EntryKind::File(File::new(0, None)), 0o644))
    }

    fn directory(path: &str, mode: u32) -> Member<File> {
        member(path.as_bytes(), Entry::new(EntryKind::Directory, mode))
    }

    fn layer(members: Vec<Member<File>>) -> Option<Scan> {
        let (diff_id, compression) = (Digest::of(b""), Compression::Gzip);
        Some(Scan { diff_id, uncompressed: 0, stored: 0, compression, members, from_tree: false })
    }

    /// The entries that are put in as `position path mode time`, and the positions that are left out.
    fn said(completion: &Completion) -> (Vec<String>, Vec<usize>) {
        let before = completion.before.iter().flat_map(|(position, entries)| {
            entries.iter().map(move |Member { path, entry, mtime }| {
                format!("{position} {} {:o} {mtime}", path.escape_debug(), entry.mode)
            })
        });
        (before.collect(), completion.without.iter().copied().collect())
    }

    fn of(layers: Vec<Option<Scan>>) -> Vec<(Vec<String>, Vec<usize>)> {
        completions(&layers, 9).iter().map(said).collect()
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn missing_directories_come_before_the_first_entry_in_them() {
        let one = layer(vec![file("x"), file("a/b/c"), file("a/d"), file("e/f")]);
        let above = layer(vec![file("a/b/g"), file("a/h/i")]);
        let expected =
            [(lines(&["1 a 755 9", "1 a/b 755 9", "3 e 755 9"]), vec![]), (lines(&["1 a/h 755 9"]), vec![])];
        assert_eq!(
            of(vec![one, above]),
            expected,
            "the second layer needs what the first one has not either"
        );
    }

    #[test]
    fn late_and_repeated_directories_are_moved() {
        let late =
            vec![file("a/b/c"), directory("a/b", 0o700), directory("a", 0o711), directory("a/b", 0o750)];
        assert_eq!(of(vec![layer(late)]), [(lines(&["0 a 711 5", "0 a/b 750 5"]), vec![1, 2, 3])]);
        let again = vec![directory("a", 0o700), directory("b", 0o700), file("a/x"), directory("a", 0o755)];
        assert_eq!(of(vec![layer(again)]), [(lines(&["0 a 755 5"]), vec![0, 3])]);
    }

    #[test]
    fn entries_of_other_kinds_stay_as_they_are() {
        let odd = vec![file("a/b"), file("a"), directory("c", 0o755), file("c")];
        assert_eq!(of(vec![layer(odd)]), [(vec![], vec![])]);
        let unclear = vec![directory("a", 0o755), directory("a", 0o700), file("a")];
        assert_eq!(of(vec![layer(unclear)]), [(vec![], vec![])]);
    }

    #[test]
    fn a_link_is_not_replaced() {
        let link = member(b"lib", Entry::symlink("usr/lib"));
        let below = layer(vec![directory("usr", 0o755), directory("usr/lib", 0o755), link]);
        let above = layer(vec![file("lib/x/y"), file("opt/z")]);
        let nothing = (vec![], vec![]);
        assert_eq!(of(vec![below, above]), [nothing, (lines(&["1 opt 755 9"]), vec![])]);
    }

    #[test]
    fn nothing_is_known_above_an_unknown_layer() {
        let faulty = || layer(vec![file("a/b")]);
        let nothing = (vec![], vec![]);
        let expected = [(lines(&["0 a 755 9"]), vec![]), nothing.clone(), nothing];
        assert_eq!(of(vec![faulty(), None, layer(vec![file("c/d")])]), expected);
    }

    #[test]
    fn paths_keep_bytes_that_are_not_text() {
        let found = completions(&[layer(vec![member(b"a\xff/b/c", file("x").entry)])], 9);
        let paths: Vec<&[u8]> = found[0].directories().map(|entry| entry.path.as_bytes()).collect();
        assert_eq!(paths, [&b"a\xff"[..], b"a\xff/b"]);
    }
}
