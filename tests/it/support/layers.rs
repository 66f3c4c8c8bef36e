//! The content of a layer, read with a general tar reader.

use super::bases;
use super::lbuild::image_of;
use std::io::Read;
use std::path::Path;

/// One entry of a layer's tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The path in the archive, without a trailing slash.
    pub path: String,
    pub kind: tar::EntryType,
    pub mode: u32,
    pub mtime: u64,
    /// User and group: numbers, then names.
    pub owner: (u64, u64, String, String),
    pub link: Option<String>,
    pub content: Vec<u8>,
    /// Keys of PAX records.
    pub pax: Vec<String>,
}

/// The compressed layers of an image in a layout, lowest first.
pub fn blobs(layout: &Path, tag: &str, architecture: &str) -> Vec<Vec<u8>> {
    let (manifest, _) = image_of(layout, tag, architecture);
    let layers = manifest["layers"].as_array().expect("a manifest").iter();
    let digests = layers.map(|layer| layer["digest"].as_str().expect("a descriptor"));
    digests.map(|digest| std::fs::read(bases::blob(layout, digest)).expect("the layout has it")).collect()
}

/// The tar in the gzip; fails if the gzip has more than one member or trailing bytes.
pub fn inflate(gzip: &[u8]) -> Vec<u8> {
    let (mut decoder, mut tar) = (flate2::bufread::GzDecoder::new(gzip), Vec::new());
    decoder.read_to_end(&mut tar).expect("gzip");
    assert!(decoder.into_inner().is_empty(), "bytes after the one gzip member");
    tar
}

pub fn members(gzip: &[u8]) -> Vec<Member> {
    let tar = inflate(gzip);
    let mut archive = tar::Archive::new(&tar[..]);
    let entries = archive.entries().expect("a tar");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a tar entry");
            let pax = entry.pax_extensions().expect("PAX records");
            let keys =
                pax.into_iter().flatten().map(|record| record.expect("PAX").key().expect("UTF-8").to_owned());
            let pax = keys.collect();
            let header = entry.header();
            let name = |name: Result<Option<&str>, _>| name.expect("UTF-8").unwrap_or_default().to_owned();
            let (user, group) = (name(header.username()), name(header.groupname()));
            let owner = (header.uid().expect("octal"), header.gid().expect("octal"), user, group);
            let (mode, mtime, kind) =
                (header.mode().expect("octal"), header.mtime().expect("octal"), header.entry_type());
            let path = String::from_utf8(entry.path_bytes().into_owned()).expect("UTF-8");
            let link =
                entry.link_name_bytes().map(|name| String::from_utf8(name.into_owned()).expect("UTF-8"));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("as long as its header says");
            Member {
                path: path.trim_end_matches('/').to_owned(),
                kind,
                mode,
                mtime,
                owner,
                link,
                content,
                pax,
            }
        })
        .collect()
}

/// Paths and contents of the regular files.
pub fn files(gzip: &[u8]) -> Vec<(String, String)> {
    let files = members(gzip).into_iter().filter(|member| member.kind.is_file());
    files.map(|member| (member.path, String::from_utf8_lossy(&member.content).into_owned())).collect()
}
