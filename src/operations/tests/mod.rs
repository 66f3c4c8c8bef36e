mod accounts;
mod lines;
mod mounts;

use std::sync::Arc;

use super::files::{Filesystem, LowerFile};
use super::shell::Exporter;
use super::{Changes, DataPiece, Line, Stop};
use crate::recipe::{Operation, Pathname, Translated, Translation};
use crate::tree::{Entry, EntryKind, ImagePath, Member, View, ViewLayer};

/// What makes requirements of locks, in images without one.
pub(super) const NO_LOCKS: Exporter = |_, _| Err("has no lock".to_owned());

/// The files of a layer: `path/` is a directory, `path -> target` a symbolic link, `path = file` a hard link, and
/// `path: text` a file with a content.
pub(super) fn members(files: &[&str]) -> Vec<Member<String>> {
    let member = |text: &&str| {
        let (path, kind, mode) = if let Some((path, content)) = text.split_once(": ") {
            (path, EntryKind::File(content.to_owned()), 0o644)
        } else if let Some((path, target)) = text.split_once(" -> ") {
            (path, EntryKind::Symlink(target.into()), 0o777)
        } else if let Some((path, target)) = text.split_once(" = ") {
            (path, EntryKind::HardLink(target.into()), 0o644)
        } else if let Some(path) = text.strip_suffix('/') {
            (path, EntryKind::Directory, 0o755)
        } else {
            (*text, EntryKind::File(String::new()), 0o644)
        };
        Member { path: ImagePath::from(path), entry: Entry::new(kind, mode), mtime: 0 }
    };
    files.iter().map(member).collect()
}

/// The files of an image with this layer.
pub(super) fn filesystem(layer: &[Member<String>]) -> Filesystem {
    let view = View::of([Some(ViewLayer { members: layer, from_tree: false })]);
    Filesystem::of(&view, |content: &String| (content.len() as u64, None))
}

/// Runs a line, with the contents that it needs.
pub(super) fn run(layer: &[Member<String>], line: &Line) -> Result<Changes, String> {
    let mut known: Vec<LowerFile> = Vec::new();
    loop {
        let mut files = filesystem(layer);
        for file in &known {
            files.know(file.clone(), Arc::from(content(layer, file).as_bytes()));
        }
        match line.run(&mut files, NO_LOCKS) {
            Ok(_) => return Ok(files.changes()),
            Err(Stop::Needs(more)) => {
                assert!(known.len() < 50 && !more.is_empty(), "{known:?}");
                known.extend(more);
            }
            Err(Stop::Failed { fault, .. }) => return Err(fault),
        }
    }
}

fn content<'l>(layer: &'l [Member<String>], file: &LowerFile) -> &'l str {
    let member = layer.iter().find(|member| member.path.as_bytes() == &file.path[..]);
    match member.map(|member| &member.entry.kind) {
        Some(EntryKind::File(content)) => content,
        other => panic!("{other:?}"),
    }
}

/// A layer's entries: kind, mode and owner.
pub(super) fn shown(layer: &[Member<String>], changes: &Changes) -> Vec<String> {
    let line = |(path, entry): (&Vec<u8>, &Entry<super::Data>)| {
        let (path, Entry { mode, uid, gid, .. }) = (path.escape_ascii(), entry);
        let owner = if (*uid, *gid) == (0, 0) { String::new() } else { format!(" {uid}:{gid}") };
        match &entry.kind {
            EntryKind::Directory => format!("{path}/ {mode:o}{owner}"),
            EntryKind::Opaque => format!("{path}/ {mode:o}{owner} opaque"),
            EntryKind::Symlink(target) => format!("{path} -> {}{owner}", target.escape_ascii()),
            EntryKind::HardLink(target) => format!("{path} = {}", target.escape_ascii()),
            EntryKind::Whiteout => format!("{path} gone"),
            EntryKind::Device(device) => format!("{path} {device:?}"),
            EntryKind::File(data) => {
                let piece = |piece: &DataPiece| match piece {
                    DataPiece::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                    DataPiece::Lower(file) => content(layer, file).to_owned(),
                };
                let content: String = data.pieces().iter().map(piece).collect();
                format!("{path} {mode:o}{owner} {content:?}")
            }
        }
    };
    changes.iter().map(line).collect()
}

/// A line of these chains of commands in `/work`.
pub(super) fn line(chains: &[&[Operation]]) -> Line {
    let command = |operation: &Operation| Translated {
        text: "tool".to_owned(),
        directory: "/work".to_owned(),
        operation: operation.clone(),
    };
    let chains = chains.iter().map(|chain| chain.iter().map(command).collect()).collect();
    let translation = Translation { chains, ..Translation::default() };
    Line { translation, user: None, epoch: 315_532_800 }
}

pub(super) fn path(text: &str) -> Pathname {
    Pathname::Path(text.to_owned())
}
