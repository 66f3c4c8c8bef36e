//! `uv export`, `poetry export` and `pipenv requirements`, which read a lock; settings of tools.

use std::collections::BTreeMap;

use crate::operations::files::{Data, Last};
use crate::operations::shell::{Shell, shown};
use crate::recipe::{LockExport, Pathname};

impl Shell<'_> {
    /// Writes the packages of the lock in the command's directory as requirements.
    pub(in crate::operations) fn export_lock(&mut self, export: &LockExport) {
        let mut files = BTreeMap::new();
        for name in export.selection.tool.files() {
            let Ok(ino) = self.files.find(self.directory, name.as_bytes(), Last::Follow) else { continue };
            match self.files.read(ino).cloned() {
                Ok(data) => drop(files.insert(name, self.files.bytes(&data))),
                Err(error) => return self.fail(format!("{name}: {error}")),
            }
        }
        // The contents are not known yet: the line runs again with them.
        if self.files.is_in_need() {
            return;
        }
        let text = match (self.exporter)(export, &files) {
            Ok(text) => text,
            Err(fault) => return self.fail(fault),
        };
        let Some(to) = &export.to else { return };
        let path = self.single(to);
        if self.is_null(&path) {
            return;
        }
        if let Err(error) = self.write_file(&path, Data::text(text.into_bytes()), export.append) {
            self.fail(format!("cannot write {}: {error}", shown(&path)));
        }
    }

    /// Writes a file, with the directories above it.
    pub(in crate::operations) fn write_settings(&mut self, path: &Pathname, content: &str) {
        let path = self.single(path);
        if let Some(end) = path.iter().rposition(|&byte| byte == b'/').filter(|end| *end > 0) {
            self.make_directories(&[path[..end].to_vec()], true, None);
        }
        if let Err(error) = self.write_file(&path, Data::text(content.as_bytes()), false) {
            self.fail(format!("cannot write {}: {error}", shown(&path)));
        }
    }
}
