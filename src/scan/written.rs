//! Recognizes machine code and scripts among the members of zip archives while a layer is written.

use std::collections::HashMap;

use super::annotate::Wanted;
use super::code::{Code, Look, code};
use super::spool::Spool;
use crate::layer::Peek;
use crate::tree::may_be_code;

/// The code among the members of archives in a tree, by path. A member that is not listed is not code.
pub(crate) type WrittenCode = HashMap<Box<[u8]>, Code>;

/// Collects the code of a layer that is being written.
pub(crate) struct CodeCollector {
    spool: Spool,
    path: Box<[u8]>,
    found: WrittenCode,
    /// Whether a file could not be kept: then nothing is known.
    failed: bool,
}

impl CodeCollector {
    pub fn new() -> CodeCollector {
        CodeCollector { spool: Spool::new(), path: Box::default(), found: HashMap::new(), failed: false }
    }

    /// The code; `None` if a temporary file could not be written.
    pub fn finish(self) -> Option<WrittenCode> {
        (!self.failed).then_some(self.found)
    }
}

impl Peek for CodeCollector {
    fn begin(&mut self, path: &[u8], mode: u32) -> bool {
        if self.failed || !may_be_code(path, mode) {
            return false;
        }
        self.path = path.into();
        self.spool.begin(Look { path: "", wanted: Wanted::Nothing, may_be_code: true });
        true
    }

    fn piece(&mut self, bytes: &[u8]) {
        if !self.failed && !self.spool.is_full() {
            self.failed = self.spool.put(bytes).is_err();
        }
    }

    fn end(&mut self) {
        let path = std::mem::take(&mut self.path);
        if !self.failed
            && let Some(code) = self.spool.read(code)
        {
            self.found.insert(path, code);
        }
    }
}
