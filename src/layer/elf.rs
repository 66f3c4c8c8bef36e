//! The header of an ELF file, as far as it tells which machine the file is for.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html>

use std::fmt;

use crate::image::Arch;

/// As much of a file as has to be read.
pub(crate) const HEADER: usize = 20;

/// A machine, by the number that the format has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine(u16);

impl Machine {
    /// The machine of a file that begins so; `None` when it is no ELF file.
    pub(crate) fn of(header: &[u8]) -> Option<Machine> {
        let header = header.get(..HEADER).filter(|header| header.starts_with(b"\x7fELF"))?;
        let number = [header[18], header[19]];
        Some(Machine(if header[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) }))
    }

    /// Whether it is the one that `arch` stands for.
    pub(crate) fn is(self, arch: Arch) -> bool {
        self.0
            == match arch {
                Arch::Amd64 => 62,
                Arch::Arm64 => 183,
            }
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

    fn header(order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut header = b"\x7fELF\x02".to_vec();
        header.push(order);
        header.resize(18, 0);
        header.extend(machine);
        header
    }

    #[test]
    fn the_machine_is_read_in_the_files_own_byte_order() {
        let arm = Machine::of(&header(1, [183, 0])).unwrap();
        assert!(arm.is(Arch::Arm64) && !arm.is(Arch::Amd64));
        assert!(Machine::of(&header(1, [62, 0])).unwrap().is(Arch::Amd64));
        let old = Machine::of(&header(2, [0, 22])).unwrap();
        assert_eq!((old.to_string(), arm.to_string()), ("s390x".to_owned(), "arm64".to_owned()));
        assert_eq!(Machine::of(&header(1, [9, 9])).unwrap().to_string(), "machine 2313");
    }

    #[test]
    fn other_files_have_none() {
        for other in [&b""[..], b"\x7fELF", b"#!/bin/sh\nexit 0 # long enough"] {
            assert_eq!(Machine::of(other), None);
        }
    }
}
