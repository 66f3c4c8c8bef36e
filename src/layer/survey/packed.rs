//! What a layer holds that was made here: its tree tells, and no layer is unpacked for it.

use std::fs::File;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use super::{Annotate, Content, Member, MemberKind, Survey, Wanted, spool, text, told};
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::layer::tar;
use crate::layer::tree::{self, Entry, FileTree, Kind, Stat};

/// Entries of which one thread makes quick work.
const LEAST: usize = 4000;

/// What a tree's layer told that its paths and permissions do not: with it, no file is opened again, and no directory
/// looked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What was found in files, by the entries' numbers in the tree.
    contents: Vec<(usize, Content)>,
    /// The directories that the tree leaves out, by their numbers in the layer.
    parents: Vec<(usize, String)>,
}

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
        let told = is_sure.into_inner().then(|| Told::of(tree, &entries, &members));
        Ok((Survey::packed(members, diff_id), told))
    }

    /// The same of a tree whose layer was looked into before.
    pub(crate) fn of_known_tree(tree: &FileTree, diff_id: Digest, told: &Told) -> Survey {
        let entries: Vec<_> = tree.iter().collect();
        let mut members = members(&entries, |number, _, _| {
            let at = told.contents.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            Some(told.contents[at].1.clone())
        });
        if !told.parents.is_empty() {
            let mut rest = std::mem::take(&mut members).into_iter();
            for (number, path) in &told.parents {
                members.extend(rest.by_ref().take(number.saturating_sub(members.len())));
                members.push(Member::of_entry(path.as_bytes(), &tar::PARENT));
            }
            members.extend(rest);
        }
        Survey::packed(members, diff_id)
    }

    fn packed(members: Vec<Member>, diff_id: Digest) -> Survey {
        let packed = |member: &Member| (tar::BLOCK + tar::padding(member.size)) as u64 + member.size;
        let uncompressed = tar::END.len() as u64 + members.iter().map(packed).sum::<u64>();
        Survey { diff_id, uncompressed, compression: Compression::Gzip, members, from_tree: true }
    }
}

impl Told {
    fn of(tree: &FileTree, entries: &[(&[u8], &Entry)], members: &[Member]) -> Told {
        let mut told = Told { contents: Vec::new(), parents: Vec::new() };
        let is_whole = entries.len() == tree.len();
        for (number, (member, (path, _))) in members.iter().zip(entries).enumerate() {
            if !is_whole && tree.get(path).is_none() {
                told.parents.push((number, member.path.clone()));
            } else if let Some(content) = &member.content {
                told.contents.push((number - told.parents.len(), Content::clone(content)));
            }
        }
        told
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
            Kind::File(content) => (MemberKind::File, content.size()),
            Kind::Directory => (MemberKind::Directory, 0),
            Kind::Symlink(target) => (MemberKind::Symlink(text(target)), 0),
        };
        let sha256 = match &entry.kind {
            Kind::File(tree::Content::File(file)) => file.sha256,
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
    let Kind::File(source) = &entry.kind else { return None };
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
        tree::Content::Member(_) => {
            is_sure.store(false, Relaxed);
            None
        }
    }
}

/// Whether a program would load the file, by its name.
fn is_library(path: &str) -> bool {
    path.ends_with(".so") || path.ends_with(".node") || path.contains(".so.")
}
