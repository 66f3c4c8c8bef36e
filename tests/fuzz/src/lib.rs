//! What several targets need.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use flate2::{Decompress, FlushDecompress, Status};
use lbuild::layer::{WriteOptions, write};
use lbuild::tree::FileTree;

/// The largest tar or content that a target handles, in bytes.
pub const LIMIT: u64 = 4 << 20;

/// Writes the input to a file, because the reader takes a path. Each process has its own file.
pub fn file(bytes: &[u8]) -> &'static Path {
    static FILE: LazyLock<PathBuf> =
        LazyLock::new(|| std::env::temp_dir().join(format!("lbuild-fuzz-{}", std::process::id())));
    replace(&FILE, bytes).expect("the temporary directory is writable");
    &FILE
}

/// Some file systems wait for the disk after a truncation to nothing.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

/// The tar with right checksums in its headers, which a fuzzer cannot guess. Every block with the magic of a header
/// counts as one.
pub fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut tar = bytes.to_vec();
    for block in tar.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

/// flate2's content of a deflate stream, if the stream ends where the data end and has at most [`LIMIT`] bytes of
/// content.
pub fn inflated(data: &[u8]) -> Option<Vec<u8>> {
    let (mut stream, mut content) = (Decompress::new(false), Vec::new());
    loop {
        content.reserve(64 << 10);
        let before = (stream.total_in(), content.len());
        let rest = &data[before.0 as usize..];
        let status = stream.decompress_vec(rest, &mut content, FlushDecompress::None).ok()?;
        if content.len() as u64 > LIMIT {
            return None;
        }
        if status == Status::StreamEnd {
            return (stream.total_in() == data.len() as u64).then_some(content);
        }
        if before == (stream.total_in(), content.len()) {
            return None;
        }
    }
}

/// The layer of a tree.
pub fn layer(tree: &FileTree) -> lbuild::Result<Vec<u8>> {
    let mut out = Vec::new();
    let options = WriteOptions { epoch: 1, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    write(tree, &options, &mut out)?;
    Ok(out)
}

/// The tar of a layer that lbuild wrote.
pub fn tar(layer: &[u8]) -> Vec<u8> {
    let (mut decoder, mut tar) = (flate2::bufread::GzDecoder::new(layer), Vec::new());
    decoder.read_to_end(&mut tar).expect("the layer is gzip");
    assert!(decoder.into_inner().is_empty(), "bytes follow the gzip member");
    tar
}
