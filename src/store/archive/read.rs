//! Reading an image out of a Docker archive, where it lies.
//!
//! Docker has written them in two forms: with a directory for each layer, which holds a plain tar or a link to
//! another's, and since Docker 25 as an OCI layout with a `manifest.json` beside. Other tools give layers names of
//! their own, and compress them. All have `manifest.json`, which says what is what:
//! <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::super::{PIECE, SMALL};
use crate::error::{Error, Result};
use crate::image::{Blob, Compression, Config, Descriptor, Digest, Format, Location, Manifest, Reference};

/// An image has some hundred members; what has more is something else.
const MAX_MEMBERS: usize = 100_000;

/// One image of an archive, which stays a file on disk.
#[derive(Debug)]
pub(crate) struct Archive {
    manifest: Manifest,
    config: Vec<u8>,
    /// Where each layer's bytes begin.
    layers: HashMap<Digest, u64>,
    path: PathBuf,
}

/// What `manifest.json` says of an image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Archive {
    /// The image of this name; without one, the only image that there is.
    ///
    /// # Errors
    /// [`Error::NoArchive`] for a file that is none, [`Error::NoSuchImage`] when it has no such image.
    pub(crate) fn open(path: &Path, name: Option<&Reference>) -> Result<Archive> {
        let mut tape = Tape::open(path)?;
        let saved = tape.saved()?;
        let found = match name {
            Some(name) => saved.iter().find(|image| image.is_called(name)),
            None if saved.len() > 1 => {
                return tape.fault("it holds several images: name one, as docker-archive:FILE:NAME:TAG");
            }
            None => saved.first(),
        };
        let Some(found) = found else {
            let name = name.map(|name| format!(":{name}")).unwrap_or_default();
            return Err(Error::NoSuchImage { image: format!("docker-archive:{}{name}", path.display()) });
        };
        let config = tape.json(&found.config, "it lacks the config that its manifest.json names")?;
        let image = path.display().to_string();
        let parsed = Config::parse(&image, &config)?;
        let diff_ids = parsed.diff_ids();
        if diff_ids.len() != found.layers.len() {
            let (manifest, config) = (found.layers.len(), diff_ids.len());
            return Err(Error::LayersMismatch { image, manifest, config });
        }
        let (mut layers, mut descriptors) = (HashMap::new(), Vec::new());
        for (name, diff_id) in found.layers.iter().zip(diff_ids) {
            let (descriptor, offset) = tape.layer(name, diff_id)?;
            layers.insert(descriptor.digest, offset);
            descriptors.push(descriptor);
        }
        let manifest = Manifest::of(Format::Docker, &Blob::from_bytes(config.clone()), descriptors);
        Ok(Archive { manifest, config, layers, path: path.to_owned() })
    }

    /// The manifest that a registry would have for the image, with its layers as they are. An archive has none itself.
    pub(crate) fn manifest(&self, target: Option<&str>) -> Option<Manifest> {
        let same = target.is_none_or(|target| target == self.manifest.digest.to_string());
        same.then(|| self.manifest.clone())
    }

    /// The config.
    pub(crate) fn config(&self) -> Vec<u8> {
        self.config.clone()
    }

    /// A layer, to be read later.
    pub(crate) fn blob(&self, digest: Digest, size: u64) -> Blob {
        // What another archive in its place has is found not to be the layer when it is read.
        let offset = self.layers.get(&digest).copied().unwrap_or_default();
        Blob { digest, size, location: Location::Slice { path: self.path.clone(), offset } }
    }
}

impl Saved {
    /// Docker writes short names, Podman whole ones.
    fn is_called(&self, name: &Reference) -> bool {
        let tags = self.repo_tags.iter().flatten();
        tags.filter_map(|tag| tag.parse::<Reference>().ok()).any(|tag| tag.to_string() == name.to_string())
    }
}

/// The members of an archive, by name.
struct Tape {
    file: File,
    path: PathBuf,
    members: HashMap<String, Member>,
}

enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// To another member, by its path in the archive.
    Link(String),
}

impl Tape {
    fn open(path: &Path) -> Result<Tape> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let fault = |fault| Err(Error::NoArchive { path: path.to_owned(), fault });
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fault("there is no such file"),
            file => file.map_err(read)?,
        };
        if !file.metadata().map_err(read)?.is_file() {
            return fault("it is no file");
        }
        let mut tape = Tape { file, path: path.to_owned(), members: HashMap::new() };
        let mut start = [0; 4];
        let length = tape.at(0, 4).and_then(|mut start_of| read_up_to(&mut start_of, &mut start));
        if Compression::sniff(&start[..length.map_err(read)?]) != Compression::None {
            return fault("it is compressed: decompress it first, as with gunzip");
        }
        match tape.index() {
            Ok(()) if tape.members.len() > MAX_MEMBERS => fault("it has more members than an image"),
            Ok(()) => Ok(tape),
            Err(_) => fault("it is no tar, or not a whole one"),
        }
    }

    /// Notes where the members are. Their names are short: those that need an extension of the format are others'.
    fn index(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        self.file.rewind()?;
        let mut archive = tar::Archive::new(&self.file);
        for entry in archive.entries_with_seek()?.raw(true) {
            let entry = entry?;
            let name = plain(&String::from_utf8_lossy(&entry.path_bytes()));
            let (offset, size) = (entry.raw_file_position(), entry.size());
            let member = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => Member::File { offset, size },
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let dir = name.rsplit_once('/').map_or("", |(dir, _)| dir);
                    let beside = kind == EntryType::Symlink;
                    Member::Link(plain(&if beside { format!("{dir}/{target}") } else { target }))
                }
                _ => continue,
            };
            // Seeking goes past the end without a word.
            if offset.checked_add(size).is_none_or(|end| end > length) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.members.insert(name, member);
            if self.members.len() > MAX_MEMBERS {
                break;
            }
        }
        Ok(())
    }

    fn saved(&mut self) -> Result<Vec<Saved>> {
        let fault = match self.members.contains_key("index.json") {
            true => {
                "it has no manifest.json: it is an OCI layout in a tar, to be unpacked and named as oci:DIR"
            }
            false => "it has no manifest.json",
        };
        let bytes = self.json("manifest.json", fault)?;
        serde_json::from_slice(&bytes)
            .map_err(|source| Error::Manifest { image: self.path.display().to_string(), source })
    }

    /// Where a file's bytes are, through links.
    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = plain(name);
        // Docker's links lead to a file at once; a loop leads nowhere.
        for _ in 0..8 {
            match self.members.get(&name)? {
                Member::File { offset, size } => return Some((*offset, *size)),
                Member::Link(target) => name = target.clone(),
            }
        }
        None
    }

    fn json(&mut self, name: &str, missing: &'static str) -> Result<Vec<u8>> {
        let Some((offset, size)) = self.find(name) else { return self.fault(missing) };
        if size > SMALL {
            return self.fault("its manifest.json or config is larger than any image's");
        }
        let mut bytes = Vec::new();
        let read = self.at(offset, size).and_then(|mut from| from.read_to_end(&mut bytes));
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }

    /// What a manifest says of the layer in the file of this name, and where its bytes begin.
    fn layer(&mut self, name: &str, diff_id: &str) -> Result<(Descriptor, u64)> {
        let Some((offset, size)) = self.find(name) else {
            return self.fault("it lacks a layer that its manifest.json names");
        };
        let mut start = [0; 4];
        let length = self.at(offset, size).and_then(|mut from| read_up_to(&mut from, &mut start));
        let length = length.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        let compression = Compression::sniff(&start[..length]);
        // What it says of itself is checked when it is read.
        let digest = match compression {
            Compression::None => diff_id.parse()?,
            _ => match named(name) {
                Some(digest) => digest,
                None => self.digest(offset, size)?,
            },
        };
        Ok((Descriptor { media_type: compression.docker_media_type().to_owned(), size, digest }, offset))
    }

    fn digest(&mut self, offset: u64, size: u64) -> Result<Digest> {
        let mut hash = Sha256::new();
        let read = self.at(offset, size).and_then(|from| {
            let mut from = BufReader::with_capacity(PIECE, from);
            loop {
                let length = match from.fill_buf()? {
                    [] => return Ok(()),
                    piece => {
                        hash.update(piece);
                        piece.len()
                    }
                };
                from.consume(length);
            }
        });
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(Digest::from_bytes(hash.finalize().into()))
    }

    fn at(&mut self, offset: u64, size: u64) -> io::Result<io::Take<&File>> {
        self.file.seek(SeekFrom::Start(offset))?;
        Ok((&self.file).take(size))
    }

    fn fault<T>(&self, fault: &'static str) -> Result<T> {
        Err(Error::NoArchive { path: self.path.clone(), fault })
    }
}

fn read_up_to(from: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut bytes = Vec::new();
    from.take(start.len() as u64).read_to_end(&mut bytes)?;
    start[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

/// A path without `.`, `..` and slashes that mean nothing.
fn plain(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The digest that a layer's file is named after, if it is.
fn named(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next()?;
    let hex = name.trim_start_matches("sha256:").split('.').next()?;
    format!("sha256:{hex}").parse().ok()
}
