//! [`Filesystem`]: inodes and their names, as they are below the layer and as commands leave them.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::data::{Data, DataPiece, LowerFile};
use crate::tree::{Device, Xattrs};

/// The number of an inode.
pub(in crate::operations) type Ino = usize;

/// The root directory.
pub(in crate::operations) const ROOT: Ino = 0;

/// The files of an image while commands change them.
#[derive(Debug)]
pub(crate) struct Filesystem {
    inodes: Vec<Inode>,
    /// The number of inodes of the layers below; later ones are new.
    lower: usize,
    /// The user who runs the commands.
    pub(in crate::operations) user: User,
    /// The contents of files of the layers below that commands read.
    known: HashMap<LowerFile, Arc<[u8]>>,
    /// Files whose contents a command needs and that are not known.
    needed: Vec<LowerFile>,
    /// The directory of a command whose directory is removed.
    pub(super) nowhere: Option<Ino>,
    /// What is there only while a line runs.
    pub(super) mounts: Mounts,
}

/// An inode as it is now and, if that differs, as it is in the layers below.
#[derive(Debug)]
struct Inode {
    now: State,
    before: Option<Box<State>>,
}

/// The kind and metadata of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operations) struct State {
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub xattrs: Xattrs,
}

/// The kind of an inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operations) enum Kind {
    File(Data),
    Directory(Directory),
    Symlink(Vec<u8>),
    Device(Device),
}

/// The names in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::operations) struct Directory {
    /// The directory that `..` leads to.
    pub parent: Ino,
    pub names: BTreeMap<Vec<u8>, Ino>,
}

/// The user who runs a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub uid: u64,
    pub gid: u64,
    /// Supplementary groups.
    pub groups: Vec<u64>,
}

/// The mounts in force.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub mounted: Vec<Mounted>,
    /// Names that the line must not reach: the directory, the name in it, and the target.
    pub closed: Vec<(Ino, Vec<u8>, String)>,
    /// Directories that only mounts need.
    pub made: Vec<(Ino, Vec<u8>, Ino)>,
    /// What the line has done that only a process can do.
    pub refused: Cell<Option<Refused>>,
}

/// Files in the place of others.
#[derive(Debug)]
pub(super) struct Mounted {
    pub dir: Ino,
    pub name: Vec<u8>,
    /// The file of the image that has the name.
    pub hidden: Option<Ino>,
    pub root: Ino,
    /// Those of its files.
    pub inodes: Range<Ino>,
    pub writable: bool,
}

/// What only a process can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
    /// It reached a closed mount.
    Reached(usize),
    /// It wrote to a mount whose changes are discarded.
    Wrote,
    /// It moved a file out of a mount or into one.
    Moved,
}

impl User {
    /// Whether the user has these permissions (`rwx`, as the lowest three bits of a mode).
    pub fn may(&self, state: &State, wanted: u32) -> bool {
        let granted = if self.uid == 0 {
            0o7
        } else if self.uid == state.uid {
            state.mode >> 6
        } else if self.is_in(state.gid) {
            state.mode >> 3
        } else {
            state.mode
        };
        granted & wanted == wanted
    }

    pub fn is_in(&self, gid: u64) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Whether the user may change the mode and the time of a file.
    pub fn owns(&self, state: &State) -> bool {
        self.uid == 0 || self.uid == state.uid
    }
}

impl State {
    pub fn new(kind: Kind, mode: u32) -> State {
        State { kind, mode, uid: 0, gid: 0, xattrs: Xattrs::NONE }
    }

    pub fn directory(parent: Ino) -> State {
        State::new(Kind::Directory(Directory { parent, names: BTreeMap::new() }), 0o755)
    }

    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    pub fn is_symlink(&self) -> bool {
        matches!(self.kind, Kind::Symlink(_))
    }
}

impl Filesystem {
    /// An empty root directory, owned by root, which also runs the commands.
    pub fn empty() -> Filesystem {
        let root = Inode { now: State::directory(ROOT), before: None };
        Filesystem {
            inodes: vec![root],
            lower: 1,
            user: User::default(),
            known: HashMap::new(),
            needed: Vec::new(),
            nowhere: None,
            mounts: Mounts::default(),
        }
    }

    /// A directory without a name, in which nothing can be made: what is left to a command whose directory is removed.
    pub(in crate::operations) fn nowhere(&mut self) -> Ino {
        let nowhere = self.nowhere.unwrap_or_else(|| self.push(State::directory(ROOT)));
        self.nowhere = Some(nowhere);
        nowhere
    }

    /// Ends loading: all inodes so far are those of the layers below.
    pub(super) fn seal(&mut self) {
        self.lower = self.inodes.len();
    }

    /// The content of a file of the layers below.
    pub fn know(&mut self, file: LowerFile, content: Arc<[u8]>) {
        self.known.insert(file, content);
    }

    /// The bytes of a file, unless they are not known; then they are needed.
    pub(in crate::operations) fn bytes(&mut self, data: &Data) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in data.pieces() {
            match piece {
                DataPiece::Text(text) => bytes.extend_from_slice(text),
                DataPiece::Lower(file) => match self.known.get(file) {
                    Some(content) => bytes.extend_from_slice(content),
                    None if self.needed.contains(file) => {}
                    None => self.needed.push(file.clone()),
                },
            }
        }
        bytes
    }

    /// The files whose contents must be known before the commands can run.
    pub(in crate::operations) fn needed(&mut self) -> Vec<LowerFile> {
        std::mem::take(&mut self.needed)
    }

    pub(in crate::operations) fn is_in_need(&self) -> bool {
        !self.needed.is_empty()
    }

    pub(in crate::operations) fn get(&self, ino: Ino) -> &State {
        &self.inodes[ino].now
    }

    /// The inode in the layers below, if it is one of theirs.
    pub(super) fn before(&self, ino: Ino) -> Option<&State> {
        let inode = self.inodes.get(ino).filter(|_| ino < self.lower)?;
        Some(inode.before.as_deref().unwrap_or(&inode.now))
    }

    /// The inode, to be changed.
    pub(super) fn change(&mut self, ino: Ino) -> &mut State {
        let is_lower = ino < self.lower;
        let inode = &mut self.inodes[ino];
        if is_lower && inode.before.is_none() {
            inode.before = Some(Box::new(inode.now.clone()));
        }
        &mut inode.now
    }

    /// The inode while layers are loaded.
    pub(super) fn load(&mut self, ino: Ino) -> &mut State {
        &mut self.inodes[ino].now
    }

    /// The number of inodes.
    pub(super) fn inodes(&self) -> usize {
        self.inodes.len()
    }

    pub(super) fn push(&mut self, state: State) -> Ino {
        self.inodes.push(Inode { now: state, before: None });
        self.inodes.len() - 1
    }

    pub(in crate::operations) fn directory(&self, ino: Ino) -> Option<&Directory> {
        match &self.get(ino).kind {
            Kind::Directory(directory) => Some(directory),
            _ => None,
        }
    }

    pub(in crate::operations) fn is_directory(&self, ino: Ino) -> bool {
        self.directory(ino).is_some()
    }
}
