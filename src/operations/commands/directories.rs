//! `mkdir` and `rmdir`.

use crate::operations::files::{Errno, Last};
use crate::operations::mode::Mode;
use crate::operations::shell::{Shell, shown};

impl Shell<'_> {
    pub(in crate::operations) fn make_directories(
        &mut self,
        paths: &[Vec<u8>],
        parents: bool,
        mode: Option<&str>,
    ) {
        let mode = match mode.map(|text| (text, Mode::parse(text))) {
            None => None,
            Some((_, Some(mode))) => Some(mode.of(0o777, true)),
            Some((text, None)) => return self.fail(format!("invalid mode '{text}'")),
        };
        for path in paths {
            let made = match parents {
                true => self.make_with_parents(path),
                false => self.make(path).map(Some).map_err(|error| (error, path.len())),
            };
            match (made, mode) {
                (Ok(Some(ino)), Some(mode)) => {
                    if let Err(error) = self.files.set_mode(ino, mode) {
                        self.cannot("change permissions of", path, error);
                    }
                }
                (Ok(_), _) => {}
                (Err((error, end)), _) => self.cannot("create directory", &path[..end], error),
            }
        }
    }

    fn make(&mut self, path: &[u8]) -> Result<usize, Errno> {
        // `mkdir` does not follow a link at the end, not even before a slash.
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(path.len(), |last| last + 1);
        let located = self.files.walk(self.directory, &path[..end], Last::Keep)?;
        self.files.make_directory(&located, 0o777)
    }

    /// Makes what is missing; returns the last directory if it was made. Fails with the end of the directory that cannot
    /// be made.
    fn make_with_parents(&mut self, path: &[u8]) -> Result<Option<usize>, (Errno, usize)> {
        let mut made = None;
        let begins = |at: &usize| path[*at] != b'/' && (*at + 1 == path.len() || path[*at + 1] == b'/');
        for last in (0..path.len()).filter(begins) {
            let end = last + 1;
            let is_last = path[end..].iter().all(|&byte| byte == b'/');
            made = match self.files.find(self.directory, &path[..end], Last::Follow) {
                Ok(ino) if self.files.is_directory(ino) => None,
                Ok(_) if is_last => return Err((Errno::Exists, end)),
                Ok(_) => return Err((Errno::NotDirectory, end)),
                Err(Errno::NoEntry) => Some(self.make(&path[..end]).map_err(|error| (error, end))?),
                Err(error) => return Err((error, end)),
            };
        }
        if path.is_empty() {
            return Err((Errno::NoEntry, 0));
        }
        Ok(made)
    }

    pub(in crate::operations) fn remove_directories(&mut self, paths: &[Vec<u8>], parents: bool) {
        for path in paths {
            let end = path.iter().rposition(|&byte| byte != b'/').map_or(path.len(), |last| last + 1);
            let mut path = &path[..end];
            loop {
                if let Err(error) = self.remove_directory(path) {
                    self.fail(format!("failed to remove '{}': {error}", shown(path)));
                    break;
                }
                let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else { break };
                let end = path[..slash].iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
                path = &path[..end];
                if !parents || path.is_empty() {
                    break;
                }
            }
        }
    }

    fn remove_directory(&mut self, path: &[u8]) -> Result<(), Errno> {
        let located = self.files.walk(self.directory, path, Last::Keep)?;
        if path.ends_with(b"/.") || path == b"." {
            return Err(Errno::Invalid);
        }
        self.files.remove_directory(&located)
    }
}
