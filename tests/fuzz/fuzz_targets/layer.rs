//! A layer in any compression. Its members are written again, and the result reads the same.

#![no_main]

use lbuild::fuzzing;
use lbuild::tree::{Content, Entry, EntryKind, FileTree, Member};
use lbuild_fuzz::{LIMIT, with_checksums};
use libfuzzer_sys::fuzz_target;

type Members = Vec<(Member<u64>, Option<Vec<u8>>)>;

fuzz_target!(|data: &[u8]| {
    let Ok((members, size)) = fuzzing::layer(&with_checksums(data), LIMIT) else { return };
    assert!(size <= LIMIT, "{size} bytes");
    for (member, content) in &members {
        let (EntryKind::File(size), Some(content)) = (&member.entry.kind, content) else { continue };
        assert_eq!(*size, content.len() as u64, "{}", member.path);
    }
    // Hard links to files that are missing or follow are refused, as are entries below files.
    let tree = tree(members);
    let Ok(first) = lbuild_fuzz::layer(&tree) else { return };
    let (again, _) = fuzzing::layer(&first, u64::MAX).expect("lbuild reads its own layers");
    let again = self::tree(again);
    for (path, entry) in tree.iter() {
        let found = again.get(path).unwrap_or_else(|| panic!("{} is missing", path.escape_ascii()));
        assert_eq!(comparable(found), comparable(entry), "{}", path.escape_ascii());
    }
    assert!(lbuild_fuzz::layer(&again).expect("it was written before") == first, "it is written otherwise");
});

/// The members as a tree. A later member replaces an earlier one; the marker of an opaque directory changes its kind.
fn tree(members: Members) -> FileTree {
    let mut tree = FileTree::new();
    for (member, content) in members {
        let path = member.path.as_bytes().to_vec();
        let kind = member.entry.kind.map_content(|_| Content::Bytes(content.unwrap_or_default().into()));
        let Entry { mode, uid, gid, xattrs, .. } = member.entry;
        let entry = match (kind, tree.get(&path).filter(|entry| entry.is_directory())) {
            (EntryKind::Opaque, Some(known)) => Entry { kind: EntryKind::Opaque, ..known.clone() },
            (EntryKind::Opaque, None) => Entry { kind: EntryKind::Opaque, ..Entry::directory() },
            (kind, _) => Entry { kind, mode, uid, gid, xattrs },
        };
        // A path that cannot be written is not a finding.
        let _ = tree.insert(path, entry);
    }
    tree
}

fn comparable(entry: &Entry) -> Entry<Vec<u8>> {
    let kind = entry.kind.map_content(|content| match content {
        Content::Bytes(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    });
    let Entry { mode, uid, gid, ref xattrs, .. } = *entry;
    Entry { kind, mode, uid, gid, xattrs: xattrs.clone() }
}
