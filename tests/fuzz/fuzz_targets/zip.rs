//! A zip archive. The layer of its files, in which deflated members are spliced, is the layer of the contents that flate2
//! inflates.

#![no_main]

use std::sync::Arc;

use flate2::Crc;
use lbuild::fuzzing;
use lbuild::tree::{Content, EntryKind, FileTree, ZipContent};
use lbuild_fuzz::{LIMIT, inflated, layer, tar};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = lbuild_fuzz::file(data);
    let Ok(mut tree) = fuzzing::zip(path) else { return };
    let size: u64 = tree.iter().map(|(_, entry)| file(&entry.kind).map_or(0, |member| member.size)).sum();
    if size > LIMIT {
        return;
    }
    compare(&tree, data);
    // A fuzzer cannot guess checksums.
    let mut changed = false;
    for (_, entry) in tree.iter_mut() {
        let EntryKind::File(Content::Zip(member)) = &mut entry.kind else { continue };
        let Some(content) = content(member, data) else { continue };
        let (size, crc32) = (content.len() as u64, checksum(&content));
        changed |= (member.size, member.crc32) != (size, crc32);
        (member.size, member.crc32) = (size, crc32);
    }
    if changed {
        compare(&tree, data);
    }
});

fn compare(tree: &FileTree, data: &[u8]) {
    let mut plain = FileTree::new();
    let mut sound = true;
    for (path, entry) in tree.iter() {
        let mut entry = entry.clone();
        if let EntryKind::File(Content::Zip(member)) = &entry.kind {
            let content = content(member, data)
                .filter(|content| (content.len() as u64, checksum(content)) == (member.size, member.crc32));
            sound &= content.is_some();
            entry.kind = EntryKind::File(Content::Bytes(Arc::from(content.unwrap_or_default())));
        }
        plain.insert(path, entry).expect("the path was accepted before");
    }
    match layer(tree) {
        Ok(layer) => {
            assert!(sound, "flate2 refuses a member");
            assert!(tar(&layer) == tar(&self::layer(&plain).expect("it has the same paths")));
        }
        Err(error) => assert!(!sound, "flate2 accepts every member: {error}"),
    }
}

fn file(kind: &EntryKind) -> Option<&ZipContent> {
    match kind {
        EntryKind::File(Content::Zip(member)) => Some(member),
        _ => None,
    }
}

/// flate2's content of a member.
fn content(member: &ZipContent, data: &[u8]) -> Option<Vec<u8>> {
    let data = &data[member.offset as usize..][..member.length as usize];
    if member.deflated { inflated(data) } else { Some(data.to_vec()) }
}

fn checksum(content: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(content);
    crc.sum()
}
