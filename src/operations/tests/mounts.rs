//! Rules 149 and 150: files of mounts are there while a line runs, and nothing of them is left.

use super::*;
use crate::operations::{FileMount, MountedFiles};
use crate::recipe::{Follow, IntoDirectory, Piece, Transfer};

/// The mounts: a file in the place of another, a directory where there is none, and one that no command may reach.
fn mounts() -> [FileMount; 3] {
    let file = |path: &str, text: &str| {
        let (layer, size, path) = (1, text.len() as u64, Arc::from(path.as_bytes()));
        Entry::new(EntryKind::File(LowerFile { layer, path, size, sha256: None }), 0o644)
    };
    let mounted = |entries: Vec<(&str, Entry<LowerFile>)>| {
        let entries = entries.into_iter().map(|(path, entry)| (path.as_bytes().to_vec(), entry)).collect();
        Some(MountedFiles { entries, writable: false })
    };
    [
        FileMount { target: "/work/a".into(), files: mounted(vec![("", file("", "mounted"))]) },
        FileMount {
            target: "/deep/in/dir".into(),
            files: mounted(vec![
                ("one", file("one", "1")),
                ("sub", Entry::directory()),
                ("sub/two", file("sub/two", "2")),
                ("sub/link", Entry::symlink("../one")),
            ]),
        },
        FileMount { target: "/link/closed".into(), files: None },
    ]
}

fn done(operations: &[Operation]) -> Result<String, String> {
    let layer = members(&["work/", "work/a: own", "real/", "real/x: x", "link -> real"]);
    let mut files = filesystem(&layer);
    for mount in &mounts() {
        files.mount(mount)?;
    }
    match line(&[operations]).run(&mut files, NO_LOCKS) {
        Ok(_) => {}
        Err(Stop::Failed { fault, .. }) => return Err(fault),
        Err(Stop::Needs(needed)) => panic!("{needed:?}"),
    }
    files.unmount();
    let shown = files.changes().into_iter().map(|(path, entry)| {
        let path = path.escape_ascii().to_string();
        match entry.kind {
            EntryKind::File(data) => format!("{path}: {:?}", data.pieces().len()),
            EntryKind::Directory => format!("{path}/"),
            EntryKind::Symlink(target) => format!("{path} -> {}", target.escape_ascii()),
            other => format!("{path} {other:?}"),
        }
    });
    Ok(shown.collect::<Vec<_>>().join(", "))
}

fn copy(from: &str, to: &str) -> Operation {
    Operation::Copy(Transfer {
        sources: vec![path(from)],
        to: path(to),
        into: IntoDirectory::Guessed,
        recursive: true,
        preserve: false,
        preserve_links: false,
        follow: Follow::Nothing,
        no_clobber: false,
        force: false,
    })
}

fn remove(name: &str) -> Operation {
    Operation::Remove { paths: vec![path(name)], recursive: true, force: true }
}

fn write(name: &str) -> Operation {
    Operation::Write { path: path(name), append: true, content: vec![Piece::Text("x".to_owned())] }
}

#[test]
fn files_of_mounts_are_read_and_leave_nothing() {
    let touch = |name: &str| Operation::Touch { paths: vec![path(name)], create: true };
    for (rule, operations, expected) in [
        (149, vec![Operation::Look { paths: vec![path("/deep/in/dir/sub/link")] }], ""),
        (151, vec![copy("/work/a", "/out")], "out: 1"),
        (
            151,
            vec![copy("/deep/in/dir", "/out")],
            "out/, out/one: 1, out/sub/, out/sub/link -> ../one, out/sub/two: 1",
        ),
        (149, vec![touch("/work/b")], "work/, work/b: 0"),
        // A directory that was made for a mount stays if it is not empty.
        (149, vec![touch("/deep/b")], "deep/, deep/b: 0"),
    ] {
        assert_eq!(done(&operations), Ok(expected.to_owned()), "rule {rule}: {operations:?}");
    }
}

#[test]
fn mounts_cannot_be_changed() {
    for (rule, operation, fault) in [
        (150, remove("/work/a"), "tool: cannot remove '/work/a': Device or resource busy"),
        (150, remove("/deep/in/dir/one"), "tool: cannot remove '/deep/in/dir/one': Read-only file system"),
        (150, write("/work/a"), "Read-only file system"),
        (150, write("/deep/in/dir/new"), "Read-only file system"),
        (
            150,
            Operation::SetMode { paths: vec![path("/work/a")], mode: "755".into(), recursive: false },
            "Read-only file system",
        ),
        (
            150,
            Operation::Link {
                targets: vec![path("/work/a")],
                to: Some(path("/hard")),
                into: IntoDirectory::Never,
                symbolic: false,
                force: false,
                no_dereference: false,
            },
            "Invalid cross-device link",
        ),
        // Reached by another path than that of the mount.
        (
            149,
            Operation::Look { paths: vec![path("/real/closed")] },
            "the line reaches the mount /link/closed",
        ),
        (
            149,
            Operation::Look { paths: vec![Pathname::Pattern("/real/*".into())] },
            "the line reaches the mount /link/closed",
        ),
    ] {
        let said = done(std::slice::from_ref(&operation)).unwrap_err();
        assert!(said.contains(fault), "rule {rule}: {operation:?}: {said}");
    }
    assert_eq!(done(&[copy("/real/x", "/out")]), Ok("out: 1".to_owned()), "rule 149");
}
