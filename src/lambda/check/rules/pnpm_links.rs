//! Node packages are there themselves, and not as links into pnpm's store.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};
use crate::layer::survey::MemberKind;

pub(super) const RULE: Rule = Rule {
    name: "pnpm-links",
    severity: Severity::Error,
    what: "node_modules holds the packages themselves, and no links into pnpm's store.",
    why: "Lambda and Node.js follow links, so such an image runs as it is. But each package has its dependencies beside \
          its real path alone: with --preserve-symlinks none of them is found, and what copies a package without \
          node_modules/.pnpm, or zips the directory without its links, breaks it.",
    example: "`pnpm install` with its default nodeLinker, and NODE_OPTIONS=--preserve-symlinks.",
    way_out: "install with nodeLinker: hoisted, bundle the code, or let lbuild install the packages by --npm",
    source: "https://pnpm.io/settings/node-modules",
    check,
};

const STORE: &str = "node_modules/.pnpm/";

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut farms: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut has_store = false;
    for file in case.files.below(case.task_root()) {
        let path = file.member.path.as_str();
        has_store |= path.contains(STORE);
        let MemberKind::Symlink(target) = &file.member.kind else { continue };
        let Some((before, name)) = path.rsplit_once("node_modules/") else { continue };
        // Links within the store are pnpm's own; those of the function's code count.
        if target.contains(".pnpm/") && !before.contains(STORE) && !name.starts_with(".bin/") {
            farms.entry(format!("{before}node_modules")).or_insert((0, file.layer)).0 += 1;
        }
    }
    // Without the store, the links lead nowhere, and that is another rule's.
    if !has_store {
        return;
    }
    let preserved = preserves_links(case);
    for (dir, (count, layer)) in farms {
        let packages = if count == 1 { "1 package is".to_owned() } else { format!("{count} packages are") };
        let mut message = format!("{packages} here as links into pnpm's store only");
        if preserved {
            message += ", and Node.js is told to preserve links: it will not find what they depend on";
        }
        let severity = if preserved { Severity::Error } else { Severity::Note };
        findings.add(message).in_layer(case, layer).at(dir).as_severe(severity);
    }
}

fn preserves_links(case: &Case<'_>) -> bool {
    let options = case.config.var("NODE_OPTIONS").unwrap_or_default();
    options.split_whitespace().any(|option| option == "--preserve-symlinks")
        || case.config.var("NODE_PRESERVE_SYMLINKS") == Some("1")
}

#[cfg(test)]
mod tests {
    use super::super::super::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// What `pnpm install` leaves for two packages, one of which needs the other.
    fn installed() -> Sample {
        Sample::python()
            .file(1, "var/task/node_modules/.pnpm/a@1.0.0/node_modules/a/index.js", 0o644)
            .link(1, "var/task/node_modules/.pnpm/a@1.0.0/node_modules/b", "../../b@1.0.0/node_modules/b")
            .file(1, "var/task/node_modules/.pnpm/b@1.0.0/node_modules/b/index.js", 0o644)
            .link(1, "var/task/node_modules/a", ".pnpm/a@1.0.0/node_modules/a")
    }

    #[test]
    fn a_farm_of_links_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            installed().says(&RULE),
            ["var/task/node_modules: 1 package is here as links into pnpm's store only"]
        );
        let scoped =
            installed().link(1, "var/task/node_modules/@s/c", "../.pnpm/@s+c@1.0.0/node_modules/@s/c");
        assert!(scoped.says(&RULE)[0].contains("2 packages are here"));
    }

    #[test]
    fn it_fails_where_links_are_preserved() {
        let found =
            |variable: &str| installed().process("Env", json!([variable])).check(&RULE).remove(0).severity;
        assert_eq!(found("NODE_OPTIONS=--enable-source-maps"), Severity::Note);
        assert_eq!(found("NODE_OPTIONS=--enable-source-maps --preserve-symlinks"), Severity::Error);
        assert_eq!(found("NODE_PRESERVE_SYMLINKS=1"), Severity::Error);
    }

    #[test]
    fn other_trees_are_none() {
        let hoisted = Sample::python()
            .file(1, "var/task/node_modules/.pnpm/lock.yaml", 0o644)
            .file(1, "var/task/node_modules/a/index.js", 0o644)
            .link(1, "var/task/node_modules/.bin/a", "../a/index.js");
        assert_eq!(hoisted.says(&RULE), [""; 0]);
        let dangling = Sample::python().link(1, "var/task/node_modules/a", ".pnpm/a@1.0.0/node_modules/a");
        assert_eq!(dangling.says(&RULE), [""; 0]);
    }
}
