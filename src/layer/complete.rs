//! Rewrites the tar of a layer with the entries of directories that it lacks. All other members keep their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};

use sha2::{Digest as _, Sha256};

use super::layer_writer::{LayerWriter, WriteOptions, Written};
use super::read::LayerReader;
use super::recompress::MAX_LAYER;
use super::tar::{self, BLOCK, END};
use crate::error::Result;
use crate::image::{Compression, Digest};
use crate::tree::{Entry, Member};

/// The entries of directories to put before members of a layer, and the members to leave out: entries that come again, or
/// too late. Both by the position of the member in the layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Completion {
    pub before: BTreeMap<usize, Vec<Member<()>>>,
    pub without: BTreeSet<usize>,
}

impl Completion {
    /// Whether the layer needs no change.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.without.is_empty()
    }

    /// The entries to put in, in their order.
    pub fn directories(&self) -> impl Iterator<Item = &Member<()>> {
        self.before.values().flatten()
    }

    /// A digest over the changes, for the key of the completed layer.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(format!("without {:?}", self.without));
        for (position, directories) in &self.before {
            hash.update(format!("before {position}"));
            directories.iter().for_each(|directory| hash.update(header(directory)));
        }
        Digest::from_bytes(hash.finalize().into())
    }
}

/// Writes the tar of a layer with this compression to `out` as one gzip member, completed. `epoch` is not used: each member
/// has its own time. [`Written::files`] is empty.
///
/// # Errors
/// Those of [`recompress`](super::recompress).
pub(crate) fn complete(
    layer: impl BufRead,
    compression: Compression,
    completion: &Completion,
    options: &WriteOptions<'_>,
    out: &mut impl Write,
) -> Result<Written> {
    let mut reader = LayerReader::recording(layer, compression, MAX_LAYER);
    let mut writer = LayerWriter::new(options, out)?;
    let (mut position, mut size) = (0, 0);
    while reader.next()?.is_some() {
        for directory in completion.before.get(&position).into_iter().flatten() {
            writer.put(&header(directory))?;
        }
        let is_kept = !completion.without.contains(&position);
        if !is_kept {
            writer.put(reader.globals())?;
            size += reader.globals().len() as u64;
        }
        reader.pass(|bytes| {
            if is_kept {
                writer.put(bytes)?;
                size += bytes.len() as u64;
            }
            Ok(())
        })?;
        position += 1;
    }
    reader.finish()?;
    // The last member of a tar may lack its padding.
    writer.put(&[0; BLOCK][..tar::padding(size)])?;
    writer.put(&END)?;
    writer.finish(Vec::new())
}

/// The header of a directory.
fn header(directory: &Member<()>) -> Vec<u8> {
    let Entry { mode, uid, gid, xattrs, .. } = &directory.entry;
    let entry = Entry { mode: *mode, uid: *uid, gid: *gid, xattrs: xattrs.clone(), ..Entry::directory() };
    let mut header = Vec::new();
    tar::header(directory.path.as_bytes(), &entry, directory.mtime, &mut header);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::ops::ControlFlow;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::error::Error;

    fn member(path: &str, kind: ::tar::EntryType, size: u64) -> Vec<u8> {
        let mut header = ::tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o640);
        header.set_mtime(7);
        header.set_size(size);
        header.set_username("someone").unwrap();
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn file(path: &str, content: &[u8]) -> Vec<u8> {
        let mut file = member(path, ::tar::EntryType::Regular, content.len() as u64);
        file.extend(content);
        file.resize(file.len().next_multiple_of(BLOCK), 0);
        file
    }

    fn directory(path: &str) -> Vec<u8> {
        member(path, ::tar::EntryType::Directory, 0)
    }

    fn completed(layer: &[u8], completion: &Completion) -> Result<Vec<u8>> {
        let options = WriteOptions { epoch: 0, jobs: 2, progress: &|_| ControlFlow::Continue(()) };
        let mut out = Vec::new();
        let written = complete(layer, Compression::None, completion, &options, &mut out)?;
        let mut tar = Vec::new();
        GzDecoder::new(&out[..]).read_to_end(&mut tar).unwrap();
        assert_eq!((written.diff_id, written.size), (Digest::of(&tar), out.len() as u64));
        Ok(tar)
    }

    fn entry(path: &str, mode: u32) -> Member<()> {
        Member { path: path.into(), entry: Entry { mode, ..Entry::directory() }, mtime: 9 }
    }

    fn paths(tar: &[u8]) -> Vec<String> {
        let mut reader = LayerReader::new(tar, Compression::None, MAX_LAYER);
        std::iter::from_fn(|| reader.next().unwrap()).map(|member| member.path.to_string()).collect()
    }

    #[test]
    fn other_members_keep_their_bytes() {
        let global = [member("pax", ::tar::EntryType::XGlobalHeader, 0), file("a/x", &[7; 300_000])].concat();
        let layer = [global.clone(), directory("a"), file("a/b/y", b"y"), END.to_vec()].concat();
        let completion = Completion {
            before: [(0, vec![entry("a", 0o750)]), (2, vec![entry("a/b", 0o755)])].into(),
            without: [1].into(),
        };
        let tar = completed(&layer, &completion).unwrap();
        assert_eq!(paths(&tar), ["a", "a/x", "a/b", "a/b/y"]);
        let moved = ::tar::Header::from_byte_slice(&tar[..BLOCK]);
        assert_eq!((moved.mode().unwrap(), moved.mtime().unwrap()), (0o750, 9));
        let expected = [
            &tar[..BLOCK],
            &global,
            &tar[BLOCK + global.len()..2 * BLOCK + global.len()],
            &file("a/b/y", b"y"),
            &END,
        ];
        assert!(tar == expected.concat());
        assert!(completed(&layer, &Completion::default()).unwrap() == layer);
    }

    #[test]
    fn other_changes_have_other_digests() {
        let of = |position, path, mode, without: &[usize]| {
            let before = [(position, vec![entry(path, mode)])].into();
            Completion { before, without: without.iter().copied().collect() }.digest()
        };
        let all =
            [of(0, "a", 0o755, &[]), of(1, "a", 0o755, &[]), of(0, "b", 0o755, &[]), of(0, "a", 0o700, &[])];
        let unique: BTreeSet<String> =
            all.iter().chain([&of(0, "a", 0o755, &[3])]).map(ToString::to_string).collect();
        assert_eq!(unique.len(), 5);
        assert_eq!(of(0, "a", 0o755, &[]), all[0]);
    }

    #[test]
    fn a_tar_without_its_end_is_ended() {
        let whole = [file("x", b"x"), END.to_vec()].concat();
        for cut in [whole.len() - BLOCK, whole.len() - 2 * BLOCK, BLOCK + 1] {
            assert!(completed(&whole[..cut], &Completion::default()).unwrap() == whole, "{cut}");
        }
        let error = completed(&whole[..BLOCK], &Completion::default()).unwrap_err();
        assert!(matches!(error, Error::LayerRead { .. }), "{error}");
    }
}
