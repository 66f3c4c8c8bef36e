//! Compiled Python modules are for the image's version of Python.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Seen};
use super::super::doubt::expected_python;
use super::super::finding::Severity;
use super::super::function::join;
use super::super::package::package;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "python-extension-version",
    severity: Severity::Error,
    what: "Compiled Python modules are for the image's version of Python, and for Linux.",
    why: "Python ignores a module whose name contains another version or system: the import fails with \
          `ModuleNotFoundError`, often deep within the package. For a package that also works without its compiled \
          modules this is a warning: it is slower.",
    example: "numpy, installed by the pip of Python 3.11, in an image with Python 3.12.",
    help: "install the packages for the image's Python, as lbuild does with --requirements or --lock",
    source: "https://peps.python.org/pep-3149/",
    check,
};

/// Packages that fall back to pure Python without their compiled modules.
const SLOWER: [&str; 14] = [
    "aiohttp",
    "charset_normalizer",
    "coverage",
    "frozenlist",
    "markupsafe",
    "msgpack",
    "multidict",
    "propcache",
    "simplejson",
    "sqlalchemy",
    "websockets",
    "wrapt",
    "yaml",
    "yarl",
];

fn check(case: &Case<'_>, findings: &mut Findings) {
    // If the task root is the root of the image, its files need not be the function's.
    let places =
        BTreeSet::from([case.task_root(), "opt/python"]).into_iter().filter(|place| !place.is_empty());
    let places: Vec<&str> = places.collect();
    if places.iter().all(|place| fits_expected(case, place)) {
        return;
    }
    let Some(versions) = python(case) else { return };
    let mut packages: BTreeMap<(String, String), Vec<Seen<'_>>> = BTreeMap::new();
    for place in places {
        let modules = || case.files.below(place).filter_map(|file| Some((file, module(&file.member.path)?)));
        let fitting = modules().filter(|(_, (_, tag))| fits(tag, &versions));
        let fitting: BTreeSet<&str> = fitting.map(|(_, (stem, _))| stem).collect();
        for (file, (stem, tag)) in modules() {
            let path = file.member.path.as_str();
            let Some((minor, system)) = parse_tag(tag).filter(|_| !fits(tag, &versions)) else { continue };
            if is_of_another(path, &versions) || fitting.contains(stem) || has_source(case, stem) {
                continue;
            }
            let has = versions.first().copied().unwrap_or_default();
            let wanted = match system {
                "darwin" => "macOS, but the image is for Linux".to_owned(),
                _ => format!("Python 3.{minor}, but the image has 3.{has}"),
            };
            packages.entry((group(place, path), wanted)).or_default().push(file);
        }
    }
    for ((package, wanted), files) in packages {
        let first = files[0];
        let message = match files.len() - 1 {
            0 => format!("this module of {package} is for {wanted}"),
            more => format!("this module and {more} more of {package} are for {wanted}"),
        };
        let finding = findings.add(message).in_layer(case, first.layer).at(&first.member.path);
        if SLOWER.contains(&package.as_str()) {
            finding.as_severe(Severity::Warning);
        }
    }
}

/// Whether all modules in a directory are for the Python that the base has by its name, or for any.
fn fits_expected(case: &Case<'_>, place: &str) -> bool {
    let expected: Option<BTreeSet<&str>> =
        expected_python(case).filter(|_| !case.files.complete).map(|minor| BTreeSet::from([minor]));
    let mut tags = case.files.below(place).filter_map(|file| module(&file.member.path)).map(|(_, tag)| tag);
    tags.all(|tag| parse_tag(tag).is_none() || expected.as_ref().is_some_and(|minor| fits(tag, minor)))
}

/// The minor version of the image's Python, if it is unambiguous: `12`, and also `12t` if the free-threaded build is
/// installed.
fn python<'a>(case: &Case<'a>) -> Option<BTreeSet<&'a str>> {
    let versions = |dir: &str| -> BTreeSet<&'a str> {
        let names = case.files.below(dir).map(|file| &file.member.path[dir.len() + 1..]);
        names.filter_map(|name| minor(name.strip_prefix("python3.")?)).collect()
    };
    let mut all = versions("var/lang/bin");
    // AWS's runtimes always start their own Python. In other images, an unknown layer may contain another Python.
    if all.is_empty() && case.is_certain() {
        all = ["usr/local/bin", "usr/bin"].iter().flat_map(|dir| versions(dir)).collect();
    }
    let numbers: BTreeSet<&str> = all.iter().map(|minor| minor.trim_end_matches(is_flag)).collect();
    (numbers.len() == 1).then_some(all)
}

/// A minor version with the flags of builds that load different modules. The old flag `m` is dropped: all builds had
/// it.
fn minor(text: &str) -> Option<&str> {
    let number = text.trim_end_matches(is_flag);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.trim_end_matches('m'))
}

fn is_flag(letter: char) -> bool {
    letter.is_ascii_lowercase()
}

/// The path of a compiled module without its extensions, and its tag: `a/b` and `cpython-311-x86_64-linux-gnu` for
/// `a/b.cpython-311-x86_64-linux-gnu.so`.
fn module(path: &str) -> Option<(&str, &str)> {
    let inner = path.strip_suffix(".so")?;
    let name = inner.rfind('/').map_or(0, |slash| slash + 1);
    let dot = inner[name..].find('.').map(|dot| name + dot);
    Some(dot.map_or((inner, ""), |dot| (&inner[..dot], &inner[dot + 1..])))
}

/// The minor version and the system of a tag: `11` and `x86_64-linux-gnu` for `cpython-311-x86_64-linux-gnu`.
fn parse_tag(tag: &str) -> Option<(&str, &str)> {
    let tag = tag.strip_prefix("cpython-")?;
    let (version, system) = tag.split_once('-').unwrap_or((tag, ""));
    Some((minor(version.strip_prefix('3')?)?, system))
}

/// Whether Python loads modules with this tag.
fn fits(tag: &str, versions: &BTreeSet<&str>) -> bool {
    match parse_tag(tag) {
        Some((minor, system)) => versions.contains(minor) && system != "darwin",
        // The stable ABI fits any version.
        None => tag.is_empty() || tag.starts_with("abi3"),
    }
}

/// Whether a path is in a directory for another version only, as in Lambda layers for several versions.
fn is_of_another(path: &str, versions: &BTreeSet<&str>) -> bool {
    path.split('/').filter_map(|part| part.strip_prefix("python3.")).any(|minor| !versions.contains(minor))
}

/// Whether the module also exists as source. mypyc's shared module counts: only modules with source import it.
fn has_source(case: &Case<'_>, stem: &str) -> bool {
    stem.ends_with("__mypyc") || case.files.get(format!("{stem}.py")).is_some()
}

/// The name of the module's package, or of the module itself outside of packages.
fn group(place: &str, path: &str) -> String {
    let rest = path.strip_prefix(&join(place, "")).unwrap_or(path);
    let first = rest.split(['/', '.']).next().unwrap_or(rest);
    package(path).unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::{RULE, module, parse_tag};

    const OLD: &str = "cpython-311-x86_64-linux-gnu.so";
    const NEW: &str = "cpython-312-x86_64-linux-gnu.so";

    fn says(paths: &[&str]) -> Vec<String> {
        let sample = paths.iter().fold(Sample::python(), |sample, path| sample.file(1, path, 0o755));
        sample.says(&RULE)
    }

    #[test]
    fn the_version_follows_from_the_name() {
        for (path, expected) in [
            ("a/b.cpython-311-x86_64-linux-gnu.so", Some(("a/b", "11", "x86_64-linux-gnu"))),
            ("a/b.cpython-39-aarch64-linux-gnu.so", Some(("a/b", "9", "aarch64-linux-gnu"))),
            ("a/b.cpython-313t-x86_64-linux-gnu.so", Some(("a/b", "13t", "x86_64-linux-gnu"))),
            ("a/b.cpython-312d-x86_64-linux-gnu.so", Some(("a/b", "12d", "x86_64-linux-gnu"))),
            ("a/b.cpython-36m-x86_64-linux-gnu.so", Some(("a/b", "6", "x86_64-linux-gnu"))),
            ("a/b.cpython-312-darwin.so", Some(("a/b", "12", "darwin"))),
            ("a/b.cpython-312.so", Some(("a/b", "12", ""))),
            ("a/b.cp311-win_amd64.so", None),
            ("a/b.pypy311-pp73-x86_64-linux-gnu.so", None),
            ("a/b.abi3.so", None),
            ("a/b.so", None),
            ("a/b.cpython-311-x86_64-linux-gnu.so.1", None),
            ("a.cpython-311/b.so", None),
        ] {
            let found =
                module(path).and_then(|(stem, tag)| parse_tag(tag).map(|(minor, of)| (stem, minor, of)));
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn modules_of_another_version_are_found() {
        assert_eq!(says(&[]), [""; 0]);
        assert_eq!(
            says(&[&format!("var/task/numpy/core/a.{NEW}"), "var/task/x.abi3.so", "var/task/y.so"]),
            [""; 0]
        );
        assert_eq!(says(&["var/task/x.abi3-x86_64-linux-gnu.so", "var/task/y.pypy311-pp73-x.so"]), [""; 0]);
        let (a, b) = (format!("var/task/numpy/core/a.{OLD}"), format!("var/task/numpy/fft/b.{OLD}"));
        let message = "are for Python 3.11, but the image has 3.12";
        assert_eq!(says(&[&a, &b]), [format!("{a}: this module and 1 more of numpy {message}")]);
        let single = format!("opt/python/_cffi_backend.{OLD}");
        let message = "is for Python 3.11, but the image has 3.12";
        assert_eq!(says(&[&single]), [format!("{single}: this module of _cffi_backend {message}")]);
    }

    #[test]
    fn a_module_with_another_usable_form_is_ignored() {
        let old = format!("var/task/a/b.{OLD}");
        for other in [format!("var/task/a/b.{NEW}"), "var/task/a/b.abi3.so".into(), "var/task/a/b.py".into()]
        {
            assert_eq!(says(&[&old, &other]), [""; 0], "{other}");
        }
        assert_eq!(says(&[&format!("opt/python/lib/python3.11/site-packages/a/b.{OLD}")]), [""; 0]);
        assert_eq!(
            says(&[&format!("usr/lib/python3/dist-packages/b.{OLD}")]),
            [""; 0],
            "not in the search path"
        );
        assert_eq!(
            says(&[&old, "var/task/a/b.pypy311-pp73-x86_64-linux-gnu.so"]).len(),
            1,
            "of another implementation of Python"
        );
        assert_eq!(says(&[&old, &format!("var/task/a/bc.{NEW}")]).len(), 1, "another module");
    }

    #[test]
    fn modules_for_macos_are_found() {
        let mac = "var/task/a/b.cpython-312-darwin.so";
        assert_eq!(
            says(&[mac]),
            [format!("{mac}: this module of a is for macOS, but the image is for Linux")]
        );
        assert_eq!(says(&[mac, &format!("var/task/a/b.{NEW}")]), [""; 0]);
    }

    #[test]
    fn builds_with_flags_load_different_modules() {
        let free = "var/task/a/b.cpython-312t-x86_64-linux-gnu.so";
        let message = "this module of a is for Python 3.12t, but the image has 3.12";
        assert_eq!(says(&[free]), [format!("{free}: {message}")]);
        assert_eq!(says(&[free, "var/lang/bin/python3.12t"]), [""; 0]);
        assert_eq!(says(&["var/task/a/b.cpython-312d-x86_64-linux-gnu.so"]).len(), 1);
    }

    #[test]
    fn a_package_with_a_fallback_is_a_warning() {
        let severity = |package: &str| {
            let sample = Sample::python().file(1, &format!("var/task/{package}/_speedups.{OLD}"), 0o755);
            sample.check(&RULE).iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(severity("markupsafe"), [Severity::Warning]);
        assert_eq!(severity("numpy"), [Severity::Error]);
    }

    #[test]
    fn the_python_of_the_image_must_be_unambiguous() {
        let old = format!("var/task/a/b.{OLD}");
        let sample = Sample::python().file(1, &old, 0o755);
        let two = sample.clone().file(1, "var/lang/bin/python3.11", 0o755);
        assert_eq!(two.says(&RULE), [""; 0]);
        let system =
            sample.clone().file(1, "usr/bin/python3.9", 0o755).file(1, "usr/local/bin/python3.10", 0o755);
        assert_eq!(system.says(&RULE).len(), 1, "the runtime's own Python counts");
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0]);
    }
}
