//! `mv`.

use crate::operations::files::{Errno, Last};
use crate::operations::shell::{Shell, last_name, shown};
use crate::recipe::Transfer;

impl Shell<'_> {
    pub(in crate::operations) fn rename(&mut self, options: &Transfer) {
        let sources = self.expand(&options.sources);
        let to = self.single(&options.to);
        let Some(mut target) = self.target(to, options.into, sources.len(), true) else { return };
        for source in sources {
            let to = target.of(&source);
            let from = match self.files.walk(self.directory, &source, Last::Keep) {
                Ok(from) if from.inode.is_some() => from,
                Ok(_) => {
                    self.cannot("stat", &source, Errno::NoEntry);
                    continue;
                }
                Err(error) => {
                    self.cannot("stat", &source, error);
                    continue;
                }
            };
            let (moved, end) = (format!("'{}' to '{}'", shown(&source), shown(&to)), last_name(&source));
            if from.name.is_empty() || matches!(end, b"." | b"..") {
                self.fail(format!("cannot move {moved}: {}", Errno::Busy));
                continue;
            }
            let at = match self.files.walk(self.directory, &to, Last::Keep) {
                Ok(at) => at,
                Err(error) => {
                    self.fail(format!("cannot move {moved}: {error}"));
                    continue;
                }
            };
            if at.inode.is_some() && options.no_clobber {
                continue;
            }
            if self.is_just_made(&target, &at, &source, &to) {
                continue;
            }
            let both = (from.inode, at.inode);
            let is_directory = |ino: Option<usize>| ino.is_some_and(|ino| self.files.is_directory(ino));
            let fault = match (is_directory(both.0), is_directory(both.1)) {
                _ if (from.dir, &from.name) == (at.dir, &at.name) => {
                    Some(format!("'{}' and '{}' are the same file", shown(&source), shown(&to)))
                }
                (true, false) if both.1.is_some() => Some(format!(
                    "cannot overwrite non-directory '{}' with directory '{}'",
                    shown(&to),
                    shown(&source)
                )),
                (false, true) => {
                    Some(format!("cannot overwrite directory '{}' with non-directory", shown(&to)))
                }
                _ => None,
            };
            if let Some(fault) = fault {
                self.fail(fault);
                continue;
            }
            // Of two names of one file the first is removed.
            let done = match both.0 == both.1 {
                true => self.files.unlink(&from),
                false => self.files.rename(&from, &at),
            };
            match done {
                Ok(()) => {
                    target.made.insert((at.dir, at.name));
                }
                Err(Errno::Invalid) => {
                    let (from, to) = (shown(&source), shown(&to));
                    self.fail(format!("cannot move '{from}' to a subdirectory of itself, '{to}'"));
                }
                Err(error) => self.fail(format!("cannot move {moved}: {error}")),
            }
        }
    }
}
