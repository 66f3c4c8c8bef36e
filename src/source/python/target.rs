//! The wheels that run in the image: [compatibility tags](https://packaging.python.org/en/latest/specifications/platform-compatibility-tags/)
//! of the target, and the choice among a version's files.
//!
//! The order of preference is that of pip and uv: the closest ABI first, then the newest glibc.

use std::collections::HashMap;
use std::fmt;

use super::wheel::WheelName;
use crate::error::{Error, Result};
use crate::image::Platform;
use crate::recipe::Python;

/// The interpreter, machine and C library that wheels must run on.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The minor version of Python 3.
    pub(super) minor: u32,
    /// The patch version, if the recipe has one.
    patch: Option<u32>,
    pub(super) machine: Machine,
    /// The version of glibc; `None` if the C library is musl.
    glibc: Option<(u32, u32)>,
    /// Preference rank of each `python-abi-platform`; lower wins.
    ranks: HashMap<String, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

/// The minor versions of musl 1 that wheels are built for (PEP 656), oldest first: 1.2 is that of every Alpine since 3.13.
const MUSL: [u32; 3] = [0, 1, 2];

/// The patch version that is assumed, higher than that of any Python release.
const ASSUMED_PATCH: u32 = 99;

/// The minor version, and the patch version if given, of `3.12` or `3.12.9`.
fn version(text: &str) -> Option<(u32, Option<u32>)> {
    let rest = text.strip_prefix("3.")?;
    match rest.split_once('.') {
        Some((minor, patch)) => Some((minor.parse().ok()?, Some(patch.parse().ok()?))),
        None => Some((rest.parse().ok()?, None)),
    }
}

impl Machine {
    /// The name in `uname -m`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
        }
    }

    /// The minor version of the oldest glibc in the platform tags for the machine (PEP 600).
    fn oldest_glibc(self) -> u32 {
        match self {
            Machine::X86_64 => 5,
            Machine::Aarch64 => 17,
        }
    }
}

impl Target {
    pub(super) fn of(python: &Python, platform: &Platform) -> Result<Target> {
        let fail = || Error::PythonVersion { version: python.version.clone() };
        let (minor, patch) = version(&python.version).ok_or_else(fail)?;
        let machine = match platform.architecture.as_str() {
            "amd64" => Machine::X86_64,
            "arm64" => Machine::Aarch64,
            other => return Err(Error::Architecture { name: other.to_owned() }),
        };
        let glibc = (!python.musl).then_some(python.glibc);
        Ok(Target { patch, ..Target::of_libc(minor, machine, glibc) })
    }

    /// The full version of Python.
    ///
    /// If the recipe has no patch version, a high one is assumed: Lambda keeps its images at the newest patch version,
    /// and a package that requires `>=3.12.1` would otherwise be refused.
    pub(super) fn python(&self) -> String {
        format!("3.{}.{}", self.minor, self.patch.unwrap_or(ASSUMED_PATCH))
    }

    pub(super) fn new(minor: u32, machine: Machine, glibc: (u32, u32)) -> Target {
        Target::of_libc(minor, machine, Some(glibc))
    }

    fn of_libc(minor: u32, machine: Machine, glibc: Option<(u32, u32)>) -> Target {
        let mut target = Target { minor, patch: None, machine, glibc, ranks: HashMap::new() };
        let tags = target.tags();
        for (rank, tag) in tags.into_iter().enumerate() {
            target.ranks.entry(tag).or_insert(rank);
        }
        target
    }

    pub(super) fn is_musl(&self) -> bool {
        self.glibc.is_none()
    }

    /// The minor version of glibc 2; that of no wheel, if the C library is musl.
    pub(super) fn glibc_minor(&self) -> u32 {
        self.glibc.map_or(0, |(_, minor)| minor)
    }

    /// `manylinux_2_34_x86_64` and all older platform tags, with their names from before PEP 600.
    ///
    /// `linux_x86_64` is left out, because it does not name the C library that the wheel needs.
    pub(super) fn platforms(&self) -> Vec<String> {
        let machine = self.machine.as_str();
        if self.is_musl() {
            return MUSL.iter().rev().map(|minor| format!("musllinux_1_{minor}_{machine}")).collect();
        }
        let mut found = Vec::new();
        for minor in (self.machine.oldest_glibc()..=self.glibc_minor()).rev() {
            found.push(format!("manylinux_2_{minor}_{machine}"));
            let old = match minor {
                17 => "manylinux2014",
                12 => "manylinux2010",
                5 => "manylinux1",
                _ => continue,
            };
            found.push(format!("{old}_{machine}"));
        }
        found
    }

    fn tags(&self) -> Vec<String> {
        let (minor, platforms) = (self.minor, self.platforms());
        let own = format!("cp3{minor}");
        let mut tags = Vec::new();
        let mut each = |python: &str, abi: &str| {
            tags.extend(platforms.iter().map(|platform| format!("{python}-{abi}-{platform}")));
        };
        each(&own, &own);
        each(&own, "abi3");
        each(&own, "none");
        for older in (2..minor).rev() {
            each(&format!("cp3{older}"), "abi3");
        }
        let generic: Vec<String> = [format!("py3{minor}"), "py3".to_owned()]
            .into_iter()
            .chain((0..minor).rev().map(|older| format!("py3{older}")))
            .collect();
        generic.iter().for_each(|python| each(python, "none"));
        tags.push(format!("{own}-none-any"));
        tags.extend(generic.iter().map(|python| format!("{python}-none-any")));
        tags
    }

    /// The wheel's preference rank; `None` when it does not run on the target.
    fn rank(&self, wheel: &WheelName) -> Option<usize> {
        wheel.tags().filter_map(|tag| self.ranks.get(&tag).copied()).min()
    }

    /// The wheel with the best rank among the files of one version. Files that are not wheels are skipped.
    pub(super) fn best<'a, T>(&self, files: &'a [T], name: impl Fn(&T) -> &str) -> Option<&'a T> {
        let ranked = files.iter().filter_map(|file| {
            let wheel = WheelName::parse(name(file))?;
            Some((self.rank(&wheel)?, std::cmp::Reverse(wheel.build), name(file).to_owned(), file))
        });
        let best = ranked.min_by(|a, b| (&a.0, &a.1, &a.2).cmp(&(&b.0, &b.1, &b.2)));
        best.map(|(_, _, _, file)| file)
    }

    /// The reason why no file runs on the target.
    pub(super) fn why_not<'a>(&self, files: impl Iterator<Item = &'a str>) -> String {
        let wheels: Vec<WheelName> = files.filter_map(WheelName::parse).collect();
        let machine = self.machine.as_str();
        let ours = |platform: &String| platform == "any" || platform.ends_with(machine);
        let prefix = if self.is_musl() { "musllinux" } else { "manylinux" };
        let linux = |platform: &String| platform.starts_with(prefix) || platform == "any";
        if wheels.is_empty() {
            return "it comes as source only".to_owned();
        }
        let python = |wheel: &&WheelName| {
            let any = WheelName { platforms: vec!["any".to_owned()], ..(*wheel).clone() };
            let pinned = WheelName { platforms: self.platforms(), ..any.clone() };
            self.rank(&any).or_else(|| self.rank(&pinned)).is_some()
        };
        let fitting: Vec<&WheelName> = wheels.iter().filter(python).collect();
        if fitting.is_empty() {
            return format!("its wheels are for {}", list(wheels.iter().flat_map(|wheel| &wheel.pythons)));
        }
        let platforms: Vec<&String> = fitting.iter().flat_map(|wheel| &wheel.platforms).collect();
        let newer = platforms.iter().filter(|name| ours(name) && linux(name)).filter_map(|name| glibc(name));
        if let Some((major, minor)) = newer.min() {
            return format!("its wheels need glibc {major}.{minor}");
        }
        let plain = format!("linux_{machine}");
        if platforms.iter().any(|name| **name == plain) {
            return format!("a wheel that is tagged {plain} does not say which glibc it needs");
        }
        format!("its wheels are for {}", list(platforms.into_iter()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Python 3.{} on {} with ", self.minor, self.machine.as_str())?;
        match self.glibc {
            Some((major, minor)) => write!(f, "glibc {major}.{minor}"),
            None => f.write_str("musl"),
        }
    }
}

/// The glibc version that a platform tag names.
fn glibc(tag: &str) -> Option<(u32, u32)> {
    let rest = tag.strip_prefix("manylinux_")?;
    let (major, rest) = rest.split_once('_')?;
    let (minor, _) = rest.split_once('_')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Joins the distinct texts in order, at most eight of them, and counts the rest.
fn list<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    const MAX_LISTED: usize = 8;
    let mut texts: Vec<&str> = texts.map(String::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    let more = texts.len().saturating_sub(MAX_LISTED);
    texts.truncate(MAX_LISTED);
    let text = texts.join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn al2023(machine: Machine) -> Target {
        Target::new(12, machine, (2, 34))
    }

    fn best<'a>(target: &Target, files: &'a [&'a str]) -> Option<&'a str> {
        target.best(files, |file| file).copied()
    }

    #[test]
    fn the_closest_wheel_that_runs_is_taken() {
        use Machine::{Aarch64, X86_64};
        /// The target's minor version, machine and glibc; the files; the index of the chosen file.
        type Row<'a> = (u32, Machine, u32, &'a [&'a str], Option<usize>);
        #[rustfmt::skip]
        let table: &[Row] = &[
            (12, X86_64, 34, &["a-1-py3-none-any.whl", "a-1-cp312-cp312-manylinux_2_28_x86_64.whl"], Some(1)),
            (12, X86_64, 34, &["a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-1-cp312-cp312-manylinux_2_28_x86_64.whl"], Some(1)),
            (12, X86_64, 26, &["a-1-cp312-cp312-manylinux_2_17_x86_64.whl", "a-1-cp312-cp312-manylinux_2_28_x86_64.whl"], Some(0)),
            (12, X86_64, 26, &["a-1-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp312-cp312-manylinux_2_35_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp312-cp312-manylinux1_x86_64.whl"], Some(0)),
            (12, X86_64, 34, &["a-1-cp312-cp312-manylinux2010_x86_64.whl", "a-1-cp312-cp312-manylinux2014_x86_64.whl"], Some(1)),
            (12, Aarch64, 34, &["a-1-cp312-cp312-manylinux2010_aarch64.whl"], None),
            (12, Aarch64, 34, &["a-1-cp312-cp312-manylinux2014_x86_64.whl", "a-1-cp312-cp312-manylinux2014_aarch64.whl"], Some(1)),
            (12, Aarch64, 34, &["a-1-cp312-cp312-manylinux2014_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp312-cp312-musllinux_1_2_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp312-cp312-linux_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp312-cp312-macosx_11_0_x86_64.whl", "a-1-cp312-cp312-win_amd64.whl"], None),
            (12, X86_64, 34, &["a-1-cp313-cp313-manylinux_2_28_x86_64.whl", "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"], None),
            (13, X86_64, 34, &["a-1-cp313-cp313t-manylinux_2_28_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-cp37-abi3-manylinux_2_28_x86_64.whl", "a-1-cp311-abi3-manylinux_2_17_x86_64.whl"], Some(1)),
            (12, X86_64, 34, &["a-1-cp313-abi3-manylinux_2_28_x86_64.whl"], None),
            (12, X86_64, 34, &["a-1-py3-none-manylinux_2_17_x86_64.whl", "a-1-py3-none-any.whl"], Some(0)),
            (12, X86_64, 34, &["a-1-py2.py3-none-any.whl"], Some(0)),
            (12, X86_64, 34, &["a-1-py2-none-any.whl", "a-1-py313-none-any.whl"], None),
            (12, X86_64, 34, &["a-1-2-py3-none-any.whl", "a-1-10-py3-none-any.whl", "a-1-py3-none-any.whl"], Some(1)),
            (12, X86_64, 34, &["a-1.tar.gz", "a-1-pp310-pypy310_pp73-manylinux_2_28_x86_64.whl"], None),
        ];
        for (minor, machine, glibc, files, taken) in table {
            let target = Target::new(*minor, *machine, (2, *glibc));
            assert_eq!(best(&target, files), taken.map(|at| files[at]), "{target}: {files:?}");
        }
    }

    #[test]
    fn the_reason_why_no_file_runs_is_given() {
        let target = Target::new(9, Machine::Aarch64, (2, 26));
        #[rustfmt::skip]
        let table: &[(&[&str], &str)] = &[
            (&["a-1.tar.gz"], "it comes as source only"),
            (&["a-1-cp39-cp39-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", "a-1-cp39-cp39-win_amd64.whl"], "its wheels need glibc 2.27"),
            (&["a-1-cp39-cp39-manylinux2014_x86_64.whl", "a-1-cp39-cp39-musllinux_1_2_aarch64.whl"],
                "its wheels are for manylinux2014_x86_64, musllinux_1_2_aarch64"),
            (&["a-1-cp312-cp312-manylinux2014_aarch64.whl"], "its wheels are for cp312"),
            (&["a-1-cp39-cp39-linux_aarch64.whl"], "a wheel that is tagged linux_aarch64 does not say which glibc it needs"),
        ];
        for (files, reason) in table {
            assert_eq!(target.why_not(files.iter().copied()), *reason, "{files:?}");
        }
    }

    #[test]
    fn the_first_tags_are_the_closest() {
        let tags = al2023(Machine::X86_64).tags();
        assert_eq!(tags[0], "cp312-cp312-manylinux_2_34_x86_64");
        assert_eq!(tags.last().map(String::as_str), Some("py30-none-any"));
        assert!(tags.iter().all(|tag| !tag.contains("musl") && !tag.contains("aarch64")));
    }

    #[test]
    fn a_version_may_have_a_patch_version() {
        let target = |version: &str| {
            let requirements = crate::recipe::Requirements::Pinned(Vec::new());
            let (version, glibc) = (version.to_owned(), (2, 34));
            let (wheels, require_hashes, slim, bytecode) = (None, false, false, Default::default());
            let musl = false;
            let python =
                Python { requirements, version, glibc, musl, wheels, require_hashes, slim, bytecode };
            Target::of(&python, &Platform::linux(crate::image::Arch::Arm64))
        };
        for (version, minor, whole) in
            [("3.12", 12, "3.12.99"), ("3.12.9", 12, "3.12.9"), ("3.9.0", 9, "3.9.0")]
        {
            let target = target(version).unwrap();
            assert_eq!((target.minor, target.python().as_str()), (minor, whole));
        }
        for version in ["3", "3.", "3.x", "3.12.", "3.12.9.1", "3.12rc1", "2.7", "3.12.9rc1"] {
            assert!(target(version).is_err(), "{version}");
        }
    }
}
