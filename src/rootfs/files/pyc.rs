//! Compiled Python files, which name the modification time of their source.
//!
//! All files of a layer have one time, so Python would compile such a file again at every start, or fail to write it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::OFlags;

use super::directories::{Directories, join, split};
use super::hash::fact_of;
use super::read::Found;
use crate::tree::EntryKind;

/// The header: magic number, flags, and for flags 0 the time and the size of the source, four bytes each.
///
/// <https://peps.python.org/pep-0552/>
const HEADER: usize = 16;

/// Makes the compiled files among these fit the times that their sources get: `time` knows them, by path, for all files
/// that were found.
pub(super) fn fit(
    directories: &mut Directories,
    found: &mut BTreeMap<Vec<u8>, Found>,
    paths: &[Vec<u8>],
    time: impl Fn(&[u8]) -> u64,
) -> io::Result<()> {
    for path in paths {
        let Some(source) = source_of(path) else { continue };
        let Some(Found { entry, mtime, .. }) = found.get(&source) else { continue };
        let EntryKind::File(fact) = entry.kind else { continue };
        let Some(compiled) = found.get(path).filter(|compiled| is_file(compiled)) else { continue };
        let inode = compiled.inode;
        let file = File::from(directories.read(path)?);
        let mut header = [0; HEADER];
        if let Err(error) = file.read_exact_at(&mut header, 0) {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                continue;
            }
            return Err(error);
        }
        // The magic number of Python ends with these bytes. The numbers wrap at 32 bits, as in Python.
        let is_timed = header[2..8] == *b"\r\n\0\0\0\0";
        let fits = header[8..12] == (*mtime as u32).to_le_bytes()
            && header[12..] == (fact.size as u32).to_le_bytes();
        let wanted = (time(&source) as u32).to_le_bytes();
        if !is_timed || !fits || header[8..12] == wanted {
            continue;
        }
        let file = File::from(directories.open_file(path, OFlags::RDWR)?);
        file.write_all_at(&wanted, 8)?;
        let fact = fact_of(&file)?;
        for found in found
            .iter_mut()
            .filter(|(name, found)| *name == path || (inode.is_some() && found.inode == inode))
        {
            found.1.entry.kind = EntryKind::File(fact);
        }
    }
    Ok(())
}

fn is_file(found: &Found) -> bool {
    matches!(found.entry.kind, EntryKind::File(_))
}

/// The source of a compiled file: `a/x.py` of `a/__pycache__/x.cpython-312.pyc` and of `a/x.pyc`.
fn source_of(path: &[u8]) -> Option<Vec<u8>> {
    let (dir, name) = split(path);
    let stem = name.strip_suffix(b".pyc")?;
    let (parent, last) = split(dir);
    match last {
        b"__pycache__" => {
            let module = &stem[..stem.iter().position(|&byte| byte == b'.')?];
            Some(join(parent, &[module, b".py"].concat()))
        }
        _ => Some(join(dir, &[stem, b".py"].concat())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_beside_or_above_their_compiled_files() {
        for (compiled, source) in [
            ("a/__pycache__/x.cpython-312.pyc", Some("a/x.py")),
            ("__pycache__/x.cpython-312.opt-1.pyc", Some("x.py")),
            ("a/x.pyc", Some("a/x.py")),
            ("a/__pycache__/x.pyc", None),
            ("a/x.py", None),
        ] {
            let found = source_of(compiled.as_bytes());
            assert_eq!(found.as_deref(), source.map(str::as_bytes), "{compiled}");
        }
    }
}
