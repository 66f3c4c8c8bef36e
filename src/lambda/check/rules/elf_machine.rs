//! Machine code is for the function's machine.

use super::super::case::Case;
use super::super::package::{package, package_dir};
use super::super::{Findings, Rule, Severity};
use crate::layer::Machine;

pub(super) const RULE: Rule = Rule {
    name: "elf-machine",
    severity: Severity::Error,
    what: "Programs and libraries are for the function's architecture.",
    why: "What is for another machine cannot be loaded: the import or the start fails with `invalid ELF header` or \
          `exec format error`, whatever the image's config says.",
    example: "Packages that were installed on an x86-64 laptop, in an image for arm64.",
    way_out: "install the packages for the function's architecture: with lbuild, by --requirements, --lock or --npm",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(arch) = case.arch() else { return };
    for file in case.files.iter() {
        let Some(elf) = file.member.elf() else { continue };
        // Code for no machine that a computer has is for another kind of one: BPF, a graphics card.
        if elf.machine.is(arch) || !elf.machine.is_computer() || brings_its_own(case, &file.member.path, arch)
        {
            continue;
        }
        let of = package(&file.member.path)
            .map(|package| format!(" of the package {package}"))
            .unwrap_or_default();
        let message = format!("this file{of} is for {}, and the function for {arch}", elf.machine);
        findings.add(message).in_layer(case, file.layer).at(&file.member.path);
    }
}

/// Whether the directory beside it has the same for the function's machine: some packages bring binaries for several,
/// and choose when they are loaded.
fn brings_its_own(case: &Case<'_>, path: &str, arch: crate::image::Arch) -> bool {
    let Some(dir) = package_dir(path) else { return false };
    let inside = &path[dir.len()..];
    // The file itself must say for which machine it is.
    inside.split(['/', '-', '_', '.', '+']).any(Machine::is_named)
        && case.files.below(dir).any(|other| other.member.elf().is_some_and(|elf| elf.machine.is(arch)))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Arch;
    use crate::layer::Machine;

    #[test]
    fn code_for_another_machine_is_found() {
        let sample = Sample::python()
            .elf(1, "var/task/numpy/core/x.so", |elf| elf.machine = Machine::of_arch(Arch::Arm64));
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            sample.says(&RULE),
            [
                "var/task/numpy/core/x.so: this file of the package numpy is for arm64, and the function for amd64"
            ]
        );
    }

    #[test]
    fn a_package_may_bring_binaries_for_several() {
        let arm = |elf: &mut crate::layer::Elf| elf.machine = Machine::of_arch(Arch::Arm64);
        let several = |path: &str| {
            let other = "var/task/node_modules/a/prebuilds/linux-x64/a.node";
            Sample::python().elf(1, other, |_| ()).elf(1, path, arm).says(&RULE).len()
        };
        assert_eq!(several("var/task/node_modules/a/prebuilds/linux-arm64/a.node"), 0);
        assert_eq!(several("var/task/node_modules/a/lib/b.node"), 1, "nothing says which is which");
        assert_eq!(several("var/task/node_modules/b/prebuilds/linux-arm64/a.node"), 1, "another package");
    }
}
