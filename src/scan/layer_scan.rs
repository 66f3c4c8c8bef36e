//! [`LayerScan`]: a layer's members, and the facts about their content.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::annotate::NoFact;
use super::code::{Code, Recognized};
use super::elf::Elf;
use crate::image::{Compression, Digest};
use crate::tree::{EntryKind, Member, View, ViewLayer};

/// Changes whenever the content or the form of a scan changes.
pub(crate) const VERSION: &str = "scan-6";

/// The scan of a layer. `F` is the type of the facts from the [`Annotate`](super::Annotate) that inspected the files.
#[derive(Clone, Debug, PartialEq)]
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
    pub from_tree: bool,
}

impl<F> LayerScan<F> {
    /// The scan without the results of inspections.
    pub(crate) fn without_facts(self) -> LayerScan<NoFact> {
        let LayerScan { diff_id, uncompressed, stored, compression, members, from_tree } = self;
        let bare = |file: &ScannedFile<F>| ScannedFile::new(file.size, file.sha256());
        let members = members.into_iter().map(|member| member.map_content(bare)).collect();
        LayerScan { diff_id, uncompressed, stored, compression, members, from_tree }
    }
}

/// The content of a regular file.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedFile<F> {
    /// Its size in bytes.
    pub size: u64,
    known: Known<F>,
}

/// The digest and the result of the inspection, as far as they are known. One word more than the digest, because scans
/// hold it for each of many files, and most have no result.
#[derive(Clone, Debug, PartialEq)]
enum Known<F> {
    Nothing,
    Digest(Digest),
    Recognized(Box<(Option<Digest>, Recognized<F>)>),
}

/// [`ScannedFile`] in JSON.
#[derive(Serialize, Deserialize)]
struct Written<R> {
    #[serde(rename = "s")]
    size: u64,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    #[serde(rename = "f", default = "nothing", skip_serializing_if = "Option::is_none")]
    recognized: Option<R>,
}

/// Unlike `Option::default`, it does not make serde's derive require `R: Default`.
fn nothing<T>() -> Option<T> {
    None
}

impl<F: Serialize> Serialize for ScannedFile<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (sha256, recognized) = (self.sha256(), self.recognized());
        Written { size: self.size, sha256, recognized }.serialize(serializer)
    }
}

impl<'de, F: Deserialize<'de>> Deserialize<'de> for ScannedFile<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ScannedFile<F>, D::Error> {
        let Written { size, sha256, recognized } = Written::deserialize(deserializer)?;
        Ok(ScannedFile::of(size, sha256, recognized))
    }
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
        ScannedFile::of(size, sha256, None)
    }

    /// A file with the digest of its content and the result of its inspection, as far as they are known.
    pub fn of(size: u64, sha256: Option<Digest>, recognized: Option<Recognized<F>>) -> ScannedFile<F> {
        let known = match (sha256, recognized) {
            (sha256, Some(recognized)) => Known::Recognized(Box::new((sha256, recognized))),
            (Some(sha256), None) => Known::Digest(sha256),
            (None, None) => Known::Nothing,
        };
        ScannedFile { size, known }
    }

    /// The digest of its content, if it is known.
    pub fn sha256(&self) -> Option<Digest> {
        match &self.known {
            Known::Nothing => None,
            Known::Digest(sha256) => Some(*sha256),
            Known::Recognized(known) => known.0,
        }
    }

    /// The result of its inspection, if there is one.
    pub fn recognized(&self) -> Option<&Recognized<F>> {
        match &self.known {
            Known::Recognized(known) => Some(&known.1),
            Known::Nothing | Known::Digest(_) => None,
        }
    }

    /// The code, if the file is code.
    pub fn code(&self) -> Option<&Code> {
        self.recognized()?.code.as_ref()
    }

    /// The facts about its content.
    pub fn facts(&self) -> &[F] {
        self.recognized().map_or(&[], |recognized| &recognized.facts)
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
        self.file()?.sha256()
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
