//! `pnpm-lock.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use super::contents::Contents;
use crate::error::{Error, Result};

/// Fails for a lock that names one of the function's own files. lbuild reads nothing else of the format.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Contents> {
    let fail = |fault: String| Error::Requirements { path: path.to_owned(), fault };
    let text = std::str::from_utf8(bytes).map_err(|_| fail("it is not UTF-8".into()))?;
    let mut section = "";
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            section = line.trim_end();
        }
        let own = ["link:", "file:", "workspace:", "patch_hash="];
        // `file:lib/a` counts; a key that is followed by a value does not.
        let names = |own: &&str| {
            line.split_once(*own).is_some_and(|(_, rest)| !rest.is_empty() && !rest.starts_with(' '))
        };
        let another = section == "importers:"
            && line
                .strip_prefix("  ")
                .is_some_and(|name| !name.starts_with([' ', '.']) || name.starts_with("./"));
        if another || own.iter().any(names) || line.trim_end().ends_with("type: directory}") {
            let fault = format!(
                "`{}`: lbuild supports pnpm locks only if all packages come from registries",
                line.trim()
            );
            return Err(fail(fault));
        }
    }
    Ok(Contents { decisive: bytes.to_vec(), local: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_packages_of_registries_only() {
        let check = |text: &str| read(text.as_bytes(), Path::new("pnpm-lock.yaml")).map(drop);
        check("settings:\n  excludeLinksFromLockfile: false\nimporters:\n\n  .:\n    dependencies:\n      a:\n\npackages:\n\n  a@1:\n").unwrap();
        for own in [
            "importers:\n  .:\n  packages/a:\n",
            "importers:\n  .:\n    dependencies:\n      a:\n        version: link:a\n",
            "packages:\n  b@file:b:\n    resolution: {directory: b, type: directory}\n",
        ] {
            check(own).unwrap_err();
        }
    }
}
