use std::cell::Cell;
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::GzDecoder;

use super::super::deflate;
use super::*;
use crate::tree::Entry;

const QUIET: &(dyn Fn(u64) -> ControlFlow<()> + Sync) = &|_| ControlFlow::Continue(());

fn options(jobs: usize) -> WriteOptions<'static> {
    WriteOptions { epoch: 315_532_800, jobs, progress: QUIET }
}

fn source(path: &Path) -> SourceFile {
    SourceFile {
        path: path.to_owned(),
        stat: Stat::from(&fs::metadata(path).unwrap()),
        sha256: None,
        lasting: false,
    }
}

fn bytes(bytes: &[u8]) -> Entry {
    Entry::file(Content::Bytes(Arc::from(bytes)), false)
}

/// A tree with every kind of entry, larger than several segments.
fn sample() -> FileTree {
    let mut tree = FileTree::new();
    let big: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(n) >> 9) as u8 & 0x3f).collect();
    tree.insert("var/task/app.py", bytes(b"def handler(event, context):\n    return event\n")).unwrap();
    tree.insert("var/task/data.bin", bytes(&big)).unwrap();
    tree.insert("var/task/empty", bytes(b"")).unwrap();
    tree.insert("var/task/run", Entry::file(Content::Bytes(Arc::from(*b"#!/bin/sh\n")), true)).unwrap();
    tree.insert("var/task/link", Entry::symlink("app.py")).unwrap();
    tree.insert(format!("var/task/{}/{}", "d".repeat(120), "n".repeat(101)), bytes(b"long")).unwrap();
    tree
}

#[test]
fn digests_and_sizes_are_those_of_the_bytes() {
    let mut out = Vec::new();
    let written = write(&sample(), &options(2), &mut out).unwrap();
    assert_eq!((written.digest, written.size), (Digest::of(&out), out.len() as u64));
    let mut tar = Vec::new();
    GzDecoder::new(&out[..]).read_to_end(&mut tar).unwrap();
    assert_eq!((written.diff_id, written.uncompressed), (Digest::of(&tar), tar.len() as u64));
    assert!(tar.ends_with(&[0; 1024]));

    let mut archive = ::tar::Archive::new(&tar[..]);
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if entry.header().entry_type().is_file() {
            files.push((entry.path_bytes().into_owned(), Digest::of(&content)));
        }
    }
    assert_eq!(written.files, files);
    assert_eq!(files.len(), 5);
}

/// A change here means that every layer of every user changes: raise `tar::VERSION` or `deflate::VERSION`, and record
/// it in the changelog.
#[test]
fn the_digests_are_the_golden_digests() {
    let written = write(&sample(), &options(1), &mut io::sink()).unwrap();
    assert_eq!(written.diff_id.hex(), "82c3bcbc6ac961cc59257a296c8869012f00e6353abe29bfcac22596e7a1b619");
    assert_eq!(written.digest.hex(), "eb300bba499c31d76ae3d866388987e72520438878a23175d10e2d7f873c5501");
    let empty = write(&FileTree::new(), &options(1), &mut io::sink()).unwrap();
    assert_eq!(empty.uncompressed, 1024);
    assert_eq!(empty.digest.hex(), "62539018952ddec37a4fcf8d77171cfbcd5b21fc3520f32028cd9cfdae546a31");
}

#[test]
fn the_version_names_the_constants_that_decide_bytes() {
    assert_eq!(WRITER_VERSION, format!("tar-{} deflate-{}", tar::VERSION, deflate::VERSION));
}

#[test]
fn neither_jobs_nor_the_location_of_the_content_change_a_byte() {
    let directory = tempfile::tempdir().unwrap();
    let mut on_disk = FileTree::new();
    for (index, (path, entry)) in sample().into_iter().enumerate() {
        let entry = match entry.kind {
            EntryKind::File(Content::Bytes(bytes)) => {
                let path = directory.path().join(index.to_string());
                fs::write(&path, &bytes).unwrap();
                let mut file = source(&path);
                file.sha256 = Some(Digest::of(&bytes));
                Entry::new(EntryKind::File(Content::File(file)), entry.mode)
            }
            _ => entry,
        };
        on_disk.insert(path, entry).unwrap();
    }
    let expected = write(&sample(), &options(1), &mut io::sink()).unwrap();
    for jobs in [1, 2, 3, 8] {
        assert_eq!(write(&sample(), &options(jobs), &mut io::sink()).unwrap(), expected);
        assert_eq!(write(&on_disk, &options(jobs), &mut io::sink()).unwrap(), expected);
    }
}

/// The result of `write` if `change` modifies a file after it was found.
fn after(change: impl FnOnce(&Path, &mut SourceFile)) -> Result<Written> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.py");
    fs::write(&path, "print(1)").unwrap();
    let mut file = source(&path);
    change(&path, &mut file);
    let mut tree = FileTree::new();
    tree.insert("app.py", Entry::file(Content::File(file), false)).unwrap();
    write(&tree, &options(1), &mut io::sink())
}

#[test]
fn a_file_that_has_changed_since_it_was_found_is_refused() {
    after(|_, _| ()).unwrap();
    after(|_, file| file.stat.dev += 1).expect("device numbers may change from one mount to the next");
    let changed = |result: Result<Written>| match result.unwrap_err() {
        Error::SourceChanged { path } => assert!(path.ends_with("app.py")),
        error => panic!("{error}"),
    };
    changed(after(|path, _| fs::write(path, "print(22)").unwrap()));
    changed(after(|path, _| fs::write(path, "print(").unwrap()));
    changed(after(|path, _| fs::write(path, "").unwrap()));
    changed(after(|path, file| {
        let mtime = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, "print(2)").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(mtime).unwrap();
        // The ctime shows the change. On a coarse clock it may be the same, so the test makes it differ.
        file.stat.ctime_ns -= 1;
    }));
    changed(after(|_, file| file.stat.mtime_ns += 1));
    changed(after(|_, file| file.stat.ino += 1));
    changed(after(|_, file| file.sha256 = Some(Digest::of(b"print(2)"))));
    after(|_, file| file.sha256 = Some(Digest::of(b"print(1)"))).unwrap();
}

#[test]
fn a_file_that_changes_while_it_is_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    fs::write(&path, vec![1; 2 << 20]).unwrap();
    let mut tree = FileTree::new();
    tree.insert("data", Entry::file(Content::File(source(&path)), false)).unwrap();
    let progress = |bytes: u64| {
        if bytes > 1 << 20 {
            fs::File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        }
        ControlFlow::Continue(())
    };
    let options = WriteOptions { progress: &progress, ..options(1) };
    let error = write(&tree, &options, &mut io::sink()).unwrap_err();
    assert!(matches!(error, Error::SourceChanged { .. }), "{error}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let result = after(|path, _| fs::remove_file(path).unwrap());
    assert!(matches!(result, Err(Error::Read { path, source })
        if path.ends_with("app.py") && source.kind() == io::ErrorKind::NotFound));
    let result = after(|path, file| file.path = path.join("below"));
    assert!(matches!(result, Err(Error::Read { path, .. }) if path.ends_with("app.py/below")));
}

#[test]
fn the_progress_hook_receives_all_bytes_and_can_stop_the_work() {
    let (calls, last) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |bytes| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert!(last.swap(bytes, Ordering::Relaxed) <= bytes);
        ControlFlow::Continue(())
    };
    let written =
        write(&sample(), &WriteOptions { progress: &progress, ..options(2) }, &mut io::sink()).unwrap();
    assert_eq!(last.load(Ordering::Relaxed), written.uncompressed);
    assert!((10..100).contains(&calls.load(Ordering::Relaxed)));

    let stop = |bytes| if bytes > 2_500_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    for jobs in [1, 2] {
        let error = write(&sample(), &WriteOptions { progress: &stop, ..options(jobs) }, &mut io::sink());
        assert!(matches!(error, Err(Error::Interrupted)));
    }
}

#[test]
fn a_failure_of_the_output_is_an_error() {
    struct Full(Cell<usize>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let left = self.0.get().checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            self.0.set(left);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for room in [0, 1000, 40_000] {
        let error = write(&sample(), &options(2), &mut Full(Cell::new(room))).unwrap_err();
        assert!(
            matches!(error, Error::LayerWrite { ref source } if source.kind() == io::ErrorKind::StorageFull)
        );
    }
}
