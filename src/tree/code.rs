//! The files that may be code, and the machines that code is for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::Arch;

/// Whether a program or the kernel may load the file as code, by its path and permissions. Files for debuggers are not
/// code.
pub fn may_be_code(path: &[u8], mode: u32) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let is_candidate = mode & 0o111 != 0 || !name.contains(&b'.') || is_library(name);
    is_candidate && !name.ends_with(b".debug") && !contains(path, b"lib/debug/")
}

/// Whether a file is a library of machine code, by its path or name: `libx.so.1`, `addon.node`.
pub fn is_library(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.ends_with(b".so") || name.ends_with(b".node") || contains(name, b".so.")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The first bytes of an ELF file.
pub(crate) const ELF_MAGIC: &[u8] = b"\x7fELF";

/// The number of bytes at the start of an ELF file that include the machine.
pub(crate) const ELF_HEADER: usize = 20;

/// A machine, by its number in ELF files.
///
/// <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine(u16);

impl Default for Machine {
    /// The value 0, which means no machine.
    fn default() -> Machine {
        Machine(0)
    }
}

impl Machine {
    /// The machine with this number.
    pub(crate) const fn of_number(number: u16) -> Machine {
        Machine(number)
    }

    /// The machine of a file that begins with these bytes; `None` when it is not an ELF file.
    pub(crate) fn of(header: &[u8]) -> Option<Machine> {
        let header = header.get(..ELF_HEADER).filter(|header| header.starts_with(ELF_MAGIC))?;
        let number = [header[18], header[19]];
        Some(Machine(if header[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) }))
    }

    /// The machine of an architecture.
    pub fn of_arch(arch: Arch) -> Machine {
        Machine(match arch {
            Arch::Amd64 => 62,
            Arch::Arm64 => 183,
        })
    }

    /// Whether the machine is a computer, rather than for example a graphics card.
    pub fn is_computer(self) -> bool {
        [2, 3, 4, 8, 15, 20, 21, 22, 40, 42, 43, 50, 62, 183, 243, 258].contains(&self.0)
    }

    /// Whether a word, for example in the name of a directory, is a name of the machine.
    pub fn is_called(self, word: &str) -> bool {
        let names: &[&str] = match self.0 {
            2 | 43 => &["sparc"],
            3 => &["x86", "ia32", "i386", "i486", "i586", "i686", "386", "32"],
            8 => &["mips"],
            20 | 21 => &["ppc", "powerpc"],
            22 => &["s390"],
            40 => &["arm"],
            50 => &["ia64"],
            62 => &["x86", "x64", "amd64", "64"],
            183 => &["arm64", "aarch", "armv8"],
            243 => &["riscv"],
            258 => &["loong"],
            _ => &[],
        };
        let word = word.to_ascii_lowercase();
        let word = word.strip_prefix("linux").unwrap_or(&word);
        names.iter().any(|name| word.starts_with(name))
    }

    /// Whether it is the machine of this architecture.
    pub fn is(self, arch: Arch) -> bool {
        self == Machine::of_arch(arch)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            3 => "x86",
            20 => "ppc",
            21 => "ppc64",
            22 => "s390x",
            40 => "arm",
            62 => "amd64",
            183 => "arm64",
            243 => "riscv",
            258 => "loongarch",
            number => return write!(f, "machine {number}"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_and_names_show_code() {
        for (path, mode, expected) in [
            ("usr/bin/tool", 0o755, true),
            ("opt/extensions/agent.sh", 0o711, true),
            ("var/task/bootstrap", 0o644, true),
            ("var/task/a/b.node", 0o644, true),
            ("usr/lib64/libx.so.1.2", 0o644, true),
            ("var/task/a.so/b.py", 0o644, false),
            ("var/task/app.py", 0o644, false),
            ("var/task/firmware.elf", 0o644, false),
            ("var/task/libx.so.debug", 0o755, false),
            ("usr/lib/debug/usr/bin/tool", 0o755, false),
        ] {
            assert_eq!(may_be_code(path.as_bytes(), mode), expected, "{path}");
        }
    }
}
