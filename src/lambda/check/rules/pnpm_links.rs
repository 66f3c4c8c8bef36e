//! Node packages are directories, not links into pnpm's store.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::function::join;
use super::super::package::dir as parent;
use super::super::rule::{Findings, Rule};
use crate::tree::Target;

pub(super) const RULE: Rule = Rule {
    name: "pnpm-links",
    severity: Severity::Error,
    what: "node_modules contains the packages themselves, not links into pnpm's store.",
    why: "Lambda and Node.js follow links, so such an image works. But each package has its dependencies beside its \
          real path: with --preserve-symlinks Node.js finds only those that are also linked at the top, and a copy \
          without node_modules/.pnpm, or a zip without links, is broken.",
    example: "`pnpm install` with its default nodeLinker, and NODE_OPTIONS=--preserve-symlinks.",
    help: "install with nodeLinker: hoisted, bundle the code, or install the packages with lbuild's --npm",
    source: "https://pnpm.io/settings/node-modules",
    check,
};

const STORE: &str = "node_modules/.pnpm/";

/// Other directories in which AWS's Node.js runtime looks for packages.
const NODE_PATH: [&str; 2] = ["opt/nodejs/node_modules", "var/runtime/node_modules"];

/// A node_modules directory that contains links into pnpm's store.
struct LinkedModules {
    packages: usize,
    layer: usize,
    /// A dependency that is not found because links are preserved, and the package that requires it.
    lost: Option<(String, String)>,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let root = case.task_root();
    let is_preserved = preserves_links(case);
    let mut linked: BTreeMap<&str, LinkedModules> = BTreeMap::new();
    for file in case.files.below(root) {
        let path = file.member.path.as_str();
        // If the task root is the root of the image, these directories belong to the base.
        if root.is_empty() && (path.starts_with("usr/") || path.starts_with("root/")) {
            continue;
        }
        // pnpm creates the links within the store; only the function's own links count.
        if !file.member.is_symlink() || path.contains(STORE) {
            continue;
        }
        let Some((dir, package)) = innermost(path) else { continue };
        // The rule `symlink-target` reports dangling links.
        let resolved = case.files.resolve(path);
        if !matches!(resolved.target, Target::Entry(_) | Target::Directory) || !resolved.path.contains(STORE)
        {
            continue;
        }
        let modules =
            linked.entry(dir).or_insert(LinkedModules { packages: 0, layer: file.layer, lost: None });
        modules.packages += 1;
        if is_preserved && modules.lost.is_none() {
            modules.lost = lost(case, dir, &resolved.path).map(|lost| (lost, package.to_owned()));
        }
    }
    for (dir, LinkedModules { packages, layer, lost }) in linked {
        let mut message = match packages {
            1 => "1 package is only a link into pnpm's store".to_owned(),
            _ => format!("{packages} packages are only links into pnpm's store"),
        };
        if let Some((lost, package)) = &lost {
            message +=
                &format!(", and Node.js preserves links: {package} does not find its dependency {lost}");
        }
        let severity = if lost.is_some() { Severity::Error } else { Severity::Note };
        findings.add(message).in_layer(case, layer).at(dir).as_severe(severity);
    }
}

/// The innermost node_modules of a path, and the package directly in it.
fn innermost(path: &str) -> Option<(&str, &str)> {
    const NAME: &str = "node_modules";
    let (at, _) =
        path.rmatch_indices("node_modules/").find(|(at, _)| *at == 0 || path[..*at].ends_with('/'))?;
    let (dir, name) = (&path[..at + NAME.len()], &path[at + NAME.len() + 1..]);
    let parts = if name.starts_with('@') { 2 } else { 1 };
    (name.split('/').count() == parts && !name.starts_with('.')).then_some((dir, name))
}

/// A dependency that Node.js does not find from the path of the link to the package. In the store, the dependencies of
/// a package are beside it.
fn lost(case: &Case<'_>, dir: &str, end: &str) -> Option<String> {
    let (beside, _) = innermost(end)?;
    case.files.below(beside).find_map(|file| {
        let (_, name) = innermost(&file.member.path).filter(|(found, _)| *found == beside)?;
        if file.member.path == end {
            return None;
        }
        let is_in = |place: String| {
            matches!(
                case.files.resolve(format!("{place}/{name}")).target,
                Target::Entry(_) | Target::Directory
            )
        };
        let above = std::iter::successors(Some(parent(dir)), |base| (!base.is_empty()).then(|| parent(base)));
        let above = above.chain([end]).map(|base| join(base, "node_modules"));
        let is_found = above.chain(NODE_PATH.map(str::to_owned)).any(is_in);
        (!is_found).then(|| name.to_owned())
    })
}

fn preserves_links(case: &Case<'_>) -> bool {
    let options = case.config.var("NODE_OPTIONS").unwrap_or_default();
    options.split_whitespace().any(|option| option == "--preserve-symlinks")
        || case.config.var("NODE_PRESERVE_SYMLINKS") == Some("1")
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// The result of `pnpm install` for two packages, one of which depends on the other.
    fn installed() -> Sample {
        Sample::python()
            .file(1, "var/task/node_modules/.pnpm/a@1.0.0/node_modules/a/index.js", 0o644)
            .link(1, "var/task/node_modules/.pnpm/a@1.0.0/node_modules/b", "../../b@1.0.0/node_modules/b")
            .file(1, "var/task/node_modules/.pnpm/b@1.0.0/node_modules/b/index.js", 0o644)
            .link(1, "var/task/node_modules/a", ".pnpm/a@1.0.0/node_modules/a")
    }

    fn preserved(sample: Sample) -> Sample {
        sample.process("Env", json!(["NODE_PRESERVE_SYMLINKS=1"]))
    }

    #[test]
    fn links_into_the_store_are_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            installed().says(&RULE),
            ["var/task/node_modules: 1 package is only a link into pnpm's store"]
        );
        let scoped = installed()
            .link(1, "var/task/node_modules/@s/c", "../.pnpm/@s+c@1.0.0/node_modules/@s/c")
            .file(1, "var/task/node_modules/.pnpm/@s+c@1.0.0/node_modules/@s/c/index.js", 0o644);
        assert!(scoped.says(&RULE)[0].contains("2 packages are only links"));
        let workspace = installed()
            .link(1, "var/task/w/node_modules/a", "../../node_modules/.pnpm/a@1.0.0/node_modules/a")
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task/w"]));
        assert_eq!(
            workspace.says(&RULE),
            ["var/task/w/node_modules: 1 package is only a link into pnpm's store"]
        );
    }

    #[test]
    fn preserved_links_are_an_error() {
        let found =
            |variable: &str| installed().process("Env", json!([variable])).check(&RULE).remove(0).severity;
        assert_eq!(found("NODE_OPTIONS=--enable-source-maps"), Severity::Note);
        assert_eq!(found("NODE_OPTIONS=--enable-source-maps --preserve-symlinks"), Severity::Error);
        assert_eq!(found("NODE_PRESERVE_SYMLINKS=1"), Severity::Error);
        assert_eq!(
            preserved(installed()).says(&RULE),
            [
                "var/task/node_modules: 1 package is only a link into pnpm's store, and Node.js preserves links: \
                 a does not find its dependency b"
            ]
        );
    }

    #[test]
    fn preserved_links_are_a_note_if_all_dependencies_are_found() {
        for place in
            ["var/task/node_modules/b", "var/node_modules/b", "node_modules/b", "opt/nodejs/node_modules/b"]
        {
            let sample = preserved(installed()).file(1, &format!("{place}/index.js"), 0o644);
            assert_eq!(sample.check(&RULE)[0].severity, Severity::Note, "{place}");
        }
        let bundled = "var/task/node_modules/.pnpm/a@1.0.0/node_modules/a/node_modules/b/index.js";
        assert_eq!(preserved(installed()).file(1, bundled, 0o644).check(&RULE)[0].severity, Severity::Note);
        let elsewhere = preserved(installed()).file(1, "var/task/other/node_modules/b/index.js", 0o644);
        assert_eq!(elsewhere.check(&RULE)[0].severity, Severity::Error);
    }

    #[test]
    fn other_trees_are_ignored() {
        let hoisted = Sample::python()
            .file(1, "var/task/node_modules/.pnpm/lock.yaml", 0o644)
            .file(1, "var/task/node_modules/a/index.js", 0o644)
            .link(1, "var/task/node_modules/.bin/a", "../a/index.js")
            .file(1, "var/task/packages/w/index.js", 0o644)
            .link(1, "var/task/node_modules/w", "../packages/w");
        assert_eq!(hoisted.says(&RULE), [""; 0]);
        let dangling = Sample::python().link(1, "var/task/node_modules/a", ".pnpm/a@1.0.0/node_modules/a");
        assert_eq!(dangling.says(&RULE), [""; 0]);
        let root = |dir: &str| {
            let sample = Sample::python()
                .file(0, &format!("{dir}/node_modules/.pnpm/a@1/node_modules/a/x.js"), 0o644)
                .link(0, &format!("{dir}/node_modules/a"), ".pnpm/a@1/node_modules/a");
            sample.process("Env", json!([])).process("WorkingDir", "/".into()).says(&RULE).len()
        };
        assert_eq!([root("usr/local/lib"), root("app")], [0, 1]);
    }
}
