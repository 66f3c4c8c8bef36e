//! `chmod`, `chown`, `chgrp` and `touch`.

use crate::operations::files::{Errno, Ino, Last};
use crate::operations::mode::Mode;
use crate::operations::shell::{Shell, joined, shown};

/// The new owner and group of files.
#[derive(Clone, Copy)]
pub(in crate::operations) struct NewOwner {
    pub uid: Option<u64>,
    pub gid: Option<u64>,
}

impl Shell<'_> {
    pub(in crate::operations) fn set_modes(&mut self, paths: &[Vec<u8>], mode: &str, recursive: bool) {
        let Some(parsed) = Mode::parse(mode) else {
            return self.fail(format!("invalid mode: '{mode}'"));
        };
        for path in paths {
            match self.files.find(self.directory, path, Last::Follow) {
                Ok(ino) => {
                    // busybox follows a link to a directory, but not into it.
                    let stays = self.is_busybox && self.is_link(path);
                    self.set_mode(ino, path, &parsed, recursive && !stays);
                }
                Err(Errno::NoEntry) if self.is_link(path) => {
                    self.fail(format!("cannot operate on dangling symlink '{}'", shown(path)));
                }
                Err(error) => self.cannot("access", path, error),
            }
        }
    }

    pub(super) fn set_mode(&mut self, ino: Ino, path: &[u8], mode: &Mode, recursive: bool) {
        let state = self.files.get(ino);
        let new = match self.is_busybox {
            true => mode.of_busybox(state.mode, state.is_directory()),
            false => mode.of(state.mode, state.is_directory()),
        };
        if let Err(error) = self.files.set_mode(ino, new) {
            self.fail(format!("changing permissions of '{}': {error}", shown(path)));
        }
        if !recursive || !self.files.is_directory(ino) {
            return;
        }
        match self.files.names(ino) {
            Ok(names) => {
                for (name, ino) in names {
                    if !self.files.get(ino).is_symlink() {
                        self.set_mode(ino, &joined(path, &name), mode, true);
                    }
                }
            }
            Err(error) => self.fail(format!("cannot read directory '{}': {error}", shown(path))),
        }
    }

    pub(in crate::operations) fn set_owners(
        &mut self,
        paths: &[Vec<u8>],
        owner: NewOwner,
        recursive: bool,
        no_dereference: bool,
    ) {
        let last = if recursive || no_dereference { Last::Keep } else { Last::Follow };
        for path in paths {
            match self.files.find(self.directory, path, last) {
                Ok(ino) => self.set_owner(ino, path, owner, recursive),
                Err(Errno::NoEntry) if self.is_link(path) => {
                    self.fail(format!("cannot dereference '{}': {}", shown(path), Errno::NoEntry));
                }
                Err(error) => self.cannot("access", path, error),
            }
        }
    }

    fn set_owner(&mut self, ino: Ino, path: &[u8], owner: NewOwner, recursive: bool) {
        // The content comes first, as for find -depth: a new owner may not enter the directory.
        if recursive && self.files.is_directory(ino) {
            match self.files.names(ino) {
                Ok(names) => {
                    for (name, ino) in names {
                        self.set_owner(ino, &joined(path, &name), owner, true);
                    }
                }
                Err(error) => self.fail(format!("cannot read directory '{}': {error}", shown(path))),
            }
        }
        if let Err(error) = self.files.set_owner(ino, owner.uid, owner.gid) {
            self.fail(format!("changing ownership of '{}': {error}", shown(path)));
        }
    }

    /// A layer has one time for all files, so that only a missing file matters.
    pub(in crate::operations) fn touch(&mut self, paths: &[Vec<u8>], create: bool) {
        for path in paths {
            if self.is_null(path) {
                continue;
            }
            let touched = match self.files.walk(self.directory, path, Last::Follow) {
                Ok(located) => match located.inode {
                    Some(ino) if self.files.user.may(self.files.get(ino), 0o2) => self.files.may_change(ino),
                    Some(ino) if self.files.user.owns(self.files.get(ino)) => self.files.may_change(ino),
                    Some(_) => Err(Errno::Access),
                    None if !create => Ok(()),
                    None => self.files.make_file(&located, 0o666).map(|_| ()),
                },
                Err(Errno::NoEntry) if !create => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = touched {
                self.cannot("touch", path, error);
            }
        }
    }
}
