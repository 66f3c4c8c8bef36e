//! `rm`.

use crate::operations::files::{Errno, Last, Located};
use crate::operations::shell::{Shell, joined, last_name, shown};

impl Shell<'_> {
    pub(in crate::operations) fn remove(&mut self, paths: &[Vec<u8>], recursive: bool, force: bool) {
        for path in paths {
            self.remove_one(path, recursive, force);
        }
    }

    pub(super) fn remove_one(&mut self, path: &[u8], recursive: bool, force: bool) {
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(path.len(), |last| last + 1);
        let is_link = end < path.len() && self.is_link(&path[..end]);
        // busybox does not see the slash.
        let path = if self.is_busybox && is_link { &path[..end] } else { path };
        let located = match self.files.walk(self.directory, path, Last::Keep) {
            Ok(located) => located,
            Err(Errno::NoEntry | Errno::NotDirectory) if force => return,
            Err(error) => return self.cannot("remove", path, error),
        };
        let Some(ino) = located.inode else {
            if !force {
                self.cannot("remove", path, Errno::NoEntry);
            }
            return;
        };
        if !self.files.is_directory(ino) {
            if let Err(error) = self.files.unlink(&located) {
                self.cannot("remove", path, error);
            }
            return;
        }
        if !recursive {
            return self.cannot("remove", path, Errno::IsDirectory);
        }
        if matches!(last_name(path), b"." | b"..") {
            let shown = shown(path);
            return self.fail(format!("refusing to remove '.' or '..' directory: skipping '{shown}'"));
        }
        if ino == crate::operations::files::ROOT {
            return self.fail("it is dangerous to operate recursively on '/'");
        }
        // A link before a slash is followed for the content, and stays itself.
        self.remove_tree(&located, path, is_link);
        if is_link && !force {
            self.cannot("remove", path, Errno::NotDirectory);
        }
    }

    /// Removes a directory with its content, or only the content.
    pub(super) fn remove_tree(&mut self, located: &Located, path: &[u8], keep: bool) {
        let Some(dir) = located.inode else { return };
        let names = match self.files.names(dir) {
            Ok(names) => names,
            Err(error) => return self.cannot("remove", path, error),
        };
        let faults = self.faults.len();
        for (name, ino) in names {
            let (located, path) = (self.files.at(dir, &name), joined(path, &name));
            if self.files.is_directory(ino) {
                self.remove_tree(&located, &path, false);
            } else if let Err(error) = self.files.unlink(&located) {
                self.cannot("remove", &path, error);
            }
        }
        if keep || self.faults.len() > faults {
            return;
        }
        if let Err(error) = self.files.remove_directory(located) {
            self.cannot("remove", path, error);
        }
    }
}
