use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use super::super::decoders::inflate;
use super::super::window::SEGMENT_SIZE;
use super::*;
use crate::image::Digest;

/// Text-like, random and constant stretches, the same on every run.
fn content(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut bytes = Vec::with_capacity(length + 4096);
    while bytes.len() < length {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        match state >> 30 {
            0 => bytes.extend_from_slice(&[b' '; 1500]),
            1 => bytes.extend((0..700u32).map(|n| (state.wrapping_mul(n * n + 1) >> 24) as u8)),
            _ => {
                bytes.extend((0..3000u32).map(|n| b"etaoin shrdlu{}();\n"[(state >> (n % 23)) as usize % 19]))
            }
        }
    }
    bytes.truncate(length);
    bytes
}

fn gzip(content: &[u8], jobs: usize, write: usize) -> Vec<u8> {
    let mut writer = GzipWriter::new(Vec::new(), jobs).unwrap();
    for piece in content.chunks(write) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

/// The content of the member. Panics when a decoder rejects it, and when bytes follow its end.
fn gunzip(gzip: &[u8]) -> Vec<u8> {
    let mut decoder = GzDecoder::new(gzip);
    let mut content = Vec::new();
    decoder.read_to_end(&mut content).unwrap();
    assert!(decoder.into_inner().is_empty(), "bytes follow the end of the member");
    let stream = &gzip[HEADER.len()..gzip.len() - 8];
    assert!(inflate(stream) == content, "the deflate stream alone has the same content");
    content
}

#[test]
fn the_member_decodes_to_the_written_content() {
    let all = content(3 * SEGMENT_SIZE + 5);
    let boundaries = [SEGMENT_SIZE, 2 * SEGMENT_SIZE, 3 * SEGMENT_SIZE];
    let around = boundaries.into_iter().flat_map(|size| [size - 1, size, size + 1]);
    for size in [0, 1, 2, 100, 5000].into_iter().chain(around) {
        for jobs in [1, 3] {
            assert!(gunzip(&gzip(&all[..size], jobs, 1 << 17)) == all[..size], "{size} bytes, {jobs} jobs");
        }
    }
}

#[test]
fn incompressible_content_grows_by_less_than_a_5000th() {
    let mut state = 1u64;
    let noise: Vec<u8> = (0..SEGMENT_SIZE + SEGMENT_SIZE / 4)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    let compressed = gzip(&noise, 2, 1 << 20);
    assert!(compressed.len() < noise.len() + noise.len() / 5000 + 100, "{}", compressed.len());
    assert!(gunzip(&compressed) == noise);
}

#[test]
fn neither_jobs_nor_sizes_of_writes_change_a_byte() {
    let content = content(5 * SEGMENT_SIZE + 1234);
    let expected = gzip(&content, 1, content.len());
    for jobs in [1, 2, 3, 8] {
        for write in [1021, 1 << 16, SEGMENT_SIZE - 1, SEGMENT_SIZE, content.len()] {
            assert!(gzip(&content, jobs, write) == expected, "{jobs} jobs, writes of {write}");
        }
    }
}

/// A new digest means that every layer of every user changes: see [`VERSION`](super::super::VERSION).
#[test]
fn the_digest_is_the_golden_digest() {
    let mut content = content(3 * SEGMENT_SIZE);
    for at in (0..content.len() - 8192).step_by(100_000) {
        // Content for split blocks, matches of three bytes and skipped positions.
        for (n, byte) in content[at..at + 8192].iter_mut().enumerate() {
            *byte = (n as u32).wrapping_mul(n as u32 | 1).wrapping_mul(0x9e37_79b1).rotate_left(9) as u8;
        }
        content.copy_within(at..at + 3, at + 5000);
    }
    let digest = Digest::of(&gzip(&content, 1, 1 << 20));
    assert_eq!(digest.hex(), "11e44c8ddbc12e1506dae08159bac8d1ad8d1f899ad9546477596c51fdc39bfc");
}

#[test]
fn the_header_has_no_name_and_no_time() {
    let gzip = gzip(b"a", 1, 1);
    assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    assert_eq!(gzip[gzip.len() - 8..], [0x43, 0xbe, 0xb7, 0xe8, 1, 0, 0, 0], "CRC-32 and size of `a`");
}

#[test]
fn a_stream_of_one_segment_starts_no_thread() {
    let mut writer = GzipWriter::new(Vec::new(), 8).unwrap();
    writer.write_all(&content(SEGMENT_SIZE)).unwrap();
    writer.current.last = true;
    writer.end_segment().unwrap();
    assert!(writer.pool.is_none());

    let mut writer = GzipWriter::new(Vec::new(), 8).unwrap();
    writer.write_all(&content(SEGMENT_SIZE + 1)).unwrap();
    assert_eq!(writer.pool.as_ref().unwrap().threads.len(), 7);
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let mut writer = GzipWriter::new(io::sink(), 3).unwrap();
    let segment = content(SEGMENT_SIZE);
    for _ in 0..20 {
        writer.write_all(&segment).unwrap();
        let pending = (writer.queued - writer.written) as usize;
        assert!(
            pending + writer.spare.len() <= 5,
            "{pending} segments pending, {} spare",
            writer.spare.len()
        );
    }
    writer.finish().unwrap();
}

/// Accepts a number of bytes, then fails as a full disk does.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(rest) => self.0 = rest,
            None => return Err(io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failure_of_the_output_is_an_error() {
    let content = content(4 * SEGMENT_SIZE);
    let size = gzip(&content, 1, SEGMENT_SIZE).len();
    for jobs in [1, 2] {
        for room in [0, 10, size / 2, size - 1] {
            let result = GzipWriter::new(Full(room), jobs).and_then(|mut writer| {
                writer.write_all(&content)?;
                writer.finish()
            });
            assert_eq!(result.err().unwrap().kind(), io::ErrorKind::StorageFull, "{jobs} jobs, {room} bytes");
        }
    }
}

#[test]
fn a_writer_that_is_dropped_early_ends_its_threads() {
    for segments in 0..5 {
        let mut writer = GzipWriter::new(Vec::new(), 4).unwrap();
        writer.write_all(&content(segments * SEGMENT_SIZE + 1)).unwrap();
        let shared = writer.pool.as_ref().map(|pool| Arc::downgrade(&pool.shared));
        drop(writer);
        assert!(shared.is_none_or(|shared| shared.upgrade().is_none()), "all threads have ended");
    }
}

#[test]
fn a_panic_of_a_thread_is_resumed() {
    let mut writer = GzipWriter::new(Vec::new(), 2).unwrap();
    let pool = Pool::new(1);
    pool.store(0, Err(Box::new("a thread's panic")));
    writer.pool = Some(pool);
    writer.queued = 1;
    let panic = panic::catch_unwind(AssertUnwindSafe(|| writer.finish().map(drop))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a thread's panic"));
}
