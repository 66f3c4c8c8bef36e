//! The files of an image, as a container sees them.

use std::io::{self, Write};
use std::sync::Arc;

use lbuild::scan::{LayerScan, NoAnnotator, NoFact, ScannedFile, view};
use lbuild::tree::{self, EntryKind};
use lbuild::{Engine, StoredImage};
use serde::Serializer;
use serde_json::json;

use crate::cli::output::exit::Failure;
use crate::cli::output::human::bytes;

/// Number of the largest files that are shown.
const LARGEST: usize = 30;

type Scan = LayerScan<NoFact>;
type Seen<'a> = tree::Seen<'a, ScannedFile<NoFact>>;

/// Scans each layer for its members, without the files' content.
pub async fn scans(engine: &Engine, found: &StoredImage) -> Result<Vec<Option<Scan>>, Failure> {
    Ok(engine.scan(found, Arc::new(NoAnnotator)).await?.complete()?)
}

/// Writes all files, sorted by path.
pub fn tree(scans: &[Option<Scan>], json: bool, out: &mut dyn Write) -> io::Result<()> {
    let files = view(scans);
    match json {
        true => as_json(files.iter(), out),
        false => files.iter().try_for_each(|file| writeln!(out, "{}", line(file))),
    }
}

/// Writes the largest files, and the size of all files.
pub fn largest(scans: &[Option<Scan>], json: bool, out: &mut dyn Write) -> io::Result<()> {
    let files = view(scans);
    let mut found: Vec<Seen<'_>> = files.iter().filter(|file| file.member.is_file()).collect();
    let (count, total) =
        (found.len(), found.iter().map(|file| file.member.size()).fold(0, u64::saturating_add));
    found.sort_by_key(|file| std::cmp::Reverse(file.member.size()));
    found.truncate(LARGEST);
    if json {
        return as_json(found.into_iter(), out);
    }
    for Seen { layer, member } in found {
        writeln!(out, "{:>9}  layer {layer:<2}  /{}", bytes(member.size()), member.path)?;
    }
    writeln!(out, "{:>9}  in {count} files", bytes(total))
}

fn line(file: Seen<'_>) -> String {
    let (member, layer) = (file.member, file.layer);
    let (letter, sign) = match &member.entry.kind {
        EntryKind::File(_) => ('-', ""),
        EntryKind::Directory => ('d', ""),
        EntryKind::Symlink(_) => ('l', " -> "),
        EntryKind::HardLink(_) => ('h', " = /"),
        EntryKind::Device(_) | EntryKind::Whiteout | EntryKind::Opaque => ('?', ""),
    };
    let target = member.target().map(|target| format!("{sign}{target}")).unwrap_or_default();
    let (mode, owner) = (member.entry.mode, format!("{}:{}", member.entry.uid, member.entry.gid));
    format!(
        "{layer:>2}  {letter}{mode:04o}  {owner:<9}  {:>9}  /{}{target}",
        bytes(member.size()),
        member.path
    )
}

fn as_json<'a>(files: impl Iterator<Item = Seen<'a>>, out: &mut dyn Write) -> io::Result<()> {
    let files = files.map(|file| {
        let member = file.member;
        let kind = match &member.entry.kind {
            EntryKind::File(_) => "file",
            EntryKind::Directory => "directory",
            EntryKind::Symlink(_) => "symlink",
            EntryKind::HardLink(_) => "hard-link",
            EntryKind::Device(_) | EntryKind::Whiteout | EntryKind::Opaque => "special",
        };
        json!({
            "path": member.path.as_str(),
            "kind": kind,
            "target": member.target().map(String::from),
            "mode": format!("{:04o}", member.entry.mode),
            "uid": member.entry.uid,
            "gid": member.entry.gid,
            "size": member.size(),
            "sha256": member.sha256(),
            "layer": file.layer,
        })
    });
    serde_json::Serializer::pretty(&mut *out).collect_seq(files)?;
    writeln!(out)
}
