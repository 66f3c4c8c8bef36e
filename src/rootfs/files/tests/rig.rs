//! A root in both forms: an overlay, and a copied tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::inside::Overlay;
use super::layers::{EPOCH, apply, layer};
use super::{assert_same, files};
use crate::rootfs::files::{
    Form, Index, Node, Owners, Settings, Settled, Snapshot, copy, make_root, restore, settle_overlay,
    settle_tree,
};
use crate::tree::{Content, Entry, FileTree};

/// The entries of a tree as text, with the digests of contents.
fn entries(tree: &FileTree) -> BTreeMap<String, String> {
    let text = |entry: &Entry| {
        let Entry { kind, mode, uid, gid, xattrs } = entry;
        let kind = kind.map_content(|content| match content {
            Content::File(file) => (file.stat.size, file.sha256),
            other => panic!("{other:?}"),
        });
        format!("{kind:?} {mode:o} {uid}:{gid} {xattrs:?}")
    };
    tree.iter().map(|(path, entry)| (String::from_utf8(path.to_vec()).unwrap(), text(entry))).collect()
}

/// The nodes of an index.
fn nodes(index: &Index) -> BTreeMap<String, Node> {
    index.iter().map(|(path, node)| (String::from_utf8(path.to_vec()).unwrap(), node.clone())).collect()
}

/// A root in both forms.
pub(in crate::rootfs) struct Rig {
    dir: PathBuf,
    owners: Owners,
    /// The lower directories, the topmost first.
    lowers: Vec<PathBuf>,
    /// The same files in one directory: with the layers unpacked, and as the commands left them.
    flat: PathBuf,
    tree: PathBuf,
    pub index: Index,
    number: usize,
}

/// What a command did, besides the files: for messages.
type Log = Vec<String>;

impl Rig {
    /// The root of these layers, the lowest first.
    pub fn new(dir: &Path, owners: Owners, layers: &[FileTree]) -> Rig {
        let (lowest, flat, tree) = (dir.join("b"), dir.join("f"), dir.join("t"));
        let mut index = Index::new();
        make_root(&lowest, &index, owners).unwrap();
        apply(&layer(&layers[0], 1_000_000_000), &lowest, Form::Flat, owners, &mut index);
        copy(&lowest, &flat).unwrap();
        let mut rig = Rig {
            dir: dir.to_owned(),
            owners,
            lowers: vec![lowest],
            flat,
            tree: tree.clone(),
            index,
            number: 0,
        };
        for tree in &layers[1..] {
            let bytes = layer(tree, 1_000_000_001);
            let (lower, after) = rig.unpacked(&bytes);
            apply(&bytes, &rig.flat, Form::Flat, owners, &mut rig.index);
            assert_eq!(rig.index, after);
            rig.lowers.insert(0, lower);
        }
        copy(&rig.flat, &tree).unwrap();
        assert_same("before", &files(&tree, owners), &rig.merged(&rig.lowers));
        rig
    }

    /// A new lower directory of a layer, and the index with it.
    fn unpacked(&mut self, bytes: &[u8]) -> (PathBuf, Index) {
        let (lower, mut index) = (self.path("l"), self.index.clone());
        make_root(&lower, &index, self.owners).unwrap();
        apply(bytes, &lower, Form::Lower { lowers: &self.lowers }, self.owners, &mut index);
        (lower, index)
    }

    fn path(&mut self, name: &str) -> PathBuf {
        self.number += 1;
        self.dir.join(format!("{name}{}", self.number))
    }

    fn merged(&self, lowers: &[PathBuf]) -> BTreeMap<String, super::Seen> {
        let (at, top) = (self.dir.join("m"), self.dir.join("top"));
        fs::create_dir_all(&at).unwrap();
        // An overlay has two directories or more.
        if !top.exists() {
            make_root(&top, &self.index, self.owners).unwrap();
        }
        let lowers: Vec<&Path> = [&top].into_iter().chain(lowers).map(PathBuf::as_path).collect();
        let _overlay = Overlay::mount(&at, &lowers, None);
        files(&at, self.owners)
    }

    pub fn settings(&self) -> Settings<'static> {
        let owners = self.owners;
        Settings {
            owners,
            creator: (0, 0),
            epoch: EPOCH,
            keeps_noise: false,
            left_out: &[],
            base: None,
            opens: true,
        }
    }

    fn in_overlay(
        &mut self,
        settings: &Settings<'_>,
        change: &dyn Fn(&Path) -> Log,
    ) -> (PathBuf, Settled, Log) {
        let (upper, work, at) = (self.path("u"), self.path("w"), self.dir.join("m"));
        make_root(&upper, &self.index, self.owners).unwrap();
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(&at).unwrap();
        let lowers: Vec<&Path> = self.lowers.iter().map(PathBuf::as_path).collect();
        let overlay = Overlay::mount(&at, &lowers, Some((&upper, &work)));
        let log = change(&at);
        drop(overlay);
        let settled = settle_overlay(&upper, &self.index, settings).unwrap();
        (upper, settled, log)
    }

    fn in_tree(&self, settings: &Settings<'_>, change: &dyn Fn(&Path) -> Log) -> (Settled, Log) {
        let before = Snapshot::of(&self.tree).unwrap();
        let log = change(&self.tree);
        let base = self.lowers.last().map(PathBuf::as_path);
        let settings = Settings { base, ..*settings };
        let (settled, after) = settle_tree(&self.tree, &before, &self.index, &settings).unwrap();
        assert_eq!(after, Snapshot::of(&self.tree).unwrap());
        (settled, log)
    }

    /// Runs a command in both forms. Fails unless the layers are equal, and make the same files as the command.
    /// Returns the entries of the layer.
    pub fn run(
        &mut self,
        what: &str,
        settings: &Settings<'_>,
        change: &dyn Fn(&Path) -> Log,
    ) -> BTreeMap<String, String> {
        let (upper, overlay, log) = self.in_overlay(settings, change);
        let (tree, log_of_tree) = self.in_tree(settings, change);
        let what = format!("{what}: {}", log.join("\n"));
        let differing = log.iter().zip(&log_of_tree).find(|(one, other)| one != other);
        assert_eq!(differing, None, "{what}");
        let (one, other) = (overlay.tree(&upper).unwrap(), tree.tree(&self.tree).unwrap());
        let entries = entries(&one);
        assert_same(&what, &entries, &self::entries(&other));
        assert_eq!(overlay.is_empty(), entries.is_empty());
        let bytes = layer(&one, EPOCH);
        assert!(bytes == layer(&other, EPOCH), "{what}");
        restore(&upper, &overlay.opened).unwrap();
        restore(&self.tree, &tree.opened).unwrap();
        let mut after = self.index.clone();
        overlay.apply(&mut after);
        self.check(&what, &bytes, upper, after);
        entries
    }

    /// Unpacks a layer, and compares with what the command left. The next command runs on that.
    fn check(&mut self, what: &str, bytes: &[u8], upper: PathBuf, after: Index) {
        let mut index = self.index.clone();
        apply(bytes, &self.flat, Form::Flat, self.owners, &mut index);
        assert_same(what, &nodes(&index), &nodes(&after));
        let expected = files(&self.flat, self.owners);
        assert_same(&format!("tree, {what}"), &expected, &files(&self.tree, self.owners));
        let (lower, index) = self.unpacked(bytes);
        assert_same(what, &nodes(&index), &nodes(&after));
        let with = |top: PathBuf| [&[top], &self.lowers[..]].concat();
        assert_same(&format!("upper, {what}"), &expected, &self.merged(&with(upper.clone())));
        assert_same(&format!("lower, {what}"), &expected, &self.merged(&with(lower)));
        (self.lowers, self.index) = (with(upper), after);
    }
}
