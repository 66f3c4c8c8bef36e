//! The tar and the gzip of a layer, read by independent code.

use crate::support::layers::{Member, blobs, inflate, members};
use crate::support::lbuild::{Lbuild, function, noise};
use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// The layer of a directory; `more` may name its target.
fn layer(code: &Path, more: &[&str]) -> Vec<u8> {
    blobs(&Lbuild::new().layout("image", code, more), "it", "").pop().unwrap()
}

fn find<'a>(members: &'a [Member], path: &str) -> &'a Member {
    members.iter().find(|member| member.path == path).unwrap_or_else(|| panic!("no {path}"))
}

#[test]
fn every_entry_is_normalised_and_follows_its_parent_directories() {
    let long = format!("{}/{}/{}", "d".repeat(90), "e".repeat(90), "f".repeat(90));
    let split = format!("{}/{}", "p".repeat(140), "q".repeat(90));
    let code = function(&[
        ("z.py", "z"),
        ("a/b/c/deep.py", "deep"),
        ("a-b", "sorts before a/"),
        ("a/tool*", "#!/bin/sh\n"),
        ("empty", ""),
        (&long, "a path of 272 bytes"),
        (&split, "a path of 231 bytes"),
        ("naïve/日本.txt", "names are bytes"),
    ]);
    std::fs::create_dir(code.path().join("hollow")).unwrap();
    symlink("a/tool", code.path().join("link")).unwrap();
    symlink("x".repeat(150), code.path().join("long-link")).unwrap();
    std::fs::hard_link(code.path().join("z.py"), code.path().join("z2.py")).unwrap();
    for (name, mode) in
        [("z.py", 0o600), ("empty", 0o4666), ("a/tool", 0o501), ("hollow", 0o700), ("a", 0o777)]
    {
        std::fs::set_permissions(code.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    // not every file system has extended attributes
    let _ = rustix::fs::setxattr(
        code.path().join("z.py"),
        "user.origin",
        b"somewhere",
        rustix::fs::XattrFlags::empty(),
    );
    let blob = layer(code.path(), &[]);
    let members = members(&blob);

    let mut seen = BTreeSet::new();
    for member in &members {
        let parent = member.path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        assert!(
            parent.is_none_or(|parent| seen.contains(&parent)),
            "{} comes before its parent",
            member.path
        );
        assert!(seen.insert(member.path.clone()), "{} comes twice", member.path);
        assert_eq!(member.owner, (0, 0, String::new(), String::new()), "{}", member.path);
        assert_eq!(member.mtime, 315_532_800, "{}", member.path);
        assert!(!member.path.starts_with(['/', '.']), "{}", member.path);
    }
    let order: Vec<_> = members.iter().map(|member| member.path.as_bytes()).collect();
    assert!(order.is_sorted(), "sorted by the bytes of their paths");
    assert_eq!(&order[..2], [&b"var"[..], b"var/task"]);

    let mode = |path: &str| find(&members, &format!("var/task/{path}")).mode;
    assert_eq!((mode("z.py"), mode("empty"), mode("a/tool")), (0o644, 0o644, 0o755));
    assert_eq!((mode("hollow"), mode("a"), mode("a/b")), (0o755, 0o755, 0o755));
    let link = find(&members, "var/task/link");
    assert_eq!((link.kind, link.link.as_deref()), (tar::EntryType::Symlink, Some("a/tool")));
    let second = find(&members, "var/task/z2.py");
    assert_eq!((second.kind, &second.content[..]), (tar::EntryType::Regular, &b"z"[..]));
    assert_eq!(find(&members, &format!("var/task/{long}")).content, b"a path of 272 bytes");
    assert_eq!(find(&members, "var/task/naïve/日本.txt").content, b"names are bytes");

    let extended: Vec<_> = members.iter().filter(|member| !member.pax.is_empty()).collect();
    let reasons: Vec<_> = extended.iter().map(|member| (member.path.len(), member.pax.clone())).collect();
    // USTAR: 100 bytes for a link's target and for a path's last part, 155 for the part before it
    let path = vec!["path".to_owned()];
    assert_eq!(reasons, [(9 + 272, path.clone()), (18, vec!["linkpath".to_owned()]), (9 + 140, path)]);
}

#[test]
fn a_header_is_ustar_or_pax_and_nothing_else() {
    let code = function(&[(format!("{}/{}", "d".repeat(80), "f".repeat(120)).as_str(), "x"), ("short", "y")]);
    let tar = inflate(&layer(code.path(), &[]));
    let (mut at, mut kinds) = (0, Vec::new());
    while tar[at..at + 512].iter().any(|&byte| byte != 0) {
        let header = &tar[at..at + 512];
        assert_eq!(&header[257..265], b"ustar\x0000");
        assert!(header[329..345].iter().all(|&byte| byte == 0 || byte == b'0'), "device numbers");
        assert!(header[500..].iter().all(|&byte| byte == 0));
        kinds.push(header[156] as char);
        let size = std::str::from_utf8(&header[124..135]).unwrap();
        at += 512 + (usize::from_str_radix(size, 8).unwrap().next_multiple_of(512));
    }
    assert_eq!(tar.len() - at, 1024, "two empty blocks at the end");
    assert_eq!(kinds, ['5', '5', '5', 'x', '0', '0']);
}

#[test]
fn the_gzip_is_one_member_without_name_or_time() {
    let code = function(&[("big", noise(3, 3 << 20)), ("flat", vec![7; 2 << 20])]);
    let blob = layer(code.path(), &["--jobs", "3"]);
    assert_eq!(&blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let tar = inflate(&blob);
    let members = members(&blob);
    assert!(find(&members, "var/task/big").content == noise(3, 3 << 20));
    assert!(find(&members, "var/task/flat").content == vec![7; 2 << 20]);
    let length = u32::from_le_bytes(blob[blob.len() - 4..].try_into().unwrap());
    assert_eq!(length as usize, tar.len());
}

#[test]
fn an_empty_directory_is_a_layer() {
    let code = function::<&str>(&[]);
    let members = members(&layer(code.path(), &[]));
    let paths: Vec<_> = members.iter().map(|member| member.path.as_str()).collect();
    assert_eq!(paths, ["var", "var/task"]);
}
