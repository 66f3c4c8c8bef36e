//! Seccomp rules that refuse what the default ones of Docker and containerd refuse, for a process without CAP_SYS_ADMIN:
//! see `profiles/seccomp/default.json` of moby. Those list what is allowed; these list what is not.

use serde_json::{Value, json};

/// Refused with EPERM.
const REFUSED: [&str; 60] = [
    // namespaces and mounts
    "unshare",
    "setns",
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "sethostname",
    "setdomainname",
    // keys
    "add_key",
    "keyctl",
    "request_key",
    // the kernel, its clock and its devices
    "acct",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "create_module",
    "delete_module",
    "finit_module",
    "get_kernel_syms",
    "init_module",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "nfsservctl",
    "perf_event_open",
    "query_module",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "_sysctl",
    "sysfs",
    "uselib",
    "userfaultfd",
    "ustat",
    "vhangup",
    // other processes, and files by handle
    "fanotify_init",
    "get_mempolicy",
    "kcmp",
    "lookup_dcookie",
    "mbind",
    "move_pages",
    "open_by_handle_at",
    "process_madvise",
    "set_mempolicy",
    // not among what current versions allow
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "stime",
];

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

const EPERM: u32 = 1;
const EACCES: u32 = 13;
const ENOSYS: u32 = 38;

/// The default rules; `chroot`: whether CAP_SYS_CHROOT is there, with which Docker allows the call.
pub fn default(chroot: bool) -> Value {
    let mut refused = REFUSED.to_vec();
    if !chroot {
        refused.push("chroot");
    }
    let mut rules = vec![
        json!({ "names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM }),
        json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }),
    ];
    for flag in NAMESPACES {
        rules.push(json!({
            "names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM,
            "args": [{ "index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": flag, "valueTwo": flag }],
        }));
    }
    allowed_but(rules)
}

/// Rules that refuse mounts with AppArmor's error. Those of the container are made before they hold.
pub fn mounts() -> Value {
    let names = ["mount", "pivot_root", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr"];
    allowed_but(vec![json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": EACCES })])
}

fn allowed_but(rules: Vec<Value>) -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        // without x32, libseccomp kills a process whose call has the number -1, as proot's has
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
        "syscalls": rules,
    })
}
