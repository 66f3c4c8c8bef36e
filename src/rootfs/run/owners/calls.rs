//! The system calls that concern owners, by architecture and number, and their arguments.

use crate::rootfs::run::bpf::{AARCH64, ARM, I386, X32_BIT, X86_64};

/// What a call does. The names are those of x86_64; 32-bit ABIs have a second set with 16-bit ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Changes ids or capabilities of the process: succeeds without an effect.
    Ids,
    Chown,
    Lchown,
    Fchown,
    ShortChown,
    ShortLchown,
    ShortFchown,
    Fchownat,
    Setxattr,
    Lsetxattr,
    Fsetxattr,
    Setxattrat,
}

use Call::{Chown, Fchown, Fchownat, Fsetxattr, Ids, Lchown, Lsetxattr, Setxattr, Setxattrat};
use Call::{ShortChown, ShortFchown, ShortLchown};

/// One ABI's calls.
pub(super) struct Abi {
    pub(super) arch: u32,
    pub(super) calls: &'static [(u32, Call)],
}

/// The ABIs that an x86_64 kernel runs. arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl.
pub(super) const ON_X86_64: [Abi; 2] = [
    Abi {
        arch: X86_64,
        calls: &[
            (92, Chown),
            (93, Fchown),
            (94, Lchown),
            (260, Fchownat),
            (188, Setxattr),
            (189, Lsetxattr),
            (190, Fsetxattr),
            (463, Setxattrat),
            (105, Ids), // setuid
            (106, Ids), // setgid
            (113, Ids), // setreuid
            (114, Ids), // setregid
            (116, Ids), // setgroups
            (117, Ids), // setresuid
            (119, Ids), // setresgid
            (122, Ids), // setfsuid
            (123, Ids), // setfsgid
            (126, Ids), // capset
        ],
    },
    Abi { arch: I386, calls: &with_fchownat(298) },
];

/// The ABIs that an aarch64 kernel runs. include/uapi/asm-generic/unistd.h and arch/arm/tools/syscall.tbl.
pub(super) const ON_AARCH64: [Abi; 2] = [
    Abi {
        arch: AARCH64,
        calls: &[
            (55, Fchown),
            (54, Fchownat),
            (5, Setxattr),
            (6, Lsetxattr),
            (7, Fsetxattr),
            (463, Setxattrat),
            (143, Ids), // setregid
            (144, Ids), // setgid
            (145, Ids), // setreuid
            (146, Ids), // setuid
            (147, Ids), // setresuid
            (149, Ids), // setresgid
            (151, Ids), // setfsuid
            (152, Ids), // setfsgid
            (159, Ids), // setgroups
            (91, Ids),  // capset
        ],
    },
    Abi { arch: ARM, calls: &with_fchownat(325) },
];

/// The calls of the 32-bit ABIs. i386 and ARM have the same numbers for all but `fchownat`.
const fn with_fchownat(fchownat: u32) -> [(u32, Call); 29] {
    [
        (fchownat, Fchownat),
        (212, Chown),
        (207, Fchown),
        (198, Lchown),
        (182, ShortChown),
        (95, ShortFchown),
        (16, ShortLchown),
        (226, Setxattr),
        (227, Lsetxattr),
        (228, Fsetxattr),
        (463, Setxattrat),
        (23, Ids),  // setuid, 16-bit ids
        (46, Ids),  // setgid
        (70, Ids),  // setreuid
        (71, Ids),  // setregid
        (81, Ids),  // setgroups
        (138, Ids), // setfsuid
        (139, Ids), // setfsgid
        (164, Ids), // setresuid
        (170, Ids), // setresgid
        (213, Ids), // setuid32
        (214, Ids), // setgid32
        (203, Ids), // setreuid32
        (204, Ids), // setregid32
        (206, Ids), // setgroups32
        (215, Ids), // setfsuid32
        (216, Ids), // setfsgid32
        (208, Ids), // setresuid32
        (210, Ids), // setresgid32
    ]
}

/// The file that a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A descriptor that must not be of the kind `O_PATH`.
    Descriptor(i32),
    /// The address of a path, relative to a directory's descriptor or to the working directory (`AT_FDCWD`).
    Path { dir: i32, path: u64, follow: bool, may_be_empty: bool },
}

/// A call with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// `None`: the id is kept.
    Chown { target: Target, uid: Option<u32>, gid: Option<u32> },
    /// Addresses of the attribute's name and value.
    Setxattr { target: Target, name: u64, value: u64, size: u64 },
    /// As `Setxattr`; the value's address and size are in a `struct xattr_args` at this address.
    Setxattrat { target: Target, name: u64, arguments: u64 },
    /// Flags that the kernel does not know.
    Invalid,
}

/// Reads the arguments of a call that the filter passed on. `None`: the call is not one of these.
pub(super) fn request(arch: u32, number: u32, args: &[u64; 6]) -> Option<Request> {
    let abi = ON_X86_64.iter().chain(&ON_AARCH64).find(|abi| abi.arch == arch)?;
    let number = if arch == X86_64 { number & !X32_BIT } else { number };
    let (_, call) = abi.calls.iter().find(|(of, _)| *of == number)?;
    let path = |follow| Target::Path { dir: libc::AT_FDCWD, path: args[0], follow, may_be_empty: false };
    let descriptor = Target::Descriptor(args[0] as i32);
    let chown = |target, id: fn(u64) -> Option<u32>| {
        let (uid, gid) = (id(args[1]), id(args[2]));
        Request::Chown { target, uid, gid }
    };
    let setxattr = |target| Request::Setxattr { target, name: args[1], value: args[2], size: args[3] };
    Some(match call {
        Ids => return None,
        Chown => chown(path(true), id),
        Lchown => chown(path(false), id),
        Fchown => chown(descriptor, id),
        ShortChown => chown(path(true), short_id),
        ShortLchown => chown(path(false), short_id),
        ShortFchown => chown(descriptor, short_id),
        Fchownat => match at(args[0], args[1], args[4]) {
            Some(target) => Request::Chown { target, uid: id(args[2]), gid: id(args[3]) },
            None => Request::Invalid,
        },
        Setxattr => setxattr(path(true)),
        Lsetxattr => setxattr(path(false)),
        Fsetxattr => setxattr(descriptor),
        Setxattrat => match at(args[0], args[1], args[2]) {
            Some(target) => Request::Setxattrat { target, name: args[3], arguments: args[4] },
            None => Request::Invalid,
        },
    })
}

fn at(dir: u64, path: u64, flags: u64) -> Option<Target> {
    let flags = flags as i32;
    let known = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    let has = |flag| flags & flag != 0;
    let (follow, may_be_empty) = (!has(libc::AT_SYMLINK_NOFOLLOW), has(libc::AT_EMPTY_PATH));
    (flags & !known == 0).then_some(Target::Path { dir: dir as i32, path, follow, may_be_empty })
}

fn id(argument: u64) -> Option<u32> {
    Some(argument as u32).filter(|id| *id != u32::MAX)
}

/// An id of the old 32-bit calls, in which -1 has 16 bits.
fn short_id(argument: u64) -> Option<u32> {
    Some(u32::from(argument as u16)).filter(|id| *id != u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_by_abi() {
        let path = |follow| Target::Path { dir: libc::AT_FDCWD, path: 7, follow, may_be_empty: false };
        let args = [7, 0xffff_ffff_ffff_ffff, 12, 0, 0, 0];
        let chown = Request::Chown { target: path(true), uid: None, gid: Some(12) };
        assert_eq!(request(X86_64, 92, &args), Some(chown));
        assert_eq!(request(X86_64, 92 | X32_BIT, &args), Some(chown));
        assert_eq!(request(I386, 212, &args), Some(chown));
        assert_eq!(request(I386, 92, &args), None);
        // 65535 is an id for the newer call, and "keep" for the older one.
        let args = [7, 0xffff, 1, 0, 0, 0];
        let lchown = |uid| Some(Request::Chown { target: path(false), uid, gid: Some(1) });
        assert_eq!(request(I386, 198, &args), lchown(Some(65535)));
        assert_eq!(request(ARM, 16, &args), lchown(None));
        let descriptor = Request::Chown { target: Target::Descriptor(7), uid: Some(65535), gid: Some(1) };
        assert_eq!(request(AARCH64, 55, &args), Some(descriptor));
    }

    #[test]
    fn flags_of_the_at_calls() {
        let args = |flags| [0xffff_ff9c, 7, 1, 2, flags, 0];
        let target =
            |follow, may_be_empty| Target::Path { dir: libc::AT_FDCWD, path: 7, follow, may_be_empty };
        let chown = |target| Some(Request::Chown { target, uid: Some(1), gid: Some(2) });
        assert_eq!(request(X86_64, 260, &args(0)), chown(target(true, false)));
        assert_eq!(request(X86_64, 260, &args(0x100)), chown(target(false, false)));
        assert_eq!(request(AARCH64, 54, &args(0x1000)), chown(target(true, true)));
        assert_eq!(request(X86_64, 260, &args(0x200)), Some(Request::Invalid));
    }
}
