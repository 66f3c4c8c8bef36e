//! Reads an image from a Docker archive, without copying the archive.
//!
//! Docker writes archives in two forms: before Docker 25 with a directory for each layer, which holds a plain tar or a
//! link to the tar of another layer; since then as an OCI layout with an additional `manifest.json`. Other tools name
//! layers differently, and compress them. All forms have `manifest.json`, which lists config and layers:
//! <https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::index::{self, Member};
use crate::error::{Error, Result};
use crate::image::paths::relative;
use crate::image::{
    Blob, Compression, Config, Descriptor, Digest, Format, Location, Manifest, Reference, parse_json,
};
use crate::store::document::MAX_DOCUMENT;
use crate::store::stream::PIECE;

/// One image of an archive. Its layers are read from the file when they are needed.
#[derive(Debug)]
pub(crate) struct Archive {
    manifest: Manifest,
    config: Vec<u8>,
    /// The offset of each layer's bytes in the file.
    layers: HashMap<Digest, u64>,
    path: PathBuf,
}

/// The entry of an image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    /// `null` in an image without layers.
    layers: Option<Vec<String>>,
}

impl Archive {
    /// The image of this name; without a name, the only image in the archive. `stop` cancels the work.
    ///
    /// # Errors
    /// [`Error::NoArchive`] for a file that is not an archive, or does not have the image.
    pub(crate) fn open(path: &Path, name: Option<&Reference>, stop: &AtomicBool) -> Result<Archive> {
        let mut tape = Tape::open(path, stop)?;
        let saved = tape.saved()?;
        let found = match name {
            Some(name) => saved.iter().find(|image| image.is_called(name)),
            None if saved.len() > 1 => {
                let names = names(&saved);
                return tape.fault(format!(
                    "it holds several images: name one, as docker-archive:FILE:NAME:TAG{names}"
                ));
            }
            None => saved.first(),
        };
        let Some(found) = found else {
            let name = name.map(|name| format!(" {name}")).unwrap_or_default();
            return tape.fault(format!("it has no image{name}{}", names(&saved)));
        };
        let listed = found.layers.as_deref().unwrap_or_default();
        let config = tape.json(&found.config, "it lacks the config that its manifest.json names")?;
        let image = path.display().to_string();
        let parsed = Config::parse(&image, &config)?;
        let diff_ids = parsed.diff_ids();
        if diff_ids.len() != listed.len() {
            let (manifest, config) = (listed.len(), diff_ids.len());
            return Err(Error::LayersMismatch { image, manifest, config });
        }
        let (mut layers, mut descriptors) = (HashMap::new(), Vec::new());
        for (name, diff_id) in listed.iter().zip(diff_ids) {
            let (descriptor, offset) = tape.layer(name, diff_id)?;
            layers.insert(descriptor.digest, offset);
            descriptors.push(descriptor);
        }
        let manifest = Manifest::of(Format::Docker, &Blob::from_bytes(config.clone()), descriptors);
        Ok(Archive { manifest, config, layers, path: path.to_owned() })
    }

    /// The names of each image in an archive.
    ///
    /// # Errors
    /// [`Error::NoArchive`] for a file that is not an archive.
    pub(crate) fn list(path: &Path, stop: &AtomicBool) -> Result<Vec<Vec<Reference>>> {
        let saved = Tape::open(path, stop)?.saved()?.into_iter();
        saved.map(|image| image.repo_tags.iter().flatten().map(|name| name.parse()).collect()).collect()
    }

    /// The manifest that a registry would have for the image, with the layers as stored. An archive contains none.
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
        // If another file has replaced the archive, the check of the digest fails when the layer is read.
        let offset = self.layers.get(&digest).copied().unwrap_or_default();
        Blob { digest, size, location: Location::Slice { path: self.path.clone(), offset } }
    }
}

impl Saved {
    /// Whether the image has this name. Docker writes short names, Podman writes full names.
    fn is_called(&self, name: &Reference) -> bool {
        let tags = self.repo_tags.iter().flatten();
        tags.filter_map(|tag| tag.parse::<Reference>().ok()).any(|tag| tag.to_string() == name.to_string())
    }
}

/// The first names of the archive's images, for an error message.
fn names(saved: &[Saved]) -> String {
    let mut names = saved.iter().flat_map(|image| image.repo_tags.iter().flatten());
    let first: Vec<String> = names.by_ref().take(5).map(|name| name.escape_debug().to_string()).collect();
    match (first.is_empty(), names.next()) {
        (true, _) => String::new(),
        (_, None) => format!(" (it has {})", first.join(", ")),
        (_, Some(_)) => format!(" (it has {} and others)", first.join(", ")),
    }
}

/// The members of an archive, by name.
struct Tape<'s> {
    file: File,
    path: PathBuf,
    members: HashMap<String, Member>,
    /// The digests of members by offset, because one member may have many names.
    digests: HashMap<u64, Digest>,
    stop: &'s AtomicBool,
}

impl Tape<'_> {
    fn open<'s>(path: &Path, stop: &'s AtomicBool) -> Result<Tape<'s>> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let fault = |fault: &str| Err(Error::NoArchive { path: path.to_owned(), fault: fault.to_owned() });
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            // Opening a pipe blocks, and a device may have no end.
            Ok(_) => return fault("it is not a regular file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fault("the file does not exist"),
            Err(error) => return Err(read(error)),
        }
        let (file, members) = (File::open(path).map_err(read)?, HashMap::new());
        let mut tape = Tape { file, path: path.to_owned(), members, digests: HashMap::new(), stop };
        let mut start = [0; 4];
        let length = tape.at(0, 4).and_then(|mut start_of| read_up_to(&mut start_of, &mut start));
        if Compression::sniff(&start[..length.map_err(read)?]) != Compression::None {
            return fault("it is compressed: decompress it first, as with gunzip");
        }
        match index::members(&tape.file, stop) {
            Ok(members) => tape.members = members,
            Err(_) if stop.load(Relaxed) => return Err(Error::Interrupted),
            Err(_) => return fault("it is not a tar of an image, or it is truncated"),
        }
        Ok(tape)
    }

    fn saved(&mut self) -> Result<Vec<Saved>> {
        let fault = match self.members.contains_key("index.json") {
            true => {
                "it has no manifest.json: it is an OCI layout in a tar; unpack it and name the directory as oci:DIR"
            }
            false => "it has no manifest.json",
        };
        let bytes = self.json("manifest.json", fault)?;
        parse_json(&bytes)
            .map_err(|source| Error::Manifest { image: self.path.display().to_string(), source })
    }

    /// Offset and size of a file's bytes, after following links.
    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = relative(name);
        // Docker's links lead directly to a file; the limit stops loops.
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
        if size > MAX_DOCUMENT {
            return self.fault("its manifest.json or config is larger than 4 MiB");
        }
        let mut bytes = Vec::new();
        let read = self.at(offset, size).and_then(|mut from| from.read_to_end(&mut bytes));
        read.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }

    /// The descriptor of the layer in the file of this name, and the offset of its bytes.
    fn layer(&mut self, name: &str, diff_id: &str) -> Result<(Descriptor, u64)> {
        let Some((offset, size)) = self.find(name) else {
            return self.fault("it lacks a layer that its manifest.json names");
        };
        let mut start = [0; 4];
        let length = self.at(offset, size).and_then(|mut from| read_up_to(&mut from, &mut start));
        let length = length.map_err(|source| Error::Read { path: self.path.clone(), source })?;
        let compression = Compression::sniff(&start[..length]);
        // Digests that the archive declares are verified when the layer is read.
        let digest = match compression {
            Compression::None => diff_id.parse()?,
            // Some tools name a compressed layer after its diff id.
            _ => match named(name).filter(|named| named.to_string() != diff_id) {
                Some(digest) => digest,
                None => self.digest(offset, size)?,
            },
        };
        Ok((Descriptor { media_type: compression.docker_media_type().to_owned(), size, digest }, offset))
    }

    fn digest(&mut self, offset: u64, size: u64) -> Result<Digest> {
        if let Some(known) = self.digests.get(&offset) {
            return Ok(*known);
        }
        let mut hash = Sha256::new();
        let stop = self.stop;
        let read = self.at(offset, size).and_then(|from| {
            let mut from = BufReader::with_capacity(PIECE, from);
            while !stop.load(Relaxed) {
                let length = match from.fill_buf()? {
                    [] => return Ok(()),
                    piece => {
                        hash.update(piece);
                        piece.len()
                    }
                };
                from.consume(length);
            }
            Err(io::ErrorKind::Interrupted.into())
        });
        read.map_err(|source| match stop.load(Relaxed) {
            true => Error::Interrupted,
            false => Error::Read { path: self.path.clone(), source },
        })?;
        let digest = Digest::from_bytes(hash.finalize().into());
        self.digests.insert(offset, digest);
        Ok(digest)
    }

    fn at(&mut self, offset: u64, size: u64) -> io::Result<io::Take<&File>> {
        self.file.seek(SeekFrom::Start(offset))?;
        Ok((&self.file).take(size))
    }

    fn fault<T>(&self, fault: impl Into<String>) -> Result<T> {
        Err(Error::NoArchive { path: self.path.clone(), fault: fault.into() })
    }
}

fn read_up_to(from: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut bytes = Vec::new();
    from.take(start.len() as u64).read_to_end(&mut bytes)?;
    start[..bytes.len()].copy_from_slice(&bytes);
    Ok(bytes.len())
}

/// The digest in the name of a layer's file, if the name has one.
fn named(path: &str) -> Option<Digest> {
    let name = path.rsplit('/').next()?;
    let hex = name.trim_start_matches("sha256:").split('.').next()?;
    format!("sha256:{hex}").parse().ok()
}
