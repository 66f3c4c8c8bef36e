//! The seccomp filter for proot and the programs under it.

use libc::sock_filter;

use crate::rootfs::run::bpf::{AARCH64, ARM, I386, NOTIFY, Rules, UNKNOWN, X86_64, program};

/// Calls with paths that came with or after Linux 3.15, of which a version of proot may know none: it would let them
/// through, and the program would see the machine's files. Without them, every program uses an older call. Numbers from
/// 424 on are the same in all ABIs.
const SINCE_424: [u32; 16] = [
    425, // io_uring_setup, which opens files
    428, // open_tree
    429, // move_mount
    433, // fspick
    437, // openat2
    439, // faccessat2
    442, // mount_setattr
    452, // fchmodat2
    463, // setxattrat
    464, // getxattrat
    465, // listxattrat
    466, // removexattrat
    467, // open_tree_attr
    468, // file_getattr
    469, // file_setattr
    435, // clone3, whose flags proot cannot see
];

/// One ABI's numbers of the other calls.
struct Numbers {
    arch: u32,
    exit: u32,
    exit_group: u32,
    kill: u32,
    tgkill: u32,
    execveat: u32,
    renameat2: u32,
    statx: u32,
    name_to_handle_at: u32,
}

const fn numbers(arch: u32, [exit, exit_group, kill, tgkill]: [u32; 4], hidden: [u32; 4]) -> Numbers {
    let [execveat, renameat2, statx, name_to_handle_at] = hidden;
    Numbers { arch, exit, exit_group, kill, tgkill, execveat, renameat2, statx, name_to_handle_at }
}

const ON_X86_64: [Numbers; 2] = [
    numbers(X86_64, [60, 231, 62, 234], [322, 316, 332, 303]),
    numbers(I386, [1, 252, 37, 270], [358, 353, 383, 341]),
];
const ON_AARCH64: [Numbers; 2] = [
    numbers(AARCH64, [93, 94, 129, 131], [281, 276, 291, 264]),
    numbers(ARM, [1, 248, 37, 268], [387, 382, 397, 370]),
];

fn machine() -> [Numbers; 2] {
    if cfg!(target_arch = "aarch64") { ON_AARCH64 } else { ON_X86_64 }
}

/// A call that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A process ends itself.
    ProcessEnds,
    /// A thread ends, and its process with it if it is the last one.
    ThreadEnds,
    /// A process sends a signal. The first process under proot does so before it executes the command.
    Signals,
}

/// The calls that proot does not know do not exist, and the ends of processes are told. No call may be told that proot
/// translates, since it would not get to see it.
pub(super) fn filter() -> Vec<sock_filter> {
    program(&machine().map(|abi| rules(&abi)))
}

fn rules(abi: &Numbers) -> Rules {
    let told = [abi.exit, abi.exit_group, abi.kill, abi.tgkill].map(|number| (number, NOTIFY));
    let hidden = [abi.execveat, abi.renameat2, abi.statx, abi.name_to_handle_at];
    let hidden = hidden.into_iter().chain(SINCE_424).map(|number| (number, UNKNOWN));
    Rules { arch: abi.arch, actions: told.into_iter().chain(hidden).collect() }
}

/// What a call is about that was told.
pub(super) fn told(arch: u32, number: u32) -> Option<Told> {
    let abi = machine().into_iter().find(|abi| abi.arch == arch)?;
    Some(match number {
        _ if number == abi.exit_group => Told::ProcessEnds,
        _ if number == abi.exit => Told::ThreadEnds,
        _ if number == abi.kill || number == abi.tgkill => Told::Signals,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::run::bpf::ALLOW;
    use crate::rootfs::run::bpf::tests::run;

    #[test]
    fn numbers_of_the_c_library_for_this_machine() {
        let (program, arch) = (filter(), machine()[0].arch);
        let hidden = [
            libc::SYS_statx,
            libc::SYS_renameat2,
            libc::SYS_execveat,
            libc::SYS_openat2,
            libc::SYS_faccessat2,
            libc::SYS_name_to_handle_at,
            libc::SYS_io_uring_setup,
            libc::SYS_clone3,
            libc::SYS_fchmodat2,
        ];
        for number in hidden {
            assert_eq!(run(&program, arch, number as u32), UNKNOWN, "{number}");
        }
        let calls = [
            (libc::SYS_exit_group, Told::ProcessEnds),
            (libc::SYS_exit, Told::ThreadEnds),
            (libc::SYS_kill, Told::Signals),
            (libc::SYS_tgkill, Told::Signals),
        ];
        for (number, call) in calls {
            assert_eq!(run(&program, arch, number as u32), NOTIFY, "{number}");
            assert_eq!(told(arch, number as u32), Some(call));
        }
        for number in
            [libc::SYS_openat, libc::SYS_newfstatat, libc::SYS_execve, libc::SYS_clone, libc::SYS_renameat]
        {
            assert_eq!(run(&program, arch, number as u32), ALLOW, "{number}");
        }
    }
}
