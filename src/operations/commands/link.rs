//! `ln`.

use crate::operations::files::{Errno, Last};
use crate::operations::shell::{Shell, shown};
use crate::recipe::IntoDirectory;

/// The options of `ln`.
#[derive(Clone, Copy)]
pub(in crate::operations) struct LinkOptions {
    pub into: IntoDirectory,
    pub symbolic: bool,
    pub force: bool,
    pub no_dereference: bool,
}

impl Shell<'_> {
    /// `to` is the link, or the directory for the links; `None` is the command's directory.
    pub(in crate::operations) fn link(
        &mut self,
        targets: &[Vec<u8>],
        to: Option<Vec<u8>>,
        options: LinkOptions,
    ) {
        let into = if to.is_none() { IntoDirectory::Always } else { options.into };
        let to = to.unwrap_or_else(|| b".".to_vec());
        let Some(mut target) = self.target(to, into, targets.len(), !options.no_dereference) else { return };
        for named in targets {
            let to = target.of(named);
            let kind = if options.symbolic { "symbolic link" } else { "hard link" };
            let at = match self.files.walk(self.directory, &to, Last::Keep) {
                Ok(at) => at,
                Err(error) => {
                    self.fail(format!("failed to create {kind} '{}': {error}", shown(&to)));
                    continue;
                }
            };
            if self.is_just_made(&target, &at, named, &to) {
                continue;
            }
            match self.link_one(named, &to, &at, options) {
                Ok(()) => {
                    target.made.insert((at.dir, at.name));
                }
                Err(Some(error)) => {
                    self.fail(format!("failed to create {kind} '{}': {error}", shown(&to)));
                }
                Err(None) => {}
            }
        }
    }

    /// Fails with `None` if the failure is reported already.
    fn link_one(
        &mut self,
        named: &[u8],
        to: &[u8],
        at: &crate::operations::files::Located,
        options: LinkOptions,
    ) -> Result<(), Option<Errno>> {
        let source = match options.symbolic {
            true => None,
            false => Some(self.files.find(self.directory, named, Last::Keep).map_err(|error| {
                self.fail(format!("failed to access '{}': {error}", shown(named)));
                None
            })?),
        };
        if source.is_some_and(|ino| self.files.is_directory(ino)) {
            self.fail(format!("{}: hard link not allowed for directory", shown(named)));
            return Err(None);
        }
        let mut at = at.clone();
        if let Some(old) = at.inode.filter(|_| options.force) {
            if self.files.is_directory(old) {
                self.fail(format!("{}: cannot overwrite directory", shown(to)));
                return Err(None);
            }
            let original = self.files.walk(self.directory, named, Last::Keep);
            if original.is_ok_and(|original| (original.dir, original.name) == (at.dir, at.name.clone())) {
                self.fail(format!("'{}' and '{}' are the same file", shown(named), shown(to)));
                return Err(None);
            }
            if source == Some(old) {
                return Ok(());
            }
            self.files.unlink(&at)?;
            at.inode = None;
        }
        match source {
            Some(ino) => self.files.link(ino, &at)?,
            None => {
                self.files.make_symlink(&at, named)?;
            }
        }
        Ok(())
    }
}
