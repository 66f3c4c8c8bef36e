//! [`LayerScan`]: a layer's members, and the facts about their content.

use serde::{Deserialize, Serialize};

use super::code::{Code, Recognized};
use super::elf::Elf;
use crate::image::{Compression, Digest};
use crate::tree::{EntryKind, Member, View, ViewLayer};

/// Changes whenever the content or the form of a scan changes.
pub(crate) const VERSION: &str = "scan-5";

/// The scan of a layer. `F` is the type of the facts from the [`Annotate`](super::Annotate) that inspected the files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerScan<F> {
    /// The digest of its tar.
    pub diff_id: Digest,
    /// The size of its tar in bytes.
    pub uncompressed: u64,
    /// The size of its compressed bytes, regardless of its descriptor.
    pub stored: u64,
    /// Its compression, regardless of its media type.
    pub compression: Compression,
    /// The members, in the order of the tar.
    pub members: Vec<Member<ScannedFile<F>>>,
    /// Whether the layer was made from a tree of files. Then each path occurs once and after its directory, and none is
    /// outside the image. A layer that was read may violate this.
    #[serde(skip)]
    pub from_tree: bool,
}

/// The content of a regular file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScannedFile<F> {
    /// Its size in bytes.
    #[serde(rename = "s")]
    pub size: u64,
    /// Its digest, if it is known.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The result of its inspection. Boxed, because most files have none.
    #[serde(rename = "f", default = "nothing", skip_serializing_if = "Option::is_none")]
    pub recognized: Option<Box<Recognized<F>>>,
}

/// Unlike `Option::default`, it does not make serde's derive require `F: Default`.
fn nothing<T>() -> Option<T> {
    None
}

impl<F> LayerScan<F> {
    /// The approximate memory that it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let member = |member: &Member<ScannedFile<F>>| size_of_val(member) + names(member);
        self.members.iter().map(member).sum()
    }
}

/// The number of bytes in a member's path, target and extended attributes.
pub(super) fn names<C>(member: &Member<C>) -> usize {
    let target = match &member.entry.kind {
        EntryKind::Symlink(target) | EntryKind::HardLink(target) => target.len(),
        _ => 0,
    };
    let xattrs = member.entry.xattrs.iter().map(|(name, value)| name.len() + value.len());
    member.path.as_bytes().len() + target + xattrs.sum::<usize>()
}

/// The layers laid over each other, the lowest first; `None` for one that is not known.
pub fn view<F>(scans: &[Option<LayerScan<F>>]) -> View<'_, ScannedFile<F>> {
    View::of(scans.iter().map(|scan| {
        let LayerScan { members, from_tree, .. } = scan.as_ref()?;
        Some(ViewLayer { members, from_tree: *from_tree })
    }))
}

impl<F> ScannedFile<F> {
    /// A file without facts.
    pub fn new(size: u64, sha256: Option<Digest>) -> ScannedFile<F> {
        ScannedFile { size, sha256, recognized: None }
    }

    /// The code, if the file is code.
    pub fn code(&self) -> Option<&Code> {
        self.recognized.as_ref()?.code.as_ref()
    }

    /// The facts about its content.
    pub fn facts(&self) -> &[F] {
        self.recognized.as_ref().map_or(&[], |recognized| &recognized.facts)
    }
}

impl<F> Member<ScannedFile<F>> {
    /// The content, if it is a regular file.
    pub fn file(&self) -> Option<&ScannedFile<F>> {
        match &self.entry.kind {
            EntryKind::File(file) => Some(file),
            _ => None,
        }
    }

    /// The size of its content in bytes.
    pub fn size(&self) -> u64 {
        self.file().map_or(0, |file| file.size)
    }

    /// The digest of its content, if it is a regular file and the digest is known.
    pub fn sha256(&self) -> Option<Digest> {
        self.file()?.sha256
    }

    /// The code, if the file is code.
    pub fn code(&self) -> Option<&Code> {
        self.file()?.code()
    }

    /// The ELF facts, if the file is machine code.
    pub fn elf(&self) -> Option<&Elf> {
        match self.code() {
            Some(Code::Elf(elf)) => Some(elf),
            _ => None,
        }
    }

    /// The facts about its content.
    pub fn facts(&self) -> &[F] {
        self.file().map_or(&[], ScannedFile::facts)
    }
}
