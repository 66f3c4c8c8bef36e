//! Compiled Python modules are for the image's Python.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::Case;
use super::super::files::Seen;
use super::super::package::package;
use super::super::{Findings, Rule, Severity};
use super::python_handler::join;

pub(super) const RULE: Rule = Rule {
    name: "python-extension-version",
    severity: Severity::Error,
    what: "Compiled modules are for the version of Python that the image has.",
    why: "Python takes no notice of a module whose name says another version: the import fails with \
          `ModuleNotFoundError`, often deep within the package.",
    example: "numpy as pip of Python 3.11 installed it, in an image with Python 3.12.",
    way_out: "install the packages for the image's Python: with lbuild, by --requirements or --lock",
    source: "https://peps.python.org/pep-3149/",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(minor) = python(case) else { return };
    let mut packages: BTreeMap<(String, u32), Vec<Seen<'_>>> = BTreeMap::new();
    for place in [case.task_root(), "opt/python"] {
        // A task root that is the root of the image says nothing of what the function loads.
        if place.is_empty() {
            continue;
        }
        for file in case.files.below(place) {
            let path = file.member.path.as_str();
            let Some((stem, other)) = module(path).filter(|(_, other)| *other != minor) else { continue };
            if is_of_another(path, minor) || has_other_form(case, stem, minor) {
                continue;
            }
            packages.entry((group(place, path), other)).or_default().push(file);
        }
    }
    for ((package, other), files) in packages {
        let first = files[0];
        let message = match files.len() {
            1 => format!("this module of {package} is for Python 3.{other}, and the image has 3.{minor}"),
            count => {
                let more = count - 1;
                format!(
                    "this module and {more} more of {package} are for Python 3.{other}, and the image has 3.{minor}"
                )
            }
        };
        findings.add(message).in_layer(case, first.layer).at(&first.member.path);
    }
}

/// The minor version of the image's Python, when there is but one that can be meant.
fn python(case: &Case<'_>) -> Option<u32> {
    let versions = |dir: &str| -> BTreeSet<u32> {
        let names = case
            .files
            .below(dir)
            .filter_map(|file| file.member.path[dir.len() + 1..].strip_prefix("python3."));
        names.filter_map(|minor| minor.parse().ok()).collect()
    };
    let of_lambda = versions("var/lang/bin");
    let all: BTreeSet<u32> = ["usr/local/bin", "usr/bin"].iter().flat_map(|dir| versions(dir)).collect();
    // AWS's runtimes start theirs, whatever else is installed. Of others, an unknown layer may have another one.
    let all = if of_lambda.is_empty() && case.files.complete { all } else { of_lambda };
    if all.len() == 1 { all.first().copied() } else { None }
}

/// A module's path without what names its version, and the minor version: of `a/b.cpython-311-x86_64-linux-gnu.so`,
/// `a/b` and 11. What has none fits any version.
fn module(path: &str) -> Option<(&str, u32)> {
    let inner = path.strip_suffix(".so")?;
    let (stem, tag) = inner.rsplit_once('.').filter(|(_, tag)| !tag.contains('/'))?;
    let version = tag.strip_prefix("cpython-").or_else(|| tag.strip_prefix("cp"))?.split('-').next()?;
    let minor = version.trim_end_matches(|c: char| c.is_ascii_lowercase()).strip_prefix('3')?;
    Some((stem, minor.parse().ok()?))
}

/// Whether it lies where only another version looks, as layers for several versions have it.
fn is_of_another(path: &str, minor: u32) -> bool {
    let own = format!("python3.{minor}");
    path.split('/').any(|part| part.starts_with("python3.") && part != own)
}

/// Whether the same module is there in a form that fits: packages bring modules for several versions side by side,
/// or the source beside what mypyc made of it.
fn has_other_form(case: &Case<'_>, stem: &str, minor: u32) -> bool {
    // The shared part of what mypyc makes is imported by nothing else.
    if stem.ends_with("__mypyc") || case.files.get(&format!("{stem}.py")).is_some() {
        return true;
    }
    let (dir, name) = stem.rsplit_once('/').unwrap_or(("", stem));
    let start = format!("{name}.");
    case.files.below(dir).any(|file| {
        let path = file.member.path.as_str();
        let is_same = path.ends_with(".so")
            && path.strip_prefix(dir).is_some_and(|rest| rest.trim_start_matches('/').starts_with(&start));
        is_same && module(path).is_none_or(|(_, other)| other == minor)
    })
}

/// What a user knows the module by: the package, or its own name when it stands alone.
fn group(place: &str, path: &str) -> String {
    let rest = path.strip_prefix(&join(place, "")).unwrap_or(path);
    let first = rest.split(['/', '.']).next().unwrap_or(rest);
    package(path).unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::{RULE, module};

    const OLD: &str = "cpython-311-x86_64-linux-gnu.so";
    const NEW: &str = "cpython-312-x86_64-linux-gnu.so";

    fn says(paths: &[&str]) -> Vec<String> {
        let sample = paths.iter().fold(Sample::python(), |sample, path| sample.file(1, path, 0o755));
        sample.says(&RULE)
    }

    #[test]
    fn names_tell_the_version() {
        for (path, expected) in [
            ("a/b.cpython-311-x86_64-linux-gnu.so", Some(("a/b", 11))),
            ("a/b.cpython-39-aarch64-linux-gnu.so", Some(("a/b", 9))),
            ("a/b.cpython-313t-x86_64-linux-gnu.so", Some(("a/b", 13))),
            ("a/b.cpython-36m-x86_64-linux-gnu.so", Some(("a/b", 6))),
            ("a/b.cp311-x.so", Some(("a/b", 11))),
            ("a/b.abi3.so", None),
            ("a/b.so", None),
            ("a/b.cpython-311-x86_64-linux-gnu.so.1", None),
            ("a.cpython-311/b.so", None),
        ] {
            assert_eq!(module(path), expected, "{path}");
        }
    }

    #[test]
    fn modules_of_another_version_are_found() {
        assert_eq!(says(&[]), [""; 0]);
        assert_eq!(
            says(&[&format!("var/task/numpy/core/a.{NEW}"), "var/task/x.abi3.so", "var/task/y.so"]),
            [""; 0]
        );
        let (a, b) = (format!("var/task/numpy/core/a.{OLD}"), format!("var/task/numpy/fft/b.{OLD}"));
        let message = "are for Python 3.11, and the image has 3.12";
        assert_eq!(says(&[&a, &b]), [format!("{a}: this module and 1 more of numpy {message}")]);
        let single = format!("opt/python/_cffi_backend.{OLD}");
        let message = "is for Python 3.11, and the image has 3.12";
        assert_eq!(says(&[&single]), [format!("{single}: this module of _cffi_backend {message}")]);
    }

    #[test]
    fn what_has_another_form_is_none() {
        let old = format!("var/task/a/b.{OLD}");
        for other in [format!("var/task/a/b.{NEW}"), "var/task/a/b.abi3.so".into(), "var/task/a/b.py".into()]
        {
            assert_eq!(says(&[&old, &other]), [""; 0], "{other}");
        }
        assert_eq!(says(&[&format!("opt/python/lib/python3.11/site-packages/a/b.{OLD}")]), [""; 0]);
        assert_eq!(
            says(&[&format!("usr/lib/python3/dist-packages/b.{OLD}")]),
            [""; 0],
            "not on the function's way"
        );
    }

    #[test]
    fn the_images_python_must_be_known() {
        let old = format!("var/task/a/b.{OLD}");
        let sample = Sample::python().file(1, &old, 0o755);
        let two = sample.clone().file(1, "var/lang/bin/python3.11", 0o755);
        assert_eq!(two.says(&RULE), [""; 0]);
        let system =
            sample.clone().file(1, "usr/bin/python3.9", 0o755).file(1, "usr/local/bin/python3.10", 0o755);
        assert_eq!(system.says(&RULE).len(), 1, "the runtime has its own");
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0]);
    }
}
