//! What a layer holds, member by member, as far as anything that judges images wants to know; read once.

mod annotate;
mod packed;

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::elf::{self, Elf};
use super::read::LayerReader;
use super::spool::{self, Spool};
use crate::error::{Error, Result};
use crate::image::{Compression, Digest};
use crate::tree::{self, EntryKind};

pub use super::spool::ReadSeek;
pub use annotate::{Annotate, SHOWN, Unread, Wanted};
pub(crate) use packed::Told;

/// Changes with anything that a survey says.
pub(crate) const VERSION: &str = "survey-3";

/// The most members that are taken in; an image of more would not fit into ten gigabytes with its directories.
const MAX_MEMBERS: usize = 1_000_000;

/// The bytes that all names and targets of links may have together.
const MAX_NAMES: usize = 256 << 20;

/// What is kept of a name, in bytes: twice what Linux takes, so that it is seen to be too long.
const MAX_PATH: usize = 8192;

/// The bytes of one layer that are shown to who looks into its files; of what comes behind, nobody has seen anything. A
/// megabyte of source takes seconds to parse when it is made for that.
const MAX_SHOWN: u64 = 64 << 20;

/// What a layer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The size of its tar in bytes.
    pub uncompressed: u64,
    /// How it is compressed, whatever its media type says.
    pub compression: Compression,
    /// In the order of the tar.
    pub members: Vec<Member>,
    /// Whether the layer was made of a tree of files: then each path comes once and after its directory, and none leads
    /// anywhere else. Of one that was read, nobody has seen to that.
    #[serde(skip)]
    pub from_tree: bool,
}

/// A member of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The path in the image, without a slash at either end; what is not printable in it is written as `\xNN`.
    #[serde(rename = "p")]
    pub path: String,
    /// What it is.
    #[serde(rename = "k")]
    pub kind: MemberKind,
    /// Permission bits.
    #[serde(rename = "m")]
    pub mode: u32,
    /// The owner.
    #[serde(rename = "u", default, skip_serializing_if = "is_zero")]
    pub uid: u64,
    /// The group.
    #[serde(rename = "g", default, skip_serializing_if = "is_zero")]
    pub gid: u64,
    /// Bytes of content.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub mtime: u64,
    /// The digest of the content, of a regular file.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What was found in the content.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<Content>>,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// Another name of the member at this path.
    HardLink(String),
    /// A device, a pipe: what no function's image should hold.
    Special,
    /// A path that leads out of the image, as `../x`: no reader may follow it.
    Outside,
}

/// What the content of a file tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A program or library of machine code.
    Elf(Elf),
    /// A script, by its interpreter and what else stands in its first line.
    Script(String),
    /// What the [`Annotate`] noted.
    Notes(Vec<String>),
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Survey {
    /// Reads a layer in this form, of at most `limit` bytes when it is not compressed. `tick` is told now and then
    /// how far it got, in bytes of tar, and may end the work.
    ///
    /// # Errors
    /// [`Error::LayerRead`] for what is no layer, not a whole one, or larger than anything takes.
    pub fn of(
        layer: impl BufRead,
        compression: Compression,
        limit: u64,
        annotator: &dyn Annotate,
        mut tick: impl FnMut(u64) -> Result<()>,
    ) -> Result<Survey> {
        let mut reader = LayerReader::new(layer, compression, limit);
        let mut members = Vec::new();
        let (mut spool, mut names, mut shown) = (Spool::new(), 0, 0);
        while let Some(head) = reader.next()? {
            let mut member = Member::of(head);
            names += member.path.len() + member.target().map_or(0, str::len);
            if members.len() >= MAX_MEMBERS || names > MAX_NAMES {
                let fault = std::io::Error::other(format!(
                    "it has more than {} members, or too long names",
                    members.len()
                ));
                return Err(Error::LayerRead { source: fault });
            }
            tick(reader.position())?;
            if member.kind == MemberKind::File {
                let wanted = if shown < MAX_SHOWN { annotator.wants(&member.path) } else { Wanted::Nothing };
                if wanted != Wanted::Nothing {
                    shown += member.size.min(SHOWN);
                }
                spool.begin(wanted);
                let mut hash = Sha256::new();
                let mut read = reader.position();
                if !reader.fits() {
                    // The holes of a sparse file are larger than all layers may be: nothing is read of it.
                    members.push(member);
                    continue;
                }
                reader.content(|piece| {
                    hash.update(piece);
                    spool.put(piece)?;
                    read += piece.len() as u64;
                    tick(read)
                })?;
                member.sha256 = Some(Digest::from_bytes(hash.finalize().into()));
                let found = spool.read(|head, file| told(annotator, wanted, &member.path, head, file));
                member.content = found.map(Box::new);
            }
            members.push(member);
        }
        let (diff_id, uncompressed) = reader.finish()?;
        Ok(Survey { diff_id, uncompressed, compression, members, from_tree: false })
    }
}

/// What a file's beginning tells, and the whole of it when it is machine code or wanted.
fn told(
    annotator: &dyn Annotate,
    wanted: Wanted,
    path: &str,
    head: &[u8],
    file: &mut dyn ReadSeek,
) -> Option<Content> {
    let notes = match wanted {
        Wanted::Nothing => Vec::new(),
        Wanted::Beginning => annotator.notes(path, head),
        Wanted::Whole => annotator.notes_of_whole(path, file),
    };
    if !notes.is_empty() {
        return Some(Content::Notes(notes));
    }
    if head.starts_with(elf::MAGIC) {
        return Elf::read(file).map(Content::Elf);
    }
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or(line);
    // As much as Linux reads of it; a carriage return at its end belongs to the interpreter's name.
    let line = String::from_utf8_lossy(&line[..line.len().min(255)]);
    Some(Content::Script(line.trim_matches([' ', '\t']).to_owned()))
}

impl Survey {
    /// About how much memory it takes, in bytes.
    pub(crate) fn kept(&self) -> usize {
        let member =
            |member: &Member| size_of::<Member>() + member.path.len() + member.target().map_or(0, str::len);
        self.members.iter().map(member).sum()
    }
}

impl Member {
    fn of(member: tree::Member<u64>) -> Member {
        let tree::Member { path, entry, mtime } = member;
        let (path, mut size) = (path.to_string(), 0);
        let kind = match entry.kind {
            _ if path.split('/').any(|part| part == "..") => MemberKind::Outside,
            EntryKind::File(bytes) => {
                size = bytes;
                MemberKind::File
            }
            EntryKind::Directory => MemberKind::Directory,
            EntryKind::Symlink(target) => MemberKind::Symlink(text(&target)),
            EntryKind::HardLink(target) => MemberKind::HardLink(text(&target)),
            EntryKind::Device(_) => MemberKind::Special,
            EntryKind::Whiteout | EntryKind::Opaque => MemberKind::File,
        };
        let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
        Member { path, kind, mode, uid, gid, size, mtime, sha256: None, content: None }
    }

    /// What it links to, when it is a link.
    pub fn target(&self) -> Option<&str> {
        match &self.kind {
            MemberKind::Symlink(target) | MemberKind::HardLink(target) => Some(target),
            _ => None,
        }
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What it says of machine code, when it is that.
    pub fn elf(&self) -> Option<&Elf> {
        match self.content.as_deref() {
            Some(Content::Elf(elf)) => Some(elf),
            _ => None,
        }
    }

    /// What an annotator noted.
    pub fn notes(&self) -> &[String] {
        match self.content.as_deref() {
            Some(Content::Notes(notes)) => notes,
            _ => &[],
        }
    }
}

/// Names are printable UTF-8 with few exceptions; those must stay apart from each other. One that is longer than any
/// system takes is cut off.
fn text(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_PATH)];
    // Without a way out in the middle, which costs more than it spares.
    if bytes.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~')) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes.utf8_chunks().fold(String::with_capacity(bytes.len()), |mut text, chunk| {
        for letter in chunk.valid().chars() {
            match letter.is_control() {
                true => text.push_str(&format!("\\x{:02x}", u32::from(letter))),
                false => text.push(letter),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

#[cfg(test)]
mod tests;
