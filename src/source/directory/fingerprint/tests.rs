use std::time::{Duration, UNIX_EPOCH};

use super::*;

impl Fingerprints {
    fn lookup(&self, path: &[u8], now: &Stat) -> Option<Digest> {
        self.lookups()(path, now)
    }
}

const SECOND: i64 = 1_000_000_000;

/// A file that was last written at `mtime_ns`.
fn stat(mtime_ns: i64) -> Stat {
    Stat { size: 7, mtime_ns, ctime_ns: 5, ino: 3, dev: 1 }
}

fn at(ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns as u64)
}

/// Saves the files (name and mtime) of a walk that began at `began`, and loads the result.
fn saved(cache: &Path, files: &[(&str, i64)], began: i64) -> Fingerprints {
    let known = Fingerprints::load(cache, Path::new("/"));
    let seen =
        || files.iter().map(|(path, mtime)| (path.as_bytes(), stat(*mtime), Digest::of(path.as_bytes())));
    known.save(seen, at(began)).unwrap();
    Fingerprints::load(cache, Path::new("/"))
}

fn only_file(cache: &Path) -> PathBuf {
    let mut files = fs::read_dir(cache).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "nothing but the index may stay in the cache");
    file
}

#[test]
fn a_saved_file_is_found_while_its_fingerprint_is_the_same() {
    let cache = tempfile::tempdir().unwrap();
    let known = saved(&cache.path().join("new"), &[("b", 1), ("a/b", 2), ("a", 3)], 10 * SECOND);
    for (path, mtime) in [("a", 3), ("a/b", 2), ("b", 1)] {
        assert_eq!(known.lookup(path.as_bytes(), &stat(mtime)), Some(Digest::of(path.as_bytes())));
    }
    let same = stat(3);
    let changed = [
        Stat { size: 8, ..same },
        Stat { mtime_ns: 4, ..same },
        Stat { ctime_ns: 6, ..same },
        Stat { ino: 4, ..same },
        Stat { dev: 2, ..same },
    ];
    for changed in changed {
        assert_eq!(known.lookup(b"a", &changed), None, "{changed:?}");
    }
    assert_eq!(known.lookup(b"aa", &same), None);
}

#[test]
fn files_are_found_in_any_order() {
    let cache = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..500).map(|i| (format!("{i:03}"), i)).collect();
    let files: Vec<_> = files.iter().map(|(path, mtime)| (path.as_str(), *mtime)).collect();
    let known = saved(cache.path(), &files, 10 * SECOND);
    for step in [1, 7, 499] {
        let mut lookup = known.lookups();
        for i in 0..500 {
            let (path, mtime) = files[i * step % 500];
            assert_eq!(lookup(path.as_bytes(), &stat(mtime)), Some(Digest::of(path.as_bytes())));
            assert_eq!(lookup(b"none", &stat(0)), None);
        }
    }
}

#[test]
fn a_file_written_just_before_the_walk_is_not_trusted() {
    let cache = tempfile::tempdir().unwrap();
    let began = 10 * SECOND;
    let fine = [began + 1, began, began - 50_000_000, began - 200_000_000, began - 3 * SECOND + 7];
    for (mtime, trusted) in fine.into_iter().zip([false, false, false, true, true]) {
        let known = saved(cache.path(), &[("a", mtime)], began);
        assert_eq!(known.lookup(b"a", &stat(mtime)).is_some(), trusted, "{mtime}");
    }
}

#[test]
fn a_damaged_index_has_no_entries() {
    let cache = tempfile::tempdir().unwrap();
    saved(cache.path(), &[("a", 1), ("b", 2)], 10 * SECOND);
    let file = only_file(cache.path());
    let whole = fs::read(&file).unwrap();
    let entries = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let found = Fingerprints::load(cache.path(), Path::new("/")).starts.len();
        assert_eq!(file.exists(), found > 0, "a damaged file is removed");
        found
    };
    assert_eq!(entries(&whole), 2);
    for length in 0..whole.len() {
        assert_eq!(entries(&whole[..length]), 0, "cut to {length} bytes");
    }
    for i in 0..whole.len() {
        for bits in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[i] ^= bits;
            assert_eq!(entries(&bytes), 0, "{bits:x} flipped in byte {i}");
        }
    }
    assert_eq!(entries(&[&whole[..], b"x"].concat()), 0);
    // Undamaged, but of another directory, of another version, or with a wrong count or length.
    let root = Digest::of(b"/");
    let sealed = |root, body: &[u8]| [body, checksum(root, body).as_bytes()].concat();
    assert_eq!(entries(&sealed(root, &whole[..whole.len() - CHECKSUM])), 2);
    assert_eq!(entries(&sealed(Digest::of(b"/tmp"), &whole[..whole.len() - CHECKSUM])), 0);
    for (place, byte) in [(0, b'x'), (8, 9), (12, 1), (12, 3), (12, 255), (HEADER, 2), (HEADER + 3, 255)] {
        let mut body = whole[..whole.len() - CHECKSUM].to_vec();
        body[place] = byte;
        assert_eq!(entries(&sealed(root, &body)), 0, "byte {place}");
    }
}

#[test]
fn only_the_files_of_the_last_walk_are_kept() {
    let cache = tempfile::tempdir().unwrap();
    saved(cache.path(), &[("a", 1), ("b", 2)], 10 * SECOND);
    let known = saved(cache.path(), &[("b", 2)], 10 * SECOND);
    assert!(known.lookup(b"a", &stat(1)).is_none() && known.lookup(b"b", &stat(2)).is_some());
    let known = saved(cache.path(), &[("b", 2), ("c", 3)], 10 * SECOND);
    assert!(known.lookup(b"c", &stat(3)).is_some());
    let known = saved(cache.path(), &[("b", 2)], 10 * SECOND);
    assert!(known.lookup(b"c", &stat(3)).is_none());
}

#[test]
fn an_unchanged_index_is_not_written() {
    let cache = tempfile::tempdir().unwrap();
    let files = [("a", 1), ("b", 2)];
    saved(cache.path(), &files, 10 * SECOND);
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(only_file(cache.path())).unwrap());
    let before = inode();
    saved(cache.path(), &files, 20 * SECOND);
    assert_eq!(inode(), before);
    saved(cache.path(), &[("a", 1), ("b", 3)], 20 * SECOND);
    assert_ne!(inode(), before);
}

#[test]
fn each_root_has_its_own_entries_and_a_link_has_those_of_its_target() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, link) = (dir.path().join("one"), dir.path().join("two"), dir.path().join("link"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let file = |root: &Path| Fingerprints::load(dir.path(), root).file;
    assert_ne!(file(&one), file(&two));
    assert_eq!(file(&one), file(&link));
}

#[test]
fn concurrent_writers_leave_one_complete_index() {
    let cache = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..2000).map(|i| format!("{i:04}")).collect();
    std::thread::scope(|scope| {
        for content in ["x", "y"] {
            let (cache, names) = (cache.path(), &names);
            scope.spawn(move || {
                for round in 0..20 {
                    let known = Fingerprints::load(cache, Path::new("/"));
                    let sha256 = Digest::of(format!("{content}{round}").as_bytes());
                    known
                        .save(|| names.iter().map(|name| (name.as_bytes(), stat(1), sha256)), at(10 * SECOND))
                        .unwrap();
                }
            });
        }
    });
    only_file(cache.path());
    let known = Fingerprints::load(cache.path(), Path::new("/"));
    let first = known.lookup(b"0000", &stat(1));
    assert!(first.is_some() && names.iter().all(|name| known.lookup(name.as_bytes(), &stat(1)) == first));
}

#[test]
fn an_error_names_the_cache_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let known = Fingerprints::load(&file, Path::new("/"));
    let error =
        known.save(|| [(&b"a"[..], stat(1), Digest::of(b""))].into_iter(), at(10 * SECOND)).unwrap_err();
    assert!(matches!(error, crate::error::Error::Write { path, .. } if path.starts_with(&file)));
}
