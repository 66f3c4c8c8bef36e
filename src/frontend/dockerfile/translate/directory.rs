//! The directory that a line is in, as `cd` changes it.

use super::refusal::Attempt;
use super::shell::expand::Field;

/// A directory of which it is not known whether parts of it are links.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    /// The absolute path. `..` in it leads to the directory above the one that a link leads to.
    pub path: String,
    /// Where the parts begin that `cd ..` removes: those that a `cd` of the line appended.
    entered: Vec<usize>,
}

impl Directory {
    /// The directory that the line begins in. A shell asks for its path without links, so `cd ..` leads to the directory
    /// above the one that a link leads to.
    pub fn new(path: &str) -> Directory {
        Directory { path: path.to_owned(), entered: Vec::new() }
    }

    /// The directory after `cd`, which takes `..` as text.
    pub fn enter(&self, operand: &Field) -> Attempt<Directory> {
        let text = operand.plain()?;
        let mut directory = match text.starts_with('/') {
            true => Directory::new("/"),
            false => self.clone(),
        };
        let (mut named, absolute) = (false, text.starts_with('/'));
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." if named || absolute => return Err(operand.refuse("has `..` after another directory")),
                ".." => directory.leave(),
                part => {
                    named = true;
                    directory.entered.push(directory.path.len());
                    directory.append(part);
                }
            }
        }
        Ok(directory)
    }

    fn leave(&mut self) {
        match self.entered.pop() {
            Some(length) => self.path.truncate(length),
            None if self.path == "/" => {}
            None => self.append(".."),
        }
    }

    fn append(&mut self, part: &str) {
        if self.path != "/" {
            self.path.push('/');
        }
        self.path.push_str(part);
    }
}
