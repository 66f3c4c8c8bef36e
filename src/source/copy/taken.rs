//! The files that one source of a context gives.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use super::context::{ContextFiles, Selected, join};
use super::gather::Excluded;
use super::mode;
use crate::error::Result;
use crate::source::directory::{self, Fingerprints, Memory};
use crate::source::part::Context;
use crate::threads;
use crate::tree::{Content, Entry, EntryKind, FileTree};

/// The files of one source, at their paths below the target.
pub(super) struct Taken {
    pub tree: FileTree,
    /// The name of a single file.
    pub name: Option<Vec<u8>>,
    pub memory: Option<Memory>,
    /// Whether the files are those of an archive.
    pub unpacked: bool,
}

impl Taken {
    /// A directory, without what the patterns leave out.
    pub fn directory(
        files: &ContextFiles,
        selected: &Selected,
        parents: bool,
        excluded: &Excluded,
        stat_dir: PathBuf,
        jobs: usize,
    ) -> Result<Taken> {
        let began = SystemTime::now();
        let root = files.on_disk(&selected.real);
        let load = || Fingerprints::load(&stat_dir, &root);
        let (mut known, found) = threads::both(load, || files.tree(selected, jobs));
        let mut found = found?;
        directory::recall(&mut found, &root, &mut known);
        let prefix: &[u8] = if parents { &selected.named } else { b"" };
        let mut tree = FileTree::new();
        if !prefix.is_empty() {
            parents_of(prefix, &mut tree)?;
            tree.insert(prefix, Entry::directory())?;
        }
        let kept = excluded.kept(found.iter().map(|(path, entry)| (path, entry.is_directory())));
        let kept: Option<HashSet<Vec<u8>>> = kept.map(|kept| kept.into_iter().map(<[u8]>::to_vec).collect());
        let entries =
            found.into_iter().filter(|(path, _)| kept.as_ref().is_none_or(|kept| kept.contains(path)));
        tree.extend(FileTree::of(entries.map(|(path, entry)| (join(prefix, &path), entry)))?);
        Ok(Taken { tree, name: None, memory: Some(Memory { root, known, began }), unpacked: false })
    }
}

/// Gives the files of a context modes that do not depend on a umask. Collects those that lose or gain more than that.
pub(super) fn normalise(tree: &mut FileTree, changed: &mut Vec<(PathBuf, u32)>) {
    for (_, entry) in tree.iter_mut() {
        if let EntryKind::File(Content::File(file)) = &entry.kind {
            let (mode, is_change) = mode::of_context(entry.mode);
            if is_change {
                changed.push((file.path.clone(), entry.mode));
            }
            entry.mode = mode;
        }
    }
}

/// Says once which modes of files change.
pub(super) fn tell_of_modes(changed: &[(PathBuf, u32)], context: &Context) {
    let Some((first, mode)) = changed.first() else { return };
    if context.told_of_modes.swap(true, Relaxed) {
        return;
    }
    let others = match changed.len() {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    let message = format!(
        "files get the mode 0644, or 0755 if they are executable, whatever it is here: {} ({mode:04o}){others}",
        first.display()
    );
    context.events.warn(message, Some("set another with COPY --chmod"));
}

/// Adds the directories above a path.
pub(super) fn parents_of(path: &[u8], tree: &mut FileTree) -> Result<()> {
    for slash in (0..path.len()).filter(|&at| path[at] == b'/') {
        tree.insert(&path[..slash], Entry::directory())?;
    }
    Ok(())
}
