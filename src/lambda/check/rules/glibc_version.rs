//! Programs and libraries do not need a newer glibc than the image has.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Seen};
use super::super::doubt::expected_glibc;
use super::super::finding::Severity;
use super::super::libc::is_libc;
use super::super::package::{and_more, dir, is_code, place};
use super::super::rule::{Findings, Rule};
use super::super::start::Started;

pub(super) const RULE: Rule = Rule {
    name: "glibc-version",
    severity: Severity::Error,
    what: "Programs and libraries do not need a newer glibc than the image has.",
    why: "Otherwise they cannot be loaded: `/lib64/libc.so.6: version 'GLIBC_2.38' not found`. Programs of a package \
          are a warning: the function may never start them.",
    example: "A program built on Ubuntu 24.04 (glibc 2.39), in an image with Amazon Linux 2023 (2.34).",
    help: "install packages for the base's glibc, as lbuild does; build the program on the base; or use a newer base",
    source: "https://github.com/aws/aws-lambda-rust-runtime/issues/932",
    check,
};

/// A glibc version, and the file that needs it.
type Needs<'a> = ((u32, u32), Seen<'a>);

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(arch) = case.arch() else { return };
    let is_ours = |file: &Seen<'_>| file.member.elf().is_some_and(|elf| elf.machine.is(arch));
    let code: Vec<Seen<'_>> = case.files.iter().filter(is_ours).collect();
    let needed =
        code.iter().filter(|file| is_code(file.member)).filter_map(|file| file.member.elf()?.needs_glibc);
    // An unknown layer may have another glibc.
    if needed.max() <= expected_glibc(case).filter(|_| !case.files.complete) || !case.is_certain() {
        return;
    }
    let libcs = code.iter().filter(|file| is_libc(file.member));
    let dirs: BTreeSet<&str> = libcs.map(|file| dir(&file.member.path)).collect();
    // Some versions add symbols only to a library beside libc.so.6. If the image has several glibcs, a program may come
    // with the newest one: the files do not show which of them they use.
    let beside = code.iter().filter(|file| dirs.contains(dir(&file.member.path)));
    let Some(has) = beside.filter_map(|file| file.member.elf()?.is_glibc).max() else { return };

    let started = Started::of(case);
    let mut needing: BTreeMap<(&str, Severity), Vec<Needs<'_>>> = BTreeMap::new();
    for file in code.into_iter().filter(|file| is_code(file.member)) {
        let path = file.member.path.as_str();
        if let Some(needs) = file.member.elf().and_then(|elf| elf.needs_glibc)
            && needs > has
        {
            needing.entry((place(path), started.severity(path))).or_default().push((needs, file));
        }
    }
    for ((_, severity), files) in &needing {
        // The first of the files that need the newest version.
        let Some((needs, file)) = files.iter().rev().max_by_key(|(needs, _)| *needs) else { continue };
        let path = file.member.path.as_str();
        let (needs, has) = (format!("{}.{}", needs.0, needs.1), format!("{}.{}", has.0, has.1));
        let more = and_more(path, files.len() - 1);
        let message = format!("this file needs glibc {needs}, but the image has {has}{more}");
        findings.add(message).in_layer(case, file.layer).at(path).as_severe(*severity);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Arch;
    use crate::tree::Machine;

    fn needing(path: &str, minor: u32) -> Sample {
        Sample::python().elf(1, path, |elf| elf.needs_glibc = Some((2, minor)))
    }

    #[test]
    fn a_file_that_needs_a_newer_glibc_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(needing("var/task/numpy/core/x.so", 34).says(&RULE), [""; 0]);
        let newer = needing("var/task/numpy/core/x.so", 38);
        let expected = ["var/task/numpy/core/x.so: this file needs glibc 2.38, but the image has 2.34"];
        assert_eq!(newer.says(&RULE), expected);
        assert_eq!(newer.clone().unknown(0).says(&RULE), [""; 0], "the image's glibc is unknown");
        let other = newer.with_elf(1, "var/task/numpy/core/x.so", |elf| {
            elf.machine = Machine::of_arch(Arch::Arm64);
        });
        assert_eq!(other.says(&RULE), [""; 0], "another rule reports it");
    }

    #[test]
    fn files_of_a_package_are_one_finding() {
        let sample = needing("var/task/numpy/a.so", 35)
            .elf(1, "var/task/numpy/b.so", |elf| elf.needs_glibc = Some((2, 38)))
            .elf(1, "var/task/numpy.libs/c.so", |elf| elf.needs_glibc = Some((2, 38)))
            .elf(1, "usr/bin/tool", |elf| elf.needs_glibc = Some((2, 36)));
        let expected = [
            "usr/bin/tool: this file needs glibc 2.36, but the image has 2.34",
            "var/task/numpy.libs/c.so: this file needs glibc 2.38, but the image has 2.34 (and 2 more of the \
             package numpy)",
        ];
        assert_eq!(sample.says(&RULE), expected);
    }

    #[test]
    fn the_libraries_beside_libc_belong_to_glibc() {
        let newer = |path| needing("var/task/x.so", 35).elf(0, path, |elf| elf.is_glibc = Some((2, 35)));
        assert_eq!(newer("usr/lib64/libm.so.6").says(&RULE), [""; 0]);
        assert_eq!(newer("var/task/lib/libm.so.6").says(&RULE).len(), 1, "it is in another directory");
        assert_eq!(needing("usr/lib64/libx.so", 40).says(&RULE).len(), 1, "it does not belong to the glibc");
    }

    #[test]
    fn a_program_may_come_with_its_own_glibc() {
        let libc = "opt/tool/lib/libc.so.6";
        let with = |has| needing("opt/tool/bin/tool", 38).elf(1, libc, |elf| elf.is_glibc = Some((2, has)));
        assert_eq!(with(39).says(&RULE), [""; 0]);
        let expected = ["opt/tool/bin/tool: this file needs glibc 2.38, but the image has 2.34"];
        assert_eq!(with(17).says(&RULE), expected, "the image's newer glibc counts");
    }

    #[test]
    fn files_that_may_never_be_loaded_are_a_warning() {
        for (path, severity) in [
            ("var/task/node_modules/esbuild/bin/esbuild", Severity::Warning),
            ("var/task/numpy/tests/x.so", Severity::Warning),
            ("var/task/node_modules/a/a.node", Severity::Error),
            ("usr/bin/tool", Severity::Error),
        ] {
            let found = needing(path, 38).check(&RULE);
            assert_eq!(
                found.iter().map(|finding| finding.severity).collect::<Vec<_>>(),
                [severity],
                "{path}"
            );
        }
    }

    #[test]
    fn an_image_without_glibc_is_ignored() {
        let sample = Sample::empty(1).elf(0, "app", |elf| elf.needs_glibc = Some((2, 99)));
        assert_eq!(sample.says(&RULE), [""; 0]);
    }
}
