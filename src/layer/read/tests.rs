use std::io::Write;

use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::LayerReader;
use super::header::{BLOCK, plain};
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::layer::{WriteOptions, write};
use crate::tree::{Content, Device, Entry, EntryKind, FileTree, ImagePath, Member};

const LIMIT: u64 = 1 << 30;

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(1000);
    header.set_gid(100);
    header
}

/// A tar written by the `tar` crate.
fn sample() -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let long = format!("{}/file", "d".repeat(150));
    tar.append_data(&mut header(EntryType::Directory, 0), "a/", &b""[..]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 700), "a/b", &[7; 700][..]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 3), long, &b"abc"[..]).unwrap();
    tar.append_link(&mut header(EntryType::Symlink, 0), "a/s", "x".repeat(120)).unwrap();
    tar.append_link(&mut header(EntryType::Link, 0), "a/h", "a/b").unwrap();
    tar.append_data(&mut header(EntryType::Fifo, 0), "a/p", &b""[..]).unwrap();
    tar.append_pax_extensions([("path", &b"\xff/pax"[..]), ("uid", b"70000")]).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 1), "other", &b"z"[..]).unwrap();
    tar.into_inner().unwrap()
}

fn read(tar: &[u8], compression: Compression) -> Result<Vec<(Member<u64>, Vec<u8>)>> {
    let mut reader = LayerReader::new(tar, compression, LIMIT);
    let mut members = Vec::new();
    while let Some(member) = reader.next()? {
        let mut content = Vec::new();
        reader.content(|piece| {
            content.extend_from_slice(piece);
            Ok(())
        })?;
        members.push((member, content));
    }
    reader.finish()?;
    Ok(members)
}

#[test]
fn every_kind_of_member_is_read() {
    let members = read(&gzip(&sample()), Compression::Gzip).unwrap();
    let kinds: Vec<_> =
        members.iter().map(|(member, content)| (member.entry.kind.clone(), content.len())).collect();
    let expected = [
        (EntryKind::Directory, 0),
        (EntryKind::File(700), 700),
        (EntryKind::File(3), 3),
        (EntryKind::Symlink("x".repeat(120).into_bytes()), 0),
        (EntryKind::HardLink(b"a/b".to_vec()), 0),
        (EntryKind::Device(Device::Fifo), 0),
        (EntryKind::File(1), 1),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(members[2].0.path.len(), 155);
    let entry = &members[1].0.entry;
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o644, 1000, 100));
    assert_eq!((members[6].0.path.as_bytes(), members[6].0.entry.uid), (&b"\xff/pax"[..], 70_000));
}

#[test]
fn devices_attributes_and_deletions_are_read() {
    let mut tar = Builder::new(Vec::new());
    let mut device = header(EntryType::Char, 0);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    tar.append_data(&mut device, "dev/null", &b""[..]).unwrap();
    let capability = &b"\x01\0\0\x02\0\x20\0\0\n=\xff"[..];
    let records = [("SCHILY.xattr.security.capability", capability), ("SCHILY.xattr.user.a", b"")];
    tar.append_pax_extensions(records).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0), "usr/bin/ping", &b""[..]).unwrap();
    for name in ["usr/.wh.bin", "./opt/.wh..wh..opq", ".wh..wh..opq", "usr/.wh.", "../a"] {
        let mut header = header(EntryType::Regular, 0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, &b""[..]).unwrap();
    }
    let members = read(&tar.into_inner().unwrap(), Compression::None).unwrap();
    let found: Vec<_> =
        members.iter().map(|(member, _)| (member.path.as_str(), member.entry.kind.clone())).collect();
    let expected = [
        ("dev/null", EntryKind::Device(Device::Character { major: 1, minor: 3 })),
        ("usr/bin/ping", EntryKind::File(0)),
        ("usr/bin", EntryKind::Whiteout),
        ("opt", EntryKind::Opaque),
        ("", EntryKind::Opaque),
        ("usr/.wh.", EntryKind::File(0)),
        ("../a", EntryKind::File(0)),
    ];
    assert_eq!(found, expected);
    let xattrs = &members[1].0.entry.xattrs;
    assert_eq!((xattrs.len(), xattrs.get(b"security.capability")), (2, Some(capability)));
}

#[test]
fn content_need_not_be_read() {
    let tar = sample();
    let mut reader = LayerReader::new(&tar[..], Compression::None, LIMIT);
    let mut names = Vec::new();
    while let Some(member) = reader.next().unwrap() {
        names.push(member.path);
    }
    assert_eq!(names.len(), 7);
    assert_eq!(reader.finish().unwrap(), (Digest::of(&tar), tar.len() as u64));
}

#[test]
fn a_truncated_layer_is_an_error_at_every_length() {
    let tar = sample();
    let whole = gzip(&tar);
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut], Compression::Gzip).is_err(), "{cut} of {}", whole.len());
    }
    // A plain tar may end before its two empty blocks, and before the padding of its last member, which umoci leaves
    // out; but not elsewhere within a member.
    let last = tar.len() - 2 * BLOCK;
    let mut reader = LayerReader::new(&*tar, Compression::None, LIMIT);
    let mut ends = Vec::new();
    while reader.next().unwrap().is_some() {
        reader.content(|_| Ok(())).unwrap();
        ends.push(reader.position() as usize);
    }
    for cut in (1..last).filter(|cut| cut % BLOCK != 0) {
        let whole = ends.iter().position(|&end| (end..end.next_multiple_of(BLOCK)).contains(&cut));
        let found = read(&tar[..cut], Compression::None);
        assert_eq!(found.ok().map(|members| members.len()), whole.map(|last| last + 1), "{cut}");
    }
    assert_eq!(read(&tar[..last], Compression::None).unwrap().len(), 7);
}

#[test]
fn a_layer_that_is_not_a_tar_is_an_error() {
    let mut wrong = sample();
    wrong[0] ^= 1;
    let error = read(&wrong, Compression::None).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("checksum"), "{error}");
    assert!(read(b"hello", Compression::Gzip).is_err() && read(&[b'x'; 2048], Compression::None).is_err());
}

#[test]
fn names_and_content_have_limits() {
    // A name of 4 GB is refused before any of it is read.
    let mut long = header(EntryType::GNULongName, 4 << 30);
    long.set_path("././@LongLink").unwrap();
    long.set_cksum();
    assert!(read(long.as_bytes(), Compression::None).is_err());
    let zeros = gzip(&vec![0; 3 << 20]);
    let mut reader = LayerReader::new(&zeros[..], Compression::Gzip, 1 << 20);
    assert!(reader.next().unwrap().is_none());
    let error = reader.finish().unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("larger than 1048576"));
}

#[test]
fn several_gzip_members_are_one_layer() {
    let tar = sample();
    let (first, second) = tar.split_at(1000);
    let both = [gzip(first), gzip(second)].concat();
    assert_eq!(read(&both, Compression::Gzip).unwrap().len(), 7);
}

#[test]
fn paths_are_plain_and_distinct() {
    for (name, expected) in [
        (&b"./a//b/"[..], "a/b"),
        (b"/a", "a"),
        (b"./", ""),
        (b"a\xff", "a\\xff"),
        (b"a\xfe", "a\\xfe"),
        (b"a\nb", "a\\x0ab"),
        ("\u{e9}".as_bytes(), "\u{e9}"),
    ] {
        assert_eq!(ImagePath::new(&plain(name)).as_str(), expected);
    }
}

/// GNU tar stores sparse files in four formats.
#[test]
fn sparse_files_have_the_content_that_gnu_tar_stored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sparse");
    let mut content = vec![0; 3 << 20];
    // More segments than fit into an old GNU header, and a hole at the end.
    for start in (1 << 16..2 << 20).step_by(1 << 16) {
        content[start..start + 4096].fill(start as u8 | 1);
    }
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(content.len() as u64).unwrap();
    for start in (1 << 16..2 << 20).step_by(1 << 16) {
        std::os::unix::fs::FileExt::write_all_at(&file, &content[start..start + 4096], start as u64).unwrap();
    }
    drop(file);
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let mut tar = std::process::Command::new("tar");
        tar.args(["-c", "--sparse"]).args(format).arg("-C").arg(directory.path()).args(["sparse"]);
        let stored = tar.output().unwrap();
        assert!(stored.status.success(), "{}", String::from_utf8_lossy(&stored.stderr));
        assert!(stored.stdout.len() < 1 << 20, "{format:?}: it is not stored sparsely");
        let members = read(&stored.stdout, Compression::None).unwrap();
        let [(member, read)] = &members[..] else { panic!("{format:?}: {members:?}") };
        assert_eq!(member.path.as_str(), "sparse", "{format:?}");
        assert_eq!(member.entry.kind, EntryKind::File(content.len() as u64), "{format:?}");
        assert!(*read == content, "{format:?}");
    }
}

#[test]
fn a_sparse_map_that_contradicts_itself_is_an_error() {
    let map = |records: &[(&str, &[u8])], stored: u64| {
        let mut tar = Builder::new(Vec::new());
        tar.append_pax_extensions(records.iter().copied()).unwrap();
        let content = vec![b'x'; stored as usize];
        tar.append_data(&mut header(EntryType::Regular, stored), "f", &content[..]).unwrap();
        read(&tar.into_inner().unwrap(), Compression::None)
    };
    let size = ("GNU.sparse.size", &b"10"[..]);
    let good = map(&[size, ("GNU.sparse.map", b"2,3,8,1")], 4).unwrap();
    assert_eq!(good[0].1, b"\0\0xxx\0\0\0x\0");
    for (list, stored) in [
        (&b"2,3,4,1"[..], 4), // overlaps
        (b"8,3", 3),          // ends after the end of the file
        (b"2,3", 2),          // more than the stored bytes
        (b"2", 4),            // an offset without a length
        (b"2,x", 4),
        (b"18446744073709551615,1", 1),
    ] {
        assert!(map(&[size, ("GNU.sparse.map", list)], stored).is_err(), "{}", list.escape_ascii());
    }
    assert!(map(&[size, ("GNU.sparse.numbytes", b"1")], 1).is_err());
    let endless =
        [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.realsize", b"9"), ("GNU.sparse.minor", b"0")];
    assert!(map(&endless, 600).is_err(), "its map has no lines");
}

#[test]
fn holes_count_against_the_limit() {
    let mut tar = Builder::new(Vec::new());
    let size = (4 * LIMIT).to_string();
    let records = [("GNU.sparse.size", size.as_bytes()), ("GNU.sparse.map", b"0,1")];
    tar.append_pax_extensions(records).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 1), "f", &b"x"[..]).unwrap();
    let tar = tar.into_inner().unwrap();
    let mut reader = LayerReader::new(&tar[..], Compression::None, LIMIT);
    assert_eq!(reader.next().unwrap().unwrap().entry.kind, EntryKind::File(4 * LIMIT));
    assert!(!reader.fits());
    assert!(reader.content(|_| Ok(())).is_err());
}

/// Every kind of entry in a tree is read back from its layer.
#[test]
fn a_written_tree_is_read_back() {
    let file = |bytes: &[u8]| Entry::file(Content::Bytes(bytes.into()), false);
    let mut owned = file(b"owned");
    (owned.mode, owned.uid, owned.gid) = (0o4755, 1000, 70_000_000);
    owned.xattrs.insert("security.capability", &b"\x01\0\0\x02\xff"[..]);
    owned.xattrs.insert("user.a", &b"line\nfeed"[..]);
    let device = |device| Entry::new(EntryKind::Device(device), 0o600);
    let tree = FileTree::of([
        (b"a".to_vec(), Entry::new(EntryKind::Opaque, 0o1777)),
        (b"a/file".to_vec(), owned),
        (b"a/link".to_vec(), Entry::new(EntryKind::HardLink(b"a/file".to_vec()), 0o4755)),
        (b"b".to_vec(), Entry::directory()),
        (b"b/block".to_vec(), device(Device::Block { major: 8, minor: 3_000_000 })),
        (b"b/gone".to_vec(), Entry::new(EntryKind::Whiteout, 0)),
        (b"b/null".to_vec(), device(Device::Character { major: 1, minor: 3 })),
        (b"b/pipe".to_vec(), device(Device::Fifo)),
        (b"b/symlink".to_vec(), Entry::symlink("x".repeat(200))),
    ])
    .unwrap();
    let mut layer = Vec::new();
    let options = WriteOptions { epoch: 7, jobs: 1, progress: &|_| std::ops::ControlFlow::Continue(()) };
    write(&tree, &options, &mut layer).unwrap();
    let members = read(&layer, Compression::Gzip).unwrap();
    let marker = members.iter().position(|(member, _)| member.entry.kind == EntryKind::Opaque).unwrap();
    let (before, behind) = members.split_at(marker);
    assert_eq!(
        (before.len(), before[0].0.path.as_str(), &before[0].0.entry.kind),
        (1, "a", &EntryKind::Directory)
    );
    let read: Vec<_> = before.iter().chain(&behind[1..]).collect();
    assert_eq!(read.len(), tree.len());
    for ((path, entry), (member, content)) in tree.iter().zip(read) {
        assert_eq!((member.path.as_bytes(), member.mtime), (path, 7));
        let expected = match &entry.kind {
            EntryKind::File(Content::Bytes(bytes)) => {
                assert_eq!(&bytes[..], content);
                EntryKind::File(bytes.len() as u64)
            }
            EntryKind::File(other) => panic!("{other:?}"),
            EntryKind::Opaque | EntryKind::Directory => EntryKind::Directory,
            EntryKind::Symlink(target) => EntryKind::Symlink(target.clone()),
            EntryKind::HardLink(target) => EntryKind::HardLink(target.clone()),
            EntryKind::Device(device) => EntryKind::Device(*device),
            EntryKind::Whiteout => EntryKind::Whiteout,
        };
        let Entry { kind, mode, uid, gid, xattrs } = &member.entry;
        assert_eq!((kind, mode), (&expected, &entry.mode), "{}", path.escape_ascii());
        assert_eq!((uid, gid, xattrs), (&entry.uid, &entry.gid, &entry.xattrs), "{}", path.escape_ascii());
    }
}

/// Sparse maps of empty segments and attributes without limit must not cost time or memory.
#[test]
fn empty_segments_and_endless_attributes_are_errors() {
    let mut tar = Builder::new(Vec::new());
    let empty = "5,0,".repeat(50_000) + "5,0";
    tar.append_pax_extensions([("GNU.sparse.size", &b"5"[..]), ("GNU.sparse.map", empty.as_bytes())])
        .unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0), "f", &b""[..]).unwrap();
    assert!(read(&tar.into_inner().unwrap(), Compression::None).is_err());

    let mut tar = Builder::new(Vec::new());
    let value = vec![b'x'; 200 << 10];
    for number in 0..30 {
        let name = format!("SCHILY.xattr.user.{number}");
        tar.append_pax_extensions([(name.as_str(), &value[..])]).unwrap();
    }
    tar.append_data(&mut header(EntryType::Regular, 0), "f", &b""[..]).unwrap();
    assert!(read(&tar.into_inner().unwrap(), Compression::None).is_err());
}

#[test]
fn the_name_of_a_sparse_file_is_the_real_one() {
    let mut tar = Builder::new(Vec::new());
    let records = [("GNU.sparse.name", &b"real"[..]), ("path", b"GNUSparseFile.1/real")];
    tar.append_pax_extensions(records).unwrap();
    tar.append_data(&mut header(EntryType::Regular, 0), "other", &b""[..]).unwrap();
    let members = read(&tar.into_inner().unwrap(), Compression::None).unwrap();
    assert_eq!(members[0].0.path.as_str(), "real");
}
