//! Recognizes machine code and scripts among the members of zip archives while a layer is written.

use std::collections::HashMap;
use std::mem;

use super::code::{Code, HEAD, code};
use super::excerpt::Excerpt;
use super::spool::KEPT_LIMIT;
use crate::layer::Peek;
use crate::tree::{ELF_MAGIC, may_be_code};

/// The code among the members of archives in a tree, by path. A member that is not listed is not code.
pub(crate) type WrittenCode = HashMap<Box<[u8]>, Glance>;

/// The result of looking at a member that passed.
pub(crate) enum Glance {
    Code(Code),
    /// It may be code, but a part that is needed was not kept.
    Incomplete,
}

/// Collects the code of a layer that is being written.
#[derive(Default)]
pub(crate) struct CodeCollector {
    excerpt: Excerpt,
    path: Box<[u8]>,
    found: WrittenCode,
}

impl CodeCollector {
    /// The code.
    pub fn finish(self) -> WrittenCode {
        self.found
    }
}

impl Peek for CodeCollector {
    fn begin(&mut self, path: &[u8], mode: u32, size: u64) -> bool {
        let is_looked_at = may_be_code(path, mode);
        if is_looked_at {
            self.path = path.into();
            self.excerpt.begin(size);
        }
        is_looked_at
    }

    fn piece(&mut self, bytes: &[u8]) {
        let first = self.excerpt.first();
        if first.len() < HEAD as usize || first.starts_with(ELF_MAGIC) {
            self.excerpt.put(bytes);
        }
    }

    fn end(&mut self) {
        let path = mem::take(&mut self.path);
        let first = self.excerpt.first();
        let head = first[..first.len().min(HEAD as usize)].to_vec();
        // As in a tree or a stored layer.
        if head.starts_with(ELF_MAGIC) && self.excerpt.size() > KEPT_LIMIT {
            return;
        }
        let found = code(&head, &mut self.excerpt);
        let found = if self.excerpt.missed() { Some(Glance::Incomplete) } else { found.map(Glance::Code) };
        if let Some(found) = found {
            self.found.insert(path, found);
        }
    }
}
