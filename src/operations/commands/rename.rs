//! `mv`.

use super::target::CommandTarget;
use crate::operations::files::{Errno, Ino, Last, Located};
use crate::operations::shell::{Shell, last_name, shown};
use crate::recipe::Transfer;

impl Shell<'_> {
    pub(in crate::operations) fn rename(&mut self, options: &Transfer) {
        let sources = self.expand(&options.sources);
        let to = self.single(&options.to);
        let Some(mut target) = self.target(to, options.into, sources.len(), true) else { return };
        for mut source in sources {
            let end = source.iter().rposition(|&byte| byte != b'/').map_or(source.len(), |last| last + 1);
            // busybox does not see a slash after a link.
            if self.is_busybox && end < source.len() && self.is_link(&source[..end]) {
                source.truncate(end);
            }
            match self.files.walk(self.directory, &source, Last::Keep) {
                Ok(from) if from.inode.is_some() => self.rename_one(&source, &from, &mut target, options),
                Ok(_) => self.cannot("stat", &source, Errno::NoEntry),
                Err(error) => self.cannot("stat", &source, error),
            }
        }
    }

    fn rename_one(&mut self, source: &[u8], from: &Located, target: &mut CommandTarget, options: &Transfer) {
        let to = target.of(source);
        let moved = format!("'{}' to '{}'", shown(source), shown(&to));
        if from.name.is_empty() || matches!(last_name(source), b"." | b"..") {
            return self.fail(format!("cannot move {moved}: {}", Errno::Busy));
        }
        let at = match self.files.walk(self.directory, &to, Last::Keep) {
            Ok(at) => at,
            Err(error) => return self.fail(format!("cannot move {moved}: {error}")),
        };
        if (at.inode.is_some() && options.no_clobber) || self.is_just_made(target, &at, source, &to) {
            return;
        }
        // A slash asks for the directory that a link leads to, which cannot be moved so.
        let name = source.iter().rposition(|&byte| byte != b'/').map_or(source, |last| &source[..=last]);
        if name.len() < source.len() && self.is_link(name) {
            return self.fail(format!("cannot move {moved}: {}", Errno::NotDirectory));
        }
        if let Some(fault) = self.unmovable(source, from, &to, &at) {
            return self.fail(fault);
        }
        // Of two names of one file the first is removed.
        let done = match from.inode == at.inode {
            true => self.files.unlink(from),
            false => self.files.rename(from, &at),
        };
        match done {
            Ok(()) => {
                target.made.insert((at.dir, at.name));
            }
            Err(Errno::Invalid) => {
                let (from, to) = (shown(source), shown(&to));
                self.fail(format!("cannot move '{from}' to a subdirectory of itself, '{to}'"));
            }
            Err(error) => self.fail(format!("cannot move {moved}: {error}")),
        }
    }

    /// Why a file cannot take the place of another one.
    fn unmovable(&self, source: &[u8], from: &Located, to: &[u8], at: &Located) -> Option<String> {
        let is_directory = |ino: Option<Ino>| ino.is_some_and(|ino| self.files.is_directory(ino));
        let (source, to) = (shown(source), shown(to));
        if (from.dir, &from.name) == (at.dir, &at.name) {
            return Some(format!("'{source}' and '{to}' are the same file"));
        }
        match (is_directory(from.inode), is_directory(at.inode)) {
            (true, false) if at.inode.is_some() => {
                Some(format!("cannot overwrite non-directory '{to}' with directory '{source}'"))
            }
            (false, true) => Some(format!("cannot overwrite directory '{to}' with non-directory")),
            _ => None,
        }
    }
}
