//! The variables, the directory and the mounts in force at a command.

use super::mounts::Mounts;
use super::packages::settings::ToolSettings;
use super::refusal::Attempt;
use super::shell::expand::Field;
use super::shell::variables::ShellVariables;
use crate::image::paths::{self, is_within};
use crate::recipe::Pathname;

/// The state of the line before a command.
pub(super) struct Context<'c, 'v> {
    pub variables: &'c ShellVariables<'v>,
    /// The absolute directory. `..` in it leads to the directory above the one that a link leads to.
    pub directory: &'c str,
    pub mounts: &'c Mounts<'v>,
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

    /// The path of a directory that the line enters.
    pub fn entered(&self, field: &Field) -> Attempt<Pathname> {
        self.check_in_image(field, false)?;
        self.mounts.enter(&self.resolved(field)).map_err(|reason| field.refuse(reason))?;
        Ok(pathname(field))
    }

    /// Checks a directory that packages are installed into.
    pub fn place(&self, field: &Field) -> Attempt<()> {
        self.check_in_image(field, true)?;
        self.mounts.fill(&self.resolved(field)).map_err(|reason| field.refuse(reason))
    }

    /// Refuses a path that is, or below which are, files that are neither in the image nor in a mount that is read.
    fn check(&self, field: &Field, with_all_below: bool) -> Attempt<()> {
        self.check_in_image(field, with_all_below)?;
        self.mounts.reach(&self.resolved(field)).map_err(|reason| field.refuse(reason))
    }

    fn check_in_image(&self, field: &Field, with_all_below: bool) -> Attempt<()> {
        match &*field.text {
            "" => return Err(field.refuse("is an empty path")),
            "-" => return Err(field.refuse("may stand for the input")),
            _ => {}
        }
        let path = self.resolved(field);
        let is_foreign = |place: &str| is_within(&path, place) || with_all_below && is_within(place, &path);
        match FOREIGN.into_iter().any(is_foreign) {
            true => Err(field.refuse("may be a file that is not in the image")),
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
