//! A deflate stream as the member of a zip archive. A layer has the bytes that flate2 inflates, or both refuse the
//! stream.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use flate2::Crc;
use lbuild::tree::{Content, Entry, FileTree, SourceFile, Stat, ZipContent};
use lbuild_fuzz::{LIMIT, inflated, layer, tar};
use libfuzzer_sys::fuzz_target;

/// Before the stream, a stored block that makes it long enough to be spliced.
const STORED: usize = 4096;

fuzz_target!(|data: &[u8]| {
    compare(data);
    let [low, high] = (STORED as u16).to_le_bytes();
    let block = [&[0, low, high, !low, !high][..], &[b'x'; STORED]].concat();
    compare(&[&block, data].concat());
});

fn compare(data: &[u8]) {
    let expected = inflated(data);
    let (content, mut crc) = (expected.clone().unwrap_or_default(), Crc::new());
    crc.update(&content);
    let member = ZipContent {
        archive: Arc::new(source(lbuild_fuzz::file(data))),
        name: Box::from(*b"member"),
        deflated: true,
        offset: 0,
        length: data.len() as u64,
        // A stream with more content is refused by both.
        size: if expected.is_some() { content.len() as u64 } else { LIMIT },
        crc32: crc.sum(),
    };
    let tree =
        |content| FileTree::of([(b"file".to_vec(), Entry::file(content, false))]).expect("it is a path");
    let found = layer(&tree(Content::Zip(member)));
    match (found, expected) {
        (Ok(layer), Some(_)) => {
            let plain = self::layer(&tree(Content::Bytes(content.into()))).expect("it is in memory");
            assert!(tar(&layer) == tar(&plain));
        }
        (Err(_), None) => {}
        (found, expected) => panic!("{:?}, but flate2: {}", found.map(drop), expected.is_some()),
    }
}

fn source(path: &Path) -> SourceFile {
    let stat = Stat::from(&fs::metadata(path).expect("it was written"));
    SourceFile { path: path.to_owned(), stat, sha256: None, lasting: false }
}
