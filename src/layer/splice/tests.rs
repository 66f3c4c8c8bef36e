use std::fs;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use flate2::bufread::GzDecoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use proptest::prelude::*;

use super::super::layer_writer::{WriteOptions, Written};
use super::super::write::write;
use super::*;
use crate::tree::{Content, Entry, FileTree, ZipContent};

#[test]
fn the_version_names_the_constants_that_decide_bytes() {
    assert_eq!(SPLICE_VERSION, format!("splice-1 from-{SPLICED_FROM}"));
}

fn crc(content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(content);
    crc.sum()
}

/// A deflate stream with block ends at least at the given offsets of the content.
fn deflate(content: &[u8], level: u32, borders: &[usize]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::new(level), false);
    let mut stream = Vec::with_capacity(content.len() * 2 + 1000 + borders.len() * 100);
    let mut begin = 0;
    for &border in borders.iter().filter(|&&border| border < content.len()) {
        if border > begin {
            compress.compress_vec(&content[begin..border], &mut stream, FlushCompress::Partial).unwrap();
            begin = border;
        }
    }
    compress.compress_vec(&content[begin..], &mut stream, FlushCompress::Finish).unwrap();
    stream
}

/// The data of a member in an archive, and its content after inflation.
struct Data {
    bytes: Vec<u8>,
    deflated: bool,
    content: Vec<u8>,
}

fn data(content: Vec<u8>, level: u32) -> Data {
    Data { bytes: deflate(&content, level, &[]), deflated: true, content }
}

fn archive(path: &Path, bytes: &[u8]) -> Arc<SourceFile> {
    fs::write(path, bytes).unwrap();
    let stat = Stat::from(&fs::metadata(path).unwrap());
    Arc::new(SourceFile { path: path.to_owned(), stat, sha256: None, lasting: false })
}

fn member(archive: &Arc<SourceFile>, offset: usize, data: &Data) -> ZipContent {
    ZipContent {
        archive: Arc::clone(archive),
        name: Box::from(*b"m"),
        deflated: data.deflated,
        offset: offset as u64,
        length: data.bytes.len() as u64,
        size: data.content.len() as u64,
        crc32: crc(&data.content),
    }
}

/// The same files as members of an archive and in memory.
fn trees(directory: &Path, all: &[Data]) -> (FileTree, FileTree) {
    let bytes: Vec<u8> = all.iter().flat_map(|data| [b"head", &data.bytes[..]].concat()).collect();
    let archive = archive(&directory.join("a.zip"), &bytes);
    let (mut members, mut plain, mut at) = (FileTree::new(), FileTree::new(), 0);
    for (number, data) in all.iter().enumerate() {
        let path = format!("d/{number:05}");
        at += 4;
        members.insert(&*path, Entry::file(Content::Zip(member(&archive, at, data)), false)).unwrap();
        plain.insert(path, Entry::file(Content::Bytes(data.content.clone().into()), false)).unwrap();
        at += data.bytes.len();
    }
    (members, plain)
}

fn options(jobs: usize) -> WriteOptions<'static> {
    WriteOptions { epoch: 1, jobs, progress: &|_| ControlFlow::Continue(()) }
}

/// Writes members, and compares the layer with that of the same files in memory.
fn check(all: &[Data]) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let (members, plain) = trees(directory.path(), all);
    let mut out = Vec::new();
    let written = write(&members, &options(1), &mut out).unwrap();
    let mut tar = Vec::new();
    let mut decoder = GzDecoder::new(&out[..]);
    decoder.read_to_end(&mut tar).unwrap();
    assert!(decoder.into_inner().is_empty(), "bytes follow the gzip member");
    assert_eq!(written.diff_id, crate::image::Digest::of(&tar));
    let expected = write(&plain, &options(2), &mut io::sink()).unwrap();
    assert_eq!((written.diff_id, written.uncompressed), (expected.diff_id, expected.uncompressed));
    assert_eq!(write(&members, &options(3), &mut io::sink()).unwrap(), written);
    written
}

fn noise(length: usize, mask: u8) -> Vec<u8> {
    let mut state = length as u64;
    let byte = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8 & mask
    };
    (0..length).map(byte).collect()
}

#[test]
fn members_of_every_size_and_level_are_spliced() {
    let border = SPLICED_FROM as usize;
    let sizes =
        [0, 1, border - 6, border - 5, border, border + 1, INPUT - 5, INPUT + 1, OUTPUT + 1, 1_000_000];
    let mut all = Vec::new();
    for level in [0, 1, 6, 9] {
        all.extend(sizes.iter().flat_map(|&size| [0xff, 0x0f].map(|mask| data(noise(size, mask), level))));
        all.push(Data { bytes: noise(70_000, 3), deflated: false, content: noise(70_000, 3) });
        all.push(Data { bytes: Vec::new(), deflated: false, content: Vec::new() });
    }
    all.push(data(vec![0; 20_000_000], 9));
    check(&all);
}

#[test]
fn large_members_are_copied_and_small_ones_recompressed() {
    let directory = tempfile::tempdir().unwrap();
    let poor = Data { bytes: deflate(&[7; 40_000], 0, &[]), deflated: true, content: vec![7; 40_000] };
    let (tree, _) = trees(directory.path(), &[poor]);
    let mut out = Vec::new();
    write(&tree, &options(1), &mut out).unwrap();
    assert!(out.windows(40_000).any(|window| window == [7; 40_000]), "a stored block");

    let small = Data { bytes: deflate(&[7; 4000], 0, &[]), deflated: true, content: vec![7; 4000] };
    let (tree, _) = trees(directory.path(), &[small]);
    out.clear();
    write(&tree, &options(1), &mut out).unwrap();
    assert!(out.len() < 400, "{}", out.len());
}

/// The number of unused bits in a stream's last byte.
fn spare(stream: &[u8]) -> usize {
    let (mut inflater, mut output, mut at) = (Inflater::new(), vec![0; OUTPUT], 0);
    loop {
        let step = inflater.step(&stream[at..], &mut output).unwrap();
        at += step.used;
        if let Some(Border { spare, last: true }) = step.border {
            return spare;
        }
    }
}

#[test]
fn bits_after_the_end_of_a_stream_are_ignored() {
    for size in 9000..9040 {
        let mut data = data(noise(size, 0x3f), 6);
        let spare = spare(&data.bytes);
        *data.bytes.last_mut().unwrap() |= (0xff00u32 >> spare) as u8;
        check(&[data]);
    }
}

fn failure(change: impl FnOnce(&mut ZipContent, &mut Vec<u8>)) -> String {
    let directory = tempfile::tempdir().unwrap();
    let data = data(noise(100_000, 0x3f), 6);
    let path = directory.path().join("a.zip");
    let mut member = member(&archive(&path, &data.bytes), 0, &data);
    let mut bytes = data.bytes;
    change(&mut member, &mut bytes);
    member.archive = archive(&path, &bytes);
    let mut tree = FileTree::new();
    tree.insert("m", Entry::file(Content::Zip(member), false)).unwrap();
    match write(&tree, &options(1), &mut io::sink()).unwrap_err() {
        Error::ZipMember { archive, member, fault } => {
            assert_eq!((archive, &member[..]), (path, "m"));
            fault.to_owned()
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_member_that_differs_from_its_description_is_an_error() {
    let faults = [
        failure(|member, _| member.crc32 ^= 1),
        failure(|member, _| member.size += 1),
        failure(|member, _| member.size -= 1),
        failure(|member, _| member.size = 0),
        failure(|member, _| member.length -= 1),
        failure(|member, bytes| {
            member.length += 1;
            bytes.push(0);
        }),
        failure(|member, bytes| {
            member.length += 200_000;
            bytes.extend([0; 200_000]);
        }),
        failure(|_, bytes| {
            let _ = bytes.pop();
        }),
        failure(|_, bytes| bytes[0] = 7),
        failure(|member, _| member.deflated = false),
        failure(|member, _| member.length = 0),
    ];
    assert_eq!(
        faults,
        [
            "its checksum is not the one in the archive",
            "it is shorter than the archive says",
            "it is longer than the archive says",
            "it is longer than the archive says",
            "its deflate stream does not end",
            "its deflate stream ends before its data ends",
            "its deflate stream ends before its data ends",
            "the archive ends within it",
            "it is not a valid deflate stream",
            "it is shorter than the archive says",
            "its deflate stream does not end",
        ]
    );
}

/// Using a file of the cache changes its times, and another run may do so at any moment.
#[test]
fn a_lasting_archive_may_be_used_by_others_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let (tree, plain) = trees(directory.path(), &[data(noise(50_000, 7), 6)]);
    let path = directory.path().join("a.zip");
    fs::File::open(&path).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(matches!(write(&tree, &options(1), &mut io::sink()), Err(Error::SourceChanged { .. })));
    let lasting = tree.into_iter().map(|(name, mut entry)| {
        if let crate::tree::EntryKind::File(Content::Zip(member)) = &mut entry.kind {
            let archive = SourceFile { lasting: true, ..SourceFile::clone(&member.archive) };
            member.archive = Arc::new(archive);
        }
        (name, entry)
    });
    let mut tree = FileTree::new();
    lasting.for_each(|(name, entry)| drop(tree.insert(name, entry).unwrap()));
    let written = write(&tree, &options(1), &mut io::sink()).unwrap();
    assert_eq!(written.diff_id, write(&plain, &options(1), &mut io::sink()).unwrap().diff_id);
}

#[test]
fn an_archive_that_changes_meanwhile_is_not_reported_as_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (tree, _) = trees(directory.path(), &[data(noise(50_000, 7), 6)]);
    let path = directory.path().join("a.zip");
    fs::write(&path, noise(50_000, 0xff)).unwrap();
    let error = write(&tree, &options(1), &mut io::sink()).unwrap_err();
    assert!(matches!(error, Error::SourceChanged { path: named } if named == path));
    fs::remove_file(&path).unwrap();
    let error = write(&tree, &options(1), &mut io::sink()).unwrap_err();
    assert!(matches!(error, Error::Read { path: named, .. } if named == path));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_members_give_the_same_tar_as_files_in_memory(
        members in prop::collection::vec((0usize..200_000, any::<u8>(), 0u32..10, prop::collection::vec(0usize..200_000, 0..20)), 0..8),
    ) {
        let all = members.into_iter().map(|(size, mask, level, mut borders)| {
            let content = noise(size, mask);
            borders.sort_unstable();
            match level {
                0..=9 if mask == 3 => Data { bytes: content.clone(), deflated: false, content },
                _ => Data { bytes: deflate(&content, level, &borders), deflated: true, content },
            }
        });
        check(&all.collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), long in any::<bool>()) {
        let directory = tempfile::tempdir().unwrap();
        let bytes = if long { [bytes, noise(SPLICED_FROM as usize, 0xff)].concat() } else { bytes };
        let (tree, _) = trees(directory.path(), &[Data { bytes, deflated: true, content: vec![0; 1000] }]);
        let _ = write(&tree, &options(1), &mut io::sink());
    }
}
