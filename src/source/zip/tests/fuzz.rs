//! Archives and deflate streams with bytes changed, removed and doubled at random; flate2 is the reference.
//!
//! A run tries a thousand of each, or runs for `LBUILD_FUZZ_SECONDS` seconds if that variable is set. If
//! `LBUILD_FUZZ_ZIPS` names a directory, its archives are changed too.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::made::crc;
use super::*;
use crate::layer::{WriteOptions, write};
use crate::tree::{Content, SourceFile, Stat, ZipContent};

/// Upper bound on the bytes of a stream's content.
const LIMIT: u64 = 8 << 20;

/// Pseudo-random numbers that are the same in each run (<https://www.pcg-random.org/>).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (((self.0 >> 18) ^ self.0) >> 27) as u32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit.max(1)
    }

    /// Changes, moves, doubles or removes a few bytes, mostly near either end, where the headers are.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let length = bytes.len();
            let at = match self.below(3) {
                0 => self.below(length),
                1 => self.below(length.min(100)),
                _ => length.saturating_sub(1 + self.below(length.min(300))),
            };
            let end = (at + 1 + self.below(20)).min(length);
            match self.below(8) {
                _ if length == 0 => bytes.push(0),
                0..=2 => bytes[at] ^= 1 << self.below(8),
                3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                4 => bytes[at] = self.next() as u8,
                5 => drop(bytes.drain(at..end)),
                6 => {
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(length);
                    drop(bytes.splice(to..to, piece));
                }
                _ => bytes.truncate(at),
            }
        }
    }
}

/// flate2's content of a stream, if the stream ends where the data end.
fn inflated(data: &[u8]) -> Option<Vec<u8>> {
    let (mut stream, mut content) = (Decompress::new(false), Vec::new());
    loop {
        content.reserve(64 << 10);
        let before = (stream.total_in(), content.len());
        let rest = &data[before.0 as usize..];
        let status = stream.decompress_vec(rest, &mut content, FlushDecompress::None).ok()?;
        if status == Status::StreamEnd {
            return (stream.total_in() == data.len() as u64).then_some(content);
        }
        if before == (stream.total_in(), content.len()) || content.len() as u64 > LIMIT {
            return None;
        }
    }
}

fn options() -> WriteOptions<'static> {
    WriteOptions { epoch: 1, jobs: 1, progress: &|_| ControlFlow::Continue(()) }
}

/// The tar of the layer, verified against the layer's diff id.
fn tar(tree: &FileTree) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let written = write(tree, &options(), &mut out)?;
    let (mut tar, mut decoder) = (Vec::new(), GzDecoder::new(&out[..]));
    decoder.read_to_end(&mut tar).unwrap();
    assert!(decoder.into_inner().is_empty(), "bytes follow the gzip member");
    assert_eq!(Digest::of(&tar), written.diff_id);
    Ok(tar)
}

/// The same tree with contents inflated by flate2; `None` if flate2 finds a fault.
fn judged(tree: &FileTree, bytes: &[u8]) -> Option<FileTree> {
    let mut plain = FileTree::new();
    for (path, entry) in tree.iter() {
        let mut entry = entry.clone();
        if let EntryKind::File(Content::Zip(member)) = &entry.kind {
            let data = &bytes[member.offset as usize..][..member.length as usize];
            let content = if member.deflated { inflated(data)? } else { data.to_vec() };
            if content.len() as u64 != member.size || crc(&content) != member.crc32 {
                return None;
            }
            entry.kind = EntryKind::File(Content::Bytes(content.into()));
        }
        plain.insert(path, entry).unwrap();
    }
    Some(plain)
}

#[derive(Debug, Default)]
struct Counts {
    archives: u64,
    opened: u64,
    written: u64,
    streams: u64,
    inflated: u64,
}

fn archive(bytes: &[u8], path: &Path, counts: &mut Counts) {
    fs::write(path, bytes).unwrap();
    counts.archives += 1;
    let Ok(tree) = tree::collect(&tree::alone(path).unwrap()) else { return };
    counts.opened += 1;
    // Valid contents of any size are written, but large ones take too long here.
    if tree.iter().any(|(_, entry)| matches!(&entry.kind, EntryKind::File(content) if content.size() > LIMIT))
    {
        return;
    }
    match (tar(&tree), judged(&tree, bytes)) {
        (Ok(tar), Some(plain)) => {
            counts.written += 1;
            assert!(tar == self::tar(&plain).unwrap(), "the tar has different content");
        }
        (Err(Error::ZipMember { .. }), None) => {}
        (found, judged) => panic!("{:?}, but flate2: {}", found.map(drop), judged.is_some()),
    }
}

fn stream(bytes: Vec<u8>, path: &Path, counts: &mut Counts) {
    fs::write(path, &bytes).unwrap();
    counts.streams += 1;
    let judged = inflated(&bytes).filter(|content| (content.len() as u64) < LIMIT);
    let content = judged.clone().unwrap_or_default();
    let member = ZipContent {
        archive: Arc::new(SourceFile {
            path: path.to_owned(),
            stat: Stat::from(&fs::metadata(path).unwrap()),
            sha256: None,
            lasting: false,
        }),
        name: Box::from(*b"m"),
        deflated: true,
        offset: 0,
        length: bytes.len() as u64,
        size: content.len() as u64,
        crc32: crc(&content),
    };
    let entry = |content| Entry::file(content, false);
    let (mut tree, mut plain) = (FileTree::new(), FileTree::new());
    tree.insert("m", entry(Content::Zip(member))).unwrap();
    plain.insert("m", entry(Content::Bytes(content.into()))).unwrap();
    match (tar(&tree), judged) {
        (Ok(found), Some(_)) => {
            counts.inflated += 1;
            assert!(found == tar(&plain).unwrap(), "the tar has different content");
        }
        (Err(Error::ZipMember { .. }), None) => {}
        (found, judged) => panic!("{:?}, but flate2: {}", found.map(drop), judged.is_some()),
    }
}

/// Valid archives: small, so that many can be tried, with members on both sides of every limit.
fn seeds() -> Vec<Vec<u8>> {
    let text: Vec<u8> = (0..30_000u32).flat_map(|n| (n * n % 4099).to_le_bytes()[..2].to_vec()).collect();
    let member = |level: u32, size: usize| {
        let part = stored(format!("d/{level}-{size}"), &text[..size]);
        MadeMember { data: deflate(&part.content, level), method: 8, ..part }
    };
    let plain = [stored("a", "text"), stored("l", "a").mode(0o120_777), stored("e/", ""), member(6, 0)];
    let levels: Vec<MadeMember> = (0..10).map(|level| member(level, 12_000)).collect();
    let forms = levels.clone().into_iter().zip([[true, false], [false, true], [true, true]]);
    let forms = forms.map(|(part, [descriptor, zip64])| MadeMember { descriptor, zip64, ..part });
    let mut seeds =
        vec![zip(&plain), zip(&levels), zip(&forms.collect::<Vec<_>>()), zip(&[member(9, 60_000)])];
    for file in std::env::var_os("LBUILD_FUZZ_ZIPS").into_iter().flat_map(|dir| fs::read_dir(dir).unwrap()) {
        seeds.push(fs::read(file.unwrap().path()).unwrap());
    }
    seeds
}

/// The peak memory of this process, in kilobytes.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn flate2_agrees_on_every_changed_archive() {
    let seconds = std::env::var("LBUILD_FUZZ_SECONDS").ok().map(|text| text.parse().unwrap());
    let (begin, before) = (Instant::now(), memory());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.zip");
    // Long runs start from a different state each time; the message of a failure has the state.
    let start = seconds.map_or(1, |_: u64| std::process::id().into());
    let (mut random, mut counts) = (Random(start), Counts::default());
    let seeds = seeds();
    for bytes in &seeds {
        archive(bytes, &path, &mut counts);
    }
    assert_eq!(counts.written, seeds.len() as u64, "every seed is valid");
    let streams: Vec<_> = (0..10)
        .map(|level| deflate(&noise(20_000), level))
        .chain([deflate(b"", 6), deflate(&[7; 90_000], 9)])
        .collect();
    loop {
        let done = match seconds {
            Some(seconds) => begin.elapsed() >= Duration::from_secs(seconds),
            None => counts.archives >= 1000,
        };
        if done {
            break;
        }
        let state = random.0;
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            random.change(&mut bytes);
            archive(&bytes, &path, &mut counts);
            let mut bytes = streams[random.below(streams.len())].clone();
            random.change(&mut bytes);
            stream(bytes, &path, &mut counts);
        }));
        assert!(tried.is_ok(), "with Random({state}), started at {start}, after {counts:?}");
    }
    if seconds.is_some() {
        println!("{counts:?}, {} to {} kB of memory", before, memory());
        assert!(memory() < 256 << 10, "{} kB of memory", memory());
    }
    assert!(counts.opened > counts.archives / 10 && counts.written > 0 && counts.inflated > 0, "{counts:?}");
}

/// Bytes that deflate to about half.
fn noise(length: usize) -> Vec<u8> {
    let mut random = Random(length as u64);
    (0..length).map(|_| random.next() as u8 & 0x1f).collect()
}
