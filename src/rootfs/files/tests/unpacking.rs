//! Layers of other tools, in any order, and hostile ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::inside::{Overlay, inside};
use super::script::Random;
use super::{Seen, assert_same, files};
use crate::image::Compression;
use crate::layer::LayerReader;
use crate::rootfs::files::{Form, Index, Owners, copy, make_own_root, make_root, remove, unpack};
use crate::tree::{EntryKind, Member, View, ViewLayer};

/// A member: path, kind, content or target.
type Raw = (String, EntryType, String);

fn file(path: &str, content: &str) -> Raw {
    (path.to_owned(), EntryType::Regular, content.to_owned())
}

fn directory(path: &str) -> Raw {
    (path.to_owned(), EntryType::Directory, String::new())
}

fn link(path: &str, target: &str) -> Raw {
    (path.to_owned(), EntryType::Symlink, target.to_owned())
}

fn tar(members: &[Raw]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, (path, kind, text)) in members.iter().enumerate() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(if *kind == EntryType::Directory { 0o750 } else { 0o640 });
        header.set_uid(number as u64 % 3);
        header.set_gid(0);
        header.set_mtime(1_000_000 + number as u64);
        let has_content = *kind == EntryType::Regular;
        header.set_size(if has_content { text.len() as u64 } else { 0 });
        if !has_content {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        bytes.extend(header.as_bytes());
        if has_content {
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn apply(
    members: &[Raw],
    root: &Path,
    form: Form<'_>,
    owners: Owners,
    index: &mut Index,
) -> std::io::Result<()> {
    let mut reader = LayerReader::new(Cursor::new(tar(members)), Compression::None, 1 << 30);
    unpack(&mut reader, root, form, owners, index)
}

/// The roots of some layers, in both forms.
struct Roots {
    flat: PathBuf,
    lowers: Vec<PathBuf>,
    index: Index,
}

fn roots(dir: &Path, layers: &[Vec<Raw>], owners: Owners) -> std::io::Result<Roots> {
    let mut roots = Roots { flat: dir.join("flat"), lowers: Vec::new(), index: Index::new() };
    make_root(&roots.flat, &roots.index, owners)?;
    for (number, members) in layers.iter().enumerate() {
        let lower = dir.join(format!("{number}"));
        make_root(&lower, &roots.index, owners)?;
        let mut index = roots.index.clone();
        apply(members, &lower, Form::Lower { lowers: &roots.lowers }, owners, &mut index)?;
        apply(members, &roots.flat, Form::Flat, owners, &mut roots.index)?;
        assert_eq!(index, roots.index);
        // The metadata of the root are those of the topmost.
        roots.lowers.insert(0, lower);
    }
    Ok(roots)
}

/// The files of both forms, which must be equal; `None` if a layer has an entry below a file.
fn unpacked(dir: &Path, layers: &[Vec<Raw>], owners: Owners) -> Option<BTreeMap<String, Seen>> {
    let roots = match roots(dir, layers, owners) {
        Ok(roots) => roots,
        Err(error) => {
            assert!(error.to_string().ends_with("the layer has it below a file"), "{error}: {layers:#?}");
            return None;
        }
    };
    let found = files(&roots.flat, owners);
    let at = dir.join("merged");
    fs::create_dir(&at).unwrap();
    let top = dir.join("top");
    make_root(&top, &roots.index, owners).unwrap();
    let lowers: Vec<&Path> =
        [top.as_path()].into_iter().chain(roots.lowers.iter().map(PathBuf::as_path)).collect();
    let overlay = Overlay::mount(&at, &lowers, None);
    assert_same(&format!("{layers:#?}"), &found, &files(&at, owners));
    drop(overlay);
    let mut indexed: BTreeMap<String, String> = BTreeMap::new();
    for (path, node) in roots.index.iter() {
        indexed.insert(String::from_utf8(path.to_vec()).unwrap(), format!("{:?} {}", node.entry, node.mtime));
    }
    let seen =
        found.iter().map(|(path, seen)| (path.clone(), format!("{:?} {}", seen.entry, seen.mtime))).collect();
    match owners {
        Owners::Kernel => assert_same(&format!("index, {layers:#?}"), &indexed, &seen),
        // The owners of symbolic links cannot be kept.
        Owners::Recorded => assert_eq!(indexed.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>()),
    }
    Some(found)
}

fn random_layer(random: &mut Random) -> Vec<Raw> {
    let names = ["a", "b", "a/x", "a/y", "a/x/p", "a/x/q", "b/x", "c/d/e", "a/x/p/z"];
    let mut members = Vec::new();
    let mut linkable: Vec<String> = Vec::new();
    for number in 0..random.below(9) + 1 {
        let name = names[random.below(names.len())];
        let (parent, last) = name.rsplit_once('/').map_or(("", name), |(parent, last)| (parent, last));
        let slash = if parent.is_empty() { "" } else { "/" };
        let is_leaf = !names.iter().any(|other| other.starts_with(&format!("{name}/")));
        let member = match random.below(8) {
            0 | 1 => file(&format!("{parent}{slash}.wh.{last}"), ""),
            2 => file(&format!("{name}/.wh..wh..opq"), ""),
            3 | 4 => directory(name),
            // Where a link was above an entry, the order of members decides, which the view does not know.
            5 if is_leaf => link(name, "nowhere"),
            6 if !linkable.is_empty() => {
                let target = linkable[random.below(linkable.len())].clone();
                (format!("h{number}"), EntryType::Link, target)
            }
            _ if !is_leaf && random.below(4) > 0 => directory(name),
            _ => {
                let own = format!("f{number}");
                linkable.push(own.clone());
                members.push(file(&own, "linked"));
                file(name, &format!("content {number}"))
            }
        };
        members.push(member);
    }
    members
}

/// What a container sees of the layers, as the rest of lbuild understands them: paths with kinds.
fn viewed(layers: &[Vec<Raw>]) -> Option<BTreeMap<String, String>> {
    let read = |members: &Vec<Raw>| {
        let mut reader = LayerReader::new(Cursor::new(tar(members)), Compression::None, 1 << 30);
        let mut found: Vec<Member<u64>> = Vec::new();
        while let Some(member) = reader.next().unwrap() {
            found.push(member);
        }
        found
    };
    let layers: Vec<Vec<Member<u64>>> = layers.iter().map(read).collect();
    let view = View::of(layers.iter().map(|members| Some(ViewLayer { members, from_tree: false })));
    let mut seen = BTreeMap::new();
    for file in view.iter() {
        let inode = view.inode(file)?;
        let path = file.member.path.as_str().to_owned();
        // A path without a directory of its own implies one.
        let mut parent = path.as_str();
        while let Some((dir, _)) = parent.rsplit_once('/') {
            seen.entry(dir.to_owned()).or_insert_with(|| IMPLIED.to_owned());
            parent = dir;
        }
        seen.insert(path, text(&inode.member.entry.kind, inode.member.entry.mode, inode.member.entry.uid));
    }
    view.complete.then_some(seen)
}

/// A directory without a member.
const IMPLIED: &str = "Directory 755 0:0";

fn text<C>(kind: &EntryKind<C>, mode: u32, uid: u64) -> String {
    match kind {
        EntryKind::File(_) => format!("File {mode:o} {uid}:0"),
        EntryKind::Directory => format!("Directory {mode:o} {uid}:0"),
        EntryKind::Symlink(_) => "Symlink".to_owned(),
        _ => panic!("unexpected kind"),
    }
}

#[test]
fn both_forms_show_what_a_container_sees() {
    inside("rootfs::files::tests::unpacking::both_forms_show_what_a_container_sees", |owners| {
        let (mut compared, mut failed) = (0, 0);
        for seed in 0..120 {
            let mut random = Random::new(seed);
            let layers: Vec<Vec<Raw>> = (0..3).map(|_| random_layer(&mut random)).collect();
            let dir = tempfile::tempdir().unwrap();
            let Some(found) = unpacked(dir.path(), &layers, owners) else {
                failed += 1;
                continue;
            };
            if let Some(viewed) = viewed(&layers) {
                let found = found.iter().filter(|(path, _)| !path.is_empty()).map(|(path, seen)| {
                    (path.clone(), text(&seen.entry.kind, seen.entry.mode, seen.entry.uid))
                });
                // A directory that only a deleted file implied stays, as in Docker; the view does not have it.
                let is_implied =
                    |(path, text): &(String, String)| text == IMPLIED && !viewed.contains_key(path);
                let found: BTreeMap<_, _> = found.filter(|entry| !is_implied(entry)).collect();
                assert_same(&format!("seed {seed}: {layers:#?}"), &found, &viewed);
                compared += 1;
            }
            remove(dir.path()).unwrap();
        }
        assert!(compared > 50 && failed < 60, "{compared} {failed}");
    });
}

#[test]
fn links_in_the_paths_of_members_are_followed_within_the_root() {
    inside(
        "rootfs::files::tests::unpacking::links_in_the_paths_of_members_are_followed_within_the_root",
        |owners| {
            let dir = tempfile::tempdir().unwrap();
            let layers = [
                vec![
                    directory("usr/lib"),
                    link("lib", "usr/lib"),
                    link("up", "../../../usr"),
                    link("abs", "/usr/lib"),
                ],
                vec![
                    file("lib/a", "a"),
                    file("up/b", "b"),
                    file("abs/c", "c"),
                    file("abs/.wh.a", ""),
                    (String::from("d"), EntryType::Link, String::from("lib/c")),
                ],
                vec![directory("lib"), file("lib/own", "")],
            ];
            let found = unpacked(dir.path(), &layers, owners).unwrap();
            let paths: Vec<&str> = found.keys().map(String::as_str).collect();
            // `a` is of the layer that deletes it, so it stays.
            let expected =
                ["", "abs", "d", "lib", "lib/own", "up", "usr", "usr/b", "usr/lib", "usr/lib/a", "usr/lib/c"];
            assert_eq!(paths, expected);
            remove(dir.path()).unwrap();
        },
    );
}

#[test]
fn hostile_layers_do_not_leave_the_root() {
    inside("rootfs::files::tests::unpacking::hostile_layers_do_not_leave_the_root", |owners| {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), "victim").unwrap();
        let target = outside.to_str().unwrap().to_owned();
        let long = "d/".repeat(48);
        for (number, members) in [
            vec![file("../outside/x", "")],
            vec![file("a/../../outside/x", "")],
            vec![link("l", &target), file("l/victim", "changed")],
            vec![link("l", &target), directory("l/new"), file("l/new/x", "")],
            vec![link("l", &target), file("l/.wh.victim", "")],
            vec![link("l", &target), file("l", "replaces the link")],
            vec![link("l", "../outside"), (String::from("h"), EntryType::Link, String::from("l/victim"))],
            vec![(String::from("h"), EntryType::Link, String::from("missing"))],
            vec![(String::from("c"), EntryType::Char, String::new())],
            vec![(String::from("d"), EntryType::Directory, String::new()), link(&format!("{long}l"), "x")],
        ]
        .into_iter()
        .enumerate()
        {
            let at = dir.path().join(format!("{number}"));
            fs::create_dir(&at).unwrap();
            let done = roots(&at, std::slice::from_ref(&members), owners);
            let fails = matches!(number, 0 | 1 | 6 | 7);
            assert_eq!(done.is_err(), fails, "{members:?}: {:?}", done.err());
            if let Err(error) = done {
                assert!(error.to_string().starts_with('/'), "{error}");
            }
            let left: Vec<_> =
                fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["victim"], "{members:?}");
            assert_eq!(fs::read(outside.join("victim")).unwrap(), b"victim", "{members:?}");
        }
        remove(dir.path()).unwrap();
    });
}

#[test]
fn a_name_that_is_written_changes_no_other() {
    inside("rootfs::files::tests::unpacking::a_name_that_is_written_changes_no_other", |owners| {
        let dir = tempfile::tempdir().unwrap();
        let hard = (String::from("b"), EntryType::Link, String::from("a"));
        let roots = roots(dir.path(), &[vec![file("a", "one"), hard]], owners).unwrap();
        let copied = dir.path().join("copy");
        copy(&roots.flat, &copied).unwrap();
        fs::write(copied.join("a"), "two").unwrap();
        for (path, content) in [("copy/b", "one"), ("flat/a", "one"), ("flat/b", "one"), ("0/b", "one")] {
            assert_eq!(fs::read_to_string(dir.path().join(path)).unwrap(), content, "{path}");
        }
        let groups: Vec<u32> = ["a", "b"].map(|path| roots.index.get(path.as_bytes()).unwrap().group).into();
        assert!(groups[0] > 0 && groups[0] == groups[1]);
        remove(dir.path()).unwrap();
    });
}

#[test]
fn an_index_is_read_as_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let owners = if rustix::process::geteuid().is_root() { Owners::Kernel } else { Owners::Recorded };
    let hard = (String::from("b"), EntryType::Link, String::from("a"));
    let index = roots(dir.path(), &[vec![file("a", "one"), hard, link("l", "a")]], owners).unwrap().index;
    let mut saved = Vec::new();
    index.save(&mut saved).unwrap();
    assert_eq!(Index::load(&saved).unwrap(), index);
    for end in 0..saved.len() {
        assert!(Index::load(&saved[..end]).is_err(), "{end}");
    }
    for at in 0..saved.len() {
        let mut changed = saved.clone();
        changed[at] ^= 1;
        assert!(Index::load(&changed).is_err(), "{at}");
    }
}

#[test]
fn deep_and_closed_directories_are_removed() {
    inside("rootfs::files::tests::unpacking::deep_and_closed_directories_are_removed", |_| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        fs::create_dir(&root).unwrap();
        // Deeper than a path can be long: made from the inside out.
        for number in 0..300 {
            let (old, new) = (dir.path().join("old"), dir.path().join("new"));
            fs::create_dir(&new).unwrap();
            fs::write(new.join(".removed-1"), "x").unwrap();
            if number > 0 {
                fs::rename(&old, new.join("a_rather_long_name_of_a_directory")).unwrap();
            }
            fs::rename(&new, &old).unwrap();
        }
        fs::rename(dir.path().join("old"), root.join("deep")).unwrap();
        fs::create_dir_all(root.join("closed/below")).unwrap();
        fs::write(root.join("closed/below/x"), "x").unwrap();
        for path in ["closed/below", "closed", ""] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(0o0)).unwrap();
        }
        remove(&root).unwrap();
        assert!(!root.exists());
        remove(&root).unwrap();
    });
}

#[test]
fn directories_of_an_ordinary_user_are_removed_without_a_namespace() {
    // Root may do anything; the removal by an ordinary user is this process's, or a child's.
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("r");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(root.join("a/b/x"), "x").unwrap();
    for (path, mode) in [("a/b", 0o400), ("a", 0o000), ("", 0o500)] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    remove(&root).unwrap();
    assert!(!root.exists());
}

#[test]
fn the_directory_of_a_root_is_the_users_own() {
    use std::os::unix::fs::{MetadataExt, chown};
    let place = tempfile::tempdir().unwrap();
    // Only root has another group to give.
    if rustix::process::geteuid().is_root() {
        chown(place.path(), None, Some(1234)).unwrap();
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o2755)).unwrap();
    let root = place.path().join("root");
    make_own_root(&root, &Index::new()).unwrap();
    let made = fs::metadata(&root).unwrap();
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    assert_eq!((made.mode() & 0o7777, made.mtime(), (made.uid(), made.gid())), (0o755, 0, own));
}
