//! Redirections of `echo`, `printf` and `cat`; `ls`, `cat` and `cd`, which change nothing.

use crate::operations::files::{Data, Errno, Last};
use crate::operations::shell::{Shell, shown};
use crate::recipe::{Pathname, Piece};

impl Shell<'_> {
    /// The shell opens the file before the command reads anything.
    pub(in crate::operations) fn redirect(&mut self, path: &Pathname, append: bool, pieces: &[Piece]) {
        let path = self.single(path);
        let is_null = self.is_null(&path);
        if !is_null && let Err(error) = self.write_file(&path, Data::default(), append) {
            let name = std::mem::replace(&mut self.name, "sh");
            self.fail(format!("cannot create {}: {error}", shown(&path)));
            self.name = name;
            return;
        }
        let mut data = Data::default();
        for piece in pieces {
            match piece {
                Piece::Text(text) => data.append(&Data::text(text.as_bytes())),
                Piece::File(name) => {
                    for source in self.expand(std::slice::from_ref(name)) {
                        self.read_into(&source, (!is_null).then_some(&path[..]), &mut data);
                    }
                }
            }
        }
        if !is_null && let Err(error) = self.write_file(&path, data, true) {
            self.fail(format!("write error: {error}"));
        }
    }

    /// Adds the content of a file to what is written.
    fn read_into(&mut self, source: &[u8], output: Option<&[u8]>, data: &mut Data) {
        if self.is_null(source) {
            return;
        }
        let found = self.files.find(self.directory, source, Last::Follow);
        let read = found.and_then(|ino| Ok((ino, self.files.read(ino)?.clone())));
        let output = output.and_then(|path| self.files.find(self.directory, path, Last::Follow).ok());
        match read {
            Ok((ino, read)) if output == Some(ino) && read.size() > 0 => {
                self.fail(format!("{}: input file is output file", shown(source)));
            }
            Ok((_, read)) => data.append(&read),
            Err(error) => self.fail(format!("{}: {error}", shown(source))),
        }
    }

    /// Opens a file for writing, made if it is missing, and writes.
    pub(super) fn write_file(&mut self, path: &[u8], data: Data, append: bool) -> Result<(), Errno> {
        let located = self.files.walk(self.directory, path, Last::Follow)?;
        let Some(ino) = located.inode else {
            let ino = self.files.make_file(&located, 0o666)?;
            self.files.fill(ino, data);
            return Ok(());
        };
        let whole = match append {
            false => data,
            true => {
                let mut whole = self.files.content(ino).cloned().unwrap_or_default();
                // The times of files are not kept, and nothing else changes.
                if data.size() == 0
                    && self.files.user.may(self.files.get(ino), 0o2)
                    && !self.files.is_directory(ino)
                {
                    return Ok(());
                }
                whole.append(&data);
                whole
            }
        };
        self.files.write(ino, whole)
    }

    /// `ls` names files, and `cat` reads them.
    pub(in crate::operations) fn look(&mut self, paths: &[Vec<u8>]) {
        for path in paths {
            let is_read = self.name == "cat";
            if is_read {
                self.read_into(path, None, &mut Data::default());
            } else if let Err(error) = self.files.find(self.directory, path, Last::Keep) {
                self.cannot("access", path, error);
            }
        }
    }

    pub(in crate::operations) fn enter(&mut self, path: &Pathname) {
        let path = self.single(path);
        let entered = self.files.find(self.directory, &path, Last::Follow).and_then(|ino| {
            match (self.files.is_directory(ino), self.files.user.may(self.files.get(ino), 0o1)) {
                (true, true) => Ok(()),
                (true, false) => Err(Errno::Access),
                (false, _) => Err(Errno::NotDirectory),
            }
        });
        if let Err(error) = entered {
            self.fail(format!("{}: {error}", shown(&path)));
        }
    }
}
