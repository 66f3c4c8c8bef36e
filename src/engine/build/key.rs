//! A layer's key: a digest over everything that determines its bytes.

use sha2::{Digest as _, Sha256};

use super::follow::VERSION as FOLLOW_VERSION;
use crate::image::{Digest, Layer, LayerKey};
use crate::layer::{SPLICE_VERSION, WRITER_VERSION};
use crate::operations::Line;
use crate::recipe::{NodeInstall, PythonInstall};
use crate::source::Placing;
use crate::tree::{Content, Device, Entry, EntryKind, FileTree, ZipContent};

/// The key of the layer of `tree`; `None` if the content of a file is not known.
pub(super) fn of_content(tree: &FileTree, epoch: u64) -> Option<LayerKey> {
    fingerprint(tree, epoch, "content", |content| match content {
        Content::Bytes(bytes) => Some(*Digest::of(bytes).as_bytes()),
        Content::File(file) => file.sha256.map(|digest| *digest.as_bytes()),
        Content::Zip(member) => of_member(member),
    })
    .map(LayerKey)
}

/// A digest over the member's location in the archive rather than over its content, because the layer's
/// bytes also depend on its deflated bytes.
fn of_member(member: &ZipContent) -> Option<[u8; 32]> {
    let archive = member.archive.sha256?;
    let mut hash = Sha256::new();
    hash.update(SPLICE_VERSION.as_bytes());
    hash.update([0, u8::from(member.deflated)]);
    hash.update(archive.as_bytes());
    hash.update(member.offset.to_be_bytes());
    hash.update(member.length.to_be_bytes());
    Some(hash.finalize().into())
}

/// A digest over the paths, metadata and sizes of the tree, without reading any file. Equal trees have equal
/// shapes, so a tree whose shape is not in the cache was never packed.
pub(super) fn of_shape(tree: &FileTree, epoch: u64) -> Digest {
    let shape = fingerprint(tree, epoch, "shape", |content| Some(content.size().to_be_bytes()));
    shape.unwrap_or_else(|| unreachable!("every content has a size"))
}

/// A digest over the paths and kinds of the tree, and the targets of its links.
pub(super) fn of_structure(tree: &FileTree) -> Digest {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for (path, entry) in tree.iter() {
        part(path);
        match &entry.kind {
            EntryKind::File(_) => part(b"file"),
            EntryKind::Directory => part(b"directory"),
            EntryKind::Symlink(target) => {
                part(b"symlink");
                part(target);
            }
            EntryKind::HardLink(target) => {
                part(b"hard link");
                part(target);
            }
            EntryKind::Device(_) => part(b"device"),
            EntryKind::Whiteout => part(b"whiteout"),
            EntryKind::Opaque => part(b"opaque"),
        }
    }
    Digest::from_bytes(hash.finalize().into())
}

const TOGETHER: usize = 32 << 10;

fn fingerprint<const N: usize>(
    tree: &FileTree,
    epoch: u64,
    domain: &str,
    content: impl Fn(&Content) -> Option<[u8; N]>,
) -> Option<Digest> {
    let mut hash = Sha256::new();
    // Hashing the many short parts in larger pieces takes half the time.
    let mut waiting = Vec::with_capacity(TOGETHER + 4096);
    // Each part is preceded by its length, so that different lists never give the same bytes.
    let mut part = |bytes: &[u8]| {
        waiting.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        waiting.extend_from_slice(bytes);
        if waiting.len() >= TOGETHER {
            hash.update(&waiting);
            waiting.clear();
        }
    };
    part(domain.as_bytes());
    part(WRITER_VERSION.as_bytes());
    part(&epoch.to_be_bytes());
    for (path, entry) in tree.iter() {
        // Destructured without `..`, so that a new field does not compile until it is handled here.
        let Entry { kind, mode, uid, gid, xattrs } = entry;
        part(path);
        part(&mode.to_be_bytes());
        if (*uid, *gid) != (0, 0) {
            part(b"owner");
            part(&uid.to_be_bytes());
            part(&gid.to_be_bytes());
        }
        for (name, value) in xattrs.iter() {
            part(b"xattr");
            part(name);
            part(value);
        }
        match kind {
            EntryKind::File(file) => {
                part(if matches!(file, Content::Zip(_)) { b"member" } else { b"file" });
                part(&content(file)?);
            }
            EntryKind::Directory => part(b"directory"),
            EntryKind::Symlink(target) => {
                part(b"symlink");
                part(target);
            }
            EntryKind::HardLink(target) => {
                part(b"hard link");
                part(target);
            }
            EntryKind::Device(device) => {
                part(b"device");
                part(&device_bytes(*device));
            }
            EntryKind::Whiteout => part(b"whiteout"),
            EntryKind::Opaque => part(b"opaque"),
        }
    }
    hash.update(&waiting);
    Some(Digest::from_bytes(hash.finalize().into()))
}

/// The key of a layer whose paths are resolved through links in the layers below it.
///
/// `kind` says which layers these are.
pub(super) fn above(kind: &str, layers: &[Layer], key: LayerKey) -> LayerKey {
    let below = layers.iter().map(|layer| layer.diff_id.to_string()).collect::<Vec<_>>().join(" ");
    LayerKey(Digest::of(format!("{kind}{FOLLOW_VERSION} {} {below}", key.0).as_bytes()))
}

/// The key of a layer whose paths and owners the image so far decides in this way.
pub(super) fn placed(key: LayerKey, placing: &Placing) -> LayerKey {
    LayerKey(Digest::of(format!("{} {}", placing.identity(), key.0).as_bytes()))
}

/// A device's type flag and numbers.
fn device_bytes(device: Device) -> [u8; 9] {
    let (flag, major, minor) = match device {
        Device::Character { major, minor } => (b'3', major, minor),
        Device::Block { major, minor } => (b'4', major, minor),
        Device::Fifo => (b'6', 0, 0),
        Device::Unknown(flag) => (flag, 0, 0),
    };
    let mut bytes = [flag; 9];
    bytes[1..5].copy_from_slice(&major.to_be_bytes());
    bytes[5..].copy_from_slice(&minor.to_be_bytes());
    bytes
}

/// The key of the layer of a part at the path `to`, from the part's identity instead of its files.
pub(super) fn of_part(identity: Digest, to: &str, epoch: u64) -> LayerKey {
    let text = format!("bundle {WRITER_VERSION} {SPLICE_VERSION} {epoch} {identity} {to}");
    LayerKey(Digest::of(text.as_bytes()))
}

/// Part of the keys of operations. Increase it with any change of the code that changes their result.
const OPERATIONS_VERSION: &str = "operations-1";

/// The key of the layer of a line's operations, without the layers below.
pub(super) fn of_line(line: &Line) -> LayerKey {
    let known = serde_json::json!([OPERATIONS_VERSION, WRITER_VERSION, line]);
    LayerKey(Digest::of(known.to_string().as_bytes()))
}

/// Part of the keys of installs. Increase it with any change of the code that changes their result.
const INSTALL_VERSION: &str = "install-2";

/// The key of the layers of an install in this directory, with these variables, without the layers below.
pub(super) fn of_install(
    install: &PythonInstall,
    directory: &str,
    variables: impl serde::Serialize,
    epoch: u64,
) -> LayerKey {
    let versions = [INSTALL_VERSION, WRITER_VERSION, SPLICE_VERSION];
    let known = serde_json::json!([versions, install, directory, variables, epoch]);
    LayerKey(Digest::of(known.to_string().as_bytes()))
}

/// Part of the keys of commands. Increase it with any change of the code that changes what their layers have.
const COMMAND_VERSION: &str = "command-1";

/// The key of the layer of a command, without the layers below.
pub(super) fn of_command(command: impl serde::Serialize) -> LayerKey {
    let known = serde_json::json!([COMMAND_VERSION, WRITER_VERSION, command]);
    LayerKey(Digest::of(known.to_string().as_bytes()))
}

/// The key of the layer of a command that ran where owners of files are not kept.
pub(super) fn without_owners(key: LayerKey) -> LayerKey {
    LayerKey(Digest::of(format!("without owners {}", key.0).as_bytes()))
}

/// The key of the layer of a command that ran because its translation could not be done.
pub(super) fn in_place_of_translation(key: LayerKey) -> LayerKey {
    LayerKey(Digest::of(format!("in place of a translation {}", key.0).as_bytes()))
}

/// The key of the layers of a line that reads the files of mounts. A secret is not part of any key.
pub(super) fn mounted(key: LayerKey, mounts: &[String]) -> LayerKey {
    match mounts {
        [] => key,
        mounts => LayerKey(Digest::of(serde_json::json!(["mounts", key.0, mounts]).to_string().as_bytes())),
    }
}

/// The key of the layers of an install of Node packages in this directory, without the layers below.
pub(super) fn of_node_install(
    install: &NodeInstall,
    directory: &str,
    variables: impl serde::Serialize,
    epoch: u64,
) -> LayerKey {
    let known = serde_json::json!([INSTALL_VERSION, WRITER_VERSION, install, directory, variables, epoch]);
    LayerKey(Digest::of(known.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Entry)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, entry) in entries {
            tree.insert(path.as_bytes(), entry.clone()).unwrap();
        }
        tree
    }

    fn file(text: &str, executable: bool) -> Entry {
        Entry::file(Content::Bytes(text.as_bytes().into()), executable)
    }

    #[test]
    fn a_change_of_the_bytes_changes_the_key() {
        let trees = [
            tree(&[("a", file("x", false))]),
            tree(&[("a", file("y", false))]),
            tree(&[("a", file("x", true))]),
            tree(&[("b", file("x", false))]),
            tree(&[("a", Entry::directory())]),
            tree(&[("a", Entry::symlink("x"))]),
            tree(&[("a", Entry::symlink("y"))]),
            tree(&[("a", file("x", false)), ("b", Entry::directory())]),
            tree(&[]),
        ];
        let mut keys: Vec<_> = trees.iter().map(|tree| of_content(tree, 1).unwrap().to_string()).collect();
        keys.push(of_content(&trees[0], 2).unwrap().to_string());
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), trees.len() + 1);
    }

    #[test]
    fn a_shape_depends_on_sizes_but_not_on_content() {
        let [x, y, long] = ["x", "y", "xx"].map(|text| of_shape(&tree(&[("a", file(text, false))]), 1));
        assert!(x == y && x != long);
    }
}
