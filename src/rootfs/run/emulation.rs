//! Finds out how programs of another architecture are executed here, by doing it.
//!
//! The kernel executes programs for another architecture by rules that root of the machine has made (binfmt_misc). Since
//! Linux 6.7, a user namespace can have rules of its own: the one for the image's architecture names `qemu-<arch>-static`.
//! The kernel opens that program while the caller's files are still there, so the image need not have it. proot could start
//! the emulator itself, but then puts the machine's root directory into the image's.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use super::command::{Exit, Failure, Files, Process};
use super::ids;
use super::mode::{Mode, Way};
use super::obstacle::Obstacle;
use super::probe::{self, Directories};
use super::programs::{Emulator, Machine, Programs, machine};
use super::ways::run;
use crate::image::Arch;

/// The steps that fail without a namespace and without an emulator.
pub(crate) const NO_NAMESPACE: &str = "add a rule for its architecture without namespaces";
pub(crate) const NO_EMULATOR: &str = "find a static qemu for its architecture";

/// The way for images of an architecture. Tries a program of it, with files in `dir`.
pub(crate) fn with_programs(way: &Way, arch: Arch, dir: &Path) -> Way {
    let with = |programs| Way { programs, ..way.clone() };
    if machine(arch).name == std::env::consts::ARCH || try_program(way, arch, dir).is_ok() {
        return with(Programs::Direct);
    }
    let refused = |step, errno| with(Programs::Refused(Obstacle { step, errno }));
    if matches!(way.mode, Mode::Chroot | Mode::Proot) {
        return refused(NO_NAMESPACE, Errno::PERM);
    }
    let Some(emulator) = find(arch) else {
        return refused(NO_EMULATOR, Errno::NOENT);
    };
    let emulated = match way.userns {
        true => Ok(way.clone()),
        // The rules of the machine are not those of a namespace.
        false => probe::in_user_namespace(way, dir),
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
    let directories = Directories::new(dir).map_err(failed)?;
    let (lower, upper, work) =
        (directories.path("lower"), directories.path("upper"), directories.path("work"));
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create_new(true).mode(0o755).open(lower.join("program"));
    file.and_then(|mut file| io::Write::write_all(&mut file, &program(arch))).map_err(failed)?;
    let process = Process::new(vec![c"/program".to_owned()]);
    let lowers = [lower];
    let files = match way.mode {
        // The cache may be where nothing is executed.
        Mode::Namespaces => Files::Overlay { lowers: &lowers, upper: &upper, work: &work },
        Mode::Copy | Mode::Chroot | Mode::Proot => Files::Tree(&lowers[0]),
    };
    let attempt = || run(way, &files, &process, &mut |_| {}, &AtomicBool::new(false));
    let mut ended = attempt();
    for _ in 0..BUSY {
        if !matches!(ended, Err(Failure::Exec { errno: Errno::TXTBSY, .. })) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
        ended = attempt();
    }
    directories.remove();
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

/// Finds the emulator for an architecture. One that needs libraries cannot start in the root of an image.
fn find(arch: Arch) -> Option<Emulator> {
    let name = machine(arch).name;
    let names = [format!("qemu-{name}-static"), format!("qemu-{name}")];
    let program = names.iter().filter_map(|name| ids::find(name)).find(|path| is_static(path))?;
    Some(Emulator { arch, program })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_smallest_program_of_each_architecture_ends_without_an_error() {
        for arch in [Arch::Amd64, Arch::Arm64] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("program");
            fs::write(&path, program(arch)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let mut command = match find(arch) {
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
    fn a_program_that_needs_libraries_is_not_an_emulator() {
        let found = |name| ids::find(name).unwrap_or_else(|| panic!("no {name}"));
        assert!(is_static(&found("busybox")));
        assert!(
            !is_static(&found("bash"))
                && !is_static(Path::new("/etc/passwd"))
                && !is_static(Path::new("/none"))
        );
    }
}
