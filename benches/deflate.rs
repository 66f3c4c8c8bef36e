//! The encoders that `benches/run deflate` compares, as a program with one thread.
//!
//! usage: deflate lbuild|zlib-rs-LEVEL <TAR >LAYER
//!
//! Each encoder makes a layer: it compresses the tar and computes the SHA-256 digests of the tar and of the layer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;

use flate2::{Compression, write::GzEncoder};
use lbuild::layer::{WriteOptions, recompress};
use sha2::{Digest, Sha256};

fn main() {
    let encoder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let tar = io::stdin().lock();
    // Not `Stdout`, which scans for line ends.
    let layer = File::from(io::stdout().as_fd().try_clone_to_owned().expect("standard output is open"));
    match encoder.as_deref().map(|name| (name, name.strip_prefix("zlib-rs-"))) {
        Some((_, Some(level))) => zlib(tar, layer, level.parse().expect("a level from 0 to 9")),
        Some(("lbuild", _)) => lbuild(tar, layer),
        _ => panic!("usage: deflate lbuild|zlib-rs-LEVEL <TAR >LAYER"),
    }
}

fn lbuild(tar: impl Read, mut layer: File) {
    let options = WriteOptions { epoch: 0, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    recompress(tar, &options, &mut layer).expect("the layer is written");
}

fn zlib(mut tar: impl Read, layer: File, level: u32) {
    let mut encoder = GzEncoder::new(Hashed { out: layer, hash: Sha256::new() }, Compression::new(level));
    let mut diff_id = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        let length = tar.read(&mut buffer).expect("the tar is readable");
        if length == 0 {
            break;
        }
        diff_id.update(&buffer[..length]);
        encoder.write_all(&buffer[..length]).expect("the layer is written");
    }
    let hashed = encoder.finish().expect("the layer is written");
    std::hint::black_box((diff_id.finalize(), hashed.hash.finalize()));
}

/// Hashes the bytes that are written to `out`.
struct Hashed<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
