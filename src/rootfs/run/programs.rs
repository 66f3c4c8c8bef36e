//! How the programs of an image are executed: by the machine, or by an emulator.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::obstacle::Obstacle;
use crate::image::Arch;

/// How programs for the image's architecture are executed.
#[derive(Clone, Debug, Default)]
pub(crate) enum Programs {
    /// By the machine itself: it is its own architecture, or it has a rule for it.
    #[default]
    Direct,
    Emulated(Emulator),
    /// As far as could be found, not at all. An image may nevertheless have others.
    Refused(Obstacle),
}

/// A program that executes those of another architecture. It needs no other file.
#[derive(Clone, Debug)]
pub(crate) struct Emulator {
    pub(super) arch: Arch,
    pub(crate) program: PathBuf,
}

/// An architecture's name in the kernel and in emulators, and the parts of its ELF files that differ.
pub(super) struct Machine {
    pub(super) name: &'static str,
    /// `e_machine`: System V ABI, its supplements.
    pub(super) number: u8,
    /// Instructions that end the process with the number of its arguments after the first as the exit code.
    pub(super) exit: &'static [u8],
}

pub(super) fn machine(arch: Arch) -> Machine {
    match arch {
        // mov rdi, [rsp]; dec edi; mov eax, 60; syscall
        Arch::Amd64 => Machine {
            name: "x86_64",
            number: 62,
            exit: &[0x48, 0x8b, 0x3c, 0x24, 0xff, 0xcf, 0xb8, 60, 0, 0, 0, 0x0f, 0x05],
        },
        // ldr x0, [sp]; sub x0, x0, #1; mov x8, #93; svc #0
        Arch::Arm64 => Machine {
            name: "aarch64",
            number: 183,
            exit: &[
                0xe0, 0x03, 0x40, 0xf9, 0x00, 0x04, 0x00, 0xd1, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00,
                0xd4,
            ],
        },
    }
}

impl Programs {
    /// The emulator, if one is needed.
    pub(crate) fn emulator(&self) -> Option<&Emulator> {
        match self {
            Programs::Emulated(emulator) => Some(emulator),
            Programs::Direct | Programs::Refused(_) => None,
        }
    }
}

impl Emulator {
    /// The rule for programs of the architecture, with the path at which the emulator is, as
    /// <https://docs.kernel.org/admin-guide/binfmt-misc.html> has it: `F` opens the emulator now, `P` hands on the name
    /// under which a program is called, `O` and `C` execute files that cannot be read, with the credentials of the file. An emulator that does not know `P` gives a
    /// program one argument too many, which the attempt notices.
    pub(super) fn rule(&self, path: &[u8]) -> Vec<u8> {
        // The first bytes of an ELF file for 64 bits, little endian, of the types EXEC and DYN, which differ in one bit.
        let magic = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, machine(self.arch).number, 0]].concat();
        let mask = [&[0xff; 7][..], &[0], &[0xff; 8], &[0xfe, 0xff, 0xff, 0xff]].concat();
        let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let start = format!(":lbuild:M::{}:{}:", text(&magic), text(&mask));
        [start.as_bytes(), path, b":POCF"].concat()
    }
}

/// A name for messages.
impl fmt::Display for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        String::from_utf8_lossy(name.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_one_architecture_and_names_the_emulator_as_the_child_sees_it() {
        let rule = Emulator { arch: Arch::Arm64, program: "/usr/bin/env".into() }.rule(b"/old/usr/bin/env");
        let rule = String::from_utf8(rule).unwrap();
        let start = r":lbuild:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff";
        assert!(rule.starts_with(start) && rule.ends_with(":/old/usr/bin/env:POCF"), "{rule}");
    }
}
