//! The variables, the directory and the mounts in force at a command.

use super::packages::settings::ToolSettings;
use super::refusal::Attempt;
use super::shell::expand::Field;
use super::shell::variables::ShellVariables;
use crate::frontend::dockerfile::paths;
use crate::recipe::{Mount, Pathname};

/// The state of the line before a command.
pub(super) struct Context<'c, 'v> {
    pub variables: &'c ShellVariables<'v>,
    /// The absolute directory. `..` in it leads to the directory above the one that a link leads to.
    pub directory: &'c str,
    pub mounts: &'c [Mount],
    /// What earlier lines have set up.
    pub settings: &'c ToolSettings,
}

/// Places whose files a running container has from elsewhere.
const FOREIGN: [&str; 6] = ["/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

impl Context<'_, '_> {
    /// The path of an operand, which must be in the image.
    pub fn path(&self, field: &Field) -> Attempt<Pathname> {
        self.check(field, field.pattern.is_some())?;
        Ok(pathname(field))
    }

    /// The path of an operand that stands for all below it.
    pub fn tree(&self, field: &Field) -> Attempt<Pathname> {
        self.check(field, true)?;
        Ok(pathname(field))
    }

    pub fn paths(&self, fields: &[&Field]) -> Attempt<Vec<Pathname>> {
        fields.iter().map(|field| self.path(field)).collect()
    }

    pub fn trees(&self, fields: &[&Field]) -> Attempt<Vec<Pathname>> {
        fields.iter().map(|field| self.tree(field)).collect()
    }

    /// Refuses a path that is, or below which are, files that are not in the image.
    fn check(&self, field: &Field, with_all_below: bool) -> Attempt<()> {
        match &*field.text {
            "" => return Err(field.refuse("is an empty path")),
            "-" => return Err(field.refuse("may stand for the input")),
            _ => {}
        }
        let path = self.resolved(field);
        let is_foreign = |place: &str| is_below(&path, place) || with_all_below && is_below(place, &path);
        if FOREIGN.into_iter().any(is_foreign) {
            return Err(field.refuse("may be a file that is not in the image"));
        }
        let mut caches = self.mounts.iter().filter_map(|mount| match mount {
            Mount::Cache { target, .. } => Some(target),
            _ => None,
        });
        match caches.any(|target| is_below(&path, target) || is_below(target, &path)) {
            true => Err(field.refuse("is in the place of a mount")),
            false => Ok(()),
        }
    }

    /// The absolute path, if no part of it is a link; of a pattern, the directory above its first part that is one.
    pub fn resolved(&self, field: &Field) -> String {
        let text = match &field.pattern {
            None => &*field.text,
            Some(pattern) => {
                let special = pattern.find(['*', '?', '[', '\\']).unwrap_or(pattern.len());
                let end = pattern[..special].rfind('/').map_or(0, |slash| slash + 1);
                &pattern[..end]
            }
        };
        paths::resolve(self.directory, text)
    }
}

fn pathname(field: &Field) -> Pathname {
    match &field.pattern {
        None => Pathname::Path(field.text.clone()),
        Some(pattern) => Pathname::Pattern(pattern.clone()),
    }
}

/// Whether `path` is `above` or below it.
fn is_below(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
