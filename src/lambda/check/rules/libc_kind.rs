//! Programs and libraries are for the image's libc: glibc or musl.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Seen};
use super::super::doubt::expected_glibc;
use super::super::finding::Severity;
use super::super::libc::{Libc, needed, of_image};
use super::super::package::{and_more, begins, common, is_code, is_of_other_wheel, place};
use super::super::rule::{Findings, Rule};
use super::super::start::Started;

pub(super) const RULE: Rule = Rule {
    name: "libc-kind",
    severity: Severity::Error,
    what: "Programs and libraries are for the image's libc, glibc or musl.",
    why: "A program for the other one cannot be started: its loader is missing, reported as `no such file or \
          directory`. A library cannot be loaded: `libc.musl-x86_64.so.1: cannot open shared object file`. Two cases \
          are warnings: musl can load a library for glibc that needs only functions of musl, and the function may \
          never start the programs of a package.",
    example: "A node_modules installed on Alpine, in an image with Amazon Linux.",
    help: "install the packages on the base's distribution, or for it, as lbuild does with --requirements, --lock or \
           --npm",
    source: "https://wiki.musl-libc.org/guidelines-for-distributions",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(arch) = case.arch() else { return };
    let kind = |file: Seen<'_>| {
        let elf = file.member.elf().filter(|elf| elf.machine.is(arch) && is_code(file.member))?;
        // Only the path may show that a file is for Android.
        needed(elf).filter(|_| !file.member.path.contains("android"))
    };
    let code: Vec<(Seen<'_>, Libc)> =
        case.files.iter().filter_map(|file| Some((file, kind(file)?))).collect();
    let is_expected = !case.files.complete && expected_glibc(case).is_some();
    if code.iter().all(|(_, kind)| is_expected && *kind == Libc::Glibc) {
        return;
    }
    let Some(has) = of_image(case) else { return };
    let fitting = code.iter().filter(|(_, kind)| *kind == has);
    let fitting: BTreeSet<&str> = fitting.map(|(file, _)| file.member.path.as_str()).collect();

    // Packages with binaries for both choose at load time; paths of musl binaries contain `musl` or `alpine`.
    let reaches: BTreeSet<&str> = match has {
        Libc::Glibc => BTreeSet::new(),
        Libc::Musl => fitting.iter().copied().filter_map(reach).collect(),
    };
    let has_twin = |path: &str| match has {
        Libc::Glibc => reach(path).is_some_and(|start| begins(&fitting, start)),
        Libc::Musl => path.char_indices().any(|(at, _)| reaches.contains(&path[..at])),
    };

    let started = Started::of(case);
    let mut wrong: BTreeMap<(&str, Severity), Vec<Seen<'_>>> = BTreeMap::new();
    for &(file, _) in code.iter().filter(|(_, kind)| *kind != has) {
        let path = file.member.path.as_str();
        if !has_twin(path) && !is_of_other_wheel(path, &fitting) {
            let severity = if fails(file, has) { started.severity(path) } else { Severity::Warning };
            wrong.entry((place(path), severity)).or_default().push(file);
        }
    }
    for ((_, severity), files) in &wrong {
        let Some(file) = files.first() else { continue };
        let (needs, has) = match has {
            Libc::Glibc => ("musl", "glibc"),
            Libc::Musl => ("glibc", "musl"),
        };
        let more = and_more(&file.member.path, files.len() - 1);
        let message = format!("this file is for {needs}, but the image has {has}{more}");
        findings.add(message).in_layer(case, file.layer).at(&file.member.path).as_severe(*severity);
    }
}

/// Whether a file for the other libc certainly cannot be loaded. musl can stand in for `libc.so.6` in a library that
/// does not name a loader; Python on musl ignores modules that are marked for glibc.
fn fails(file: Seen<'_>, has: Libc) -> bool {
    let Some(elf) = file.member.elf() else { return false };
    let needs_loader = elf.interpreter.is_some() || elf.needed.iter().any(|name| name.starts_with("ld-"));
    has == Libc::Glibc || needs_loader || file.member.name().ends_with("-linux-gnu.so")
}

/// The prefix that the path of a binary for musl, if marked as such, shares with that of its variant for glibc: the
/// package, or the part before the mark, as in `@img/sharp-linuxmusl-x64`.
fn reach(path: &str) -> Option<&str> {
    let plain = path.to_ascii_lowercase();
    let word = ["musl", "alpine"].iter().filter_map(|word| plain.find(word)).min()?;
    Some(common(path, word)).filter(|common| !common.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::{Libc, RULE, needed};
    use crate::scan::Elf;

    fn musl(elf: &mut Elf) {
        elf.needed = vec!["libstdc++.so.6".to_owned(), "libc.musl-x86_64.so.1".to_owned()];
    }

    fn glibc(elf: &mut Elf) {
        elf.needed = vec!["libm.so.6".to_owned(), "libc.so.6".to_owned()];
    }

    fn alpine() -> Sample {
        Sample::empty(2).elf(0, "lib/ld-musl-x86_64.so.1", |_| ()).elf(0, "bin/busybox", musl)
    }

    #[test]
    fn a_file_for_musl_is_found_beside_glibc() {
        let good = Sample::python().elf(1, "var/task/node_modules/a/a.node", glibc);
        assert_eq!(good.says(&RULE), [""; 0]);
        let bad = good.elf(1, "var/task/node_modules/b/b.node", musl).elf(
            1,
            "var/task/node_modules/b/c.node",
            musl,
        );
        let expected = [
            "var/task/node_modules/b/b.node: this file is for musl, but the image has glibc (and 1 more of the \
             package b)",
        ];
        assert_eq!(bad.says(&RULE), expected);
        assert_eq!(bad.clone().unknown(0).says(&RULE), [""; 0]);
        assert_eq!(
            bad.elf(0, "lib/ld-musl-x86_64.so.1", |_| ()).says(&RULE),
            [""; 0],
            "the image has both libcs"
        );
    }

    #[test]
    fn a_file_for_glibc_is_found_beside_musl() {
        assert_eq!(alpine().says(&RULE), [""; 0]);
        let bad = alpine().elf(1, "opt/extensions/agent", |elf| {
            elf.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
        });
        assert_eq!(bad.says(&RULE), ["opt/extensions/agent: this file is for glibc, but the image has musl"]);
        let gcompat = bad.link(1, "lib/ld-linux-x86-64.so.2", "libgcompat.so.0");
        assert_eq!(gcompat.says(&RULE), [""; 0]);
    }

    #[test]
    fn a_package_may_contain_variants_for_both() {
        for (for_musl, for_glibc) in [
            ("@img/sharp-linuxmusl-x64/lib/a.node", "@img/sharp-linux-x64/lib/a.node"),
            (
                "@next/swc-linux-x64-musl/swc.linux-x64-musl.node",
                "@next/swc-linux-x64-gnu/swc.linux-x64-gnu.node",
            ),
            ("bcrypt/prebuilds/linux-x64/bcrypt.musl.node", "bcrypt/prebuilds/linux-x64/bcrypt.glibc.node"),
            (".prisma/client/engine-linux-musl.node", ".prisma/client/engine-rhel-openssl-3.0.x.node"),
            (
                ".pnpm/@img+sharp-linuxmusl-x64@1/node_modules/@img/sharp-linuxmusl-x64/a.node",
                ".pnpm/@img+sharp-linux-x64@1/node_modules/@img/sharp-linux-x64/a.node",
            ),
            ("a/native/Linux-Musl/x86_64/a.so", "a/native/Linux/x86_64/a.so"),
        ] {
            let both = |sample: Sample| {
                let path = |file: &str| format!("var/task/node_modules/{file}");
                sample.elf(1, &path(for_musl), musl).elf(1, &path(for_glibc), glibc)
            };
            assert_eq!(both(Sample::python()).says(&RULE), [""; 0], "{for_musl}");
            assert_eq!(both(alpine()).says(&RULE), [""; 0], "{for_glibc}");
        }
        let other = Sample::python().elf(1, "var/task/node_modules/a/musl/a.node", musl).elf(
            1,
            "var/task/node_modules/b/b.node",
            glibc,
        );
        assert_eq!(other.says(&RULE).len(), 1, "another package");
        let runtimes = |platform: &str| format!("app/runtimes/{platform}-x64/native/liba.so");
        let net = |sample: Sample| {
            sample.elf(1, &runtimes("linux-musl"), musl).elf(1, &runtimes("debian"), glibc).says(&RULE).len()
        };
        assert_eq!((net(Sample::python()), net(alpine())), (0, 0));
    }

    #[test]
    fn wheels_for_both_have_their_libraries_in_one_directory() {
        let both = |sample: Sample| {
            sample
                .elf(1, "var/task/numpy/x.cpython-312-x86_64-linux-musl.so", musl)
                .elf(1, "var/task/numpy/x.cpython-312-x86_64-linux-gnu.so", glibc)
                .elf(1, "var/task/numpy.libs/liba-1.so", musl)
                .elf(1, "var/task/numpy.libs/liba-2.so", glibc)
        };
        assert_eq!(both(Sample::python()).says(&RULE), [""; 0]);
        assert_eq!(both(alpine()).says(&RULE), [""; 0]);
        let one = Sample::python().elf(1, "var/task/numpy.libs/liba-1.so", musl);
        assert_eq!(one.says(&RULE).len(), 1);
    }

    #[test]
    fn files_that_may_work_are_a_warning() {
        let severity =
            |sample: Sample| sample.check(&RULE).iter().map(|finding| finding.severity).collect::<Vec<_>>();
        let on_musl = |path: &str, loader: bool| {
            severity(alpine().elf(1, path, |elf| {
                glibc(elf);
                if loader {
                    elf.needed.push("ld-linux-x86-64.so.2".to_owned());
                }
            }))
        };
        let library = "var/task/node_modules/a/a.node";
        assert_eq!(on_musl(library, false), [Severity::Warning], "musl may load it");
        assert_eq!(on_musl(library, true), [Severity::Error]);
        let module = "var/task/a/x.cpython-312-x86_64-linux-gnu.so";
        assert_eq!(on_musl(module, false), [Severity::Error], "Python ignores it");
        let program = "var/task/node_modules/a/bin/a";
        assert_eq!(severity(Sample::python().elf(1, program, musl)), [Severity::Warning]);
        assert_eq!(severity(Sample::python().elf(1, library, musl)), [Severity::Error]);
    }

    #[test]
    fn android_has_its_own_libc() {
        let bionic = |elf: &mut Elf| elf.needed = vec!["libc.so".to_owned()];
        let at = |platform: &str| {
            let path = format!("var/task/node_modules/a/prebuilds/{platform}/a.node");
            Sample::python().elf(1, &path, bionic).says(&RULE).len()
        };
        assert_eq!((at("android-x64"), at("linux-x64")), (0, 1));
    }

    #[test]
    fn the_libc_follows_from_the_needed_libraries() {
        let of = |names: &[&str]| {
            let needed_names = names.iter().map(|&name| name.to_owned()).collect();
            needed(&Elf { needed: needed_names, ..Elf::default() })
        };
        assert_eq!(of(&["libc.so"]), Some(Libc::Musl));
        assert_eq!(of(&["libm.so", "libdl.so", "libc.so"]), None, "Android's");
        assert_eq!(of(&["libc.so.6"]), Some(Libc::Glibc));
        assert_eq!(of(&[]), None, "static");
    }
}
