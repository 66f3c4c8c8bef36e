//! What a command's root has besides the image: /proc, /sys, /dev and the names of hosts. All of it is made anew, or
//! cannot be written to: a command that runs as the machine's root must not be able to change the machine.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::MountFlags;

use super::command::Process;
use super::ids::Ids;
use super::mode::Way;
use super::mounts::{Steps, old};
use super::place::Kind;
use super::place::Placing;
use super::programs::Emulator;
use super::restriction::Restriction;
use super::steps::Call;

/// Where a command finds the certificate authorities of the machine, if it has a file of them. At the usual places,
/// `update-ca-certificates` could not replace its own.
pub(crate) const CA_BUNDLE: &str = "/dev/.lbuild/ca.crt";

/// Settings of apt for a root with one id: apt would change to another user for downloads. The variable `APT_CONFIG`
/// names the file.
pub(crate) const APT_CONFIG: &str = "/dev/.lbuild/apt.conf";
pub(super) const APT_SETTINGS: &[u8] = b"APT::Sandbox::User \"root\";\n";

/// Where the rules of the namespace for programs of other architectures are.
const RULES: &str = "/dev/.lbuild/binfmt";

const READ_ONLY: Restriction = Restriction { writes: true, devices: false, alone: false };

/// Parts of /proc and /sys that tell of the machine or change it, whose files only ask for the machine's root and for no
/// capability. Those that container runtimes hide and protect (runtime-spec, `maskedPaths` and `readonlyPaths`).
const HIDDEN: [&str; 18] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/firmware",
    // Mounted there by the machine; root of a namespace that sees the machine's /sys may be their owner.
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/kernel/config",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
];
const PROTECTED: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const BARE: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Mounts /proc and /sys.
pub(super) fn kernel(steps: &mut Steps, way: &Way) -> io::Result<()> {
    steps.directory("/mnt/proc")?;
    if way.proc_masked {
        // Without what is mounted below it, the bind would show what the masks hide, and is refused.
        steps.bind("bind /proc", b"/old/proc", "/mnt/proc", Restriction::default())?;
    } else {
        steps.mount("mount /proc", c"proc", "/mnt/proc", BARE, "")?;
    }
    let has_sys = Path::new("/sys").is_dir();
    if has_sys {
        steps.directory("/mnt/sys")?;
        if way.sys_bound {
            steps.bind("bind /sys", b"/old/sys", "/mnt/sys", READ_ONLY)?;
        } else {
            // Root of the machine could write to what is mounted below the present one: control groups, tracing.
            steps.mount("mount /sys", c"sysfs", "/mnt/sys", BARE | MountFlags::RDONLY, "")?;
        }
    }
    for path in PROTECTED.iter().filter(|path| Path::new(path).exists()) {
        let path = format!("/mnt{path}");
        steps.bind("protect", path.as_bytes(), &path, READ_ONLY)?;
    }
    for path in HIDDEN {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                steps.mount("hide", c"tmpfs", &format!("/mnt{path}"), BARE | MountFlags::RDONLY, "")?;
            }
            Ok(_) => steps.bind("hide", b"/old/dev/null", &format!("/mnt{path}"), Restriction::default())?,
            Err(_) => {}
        }
    }
    steps.place_own("mount on /proc", c"/mnt/proc", "/proc");
    if has_sys {
        steps.place_own("mount on /sys", c"/mnt/sys", "/sys");
    }
    Ok(())
}

/// Mounts /dev, with the files of the process.
pub(super) fn devices(steps: &mut Steps, way: &Way, process: &Process) -> io::Result<()> {
    steps.directory("/mnt/dev")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    steps.mount("mount a tmpfs for /dev", c"tmpfs", "/mnt/dev", flags, "mode=755")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let (source, target) = (format!("/dev/{name}"), format!("/mnt/dev/{name}"));
        if Path::new(&source).exists() {
            steps.file(&target, b"", 0o666)?;
            let source = format!("/old{source}");
            steps.bind("bind a device", source.as_bytes(), &target, Restriction::default())?;
        }
    }
    steps.directory("/mnt/dev/pts")?;
    // Group 5 is that of terminals everywhere.
    let group = if matches!(way.ids, Ids::Single { .. }) { "" } else { ",gid=5" };
    let data = format!("newinstance,ptmxmode=0666,mode=0620{group}");
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    steps.mount("mount /dev/pts", c"devpts", "/mnt/dev/pts", flags, &data)?;
    if process.shared_memory {
        steps.directory("/mnt/dev/shm")?;
        steps.mount("mount /dev/shm", c"tmpfs", "/mnt/dev/shm", BARE, "mode=1777")?;
    }
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (to, name) in links {
        steps.symlink(to.as_bytes(), &format!("/mnt/dev/{name}"))?;
    }
    own_files(steps, way, process)?;
    steps.place_own("mount on /dev", c"/mnt/dev", "/dev");
    Ok(())
}

/// The files below /dev that the caller names, and lbuild's own.
fn own_files(steps: &mut Steps, way: &Way, process: &Process) -> io::Result<()> {
    let below = |path: &str| format!("/mnt{path}");
    let mut directories = BTreeSet::from([below("/dev/.lbuild")]);
    for (name, ..) in &process.files {
        let parents = Path::new(name).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        directories.extend(parents.map(|parent| below(&format!("/dev/{}", parent.display()))));
    }
    for directory in &directories {
        steps.directory(directory)?;
    }
    for (name, content, mode) in &process.files {
        steps.file(&below(&format!("/dev/{name}")), content, *mode)?;
    }
    if matches!(way.ids, Ids::Single { .. }) {
        steps.file(&below(APT_CONFIG), APT_SETTINGS, 0o644)?;
    }
    if let Some(emulator) = way.programs.emulator() {
        rules(steps, emulator)?;
    }
    if let Some(bundle) = host_ca_bundle() {
        steps.file(&below(CA_BUNDLE), b"", 0o644)?;
        steps.bind("bind the certificates", &old(&bundle)?, &below(CA_BUNDLE), READ_ONLY)?;
    }
    Ok(())
}

/// Mounts rules of the namespace for programs of other architectures, and adds the emulator's. The rules vanish with the
/// last mount of their file system, which therefore stays in the command's root.
fn rules(steps: &mut Steps, emulator: &Emulator) -> io::Result<()> {
    let place = format!("/mnt{RULES}");
    steps.directory(&place)?;
    steps.mount("mount rules for programs of other architectures", c"binfmt_misc", &place, BARE, "")?;
    let path = CString::new(format!("{place}/register"))?;
    let about = emulator.program.to_string_lossy();
    let content = emulator.rule(&old(&emulator.program)?);
    steps.add("register an emulator", &about, Call::Tell { path, content });
    Ok(())
}

/// The file with the certificate authorities of this machine.
pub(crate) fn host_ca_bundle() -> Option<PathBuf> {
    let own = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    own.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.is_file())
}

/// Mounts the files that name hosts. They are copies: what a command writes to them is in no layer, and not on the
/// machine either.
pub(super) fn names(steps: &mut Steps, process: &Process) -> io::Result<()> {
    for (name, content) in host_files(process)? {
        let source = format!("/mnt/{name}");
        steps.file(&source, &content, 0o644)?;
        let (source, target) = (CString::new(source)?, format!("/etc/{name}").into_bytes());
        let restriction = Restriction::default();
        steps.place("bind", Placing { source, target, kind: Kind::File, moves: false, restriction });
    }
    Ok(())
}

/// The names and contents of files in /etc that are not the image's.
pub(super) fn host_files(process: &Process) -> io::Result<[(&'static str, Vec<u8>); 3]> {
    let read = |path: &str| match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    };
    let (resolvers, mut hosts) = if process.network {
        (read("/etc/resolv.conf")?, read("/etc/hosts")?)
    } else {
        (Vec::new(), b"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_vec())
    };
    if !hosts.is_empty() && !hosts.ends_with(b"\n") {
        hosts.push(b'\n');
    }
    hosts.extend_from_slice(format!("127.0.0.1 {}\n", process.hostname).as_bytes());
    let hostname = format!("{}\n", process.hostname).into_bytes();
    Ok([("resolv.conf", resolvers), ("hosts", hosts), ("hostname", hostname)])
}
