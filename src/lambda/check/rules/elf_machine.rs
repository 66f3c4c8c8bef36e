//! Machine code is for the function's architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::super::case::Case;
use super::super::case::Seen;
use super::super::finding::Severity;
use super::super::package::{
    and_more, begins, common, dir, is_code, is_of_other_wheel, package, package_dir, word_at,
};
use super::super::rule::{Findings, Rule};
use super::super::start::Started;
use crate::image::Arch;
use crate::tree::Machine;

pub(super) const RULE: Rule = Rule {
    name: "elf-machine",
    severity: Severity::Error,
    what: "Programs and libraries are for the function's architecture.",
    why: "Machine code for another architecture cannot be loaded: the import or the start fails with `invalid ELF \
          header` or `exec format error`, whatever the image's config says. Programs of a package are a warning: the \
          function may never start them.",
    example: "Packages installed on an x86-64 laptop, in an image for arm64.",
    help: "install the packages for the function's architecture, as lbuild does with --requirements, --lock or --npm",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(arch) = case.arch() else { return };
    // Some ELF machines are not computers: BPF, graphics cards.
    let machine = |file: Seen<'_>| {
        let machine = file.member.elf().filter(|_| is_code(file.member))?.machine;
        Some(machine).filter(|machine| machine.is_computer())
    };
    let code: Vec<(Seen<'_>, Machine)> =
        case.files.iter().filter_map(|file| Some((file, machine(file)?))).collect();
    let fitting = code.iter().filter(|(_, machine)| machine.is(arch));
    let fitting: BTreeSet<&str> = fitting.map(|(file, _)| file.member.path.as_str()).collect();

    let started = Started::of(case);
    let mut wrong: BTreeMap<(&str, Severity, String), Vec<Seen<'_>>> = BTreeMap::new();
    for &(file, machine) in code.iter().filter(|(_, machine)| !machine.is(arch)) {
        let path = file.member.path.as_str();
        if !has_variant(&fitting, path, machine, arch) {
            let place = package_dir(path).unwrap_or_else(|| dir(path));
            let key = (place, started.severity(path), machine.to_string());
            wrong.entry(key).or_default().push(file);
        }
    }
    for ((_, severity, machine), files) in &wrong {
        let Some(file) = files.first() else { continue };
        let path = file.member.path.as_str();
        let (of, more) = match (package(path), files.len() - 1) {
            (Some(package), 0) => (format!(" of the package {package}"), String::new()),
            (_, others) => (String::new(), and_more(path, others)),
        };
        let message = format!("this file{of} is for {machine}, but the function is for {arch}{more}");
        findings.add(message).in_layer(case, file.layer).at(path).as_severe(*severity);
    }
}

/// Whether the image has a variant of the file for the function's machine: some packages contain binaries for several
/// machines, others exist once per machine, and the matching binary is chosen at load time.
fn has_variant(fitting: &BTreeSet<&str>, path: &str, machine: Machine, arch: Arch) -> bool {
    // Either this path names its machine, or a file beside it that begins with the same word names the function's.
    let of_file = word_at(path, |word| machine.is_called(word)).map(|at| common(path, at));
    of_file.is_some_and(|start| !start.is_empty() && begins(fitting, start))
        || is_of_other_wheel(path, fitting)
        || has_named_neighbour(fitting, path, arch)
}

/// Whether the name of a file beside this one begins with the same word and names the function's machine.
fn has_named_neighbour(fitting: &BTreeSet<&str>, path: &str, arch: Arch) -> bool {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let Some(word) = path[name..].split(['-', '.']).next().filter(|word| !word.is_empty()) else {
        return false;
    };
    let start = &path[..name + word.len()];
    let machine = Machine::of_arch(arch);
    let from = fitting.range::<str, _>((Bound::Included(start), Bound::Unbounded));
    // Only a hostile image has more than a hundred.
    let mut rests = from.take(100).map_while(|other| other.strip_prefix(start));
    rests.any(|rest| !rest.contains('/') && word_at(rest, |word| machine.is_called(word)).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Arch;
    use crate::scan::Elf;
    use crate::tree::Machine;

    fn arm(elf: &mut Elf) {
        elf.machine = Machine::of_arch(Arch::Arm64);
    }

    #[test]
    fn code_for_another_machine_is_found() {
        let sample = Sample::python().elf(1, "var/task/numpy/core/x.so", arm);
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            sample.says(&RULE),
            [
                "var/task/numpy/core/x.so: this file of the package numpy is for arm64, but the function is for amd64"
            ]
        );
        let more = sample.elf(1, "var/task/numpy/core/y.so", arm).elf(1, "var/task/lib/z.so", arm);
        assert_eq!(
            more.says(&RULE),
            [
                "var/task/lib/z.so: this file is for arm64, but the function is for amd64",
                "var/task/numpy/core/x.so: this file is for arm64, but the function is for amd64 (and 1 more of the \
                 package numpy)"
            ]
        );
    }

    /// The number of findings about a file for arm64, in an image for amd64 that also has another file.
    fn beside(path: &str, other: &str) -> usize {
        Sample::python().elf(1, other, |_| ()).elf(1, path, arm).says(&RULE).len()
    }

    #[test]
    fn a_package_may_contain_binaries_for_several_machines() {
        let several = |path: &str| beside(path, "var/task/node_modules/a/prebuilds/linux-x64/a.node");
        assert_eq!(several("var/task/node_modules/a/prebuilds/linux-arm64/a.node"), 0);
        assert_eq!(several("var/task/node_modules/a/lib/b.node"), 1, "the path does not name the machine");
        assert_eq!(
            several("var/task/node_modules/a/prebuilds/linux-x64/b.node"),
            1,
            "the path names another machine"
        );
        assert_eq!(several("var/task/node_modules/b/prebuilds/linux-arm64/a.node"), 1, "another package");
    }

    #[test]
    fn each_machine_may_have_its_own_package() {
        for (path, other) in [
            ("node_modules/@esbuild/linux-arm64/bin/esbuild", "node_modules/@esbuild/linux-x64/bin/esbuild"),
            ("node_modules/@img/sharp-linux-arm64/a.node", "node_modules/@img/sharp-linux-x64/a.node"),
            (
                "node_modules/.pnpm/@img+sharp-linux-arm64@1/node_modules/@img/sharp-linux-arm64/a.node",
                "node_modules/.pnpm/@img+sharp-linux-x64@1/node_modules/@img/sharp-linux-x64/a.node",
            ),
            ("runtimes/linux-arm64/native/liba.so", "runtimes/rhel-x64/native/liba.so"),
            (
                "node_modules/.prisma/client/e-linux-arm64.so.node",
                "node_modules/.prisma/client/e-rhel.so.node",
            ),
            ("com/sun/jna/linux-aarch64/a.so", "com/sun/jna/linux-x86-64/a.so"),
            ("_cffi.cpython-312-aarch64-linux-gnu.so", "_cffi.cpython-312-x86_64-linux-gnu.so"),
            ("numpy.libs/liba-1.so", "numpy.libs/liba-2.so"),
            ("numpy.libs/liba-1.so", "numpy/x.so"),
        ] {
            for root in ["var/task", "app"] {
                if root == "app" && path.starts_with("numpy") {
                    continue;
                }
                let at = |path: &str| format!("{root}/{path}");
                assert_eq!(beside(&at(path), &at(other)), 0, "{root}: {path}");
            }
        }
        assert_eq!(
            beside("var/task/node_modules/@a/b-linux-arm64/a.node", "var/task/node_modules/@a/c/a.node"),
            1
        );
        assert_eq!(beside("var/task/numpy.libs/liba-1.so", "var/task/scipy/x.so"), 1);
    }

    #[test]
    fn only_the_file_for_the_function_may_name_its_machine() {
        let client = "var/task/node_modules/.prisma/client";
        let says =
            |other: &str| {
                let mut sample = Sample::python()
                    .elf(1, &format!("{client}/engine-rhel.so.node"), |_| ())
                    .elf(1, &format!("{client}/{other}"), arm);
                sample.asked.arch = Some(Arch::Arm64);
                sample.says(&RULE).iter().filter(|text| text.starts_with(client)).count()
            };
        assert_eq!(says("engine-linux-arm64.so.node"), 0);
        assert_eq!(says("engine-debian.so.node"), 1, "the path does not name the machine");
        assert_eq!(says("other-linux-arm64.so.node"), 1);
    }

    #[test]
    fn files_that_may_never_be_loaded_are_a_warning() {
        let severity = |path: &str| {
            let sample = Sample::python().elf(1, path, arm);
            sample.check(&RULE).iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!(severity("var/task/selenium/linux/manager"), [Severity::Warning]);
        assert_eq!(severity("var/task/a/tests/a.so"), [Severity::Warning]);
        assert_eq!(severity("var/task/bin/ffmpeg"), [Severity::Error]);
        assert_eq!(severity("var/task/a/a.so"), [Severity::Error]);
        let started = Sample::python().elf(1, "var/task/a/run", arm);
        let started = started.process("Entrypoint", serde_json::json!(["/var/task/a/run"]));
        assert_eq!(started.check(&RULE)[0].severity, Severity::Error);
    }

    #[test]
    fn code_for_other_devices_and_data_are_ignored() {
        for machine in ["190", "224", "247"] {
            let gpu = |elf: &mut Elf| elf.machine = serde_json::from_str(machine).unwrap();
            assert_eq!(
                Sample::python().elf(1, "var/task/a/kernel.so", gpu).says(&RULE),
                [""; 0],
                "{machine}"
            );
        }
        let data = |mode| {
            let path = "var/task/a/firmware.elf";
            Sample::python()
                .elf(1, path, arm)
                .with(1, path, |member| member.entry.mode = mode)
                .says(&RULE)
                .len()
        };
        assert_eq!((data(0o644), data(0o755)), (0, 1));
        assert_eq!(Sample::python().elf(1, "var/task/a/libx.so.debug", arm).says(&RULE), [""; 0]);
    }
}
