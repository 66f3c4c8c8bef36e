//! How the programs of an image are executed: by the machine, or by an emulator.
//!
//! The kernel executes programs for another architecture by rules that root of the machine has made (binfmt_misc). Since
//! Linux 6.7, a user namespace can have rules of its own: the one for the image's architecture names `qemu-<arch>-static`.
//! The kernel opens that program while the caller's files are still there, so the image need not have it. The rules of a
//! namespace vanish with the last mount of their file system, which is therefore kept in the command's root.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::MountFlags;

use super::command::{Exit, Failure, Files, Process};
use super::ids;
use super::mode::{Mode, Way};
use super::mounts::{Steps, old};
use super::obstacle::Obstacle;
use super::probe;
use super::steps::Call;
use super::ways::run;
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
    arch: Arch,
    pub(crate) program: PathBuf,
}

/// Where the rules of the namespace are kept.
const RULES: &str = "/dev/.lbuild/binfmt";

/// What the kernel and emulators call an architecture, and what differs in its ELF files.
struct Machine {
    name: &'static str,
    /// `e_machine`: System V ABI, its supplements.
    number: u8,
    /// Instructions that end the process with the code 0.
    exit: &'static [u8],
}

fn machine(arch: Arch) -> Machine {
    match arch {
        // mov eax, 60; xor edi, edi; syscall
        Arch::Amd64 => {
            Machine { name: "x86_64", number: 62, exit: &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05] }
        }
        // mov x0, #0; mov x8, #93; svc #0
        Arch::Arm64 => Machine {
            name: "aarch64",
            number: 183,
            exit: &[0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4],
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
    /// Finds the emulator for an architecture. One that needs libraries cannot start in the root of an image.
    fn find(arch: Arch) -> Option<Emulator> {
        let name = machine(arch).name;
        let names = [format!("qemu-{name}-static"), format!("qemu-{name}")];
        let program = names.iter().filter_map(|name| ids::find(name)).find(|path| is_static(path))?;
        Some(Emulator { arch, program })
    }

    /// The rule for programs of the architecture, as
    /// <https://docs.kernel.org/admin-guide/binfmt-misc.html> has it: `F` opens the emulator now, `P` hands on the name
    /// under which a program is called, `O` and `C` execute files that cannot be read, and with the user that they give.
    fn rule(&self) -> io::Result<Vec<u8>> {
        // The first bytes of an ELF file for 64 bits, little endian, of the types EXEC and DYN, which differ in one bit.
        let magic = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, machine(self.arch).number, 0]].concat();
        let mask = [&[0xff; 7][..], &[0], &[0xff; 8], &[0xfe, 0xff, 0xff, 0xff]].concat();
        let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let start = format!(":lbuild:M::{}:{}:", text(&magic), text(&mask));
        Ok([start.as_bytes(), &old(&self.program)?, b":POCF"].concat())
    }
}

/// Whether a program needs no other file to start.
fn is_static(program: &Path) -> bool {
    let read = || -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(program)?.take(4096).read_to_end(&mut start)?;
        Ok(start)
    };
    let Ok(file) = read() else { return false };
    let short = |at: usize| {
        file.get(at..at + 2).map_or(0, |bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    // A program header of the type INTERP (3). The table directly follows the ELF header.
    let has_interpreter = (0..short(56)).any(|number| short(64 + number * short(54)) == 3);
    file.starts_with(b"\x7fELF\x02\x01") && !has_interpreter
}

/// Mounts the rules of the namespace and adds the emulator's.
pub(super) fn rules(steps: &mut Steps, emulator: &Emulator) -> io::Result<()> {
    let place = format!("/mnt{RULES}");
    steps.directory(&place)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    steps.mount(MOUNT_RULES, c"binfmt_misc", &place, flags, "")?;
    let path = CString::new(format!("{place}/register"))?;
    let about = emulator.program.to_string_lossy();
    steps.add("register an emulator", &about, Call::Tell { path, content: emulator.rule()? });
    Ok(())
}

const MOUNT_RULES: &str = "mount the rules for programs of other architectures";

/// The way for images of an architecture. Tries a program of it, with files in `dir`.
pub(crate) fn with_programs(way: &Way, arch: Arch, dir: &Path) -> Way {
    let with = |programs| Way { programs, ..way.clone() };
    if machine(arch).name == std::env::consts::ARCH || try_program(way, arch, dir).is_ok() {
        return with(Programs::Direct);
    }
    let refused = |step, errno| with(Programs::Refused(Obstacle { step, errno }));
    let Some(emulator) = Emulator::find(arch) else {
        return refused("find a static qemu for its architecture", Errno::NOENT);
    };
    let emulated = match way.mode {
        Mode::Chroot => return refused("add a rule for its architecture without namespaces", Errno::PERM),
        // The rules of the machine are not those of a namespace.
        Mode::Namespaces | Mode::Copy if !way.userns => probe::in_user_namespace(way, dir),
        Mode::Namespaces | Mode::Copy | Mode::Proot => Ok(way.clone()),
    };
    let tried = emulated.and_then(|emulated| {
        let emulated = Way { programs: Programs::Emulated(emulator), ..emulated };
        try_program(&emulated, arch, dir).map(|()| emulated)
    });
    tried.unwrap_or_else(|Obstacle { step, errno }| refused(step, errno))
}

/// How often a program is tried again that cannot be executed because it is open for writing: a process that another
/// thread has just started may have the descriptor for a moment.
const BUSY: usize = 20;

/// Runs a program that does nothing.
fn try_program(way: &Way, arch: Arch, dir: &Path) -> Result<(), Obstacle> {
    let step = "execute programs for its architecture";
    let failed =
        |error: io::Error| Obstacle { step, errno: Errno::from_io_error(&error).unwrap_or(Errno::IO) };
    let dir = tempfile::Builder::new()
        .prefix("probe-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in(dir);
    let dir = dir.map_err(failed)?;
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o755).open(dir.path().join("program"));
    file.and_then(|mut file| io::Write::write_all(&mut file, &program(arch))).map_err(failed)?;
    let process = Process::new(vec![c"/program".to_owned()]);
    let attempt = || run(way, &Files::Tree(dir.path()), &process, &mut |_| {}, &AtomicBool::new(false));
    let mut ended = attempt();
    for _ in 0..BUSY {
        if !matches!(ended, Err(Failure::Exec { errno: Errno::TXTBSY, .. })) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        ended = attempt();
    }
    match ended {
        Ok(Exit::Code(0)) => Ok(()),
        Ok(_) | Err(Failure::Killed | Failure::Stopped) => Err(Obstacle { step, errno: Errno::NOEXEC }),
        Err(Failure::Exec { errno, .. }) => Err(Obstacle { step, errno }),
        Err(Failure::Step { step, errno, .. }) => Err(Obstacle { step, errno }),
        Err(Failure::Io { source, .. }) => Err(failed(source)),
    }
}

/// The smallest program: an ELF header, one segment, and the instructions for an exit.
fn program(arch: Arch) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    const ADDRESS: u64 = 0x40_0000;
    let Machine { number, exit, .. } = machine(arch);
    let mut file = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, number, 0, 1, 0, 0, 0]].concat();
    // The entry point, the places of both tables, and no flags.
    for word in [ADDRESS + HEADERS, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0; 4]);
    // The sizes of the header and of an entry of each table, with their counts.
    for short in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(short.to_le_bytes());
    }
    // LOAD, to be read and executed.
    for word in [1_u32, 5] {
        file.extend(word.to_le_bytes());
    }
    let size = HEADERS + exit.len() as u64;
    for word in [0, ADDRESS, ADDRESS, size, size, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(exit);
    file
}

/// A name for messages.
impl std::fmt::Display for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        String::from_utf8_lossy(name.as_bytes()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_smallest_program_of_each_architecture_ends_without_an_error() {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("program");
            fs::write(&path, program(arch)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let mut command = match Emulator::find(arch) {
                _ if machine(arch).name == std::env::consts::ARCH => Command::new(&path),
                emulator => {
                    let mut command =
                        Command::new(emulator.expect("qemu is a prerequisite of the tests").program);
                    command.arg(&path);
                    command
                }
            };
            assert!(command.status().unwrap().success(), "{arch}");
        }
    }

    #[test]
    fn a_program_that_needs_libraries_is_no_emulator() {
        let found = |name| ids::find(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(is_static(&found("busybox")));
        assert!(
            !is_static(&found("bash"))
                && !is_static(Path::new("/etc/passwd"))
                && !is_static(Path::new("/none"))
        );
    }

    #[test]
    fn a_rule_is_for_one_architecture_and_names_the_emulator_as_the_child_sees_it() {
        let rule = Emulator { arch: Arch::Arm64, program: "/usr/bin/env".into() }.rule().unwrap();
        let rule = String::from_utf8(rule).unwrap();
        let start = r":lbuild:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff";
        assert!(rule.starts_with(start) && rule.ends_with(":/old/usr/bin/env:POCF"), "{rule}");
    }
}
