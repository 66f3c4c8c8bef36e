//! The package that a file belongs to, by the directories of installers, and the properties that follow from it.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::case::Member;
use crate::tree::{is_library, may_be_code};

/// Directories that several packages share.
const SHARED: [&str; 12] =
    ["META-INF", "bin", "com", "etc", "io", "lib", "lib64", "org", "runtimes", "share", "src", "vendor"];

/// Directories of files that a package does not need at run time.
const TESTS: [&str; 11] = [
    "__tests__",
    "doc",
    "docs",
    "example",
    "examples",
    "fixtures",
    "test",
    "test-data",
    "test_data",
    "testdata",
    "tests",
];

/// Directories that a function does not use.
const ASIDE: [&str; 4] = ["boot/", "root/", "tmp/", "var/cache/"];

/// The directory of the innermost package: below `node_modules`, or directly in a directory of Python modules.
pub(super) fn package_dir(path: &str) -> Option<&str> {
    let inside = |start: usize, parts: usize| {
        let rest = &path[start..];
        let end = rest.match_indices('/').nth(parts - 1).map_or(rest.len(), |(at, _)| at);
        (start, start + end)
    };
    const NODE: &str = "node_modules/";
    if let Some(at) = path.rfind(NODE) {
        let start = at + NODE.len();
        let scoped = path[start..].starts_with('@');
        return Some(&path[..inside(start, if scoped { 2 } else { 1 }).1]);
    }
    let places = ["site-packages/", "dist-packages/", "opt/python/", "var/task/"];
    if let Some(start) = places.iter().find_map(|place| Some(path.rfind(place)? + place.len())) {
        let (_, end) = inside(start, 1);
        // A file directly in such a directory does not belong to a package.
        return (end < path.len()).then(|| &path[..end]);
    }
    // .NET keeps the platform-specific files of all packages in one directory.
    const RUNTIMES: &str = "/runtimes";
    path.rfind(&format!("{RUNTIMES}/")).map(|at| &path[..at + RUNTIMES.len()])
}

/// The name of the package.
pub(super) fn package(path: &str) -> Option<&str> {
    let dir = package_dir(path)?;
    if let Some((_, name)) = dir.rsplit_once("node_modules/") {
        return Some(name);
    }
    let name = dir.rsplit('/').next()?;
    // The directory of libraries that auditwheel creates beside a package.
    Some(name.strip_suffix(LIBS).unwrap_or(name)).filter(|name| !SHARED.contains(name))
}

/// The group of a finding about a file: its package, or else its directory.
pub(super) fn place(path: &str) -> &str {
    package(path).unwrap_or_else(|| dir(path))
}

/// The end of a message: the number of other files in the same group.
pub(super) fn and_more(path: &str, others: usize) -> String {
    match package(path) {
        _ if others == 0 => String::new(),
        Some(package) => format!(" (and {others} more of the package {package})"),
        None => format!(" (and {others} more in its directory)"),
    }
}

/// The parent directory of a path; empty for the root.
pub(super) fn dir(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Whether a loader may load the file. Machine code that is only data, and files for debuggers, are not loaded.
pub(super) fn is_code(member: &Member) -> bool {
    may_be_code(member.path.as_bytes(), member.entry.mode)
}

/// Whether machine code is certain to be loaded when its package is used: a library, or a program outside of packages.
/// The programs and tests of a package may never run.
pub(super) fn is_loaded(path: &str) -> bool {
    let is_aside = ASIDE.iter().any(|place| path.starts_with(place))
        || dir(path).split('/').any(|part| TESTS.contains(&part));
    !is_aside && (is_library(path.as_bytes()) || package(path).is_none())
}

/// The offset of the first word of a path that satisfies a condition.
pub(super) fn word_at(path: &str, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    let mut end = 0;
    path.split(['/', '-', '_', '.', '+', '@']).find_map(|word| {
        let start = end;
        end = start + word.len() + 1;
        is_it(word).then_some(start)
    })
}

/// The prefix that a path shares with its variants for other platforms, where the word at `at` names the platform:
/// everything before that word, but not more than the package.
pub(super) fn common(path: &str, at: usize) -> &str {
    &path[..package_dir(path).map_or(at, |dir| at.min(dir.len() + 1))]
}

/// Whether one of these paths begins with `start`.
pub(super) fn begins(paths: &BTreeSet<&str>, start: &str) -> bool {
    let mut from = paths.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    from.next().is_some_and(|path| path.starts_with(start))
}

/// The suffix of the directory that auditwheel creates for the libraries of a package.
const LIBS: &str = ".libs";

/// Whether a file is in a package's [`LIBS`] directory while that directory or the package has matching files. The file
/// then came from another wheel; only files of that wheel load it, because its name is unique.
pub(super) fn is_of_other_wheel(path: &str, fitting: &BTreeSet<&str>) -> bool {
    let Some(dir) = package_dir(path) else { return false };
    let Some(package) = dir.strip_suffix(LIBS) else { return false };
    [dir, package].iter().any(|dir| begins(fitting, &format!("{dir}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_follows_from_the_path() {
        for (path, name, dir) in [
            ("var/task/node_modules/@img/sharp/lib/a.node", "@img/sharp", "var/task/node_modules/@img/sharp"),
            ("var/task/node_modules/a/node_modules/b/c.js", "b", "var/task/node_modules/a/node_modules/b"),
            ("usr/lib/python3/site-packages/numpy/core/x.so", "numpy", "usr/lib/python3/site-packages/numpy"),
            ("var/task/numpy.libs/libopenblas.so", "numpy", "var/task/numpy.libs"),
            ("opt/python/yaml/_yaml.so", "yaml", "opt/python/yaml"),
        ] {
            assert_eq!((package(path), package_dir(path)), (Some(name), Some(dir)), "{path}");
        }
        for path in
            ["var/task/app.py", "usr/bin/env", "var/task/lib/x.so", "app/runtimes/linux-x64/native/a.so"]
        {
            assert_eq!(package(path), None, "{path}");
        }
        assert_eq!(package_dir("app/runtimes/linux-x64/native/a.so"), Some("app/runtimes"));
        assert_eq!(place("var/task/bin/a"), "var/task/bin");
    }

    #[test]
    fn libraries_and_programs_outside_of_packages_are_loaded() {
        for (path, expected) in [
            ("var/task/numpy/core/x.so", true),
            ("var/task/node_modules/a/b.node", true),
            ("usr/lib64/libx.so.1.2", true),
            ("usr/bin/tool", true),
            ("var/task/bin/ffmpeg", true),
            ("var/task/node_modules/esbuild/bin/esbuild", false),
            ("opt/python/selenium/webdriver/common/linux/selenium-manager", false),
            ("var/task/numpy/tests/x.so", false),
            ("root/.cache/x.so", false),
        ] {
            assert_eq!(is_loaded(path), expected, "{path}");
        }
    }

    #[test]
    fn variants_for_platforms_share_a_prefix() {
        let common = |path| word_at(path, |word| word == "x64").map(|at| common(path, at));
        assert_eq!(common("node_modules/@esbuild/linux-x64/bin/a"), Some("node_modules/@esbuild/linux-"));
        assert_eq!(common("node_modules/a/prebuilds/linux-x64/a.node"), Some("node_modules/a/"));
        assert_eq!(common("app/native/x64.so"), Some("app/native/"));
        assert_eq!(common("app/native/x6.so"), None);
    }
}
