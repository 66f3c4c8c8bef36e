//! Where `cp`, `mv` and `ln` put a file: at their last argument, or in it.

use std::collections::HashSet;

use crate::operations::files::{Errno, Ino, Last, Located};
use crate::operations::shell::{Shell, joined, last_name, shown};
use crate::recipe::IntoDirectory;

/// The target of a command.
pub(super) struct CommandTarget {
    path: Vec<u8>,
    is_directory: bool,
    /// What the command itself has made, by directory and name.
    pub made: HashSet<(Ino, Vec<u8>)>,
}

impl CommandTarget {
    /// The path for a source.
    pub fn of(&self, source: &[u8]) -> Vec<u8> {
        match (self.is_directory, last_name(source)) {
            (false, _) => self.path.clone(),
            // The content of the directory goes into the target.
            (true, b"." | b".." | b"/") => joined(&self.path, b"."),
            (true, name) => joined(&self.path, name),
        }
    }
}

impl Shell<'_> {
    /// Decides whether the target is a directory; `None`, with a report, if it should be and is not. With
    /// `follow: false` a link to a directory is no directory.
    pub(super) fn target(
        &mut self,
        path: Vec<u8>,
        into: IntoDirectory,
        sources: usize,
        follow: bool,
    ) -> Option<CommandTarget> {
        let found = self.files.find(self.directory, &path, if follow { Last::Follow } else { Last::Keep });
        let exists = found.is_ok_and(|ino| self.files.is_directory(ino));
        let is_directory = match into {
            IntoDirectory::Guessed => exists,
            IntoDirectory::Always => true,
            IntoDirectory::Never => false,
        };
        if (is_directory && !exists) || (!is_directory && sources > 1) {
            let reason = match found {
                Err(error) => error,
                Ok(_) => Errno::NotDirectory,
            };
            self.fail(format!("target '{}': {reason}", shown(&path)));
            return None;
        }
        Some(CommandTarget { path, is_directory, made: HashSet::new() })
    }

    /// Whether the command has made this file itself; then it does not replace it, unless it is busybox's.
    pub(super) fn is_just_made(
        &mut self,
        target: &CommandTarget,
        at: &Located,
        from: &[u8],
        to: &[u8],
    ) -> bool {
        let is_made = !self.is_busybox && target.made.contains(&(at.dir, at.name.clone()));
        if is_made {
            self.fail(format!("will not overwrite just-created '{}' with '{}'", shown(to), shown(from)));
        }
        is_made
    }
}
