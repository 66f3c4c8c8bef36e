//! [OCI layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md) directories.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::document::{MAX_DOCUMENT, read_document};
use super::staged::{self, Staged, TEMPORARY_PREFIX};
use super::stream::{ByteStream, PIECE, write_stream};
use crate::error::{Error, Result};
use crate::event::Outcome;
use crate::image::{
    Blob, Config, Descriptor, Digest, Index, Location, Manifest, Parsed, Platform, parse_json, parse_manifest,
};

const INDEX: &str = "index.json";
const MARKER: &str = "oci-layout";
/// The annotation that holds a manifest's tag.
const TAG: &str = "org.opencontainers.image.ref.name";

/// An OCI layout directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    path: PathBuf,
}

impl Layout {
    /// The layout at `path`, to read from.
    pub(crate) fn open(path: &Path) -> Result<Layout> {
        let fail = |fault| Err(Error::NoLayout { path: path.to_owned(), fault });
        match read_document(&path.join(MARKER), MAX_DOCUMENT) {
            Ok(bytes) if version_fits(&bytes) => Ok(Layout { path: path.to_owned() }),
            Ok(_) => fail("its oci-layout file does not declare version 1"),
            Err(_) if !path.exists() => fail("the directory does not exist"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => fail("it has no oci-layout file"),
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        }
    }

    /// The layout at `path`, to write to; created if it does not exist.
    pub(crate) fn create(path: &Path) -> Result<Layout> {
        let fail = |source| Error::Write { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(fail)?;
        if let Some(layout) = Layout::preview(path)? {
            return Ok(layout);
        }
        staged::replace(&path.join(MARKER), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Layout { path: path.to_owned() })
    }

    /// The layout at `path`, or `None` if it does not exist but can be created.
    ///
    /// # Errors
    /// When `path` holds other files.
    pub(crate) fn preview(path: &Path) -> Result<Option<Layout>> {
        let marker = path.join(MARKER);
        if marker.exists() {
            return Layout::open(path).map(Some);
        }
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(|source| Error::Write { path: path.to_owned(), source })?,
        };
        let foreign = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.as_ref().map(fs::DirEntry::file_name).unwrap_or_default();
            !name.to_string_lossy().starts_with(TEMPORARY_PREFIX)
        };
        // Another writer may be creating the layout at the same time; it writes the marker first.
        if entries.into_iter().any(foreign) && !marker.exists() {
            return Err(Error::Layout { path: path.to_owned(), fault: "it holds other files" });
        }
        marker.exists().then(|| Layout::open(path)).transpose()
    }

    /// The directory and the name in it of `oci:DIR[:NAME]`, which was split at the last colon after the last slash. A
    /// name that another tool wrote may itself have colons and slashes: then the directory is the first part that is a
    /// layout.
    pub(crate) fn locate(path: &Path, name: Option<&str>) -> (PathBuf, Option<String>) {
        let is_layout = |dir: &str| !dir.is_empty() && Path::new(dir).join(MARKER).exists();
        let whole = path.to_str().filter(|text| !is_layout(text));
        let split = whole.and_then(|text| {
            let mut colons = text.match_indices(':');
            let (colon, _) = colons.find(|(colon, _)| is_layout(&text[..*colon]))?;
            Some((&text[..colon], &text[colon + 1..]))
        });
        match split {
            Some((dir, begin)) => {
                let end = name.map(|name| format!(":{name}")).unwrap_or_default();
                (dir.into(), Some(format!("{begin}{end}")))
            }
            None => (path.to_owned(), name.map(str::to_owned)),
        }
    }

    /// The manifest with the name or digest `target`; with `None`, the only one of the layout. If several have the name,
    /// as images for different platforms, the one for `platform`; if there is none, an index of them.
    pub(crate) fn manifest(
        &self,
        target: Option<&str>,
        platform: Option<&Platform>,
    ) -> Result<Option<Manifest>> {
        if let Some(digest) = target.and_then(|target| target.parse::<Digest>().ok()) {
            let there = self.blob_path(digest).exists();
            return there.then(|| self.stored(digest, String::new())).transpose();
        }
        let index = self.index()?;
        let entries = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let entries: Vec<&Value> =
            entries.iter().filter(|entry| target.is_none() || tag_of(entry) == target).collect();
        let Some((&first, rest)) = entries.split_first() else { return Ok(None) };
        if rest.iter().all(|entry| entry["digest"] == first["digest"]) {
            let Descriptor { digest, media_type, .. } = self.descriptor(first)?;
            return self.stored(digest, media_type).map(Some);
        }
        if rest.iter().any(|entry| tag_of(entry) != tag_of(first)) {
            let fault = "it holds several images: name one, as oci:DIR:TAG";
            return Err(Error::NoLayout { path: self.path.clone(), fault });
        }
        let offered =
            entries.iter().map(|entry| Ok((self.descriptor(entry)?, self.platform(entry, platform)?)));
        let offered = Index(offered.collect::<Result<_>>()?);
        match platform.and_then(|platform| offered.for_platform(platform)) {
            Some(Descriptor { digest, media_type, .. }) => self.stored(*digest, media_type.clone()).map(Some),
            None => Ok(Some(Manifest::index(&offered))),
        }
    }

    /// The descriptor in an entry of `index.json`.
    fn descriptor(&self, entry: &Value) -> Result<Descriptor> {
        let fault = "its index.json lists a manifest without a valid digest";
        let invalid = || Error::NoLayout { path: self.path.clone(), fault };
        Ok(Descriptor {
            media_type: entry["mediaType"].as_str().unwrap_or_default().to_owned(),
            size: entry["size"].as_u64().unwrap_or_default(),
            digest: entry["digest"].as_str().and_then(|digest| digest.parse().ok()).ok_or_else(invalid)?,
        })
    }

    /// The platform of an entry of `index.json`: the entry may omit it, and then the image's config has it. An index has
    /// the platform `wanted` if one of its images has it.
    fn platform(&self, entry: &Value, wanted: Option<&Platform>) -> Result<Option<Platform>> {
        if let Ok(platform) = serde_json::from_value(entry["platform"].clone()) {
            return Ok(Some(platform));
        }
        let name = self.path.display().to_string();
        Ok(match parse_manifest(&name, &self.small_blob(self.descriptor(entry)?.digest)?)? {
            Parsed::Image { config, .. } => {
                Some(Config::parse(&name, &self.small_blob(config.digest)?)?.platform())
            }
            Parsed::Index(index) => wanted.filter(|wanted| index.for_platform(wanted).is_some()).cloned(),
        })
    }

    /// The verified bytes of a small blob.
    pub(crate) fn small_blob(&self, digest: Digest) -> Result<Vec<u8>> {
        let path = self.blob_path(digest);
        let bytes = read_document(&path, MAX_DOCUMENT)
            .map_err(|source| Error::BlobRead { path: path.clone(), source })?;
        match Digest::of(&bytes) {
            got if got == digest => Ok(bytes),
            got => Err(Error::CorruptFile { path, expected: digest, got }),
        }
    }

    /// A blob of the layout, to be read later.
    pub(crate) fn blob(&self, digest: Digest, size: u64) -> Blob {
        Blob { digest, size, location: Location::File(self.blob_path(digest)) }
    }

    /// Whether the layout has the blob, undamaged. Reads it.
    pub(crate) fn has_blob(&self, digest: Digest, size: u64) -> bool {
        let path = self.blob_path(digest);
        let same_size = fs::metadata(&path).is_ok_and(|held| held.is_file() && held.len() == size);
        same_size && File::open(&path).is_ok_and(|file| hashed(file).is_ok_and(|got| got == digest))
    }

    /// Writes a blob. The stream verifies its bytes.
    pub(crate) async fn put_blob(
        &self,
        digest: Digest,
        bytes: ByteStream,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Outcome> {
        let path = self.blob_path(digest);
        let staged = Staged::new_in(&self.path.join("blobs/sha256"))?;
        write_stream(&staged, bytes, progress).await?;
        // An existing file is damaged; otherwise the blob would not be written again.
        staged.replace(&path)?;
        Ok(Outcome::Sent)
    }

    /// Writes `manifest` with each of `tags`, or untagged if `tags` is empty. Returns whether the layout changed.
    pub(crate) fn put_manifest(
        &self,
        manifest: &Manifest,
        platform: &Platform,
        tags: &[String],
    ) -> Result<Outcome> {
        // Two runs that write different tags to one layout must not undo each other's changes.
        let dir = File::open(&self.path).map_err(|source| self.failure(source))?;
        rustix::fs::flock(&dir, FlockOperation::LockExclusive).map_err(|error| self.failure(error.into()))?;
        let blob = self.blob_path(manifest.digest);
        if fs::read(&blob).ok().as_deref() != Some(&manifest.bytes) {
            staged::replace(&blob, &manifest.bytes)?;
        }
        let path = self.path.join(INDEX);
        let before =
            if path.exists() { self.index()? } else { json!({ "schemaVersion": 2, "manifests": [] }) };
        let mut index = before.clone();
        let tags: Vec<Option<&str>> = match tags {
            [] => vec![None],
            tags => tags.iter().map(|tag| Some(tag.as_str())).collect(),
        };
        let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
        let entries = entries
            .ok_or(Error::Layout { path: path.clone(), fault: "its index.json lists no manifests" })?;
        for tag in tags {
            let entry = entry(manifest, platform, tag);
            // An untagged entry is identified by its platform alone.
            let same = |held: &Value| match tag {
                Some(_) => tag_of(held) == tag,
                None => tag_of(held).is_none() && held["platform"] == entry["platform"],
            };
            let place = entries.iter().position(same).unwrap_or(entries.len());
            // Another tool may have given the tag to images for several platforms.
            entries.retain(|held| !same(held));
            entries.insert(place, entry.clone());
        }
        if index == before && path.exists() {
            return Ok(Outcome::Existed);
        }
        staged::replace(&path, index.to_string().as_bytes())?;
        Ok(Outcome::Sent)
    }

    fn index(&self) -> Result<Value> {
        let path = self.path.join(INDEX);
        let bytes = read_document(&path, MAX_DOCUMENT).map_err(|source| match source.kind() {
            std::io::ErrorKind::FileTooLarge => {
                Error::NoLayout { path: self.path.clone(), fault: "its index.json is larger than 4 MiB" }
            }
            _ => Error::Read { path: path.clone(), source },
        })?;
        parse_json(&bytes).map_err(|source| Error::Manifest { image: path.display().to_string(), source })
    }

    fn stored(&self, digest: Digest, media_type: String) -> Result<Manifest> {
        Ok(Manifest::stored(media_type, self.small_blob(digest)?))
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }

    fn failure(&self, source: std::io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }
}

fn hashed(mut file: File) -> std::io::Result<Digest> {
    let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest::from_bytes(hash.finalize().into())),
            length => hash.update(&piece[..length]),
        }
    }
}

fn version_fits(marker: &[u8]) -> bool {
    let marker: Value = parse_json(marker).unwrap_or_default();
    marker["imageLayoutVersion"].as_str().is_some_and(|version| version.starts_with("1."))
}

fn tag_of(entry: &Value) -> Option<&str> {
    entry["annotations"][TAG].as_str()
}

fn entry(manifest: &Manifest, platform: &Platform, tag: Option<&str>) -> Value {
    let mut entry = json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.bytes.len(),
        "platform": platform,
    });
    if let Some(tag) = tag {
        entry["annotations"] = json!({ TAG: tag });
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Arch, Format, Image};

    fn manifest(format: Format) -> (Manifest, Platform) {
        let platform = Platform::linux(Arch::Arm64);
        (Image::scratch(&platform).manifest(format), platform)
    }

    #[test]
    fn a_tag_names_the_manifest_that_was_put_last() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let (docker, platform) = manifest(Format::Docker);
        let (oci, _) = manifest(Format::Oci);
        let tags = ["a".to_owned(), "b".to_owned()];
        assert_eq!(layout.put_manifest(&docker, &platform, &tags).unwrap(), Outcome::Sent);
        assert_eq!(layout.put_manifest(&docker, &platform, &tags).unwrap(), Outcome::Existed);
        layout.put_manifest(&oci, &platform, &tags[1..]).unwrap();
        assert_eq!(layout.manifest(Some("a"), None).unwrap().unwrap().digest, docker.digest);
        assert_eq!(layout.manifest(Some("b"), None).unwrap().unwrap().digest, oci.digest);
        assert!(layout.manifest(Some("c"), None).unwrap().is_none());
        assert!(matches!(layout.manifest(None, None), Err(Error::NoLayout { .. })));
    }

    #[test]
    fn several_threads_may_create_a_layout_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..50 {
            let path = dir.path().join(round.to_string());
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        Layout::create(&path).unwrap();
                        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
                    });
                }
            });
        }
    }

    #[test]
    fn a_damaged_blob_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let digest = Digest::of(b"blob");
        assert!(!layout.has_blob(digest, 4));
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        for (content, whole) in [("blob", true), ("blot", false), ("blo", false)] {
            fs::write(layout.blob_path(digest), content).unwrap();
            assert_eq!(layout.has_blob(digest, 4), whole, "{content}");
        }
    }

    #[test]
    fn an_index_that_needs_much_memory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        for part in ["0,", "{},"] {
            for count in [1 << 20, 10 << 20] {
                let index = format!(r#"{{"schemaVersion":2,"manifests":[],"x":[{}0]}}"#, part.repeat(count));
                fs::write(dir.path().join(INDEX), index).unwrap();
                layout.manifest(None, None).unwrap_err();
            }
        }
    }

    #[test]
    fn a_directory_with_other_files_is_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "x").unwrap();
        assert!(matches!(Layout::create(dir.path()), Err(Error::Layout { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
