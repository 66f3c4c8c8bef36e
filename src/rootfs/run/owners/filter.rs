//! The seccomp filter that passes the calls about owners on.

use libc::sock_filter;

use super::calls::{Abi, Call, ON_AARCH64, ON_X86_64};
use crate::rootfs::run::bpf::{NOTIFY, Rules, SUCCEED, program};

/// The filter for a command in a user namespace with one id. It must be installed with a listener.
///
/// `root`: the id is 0. The calls that change ids then succeed without an effect. For another user they stay as they
/// are: they fail, as in a container, and only the chown family and the ACLs are recorded.
///
/// The filter covers the machine's own ABI and the 32-bit one that its kernel may also run. The kernel remembers which
/// calls a filter always allows (Linux 5.11), so the length of the list does not cost the other calls anything.
pub(crate) fn filter(root: bool) -> Vec<sock_filter> {
    let abis = if cfg!(target_arch = "aarch64") { ON_AARCH64 } else { ON_X86_64 };
    program(&abis.map(|abi| rules(&abi, root)))
}

fn rules(abi: &Abi, root: bool) -> Rules {
    let action = |call| match call {
        Call::Ids if root => Some(SUCCEED),
        Call::Ids => None,
        _ => Some(NOTIFY),
    };
    let actions = abi.calls.iter().filter_map(|(number, call)| Some((*number, action(*call)?)));
    Rules { arch: abi.arch, actions: actions.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::run::bpf::tests::run;
    use crate::rootfs::run::bpf::{AARCH64, ALLOW, ARM, I386, X32_BIT, X86_64};

    #[test]
    fn every_abi_has_its_own_numbers() {
        let root = |abis: [Abi; 2]| program(&abis.map(|abi| rules(&abi, true)));
        let (x86, arm) = (root(ON_X86_64), root(ON_AARCH64));
        let cases = [
            (&x86, X86_64, 92, NOTIFY),
            (&x86, X86_64, 105, SUCCEED),
            (&x86, X86_64, 126, SUCCEED),
            (&x86, X86_64, 463, NOTIFY),
            (&x86, X86_64, 0, ALLOW),
            (&x86, X86_64, 182, ALLOW),
            (&x86, X86_64, X32_BIT | 260, NOTIFY),
            (&x86, I386, 182, NOTIFY),
            (&x86, I386, 298, NOTIFY),
            (&x86, I386, 210, SUCCEED),
            (&x86, I386, 92, ALLOW),
            (&x86, ARM, 182, ALLOW),
            (&arm, AARCH64, 54, NOTIFY),
            (&arm, AARCH64, 147, SUCCEED),
            (&arm, AARCH64, 92, ALLOW),
            (&arm, ARM, 325, NOTIFY),
            (&arm, ARM, 298, ALLOW),
        ];
        for (program, arch, number, action) in cases {
            assert_eq!(run(program, arch, number), action, "{arch:#x} {number}");
        }
    }

    #[test]
    fn another_user_than_root_gets_the_kernels_answers_for_ids() {
        let program = program(&ON_X86_64.map(|abi| rules(&abi, false)));
        assert_eq!(run(&program, X86_64, 105), ALLOW);
        assert_eq!(run(&program, X86_64, 92), NOTIFY);
        assert_eq!(run(&program, X86_64, 188), NOTIFY);
    }

    #[test]
    fn all_numbers_of_the_c_library_for_this_machine() {
        let (notify, succeed) = (
            [
                libc::SYS_fchown,
                libc::SYS_fchownat,
                libc::SYS_setxattr,
                libc::SYS_lsetxattr,
                libc::SYS_fsetxattr,
            ],
            [
                libc::SYS_setuid,
                libc::SYS_setgid,
                libc::SYS_setreuid,
                libc::SYS_setregid,
                libc::SYS_setresuid,
                libc::SYS_setresgid,
                libc::SYS_setfsuid,
                libc::SYS_setfsgid,
                libc::SYS_setgroups,
                libc::SYS_capset,
            ],
        );
        let (program, arch) = (filter(true), if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 });
        for number in notify {
            assert_eq!(run(&program, arch, number as u32), NOTIFY, "{number}");
        }
        for number in succeed {
            assert_eq!(run(&program, arch, number as u32), SUCCEED, "{number}");
        }
    }
}
