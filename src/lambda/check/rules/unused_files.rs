//! The image does not contain files that no function reads.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::finding::files;
use super::super::package::package;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "unused-files",
    severity: Severity::Note,
    what: "The image contains only files that the function needs at run time.",
    why: "Test suites, caches of installers, and files for compilers and editors are pushed and pulled with each \
          image, and count towards the limit of 10 GiB.",
    example: "`RUN pip install -r requirements.txt` without --no-cache-dir; packages with their test suites.",
    help: "delete the files in the step that adds them, or copy only the needed files from another stage",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html",
    check,
};

/// The threshold for a finding, in bytes.
const LEAST: u64 = 1 << 20;

const TESTS: &str = "of test suites";
const CACHES: &str = "of installers' caches";
const STUBS: &str = "of type stubs (*.pyi)";
const DECLARATIONS: &str = "of type declarations (*.d.ts)";
const ARCHIVES: &str = "of static libraries (*.a)";
const MAPS: &str = "of source maps (*.map)";

/// Caches of installers and package managers. `.cache` is not listed as a whole: it may contain models and browsers
/// that the function needs.
const CACHE_PLACES: [&str; 21] = [
    ".cache/pip/",
    ".cache/uv/",
    ".cache/pypoetry/",
    ".cache/pipenv/",
    ".cache/yarn/",
    ".cache/pnpm/",
    ".cache/node-gyp/",
    ".cache/go-build/",
    ".npm/_cacache/",
    "node_modules/.cache/",
    "var/cache/apt/",
    "var/lib/apt/lists/",
    "var/cache/yum/",
    "var/cache/dnf/",
    "var/cache/libdnf5/",
    "var/cache/apk/",
    "etc/apk/cache/",
    ".cargo/registry/",
    "go/pkg/mod/",
    ".m2/repository/",
    ".gradle/caches/",
];

/// The files of one kind.
#[derive(Default)]
struct Sum<'a> {
    files: usize,
    bytes: u64,
    /// Bytes by package or directory.
    places: BTreeMap<&'a str, u64>,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut sums: BTreeMap<&str, Sum<'_>> = BTreeMap::new();
    for file in case.files.iter().filter(|file| file.member.is_file()) {
        let Some((kind, place)) = unused(&file.member.path) else { continue };
        let sum = sums.entry(kind).or_default();
        sum.files += 1;
        // A sparse file may claim any size.
        sum.bytes = sum.bytes.saturating_add(file.member.size());
        let of_place = sum.places.entry(place).or_default();
        *of_place = of_place.saturating_add(file.member.size());
    }
    for (kind, sum) in sums.into_iter().filter(|(_, sum)| sum.bytes > LEAST) {
        if is_read(case, kind) {
            continue;
        }
        let files = files(sum.files);
        let mut places: Vec<(&str, u64)> = sum.places.into_iter().collect();
        places.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let largest: Vec<&str> = places.iter().take(3).map(|(place, _)| *place).collect();
        let most = if places.len() > largest.len() { "most in" } else { "in" };
        findings.add(format!("{files} {kind}, {most} {}", largest.join(", "))).costs(sum.bytes);
    }
}

/// Whether a program in the image reads files of this kind.
fn is_read(case: &Case<'_>, kind: &str) -> bool {
    let has = |end: &str| case.files.iter().any(|file| file.member.path.ends_with(end));
    match kind {
        MAPS => {
            let options = case.config.var("NODE_OPTIONS").unwrap_or_default();
            options.contains("--enable-source-maps") || has("/source-map-support/package.json")
        }
        // lazy_loader reads the stubs of a package to find its imports.
        STUBS => has("/lazy_loader/__init__.py"),
        _ => false,
    }
}

/// The kind of a file that no function reads, and its package or directory.
fn unused(path: &str) -> Option<(&'static str, &str)> {
    let package = package(path);
    if is_of_runtime(path, package) {
        return None;
    }
    let (dir, name) = path.rsplit_once('/')?;
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if let Some(package) = package.filter(|package| has_tests(dir, package)) {
        return Some((TESTS, package));
    }
    if let Some(cache) = CACHE_PLACES.iter().find_map(|place| below(path, place)) {
        return Some((CACHES, cache));
    }
    // These compilers and type checkers read such files.
    if matches!(package, Some("typescript" | "mypy" | "jedi" | "pyright")) {
        return None;
    }
    let kind = match package {
        _ if name.starts_with("lib") && ends(&[".a"]) => ARCHIVES,
        Some(_) if ends(&[".pyi"]) => STUBS,
        Some(_) if ends(&[".d.ts", ".d.mts", ".d.cts"]) => DECLARATIONS,
        Some(_) if path.contains("node_modules/") && ends(&["js.map", ".ts.map", ".css.map"]) => MAPS,
        _ => return None,
    };
    Some((kind, package.unwrap_or(dir)))
}

/// Whether a file belongs to AWS's runtime, which users cannot change.
fn is_of_runtime(path: &str, package: Option<&str>) -> bool {
    ["var/runtime/", "var/lang/lib/node_modules/"].iter().any(|dir| path.starts_with(dir))
        || (path.starts_with("var/lang/") && package.is_none())
}

/// Whether a directory of a package is for its tests. `django.test` is part of Django's API.
fn has_tests(dir: &str, package: &str) -> bool {
    if package == "django" {
        return false;
    }
    let inside = dir.split_once(&format!("/{package}/")).map(|(_, inside)| inside);
    inside.is_some_and(|inside| inside.split('/').any(|part| part == "tests" || part == "test"))
}

/// The path up to the end of `place`, without the final slash.
fn below<'a>(path: &'a str, place: &str) -> Option<&'a str> {
    let at = path.find(place).filter(|&at| at == 0 || path[..at].ends_with('/'))?;
    Some(&path[..at + place.len() - 1])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::sample::Sample;
    use super::*;

    fn with(sample: Sample, path: &str, size: u64) -> Sample {
        sample.file(1, path, 0o644).sized(1, path, size)
    }

    #[test]
    fn files_are_summed_by_kind() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = with(Sample::python(), "var/task/numpy/core/tests/test_a.py", LEAST);
        assert_eq!(sample.says(&RULE), [""; 0], "not above the threshold");
        let sample = with(sample, "var/task/pandas/tests/a/b.csv", 10);
        assert_eq!(sample.says(&RULE), ["2 files of test suites, in numpy, pandas"]);
        assert_eq!(sample.check(&RULE)[0].bytes, Some(LEAST + 10));
        let sample = with(sample, "root/.cache/pip/http/a", 2 * LEAST);
        assert_eq!(sample.says(&RULE)[0], "1 file of installers' caches, in root/.cache/pip");
    }

    #[test]
    fn source_maps_may_be_used() {
        let sample = with(Sample::python(), "var/task/node_modules/a/b.js.map", 2 * LEAST);
        assert_eq!(sample.says(&RULE), ["1 file of source maps (*.map), in a"]);
        let set = sample.clone().process("Env", json!(["NODE_OPTIONS=--enable-source-maps"]));
        assert_eq!(set.says(&RULE), [""; 0]);
        let module = "var/task/node_modules/source-map-support/package.json";
        assert_eq!(with(sample, module, 10).says(&RULE), [""; 0]);
    }

    #[test]
    fn stubs_may_be_read() {
        let sample = with(Sample::python(), "var/task/skimage/filters/__init__.pyi", 2 * LEAST);
        assert_eq!(sample.says(&RULE), ["1 file of type stubs (*.pyi), in skimage"]);
        assert_eq!(with(sample, "var/task/lazy_loader/__init__.py", 10).says(&RULE), [""; 0]);
    }

    #[test]
    fn kinds_are_recognised_by_their_paths() {
        for (path, expected) in [
            ("opt/python/lib/python3.12/site-packages/scipy/sparse/tests/x.npz", Some((TESTS, "scipy"))),
            ("var/task/node_modules/a/test/b.js", Some((TESTS, "a"))),
            ("var/cache/dnf/x.solv", Some((CACHES, "var/cache/dnf"))),
            ("root/.npm/_cacache/content-v2/x", Some((CACHES, "root/.npm/_cacache"))),
            ("var/task/boto3_stubs/a.pyi", Some((STUBS, "boto3_stubs"))),
            ("var/task/node_modules/@aws-sdk/a/b.d.ts", Some((DECLARATIONS, "@aws-sdk/a"))),
            ("usr/lib64/libx.a", Some((ARCHIVES, "usr/lib64"))),
            ("var/task/node_modules/typescript/lib/lib.d.ts", None),
            ("root/.cache/huggingface/model.bin", None),
            ("var/cache/apk/APKINDEX.1.tar.gz", Some((CACHES, "var/cache/apk"))),
            ("root/go/pkg/mod/cache/x.zip", Some((CACHES, "root/go/pkg/mod"))),
            ("var/task/django/test/client.py", None),
            ("var/task/tests/test_app.py", None),
            ("var/task/numpy/testing/a.py", None),
            ("var/lang/lib/python3.12/test/a.py", None),
            ("var/lang/lib/python3.12/config/libpython3.12.a", None),
            ("var/runtime/node_modules/a/b.d.ts", None),
            ("var/task/site.map", None),
        ] {
            assert_eq!(unused(path), expected, "{path}");
        }
    }
}
