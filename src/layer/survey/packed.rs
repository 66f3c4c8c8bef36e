//! What a layer holds that was made here: its tree tells, and no layer is unpacked for it.

use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Annotate, Content, Member, MemberKind, Survey, Wanted, spool, text, told};
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::layer::tar;
use crate::tree::{self, Entry, EntryKind, FileTree, Stat};

/// Entries of which one thread makes quick work.
const LEAST: usize = 4000;

/// What the files of a layer told, by the members' numbers: whatever tree the layer was made of, these are the same.
pub(crate) type Told = Vec<(usize, Content)>;

impl Survey {
    /// What the layer of a tree holds, without reading the layer: of the files, those are looked into that may be
    /// machine code or scripts by their names and permissions, or that `annotator` wants to see. Members of archives
    /// are not. Also what may be kept of it: nothing, unless each of those files was there, and still what the tree has.
    pub(crate) fn of_tree(
        tree: &FileTree,
        diff_id: Digest,
        annotator: &dyn Annotate,
    ) -> Result<(Survey, Option<Told>)> {
        let is_sure = AtomicBool::new(true);
        let entries = tar::entries(tree)?;
        let members = members(&entries, |_, member, entry| look_into(member, entry, annotator, &is_sure));
        let told = is_sure.into_inner().then(|| {
            let members = members.iter().enumerate();
            members.filter_map(|(number, member)| Some((number, *member.content.clone()?))).collect()
        });
        Ok((Survey::packed(members, diff_id), told))
    }

    /// The same of a layer that was looked into before. No file is opened.
    ///
    /// # Errors
    /// [`Error::ImagePath`](crate::Error::ImagePath) for a tree that is no layer.
    pub(crate) fn of_known_tree(
        tree: &FileTree,
        diff_id: Digest,
        told: &[(usize, Content)],
    ) -> Result<Survey> {
        let members = members(&tar::entries(tree)?, |number, _, _| {
            let at = told.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            Some(told[at].1.clone())
        });
        Ok(Survey::packed(members, diff_id))
    }

    fn packed(members: Vec<Member>, diff_id: Digest) -> Survey {
        let packed = |member: &Member| (tar::BLOCK + tar::padding(member.size)) as u64 + member.size;
        let uncompressed = tar::END.len() as u64 + members.iter().map(packed).sum::<u64>();
        Survey { diff_id, uncompressed, compression: Compression::Gzip, members, from_tree: true }
    }
}

/// What the writer makes of the entries, by all cores, with the content that each tells.
fn members(
    entries: &[(&[u8], &Entry)],
    content: impl Fn(usize, &Member, &Entry) -> Option<Content> + Sync,
) -> Vec<Member> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = entries.len().div_ceil(threads).max(LEAST);
    let look = |number: usize, (path, entry): &(&[u8], &Entry)| {
        let mut member = Member::of_entry(path, entry);
        member.content = content(number, &member, entry).map(Box::new);
        member
    };
    let mut members = Vec::with_capacity(entries.len());
    std::thread::scope(|scope| {
        let look = &look;
        let parts = entries.chunks(size).enumerate().map(|(number, part)| {
            let part = part.iter().enumerate().map(move |(at, entry)| look(number * size + at, entry));
            scope.spawn(move || part.collect::<Vec<Member>>())
        });
        // All begin before the first is waited for.
        for part in parts.collect::<Vec<_>>() {
            members.append(&mut part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    members
}

impl Member {
    /// What the writer makes of a tree's entry.
    fn of_entry(path: &[u8], entry: &Entry) -> Member {
        let (kind, size) = match &entry.kind {
            EntryKind::File(content) => (MemberKind::File, content.size()),
            EntryKind::Directory => (MemberKind::Directory, 0),
            EntryKind::Symlink(target) => (MemberKind::Symlink(text(target)), 0),
            EntryKind::HardLink(target) => (MemberKind::HardLink(text(target)), 0),
            EntryKind::Device(_) => (MemberKind::Special, 0),
            EntryKind::Whiteout | EntryKind::Opaque => (MemberKind::File, 0),
        };
        let sha256 = match &entry.kind {
            EntryKind::File(tree::Content::File(file)) => file.sha256,
            _ => None,
        };
        Member {
            path: text(path),
            kind,
            mode: entry.mode,
            uid: 0,
            gid: 0,
            size,
            mtime: 0,
            sha256,
            content: None,
        }
    }
}

/// What the content of an entry tells, if anybody wants to know it.
fn look_into(
    member: &Member,
    entry: &Entry,
    annotator: &dyn Annotate,
    is_sure: &AtomicBool,
) -> Option<Content> {
    let EntryKind::File(source) = &entry.kind else { return None };
    let wanted = annotator.wants(&member.path);
    if wanted == Wanted::Nothing && member.mode & 0o111 == 0 && !is_library(&member.path) {
        return None;
    }
    let limit = spool::beginning(wanted);
    match source {
        tree::Content::Bytes(bytes) => {
            let head = &bytes[..bytes.len().min(limit as usize)];
            told(annotator, wanted, &member.path, head, &mut Cursor::new(bytes))
        }
        tree::Content::File(file) => {
            let read = || {
                let mut open = File::open(&file.path)?;
                let mut head = Vec::new();
                (&mut open).take(limit).read_to_end(&mut head)?;
                let content = told(annotator, wanted, &member.path, &head, &mut open);
                std::io::Result::Ok((content, file.is_still(Stat::from(&open.metadata()?))))
            };
            let (content, is_same) = read().unwrap_or_default();
            is_sure.fetch_and(is_same, Relaxed);
            content
        }
        tree::Content::Zip(_) => {
            is_sure.store(false, Relaxed);
            None
        }
    }
}

/// Whether a program would load the file, by its name.
fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.ends_with(".node") || path.contains(".so.")
}
