//! The variables in force at an instruction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::frontend::dockerfile::syntax::shell::Variables;

/// The approximate size of a variable in memory, in bytes.
pub(super) const ENTRY: usize = 64;

/// The variables of a stage. A later `ENV` or `ARG` replaces an earlier one of the same name. A stage inherits those of
/// its base, so cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    values: Arc<HashMap<String, String>>,
    /// The values that are an `ARG`'s and therefore not in the config.
    arguments: Arc<BTreeMap<String, String>>,
    /// The names of `ARG`s, with a value or without.
    declared: Arc<HashSet<String>>,
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

impl Scope {
    pub fn set(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.values).insert(name.to_owned(), value.to_owned());
        if self.arguments.contains_key(name) {
            Arc::make_mut(&mut self.arguments).remove(name);
        }
    }

    pub fn set_argument(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.values).insert(name.to_owned(), value.to_owned());
        Arc::make_mut(&mut self.arguments).insert(name.to_owned(), value.to_owned());
    }

    /// The bytes that the next change copies: all variables, if another stage has them too.
    pub fn cost(&self) -> usize {
        let shared = |count: usize, entries: usize| if count > 1 { entries * ENTRY } else { 0 };
        shared(Arc::strong_count(&self.values), self.values.len())
            + shared(Arc::strong_count(&self.arguments), self.arguments.len())
    }

    pub fn declare(&mut self, name: &str) {
        Arc::make_mut(&mut self.declared).insert(name.to_owned());
    }

    pub fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    pub fn arguments(&self) -> Arc<BTreeMap<String, String>> {
        self.arguments.clone()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}
