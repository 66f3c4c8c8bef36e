//! The files of an image that a source names.

use super::context::join;
use super::gather::Excluded;
use super::pattern::SourcePath;
use crate::error::{Error, Result};
use crate::recipe::{Base, Origin};
use crate::source::image::{ImageView, Selection};
use crate::tree::{Member, Resolved, Seen, Target};

/// A source of a `COPY --from`, with the flags that decide the paths of its files.
pub(super) struct ImageSource<'s> {
    pub image: &'s Base,
    pub text: &'s str,
    pub parents: bool,
    pub excluded: &'s Excluded,
    pub origin: &'s Origin,
}

/// The entries that were selected.
pub(super) struct Picked {
    pub selection: Selection,
    /// The name of each file that was named, and `None` for each directory.
    pub names: Vec<Option<Vec<u8>>>,
}

/// The path of a source that names one file or directory as it is; `None` for a pattern, and for a path with `..`.
pub(super) fn plain_path(source: &str) -> Option<&[u8]> {
    let path = source.trim_start_matches('/');
    let is_plain = !path.contains(['*', '?', '[', '\\']);
    let are_names = path.split('/').all(|name| !["", ".", ".."].contains(&name));
    (is_plain && are_names).then_some(path.as_bytes())
}

/// The entry for exactly this path in the topmost of these layers that has one.
pub(super) fn newest<'l>(path: &[u8], upper: &'l [Vec<Member<u64>>]) -> Option<&'l Member<u64>> {
    // An archive may have two entries for a path: the later one is the file.
    upper.iter().find_map(|members| members.iter().rev().find(|member| member.path.as_bytes() == path))
}

/// Whether the upper layers of an image, the topmost first, decide what is at a path: it is a file, and no directory above
/// it can be a link of a layer further down.
pub(super) fn is_settled(path: &[u8], upper: &[Vec<Member<u64>>]) -> bool {
    let mut above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end]);
    newest(path, upper).is_some_and(Member::is_file)
        && above.all(|directory| newest(directory, upper).is_some_and(Member::is_directory))
}

impl ImageSource<'_> {
    /// Selects the files, at their paths below the target.
    pub fn pick(&self, of: &ImageView<'_>) -> Result<Picked> {
        let path = SourcePath::parse(self.text, self.parents, self.origin)?;
        let mut picked = Picked { selection: Selection::default(), names: Vec::new() };
        let pivot = of.view.resolve(&path.pivot).path.as_bytes().to_vec();
        let start = join(&pivot, &path.literal);
        if path.wild.is_empty() {
            self.take(of, &pivot, &path.literal, &mut picked)?;
            return Ok(picked);
        }
        let Resolved { target, path: start, .. } = of.view.resolve(&start);
        if matches!(target, Target::Nothing | Target::Loop) {
            return Ok(picked);
        }
        let start = start.as_bytes();
        let skipped = if start.is_empty() { 0 } else { start.len() + 1 };
        let matching = of.view.below(start).map(|file| &file.member.path.as_bytes()[skipped..]);
        for name in matching.filter(|name| path.matches(name)) {
            let named = join(&path.literal, name);
            match self.parents {
                true => self.take(of, &pivot, &named, &mut picked)?,
                false => self.take(of, start, name, &mut picked)?,
            }
        }
        Ok(picked)
    }

    /// Selects one file or directory: the path `named` below `dir`.
    fn take(&self, of: &ImageView<'_>, dir: &[u8], named: &[u8], picked: &mut Picked) -> Result<()> {
        let Resolved { target, path: end, .. } = of.view.resolve(join(dir, named));
        let end = end.as_bytes();
        let directory = match target {
            Target::Nothing | Target::Loop => return Err(self.missing()),
            Target::Entry(file) if !file.member.is_directory() => {
                let name = named.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                if self.excluded.leaves_out(name) {
                    return Ok(());
                }
                let place = if self.parents { named } else { name };
                self.take_parents(of, dir, named, picked);
                picked.selection.take(of, place.to_vec(), file);
                picked.names.push(Some(name.to_vec()));
                return Ok(());
            }
            Target::Entry(found) => Some(found),
            Target::Directory => None,
        };
        let prefix = if self.parents { named } else { b"" };
        self.take_parents(of, dir, named, picked);
        if let (Some(directory), false) = (directory, prefix.is_empty()) {
            picked.selection.take(of, prefix.to_vec(), directory);
        }
        let skipped = if end.is_empty() { 0 } else { end.len() + 1 };
        let files: Vec<(&[u8], Seen<'_, u64>)> =
            of.view.below(end).map(|file| (&file.member.path.as_bytes()[skipped..], file)).collect();
        let kept = self.excluded.kept(files.iter().map(|(path, file)| (*path, file.member.is_directory())));
        for (path, file) in files {
            if kept.as_ref().is_none_or(|kept| kept.contains(path)) {
                picked.selection.take(of, join(prefix, path), file);
            }
        }
        picked.names.push(None);
        Ok(())
    }

    /// With `--parents`, the directories above the path.
    fn take_parents(&self, of: &ImageView<'_>, dir: &[u8], named: &[u8], picked: &mut Picked) {
        if !self.parents {
            return;
        }
        for slash in (0..named.len()).filter(|&at| named[at] == b'/') {
            if let Target::Entry(parent) = of.view.resolve(join(dir, &named[..slash])).target {
                picked.selection.take(of, named[..slash].to_vec(), parent);
            }
        }
    }

    fn missing(&self) -> Error {
        let hint = match self.image {
            Base::Stage(_) => None,
            image => Some(format!("`lbuild inspect {image} --tree` lists its files")),
        };
        let word = self.text.trim_start_matches('/');
        self.origin.failed_at(word, format!("`{}` does not exist in {}", self.text, self.image), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, EntryKind, ImagePath};

    fn layer(members: &[(&str, EntryKind<u64>)]) -> Vec<Member<u64>> {
        let member = |(path, kind): &(&str, EntryKind<u64>)| Member {
            path: ImagePath::new(path.as_bytes()),
            mtime: 0,
            entry: Entry::new(kind.clone(), 0o755),
        };
        members.iter().map(member).collect()
    }

    #[test]
    fn a_path_is_settled_when_nothing_further_down_can_change_it() {
        let (dir, file, link) = (EntryKind::Directory, EntryKind::File(1), EntryKind::Symlink(b"x".to_vec()));
        let of = |layers: &[&[(&str, EntryKind<u64>)]], path: &str| {
            let layers: Vec<_> = layers.iter().map(|members| layer(members)).collect();
            is_settled(path.as_bytes(), &layers)
        };
        assert!(of(&[&[("a", file.clone())]], "a"));
        assert!(of(&[&[("d", dir.clone()), ("d/a", file.clone())]], "d/a"));
        assert!(of(&[&[("d/a", file.clone())], &[("d", dir.clone())]], "d/a"));
        // the directory above it may be a link in a layer below
        assert!(!of(&[&[("d/a", file.clone())]], "d/a"));
        assert!(!of(&[&[("d", link.clone())], &[("d", dir.clone()), ("d/a", file.clone())]], "d/a"));
        assert!(!of(&[&[("a", EntryKind::Whiteout)], &[("a", file.clone())]], "a"));
        assert!(!of(&[&[("a", dir), ("b", link)]], "a") && !of(&[], "a"));
    }

    #[test]
    fn patterns_and_detours_are_not_plain() {
        for source in ["/a*", "a/../b", "./a", "/", "a/", "a//b", "[a]"] {
            assert_eq!(plain_path(source), None, "{source}");
        }
        assert_eq!(plain_path("/usr/bin/a b"), Some(&b"usr/bin/a b"[..]));
    }
}
