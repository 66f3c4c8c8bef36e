//! Deletions in a layer's archive: empty files with reserved names.
//!
//! <https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts>

use super::entry::EntryKind;

/// The prefix of all reserved names.
pub(crate) const PREFIX: &str = ".wh.";

/// The name of the marker in an opaque directory.
pub(crate) const OPAQUE_MARKER: &str = ".wh..wh..opq";

/// The kind and the path of the deletion that a member with this plain path represents. `None` for any other member,
/// including one whose reserved name has no meaning, such as `.wh.` or the metadata of aufs.
pub(crate) fn deletion<C>(path: &[u8]) -> Option<(EntryKind<C>, Vec<u8>)> {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (dir, name) = path.split_at(start);
    if name == OPAQUE_MARKER.as_bytes() {
        return Some((EntryKind::Opaque, dir.strip_suffix(b"/").unwrap_or(dir).to_vec()));
    }
    let deleted = name.strip_prefix(PREFIX.as_bytes())?;
    let names_a_file = !matches!(deleted, b"" | b"." | b"..") && !deleted.starts_with(PREFIX.as_bytes());
    names_a_file.then(|| (EntryKind::Whiteout, [dir, deleted].concat()))
}

/// The archive's name for the deletion of `path`.
pub(crate) fn whiteout_name(path: &[u8]) -> Vec<u8> {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (dir, name) = path.split_at(start);
    [dir, PREFIX.as_bytes(), name].concat()
}

/// The archive's name for the marker of the opaque directory `path`, which may be the root.
pub(crate) fn opaque_name(path: &[u8]) -> Vec<u8> {
    match path {
        b"" => OPAQUE_MARKER.into(),
        dir => [dir, b"/", OPAQUE_MARKER.as_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names_and_deletions_convert_both_ways() {
        for (name, kind, path) in [
            (&b"a/.wh.b"[..], EntryKind::<()>::Whiteout, &b"a/b"[..]),
            (b".wh.b", EntryKind::Whiteout, b"b"),
            (b"a/.wh..b", EntryKind::Whiteout, b"a/.b"),
            (b"a/.wh..wh..opq", EntryKind::Opaque, b"a"),
            (b".wh..wh..opq", EntryKind::Opaque, b""),
        ] {
            assert_eq!(deletion(name), Some((kind.clone(), path.to_vec())));
            let back = if kind == EntryKind::Opaque { opaque_name(path) } else { whiteout_name(path) };
            assert_eq!(back, name);
        }
    }

    #[test]
    fn other_names_are_not_deletions() {
        for name in ["a", "a/b", "a.wh.b", "a/.wh.", ".wh..", "a/.wh...", "a/.wh..wh.plnk", ".wh.a/b"] {
            assert_eq!(deletion::<()>(name.as_bytes()), None, "{name}");
        }
    }
}
