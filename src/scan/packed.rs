//! Scans a layer from the tree that it was written from, without unpacking the layer.

use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use serde::Serialize;

use super::annotate::{Annotate, Wanted};
use super::budget::{MemoryBudget, Share};
use super::code::{Code, Look, Recognized};
use super::layer_scan::{LayerScan, ScannedFile};
use super::spool::{KEPT_LIMIT, Spool};
use super::stored::Shown;
use super::written::{Glance, WrittenCode};
use crate::error::Result;
use crate::image::{Compression, Digest, Layer};
use crate::layer::zip_content::read_member;
use crate::layer::{archive_entries, archive_size};
use crate::threads::together;
use crate::tree::{
    Content, ELF_MAGIC, Entry, EntryKind, FileTree, ImagePath, Member, SourceFile, Stat, ZipContent,
    may_be_code,
};

/// The minimum number of entries per thread; one thread is fast enough for fewer.
pub(crate) const ENTRIES_PER_THREAD: usize = 4000;

/// The facts about the files of a layer, by the numbers of their entries in the layer. They are the same for every tree
/// that gives this layer.
pub(crate) type RecognizedFiles<F> = Vec<(usize, Recognized<F>)>;

impl<F: Clone + Serialize + Send + Sync> LayerScan<F> {
    /// Scans a tree's layer. Opens only files that [may be code](may_be_code) or that `annotator` reads; with `code`, the
    /// code of members of archives is known. Also returns the facts to cache: `None` unless all opened files are
    /// unchanged since the tree was made.
    ///
    /// # Errors
    /// [`Error::ImagePath`](crate::Error::ImagePath) for a tree that is not a layer,
    /// [`Error::TooManyFiles`](crate::Error::TooManyFiles) for one that exceeds the budget.
    pub(crate) fn of_tree<A: Annotate<Fact = F> + ?Sized>(
        tree: &FileTree,
        layer: &Layer,
        code: Option<&WrittenCode>,
        annotator: &A,
        budget: &MemoryBudget<F>,
        threads: usize,
    ) -> Result<(LayerScan<F>, Option<RecognizedFiles<F>>)> {
        let is_sure = AtomicBool::new(true);
        let entries = archive_entries(tree)?;
        let shown = shown(&entries, annotator);
        let look = |number: usize, path: &_, entry: &_| {
            let wanted = shown.as_ref().map(|shown| shown[number]);
            look_into(path, entry, wanted, code, annotator, &is_sure)
        };
        let members = members(&entries, budget, threads, look)?;
        let found = is_sure.into_inner().then(|| {
            let entries = members.iter().filter(|member| !matches!(member.entry.kind, EntryKind::Opaque));
            let found = entries
                .enumerate()
                .filter_map(|(number, member)| Some((number, member.file()?.recognized()?.clone())));
            found.collect()
        });
        Ok((LayerScan::packed(members, layer), found))
    }

    /// Like [`of_tree`](Self::of_tree), for a layer whose files were inspected before. No file is opened.
    ///
    /// # Errors
    /// As [`of_tree`](Self::of_tree).
    pub(crate) fn of_known_tree(
        tree: &FileTree,
        layer: &Layer,
        known: &[(usize, Recognized<F>)],
        budget: &MemoryBudget<F>,
        threads: usize,
    ) -> Result<LayerScan<F>> {
        let look = |number, _: &_, _: &_| {
            let at = known.binary_search_by_key(&number, |(number, _)| *number).ok()?;
            Some(known[at].1.clone())
        };
        let members = members(&archive_entries(tree)?, budget, threads, look)?;
        Ok(LayerScan::packed(members, layer))
    }

    fn packed(members: Vec<Member<ScannedFile<F>>>, layer: &Layer) -> LayerScan<F> {
        let uncompressed = archive_size(members.iter().map(Member::size));
        let (diff_id, stored, compression) = (layer.diff_id, layer.blob.size, Compression::Gzip);
        LayerScan { diff_id, uncompressed, stored, compression, members, from_tree: true }
    }
}

/// The part of each entry that is passed to the annotator; `None` if the layer certainly stays within the limit.
fn shown<A: Annotate + ?Sized>(entries: &[(&[u8], &Entry)], annotator: &A) -> Option<Vec<Wanted>> {
    let size = |entry: &Entry| match &entry.kind {
        EntryKind::File(content) => Some(content.size()),
        _ => None,
    };
    if Shown::is_enough(entries.iter().filter_map(|(_, entry)| size(entry))) {
        return None;
    }
    let mut shown = Shown::new();
    let wanted = entries.iter().map(|(path, entry)| match size(entry) {
        Some(size) => shown.next(annotator, &ImagePath::new(path), size),
        None => Wanted::Nothing,
    });
    Some(wanted.collect())
}

/// The members that the writer makes from the entries, with the result of `look` for each file. Uses up to `threads`
/// threads.
fn members<F: Serialize + Send>(
    entries: &[(&[u8], &Entry)],
    budget: &MemoryBudget<F>,
    threads: usize,
    look: impl Fn(usize, &ImagePath, &Entry) -> Option<Recognized<F>> + Sync,
) -> Result<Vec<Member<ScannedFile<F>>>> {
    let size = entries.len().div_ceil(threads).max(ENTRIES_PER_THREAD);
    let parts: Vec<_> = entries.chunks(size).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<_> {
        let (mut done, mut share) = (Vec::new(), Share::of(budget));
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(part) = parts.get(number) else { return Ok((done, share)) };
            let mut members = Vec::with_capacity(part.len());
            for (at, (path, entry)) in part.iter().enumerate() {
                let path = ImagePath::new(path);
                let recognized = look(number * size + at, &path, entry);
                push(path, entry, recognized, &mut members);
            }
            members.iter().try_for_each(|member| share.take(member))?;
            done.push((number, members));
        }
    };
    let (mut done, mut shares) = (Vec::new(), Vec::new());
    for worked in together(parts.len(), work) {
        let (members, share) = worked?;
        done.extend(members);
        shares.push(share);
    }
    shares.into_iter().for_each(Share::keep);
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().flat_map(|(_, members)| members).collect())
}

/// Adds the member that the writer makes from an entry, or the two members of an opaque directory.
fn push<F>(
    path: ImagePath,
    entry: &Entry,
    recognized: Option<Recognized<F>>,
    members: &mut Vec<Member<ScannedFile<F>>>,
) {
    let Entry { kind, mode, uid, gid, xattrs } = entry;
    let file = |content: &Content| ScannedFile::of(content.size(), known(content), recognized);
    let entry = |kind, mode, xattrs| Entry { kind, mode, uid: *uid, gid: *gid, xattrs };
    if matches!(kind, EntryKind::Opaque) {
        let directory = entry(EntryKind::Directory, *mode, xattrs.clone());
        members.push(Member { path: path.clone(), entry: directory, mtime: 0 });
        let marker = entry(EntryKind::Opaque, 0o644, Default::default());
        members.push(Member { path, entry: marker, mtime: 0 });
    } else {
        let entry = entry(kind.map_content(file), *mode, xattrs.clone());
        members.push(Member { path, entry, mtime: 0 });
    }
}

fn known(content: &Content) -> Option<Digest> {
    match content {
        Content::File(file) => file.sha256,
        Content::Bytes(bytes) => Some(Digest::of(bytes)),
        Content::Zip(_) => None,
    }
}

/// Inspects the content of an entry, of which the annotator gets the part `wanted`, if decided. `code` is the code of
/// members of archives, if known. `is_sure` becomes false for a file that has changed since the tree was made.
fn look_into<A: Annotate + ?Sized>(
    path: &ImagePath,
    entry: &Entry,
    wanted: Option<Wanted>,
    code: Option<&WrittenCode>,
    annotator: &A,
    is_sure: &AtomicBool,
) -> Option<Recognized<A::Fact>> {
    let EntryKind::File(content) = &entry.kind else { return None };
    let may_be_code = may_be_code(path.as_bytes(), entry.mode);
    let look = Look { path, wanted: wanted.unwrap_or_else(|| annotator.wants(path)), may_be_code };
    if look.is_needless() {
        return None;
    }
    let (found, is_same) = match content {
        Content::Bytes(bytes) => {
            let head = &bytes[..bytes.len().min(look.beginning() as usize)];
            (look.recognize(annotator, head, &mut Cursor::new(bytes)), true)
        }
        Content::File(file) => in_file(look, file, annotator).unwrap_or_default(),
        Content::Zip(member) => match code.map(|code| code.get(path.as_bytes())) {
            Some(None) => with_code(look, member, annotator, None),
            Some(Some(Glance::Code(code))) => with_code(look, member, annotator, Some(code)),
            Some(Some(Glance::Incomplete)) | None => in_archive(look, member, annotator),
        }
        .unwrap_or_default(),
    };
    is_sure.fetch_and(is_same, Relaxed);
    found
}

/// The result of inspecting a file, and whether the file is unchanged since the tree was made.
type Looked<F> = (Option<Recognized<F>>, bool);

/// Inspects a file on disk.
fn in_file<A: Annotate + ?Sized>(
    look: Look<'_>,
    file: &SourceFile,
    annotator: &A,
) -> std::io::Result<Looked<A::Fact>> {
    let mut open = File::open(&file.path)?;
    let mut head = Vec::new();
    (&mut open).take(look.beginning()).read_to_end(&mut head)?;
    let is_whole = look.wanted == Wanted::Whole || (look.may_be_code && head.starts_with(ELF_MAGIC));
    let is_too_large = is_whole && file.stat.size > KEPT_LIMIT;
    let found = if is_too_large { None } else { look.recognize(annotator, &head, &mut open) };
    Ok((found, file.is_still(Stat::from(&open.metadata()?))))
}

/// Inspects a member of a zip archive whose code is known. The member is read only for the annotator.
fn with_code<A: Annotate + ?Sized>(
    look: Look<'_>,
    member: &ZipContent,
    annotator: &A,
    code: Option<&Code>,
) -> Result<Looked<A::Fact>> {
    let (found, is_same) = match look.wanted {
        Wanted::Nothing => (None, true),
        Wanted::Beginning | Wanted::Whole => {
            in_archive(Look { may_be_code: false, ..look }, member, annotator)?
        }
    };
    let (code, facts) = (code.cloned(), found.map(|found| found.facts).unwrap_or_default());
    let found = (code.is_some() || !facts.is_empty()).then(|| Recognized { code, facts });
    Ok((found, is_same))
}

/// Inspects a member of a zip archive, which is inflated only as far as necessary.
fn in_archive<A: Annotate + ?Sized>(
    look: Look<'_>,
    member: &ZipContent,
    annotator: &A,
) -> Result<Looked<A::Fact>> {
    let mut spool = Spool::new();
    spool.begin(look);
    read_member(member, |piece| {
        spool.put(piece)?;
        Ok(if spool.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok((spool.read(|head, whole| look.recognize(annotator, head, whole)), true))
}
