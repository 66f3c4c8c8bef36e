//! The files of an image, as a container sees them.

use std::sync::Arc;

use lbuild::layer::Survey;
use lbuild::layer::overlay::{Files, Seen};
use lbuild::layer::survey::{MemberKind, Unread};
use lbuild::{Engine, StoredImage};
use serde_json::{Value, json};

use crate::cli::output::exit::Failure;
use crate::cli::output::human::bytes;

/// Number of the largest files that are shown.
const LARGEST: usize = 30;

/// The members of each layer, without the files' content.
pub async fn surveys(engine: &Engine, found: &StoredImage) -> Result<Vec<Option<Survey>>, Failure> {
    Ok(engine.scan(found, Arc::new(Unread)).await?)
}

/// All files, in the order of their paths.
pub fn tree(surveys: &[Option<Survey>], json: bool) -> String {
    let files = Files::of(surveys);
    match json {
        true => as_json(files.iter()),
        false => files.iter().map(line).collect::<Vec<_>>().join("\n"),
    }
}

/// The largest files, and the size of all files.
pub fn largest(surveys: &[Option<Survey>], json: bool) -> String {
    let files = Files::of(surveys);
    let mut found: Vec<Seen<'_>> = files.iter().filter(|file| file.member.kind == MemberKind::File).collect();
    let (count, total) = (found.len(), found.iter().map(|file| file.member.size).sum());
    found.sort_by_key(|file| std::cmp::Reverse(file.member.size));
    found.truncate(LARGEST);
    if json {
        return as_json(found.into_iter());
    }
    let lines = found.iter().map(|file| {
        format!("{:>9}  layer {:<2}  /{}", bytes(file.member.size), file.layer, file.member.path)
    });
    let lines: Vec<String> = lines.collect();
    format!("{}\n{:>9}  in {count} files", lines.join("\n"), bytes(total))
}

fn line(file: Seen<'_>) -> String {
    let (member, layer) = (file.member, file.layer);
    let (letter, target) = match &member.kind {
        MemberKind::File => ('-', String::new()),
        MemberKind::Directory => ('d', String::new()),
        MemberKind::Symlink(target) => ('l', format!(" -> {target}")),
        MemberKind::HardLink(target) => ('h', format!(" = /{target}")),
        _ => ('?', String::new()),
    };
    let (mode, owner) = (member.mode, format!("{}:{}", member.uid, member.gid));
    format!("{layer:>2}  {letter}{mode:04o}  {owner:<9}  {:>9}  /{}{target}", bytes(member.size), member.path)
}

fn as_json<'a>(files: impl Iterator<Item = Seen<'a>>) -> String {
    let files = files.map(|file| {
        let member = file.member;
        let (kind, target) = match &member.kind {
            MemberKind::File => ("file", None),
            MemberKind::Directory => ("directory", None),
            MemberKind::Symlink(target) => ("symlink", Some(target)),
            MemberKind::HardLink(target) => ("hard-link", Some(target)),
            _ => ("special", None),
        };
        json!({
            "path": member.path,
            "kind": kind,
            "target": target,
            "mode": format!("{:04o}", member.mode),
            "uid": member.uid,
            "gid": member.gid,
            "size": member.size,
            "sha256": member.sha256,
            "layer": file.layer,
        })
    });
    format!("{:#}", Value::from(files.collect::<Vec<_>>()))
}
