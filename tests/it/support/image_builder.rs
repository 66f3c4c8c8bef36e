//! Builds tars and images by hand, valid or not, in an OCI layout.

use super::sample_images::{bytes, replace, write_index};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use tar::{EntryType, Header};

/// The name of the image in its layout.
pub const TAG: &str = "built";

/// A tar under construction; names are written unchanged.
#[derive(Clone, Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    pub fn member(mut self, name: &str, kind: EntryType, mode: u32, content: &[u8], link: &str) -> Tar {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, mode: u32, content: impl AsRef<[u8]>) -> Tar {
        self.member(name, EntryType::Regular, mode, content.as_ref(), "")
    }

    pub fn directory(self, name: &str) -> Tar {
        self.member(name, EntryType::Directory, 0o755, b"", "")
    }

    pub fn symlink(self, name: &str, target: &str) -> Tar {
        self.member(name, EntryType::Symlink, 0o777, b"", target)
    }

    /// Raw bytes, padded to whole blocks.
    pub fn raw(mut self, bytes: &[u8]) -> Tar {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header without content, with any size; `edit` may change it before the checksum is set.
    pub fn head(self, name: &str, kind: u8, size: u64, edit: impl FnOnce(&mut [u8; 512])) -> Tar {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(EntryType::new(kind));
        header.set_mode(0o644);
        header.set_size(size);
        edit(header.as_mut_bytes());
        header.set_cksum();
        self.raw(header.as_bytes())
    }

    /// A name (`L`) or a link target (`K`) of any bytes and length for the next member, in GNU's format.
    pub fn long(self, kind: u8, text: &[u8]) -> Tar {
        let text = [text, &[0]].concat();
        self.head("././@LongLink", kind, text.len() as u64, |_| ()).raw(&text)
    }

    /// PAX attributes for the next member (`x`) or for all following ones (`g`), valid or not.
    pub fn attributes(self, kind: u8, text: &str) -> Tar {
        self.head("attributes", kind, text.len() as u64, |_| ()).raw(text.as_bytes())
    }

    /// One attribute for the next member.
    pub fn pax(self, key: &str, value: &str) -> Tar {
        self.attributes(b'x', &record(key, value))
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// The tar without the empty blocks at the end.
    pub fn unended(self) -> Vec<u8> {
        self.0
    }
}

/// A PAX record; its length includes its own digits.
pub fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length);
    format!("{} {key}={value}\n", length.expect("one fits"))
}

/// The stored bytes of a layer, and the diff id that the config gets for it.
pub struct Layer {
    pub stored: Vec<u8>,
    pub media_type: &'static str,
    pub diff_id: String,
}

pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

impl Layer {
    /// A layer with these stored bytes and the diff id of `tar`.
    pub fn of(stored: Vec<u8>, media_type: &'static str, tar: &[u8]) -> Layer {
        Layer { stored, media_type, diff_id: sha256(tar) }
    }

    pub fn gzip(tar: Tar) -> Layer {
        let tar = tar.bytes();
        Layer::of(gzip(&tar), GZIP, &tar)
    }
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(content).expect("memory");
    gzip.finish().expect("memory")
}

fn sha256(content: &[u8]) -> String {
    format!("sha256:{}", hex(content))
}

/// The sha256 of bytes in hexadecimal.
pub fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an image of these layers to the layout; `edit` may change its config and manifest.
pub fn image(layout: &Path, layers: &[Layer], edit: impl FnOnce(&mut Value, &mut Value)) -> String {
    std::fs::create_dir_all(layout.join("blobs/sha256")).expect("ours");
    let mut config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>() },
        "history": layers.iter().map(|_| json!({ "created_by": "by hand" })).collect::<Vec<_>>(),
    });
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json" },
    });
    for layer in layers {
        let mut descriptor = json!({ "mediaType": layer.media_type });
        replace(layout, &mut descriptor, &layer.stored);
        manifest["layers"].as_array_mut().expect("a list").push(descriptor);
    }
    edit(&mut config, &mut manifest);
    replace(layout, &mut manifest["config"], &bytes(&config));
    stored(layout, &bytes(&manifest))
}

/// Writes these bytes as the manifest of the layout's only image; returns its name.
pub fn stored(layout: &Path, manifest: &[u8]) -> String {
    let mut entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "annotations": { "org.opencontainers.image.ref.name": TAG },
    });
    replace(layout, &mut entry, manifest);
    write_index(layout, &entry);
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("ours");
    format!("oci:{}:{TAG}", layout.display())
}
