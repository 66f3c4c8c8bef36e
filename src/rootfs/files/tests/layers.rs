//! Layers to be unpacked.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::image::Compression;
use crate::layer::{LayerReader, WriteOptions, write};
use crate::rootfs::files::attributes::Owners;
use crate::rootfs::files::index::Index;
use crate::rootfs::files::unpack::{Form, unpack};
use crate::tree::{Content, Device, Entry, EntryKind, FileTree};

pub(in crate::rootfs) const EPOCH: u64 = 315_532_800;

/// The compressed bytes of a tree.
pub(in crate::rootfs) fn layer(tree: &FileTree, epoch: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = WriteOptions { epoch, jobs: 1, progress: &|_| ControlFlow::Continue(()) };
    write(tree, &options, &mut bytes).unwrap();
    bytes
}

/// Unpacks a layer.
pub(in crate::rootfs) fn apply(layer: &[u8], root: &Path, form: Form<'_>, owners: Owners, index: &mut Index) {
    let mut reader = LayerReader::new(Cursor::new(layer), Compression::Gzip, 1 << 30);
    unpack(&mut reader, root, form, owners, index).unwrap();
}

pub(in crate::rootfs) fn bytes(content: &str) -> EntryKind<Content> {
    EntryKind::File(Content::Bytes(Arc::from(content.as_bytes())))
}

fn entry(kind: EntryKind<Content>, mode: u32, uid: u64, gid: u64) -> Entry {
    Entry { uid, gid, ..Entry::new(kind, mode) }
}

/// A base with files of every kind.
pub(in crate::rootfs) fn base() -> FileTree {
    let mut capable = entry(bytes("capable"), 0o755, 0, 0);
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    capable.xattrs.insert("security.capability", capability);
    let mut marked = entry(bytes("marked"), 0o640, 1000, 100);
    marked.xattrs.insert("user.note", "x");
    marked.xattrs.insert("user.overlay.opaque", "y");
    let mut tree = FileTree::new();
    for (path, entry) in [
        ("bin", Entry::symlink("usr/bin")),
        ("dev/null", entry(EntryKind::Device(Device::Character { major: 1, minor: 3 }), 0o666, 0, 0)),
        ("etc/a", entry(bytes("a"), 0o644, 0, 0)),
        ("etc/shadow", entry(bytes("secret"), 0o000, 0, 42)),
        ("home", entry(EntryKind::Directory, 0o755, 0, 0)),
        ("home/app", entry(EntryKind::Directory, 0o700, 1000, 1000)),
        ("home/app/.profile", entry(bytes("profile"), 0o600, 1000, 1000)),
        ("home/app/link", entry(EntryKind::Symlink(b"../../etc/a".to_vec()), 0o777, 0, 0)),
        ("lib/m/__init__.py", entry(bytes(""), 0o644, 0, 0)),
        ("lib/m/deep/er/x", entry(bytes("x"), 0o444, 0, 0)),
        ("lib/m/deep/y", entry(bytes("y"), 0o444, 0, 0)),
        ("run/pipe", entry(EntryKind::Device(Device::Fifo), 0o620, 5, 6)),
        ("tmp", entry(EntryKind::Directory, 0o1777, 0, 0)),
        ("tmp/t", entry(bytes("t"), 0o644, 0, 0)),
        ("usr/bin", entry(EntryKind::Directory, 0o555, 0, 0)),
        ("usr/bin/capable", capable),
        ("usr/bin/perl", entry(bytes("perl"), 0o755, 0, 0)),
        ("usr/bin/perl5", entry(EntryKind::HardLink(b"usr/bin/perl".to_vec()), 0o755, 0, 0)),
        ("usr/bin/su", entry(bytes("su"), 0o4755, 0, 0)),
        ("var/marked", marked),
        ("var/mail", entry(EntryKind::Directory, 0o2775, 0, 8)),
        ("var/mail/m", entry(bytes("mail"), 0o660, 7, 8)),
    ] {
        tree.insert(path, entry).unwrap();
    }
    tree
}

/// A layer over the base: deletions, an opaque directory, replaced kinds, a link to a file of its own.
pub(in crate::rootfs) fn second() -> FileTree {
    let mut tree = FileTree::new();
    for (path, entry) in [
        ("etc", entry(EntryKind::Directory, 0o750, 0, 4)),
        ("etc/a", entry(EntryKind::Directory, 0o711, 0, 0)),
        ("etc/a/new", entry(bytes("new"), 0o644, 0, 0)),
        ("lib/m", entry(EntryKind::Directory, 0o755, 0, 0)),
        ("lib/m/deep", entry(EntryKind::Opaque, 0o755, 0, 0)),
        ("lib/m/deep/y", entry(bytes("other"), 0o444, 0, 0)),
        ("lib/m/link", entry(EntryKind::HardLink(b"lib/m/deep/y".to_vec()), 0o444, 0, 0)),
        ("tmp/t", entry(EntryKind::Whiteout, 0, 0, 0)),
        ("usr/bin/su", entry(EntryKind::Whiteout, 0, 0, 0)),
        ("var/mail", entry(bytes("no directory"), 0o644, 0, 0)),
        ("var/log/x", entry(bytes("log"), 0o644, 0, 0)),
    ] {
        tree.insert(path, entry).unwrap();
    }
    tree
}
