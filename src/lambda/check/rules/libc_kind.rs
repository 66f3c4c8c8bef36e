//! Programs and libraries are for the libc that the image has: glibc or musl.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::super::case::Case;
use super::super::files::Seen;
use super::super::package::{and_more, package, place};
use super::super::{Findings, Rule, Severity};
use super::glibc_version::is_libc;
use crate::layer::Elf;

pub(super) const RULE: Rule = Rule {
    name: "libc-kind",
    severity: Severity::Error,
    what: "Programs and libraries are for the libc that the image has, glibc or musl.",
    why: "A program for the other one cannot be started: its loader is not there, which is told as `no such file or \
          directory`. A library cannot be loaded: `libc.musl-x86_64.so.1: cannot open shared object file`.",
    example: "A node_modules that was installed on Alpine, in an image on Amazon Linux.",
    way_out: "install the packages on a system like the base, or for it: with lbuild, by --requirements, --lock or --npm",
    source: "https://wiki.musl-libc.org/guidelines-for-distributions",
    check,
};

/// The C library of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Libc {
    Glibc,
    Musl,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (Some(arch), Some(has)) = (case.arch(), of_image(case)) else { return };
    let kind = |file: Seen<'_>| file.member.elf().filter(|elf| elf.machine.is(arch)).and_then(needed);
    let code: Vec<(Seen<'_>, Libc)> =
        case.files.iter().filter_map(|file| Some((file, kind(file)?))).collect();
    let of = |libc: Libc| {
        code.iter().filter(move |(_, kind)| *kind == libc).map(|(file, _)| file.member.path.as_str())
    };

    // Packages that bring binaries for both choose when they are loaded; those for musl say what they are.
    let glibc: BTreeSet<&str> = of(Libc::Glibc).collect();
    let reaches: BTreeSet<&str> = of(Libc::Musl).filter_map(reach).collect();
    let has_twin = |path: &str| match has {
        Libc::Glibc => reach(path).is_some_and(|start| {
            let mut from = glibc.range::<str, _>((Bound::Included(start), Bound::Unbounded));
            from.next().is_some_and(|other| other.starts_with(start))
        }),
        Libc::Musl => path.char_indices().any(|(at, _)| reaches.contains(&path[..at])),
    };

    let mut wrong: BTreeMap<&str, Vec<Seen<'_>>> = BTreeMap::new();
    for &(file, kind) in &code {
        if kind != has && !has_twin(&file.member.path) {
            wrong.entry(place(&file.member.path)).or_default().push(file);
        }
    }
    for files in wrong.values() {
        let Some(file) = files.first() else { continue };
        let (needs, has) = match has {
            Libc::Glibc => ("musl", "glibc"),
            Libc::Musl => ("glibc", "musl"),
        };
        let more = and_more(&file.member.path, files.len() - 1);
        let message = format!("this file is for {needs}, and the image has {has}{more}");
        findings.add(message).in_layer(case, file.layer).at(&file.member.path);
    }
}

/// The one libc that the image has; `None` when it has none or both, or when it cannot be told.
pub(super) fn of_image(case: &Case<'_>) -> Option<Libc> {
    let files = || case.files.iter().map(|file| file.member);
    let has_musl = files().any(|member| member.name().starts_with("ld-musl-"));
    // What makes programs for glibc run on musl has these names too.
    let is_glibc = |name: &str| name == "libc.so.6" || name.starts_with("ld-linux");
    if !case.files.complete {
        None
    } else if has_musl {
        let has_glibc = files().any(|member| is_glibc(member.name()));
        (!has_glibc).then_some(Libc::Musl)
    } else {
        files().any(is_libc).then_some(Libc::Glibc)
    }
}

/// The libc that machine code asks for.
pub(super) fn needed(elf: &Elf) -> Option<Libc> {
    let loader = elf.interpreter.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let needs = |name: &str| elf.needed.iter().any(|needed| needed == name);
    if loader.starts_with("ld-musl-") || elf.needed.iter().any(|name| name.starts_with("libc.musl-")) {
        return Some(Libc::Musl);
    }
    if loader.starts_with("ld-linux") || needs("libc.so.6") {
        return Some(Libc::Glibc);
    }
    // Android's libc is called as musl's; what stands beside it is not.
    let is_android =
        ["libdl.so", "libm.so", "liblog.so"].into_iter().any(needs) || loader.starts_with("linker");
    (needs("libc.so") && !is_android).then_some(Libc::Musl)
}

/// What the paths of a binary for musl and of its twin for glibc have in common at least, when the former says that
/// it is for musl: their package, or what stands before that word, as in `@img/sharp-linuxmusl-x64`.
fn reach(path: &str) -> Option<&str> {
    let package =
        package(path).and_then(|package| Some((path.rfind(&format!("/{package}/"))? + 1, package.len())));
    let (start, end) = package.map_or((0, path.len()), |(at, len)| (at, at + len + 1));
    let word = ["musl", "alpine"].iter().filter_map(|word| path[start..].find(word)).min()?;
    Some(&path[..end.min(start + word)]).filter(|common| !common.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::{Libc, RULE, needed};
    use crate::layer::Elf;

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
            "var/task/node_modules/b/b.node: this file is for musl, and the image has glibc (and 1 more of the package b)",
        ];
        assert_eq!(bad.says(&RULE), expected);
        assert_eq!(bad.clone().unknown(0).says(&RULE), [""; 0]);
        assert_eq!(bad.elf(0, "lib/ld-musl-x86_64.so.1", |_| ()).says(&RULE), [""; 0], "the image has both");
    }

    #[test]
    fn a_file_for_glibc_is_found_beside_musl() {
        assert_eq!(alpine().says(&RULE), [""; 0]);
        let bad = alpine().elf(1, "opt/extensions/agent", |elf| {
            elf.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
        });
        assert_eq!(bad.says(&RULE), ["opt/extensions/agent: this file is for glibc, and the image has musl"]);
        let gcompat = bad.link(1, "lib/ld-linux-x86-64.so.2", "libgcompat.so.0");
        assert_eq!(gcompat.says(&RULE), [""; 0]);
    }

    #[test]
    fn a_package_may_bring_both() {
        for (for_musl, for_glibc) in [
            ("@img/sharp-linuxmusl-x64/lib/a.node", "@img/sharp-linux-x64/lib/a.node"),
            (
                "@next/swc-linux-x64-musl/swc.linux-x64-musl.node",
                "@next/swc-linux-x64-gnu/swc.linux-x64-gnu.node",
            ),
            ("bcrypt/prebuilds/linux-x64/bcrypt.musl.node", "bcrypt/prebuilds/linux-x64/bcrypt.glibc.node"),
            (".prisma/client/engine-linux-musl.node", ".prisma/client/engine-rhel-openssl-3.0.x.node"),
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
    }

    #[test]
    fn machine_code_tells_its_libc() {
        let of = |names: &[&str]| {
            let needed_names = names.iter().map(|&name| name.to_owned()).collect();
            needed(&Elf { needed: needed_names, ..Elf::default() })
        };
        assert_eq!(of(&["libc.so"]), Some(Libc::Musl));
        assert_eq!(of(&["libm.so", "libdl.so", "libc.so"]), None, "Android's");
        assert_eq!(of(&["libc.so.6"]), Some(Libc::Glibc));
        assert_eq!(of(&[]), None, "it is static");
    }
}
