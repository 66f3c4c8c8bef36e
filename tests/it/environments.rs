//! The environments of `support::environments` are what they claim to be: what a process may do in each, and that nothing
//! of them stays.

use crate::support::environments::{Environment, Place, as_root, processes_of};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Prints a line for each thing that it tries: its name, and `yes` or the kernel's error.
const TRY: &str = r#"
import ctypes, errno, os, platform, pwd, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": (272, 435, 250, 170), "aarch64": (97, 435, 219, 161)}
UNSHARE, CLONE3, KEYCTL, SETHOSTNAME = NUMBERS[platform.machine()]
NEWUSER, NEWNS, NEWPID = 0x10000000, 0x00020000, 0x20000000
me, group = os.geteuid(), os.getegid()

def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")

def syscall(*arguments):
    call(libc.syscall(*arguments))

def namespace():
    syscall(UNSHARE, NEWUSER | NEWNS | NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {me} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)

def mount(kind, at, data=None):
    call(libc.mount(kind.encode(), at.encode(), kind.encode(), 0, data and data.encode()))

def tmpfs():
    namespace()
    mount("tmpfs", os.environ["TMPDIR"])

def overlay():
    namespace()
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(name, exist_ok=True)
    mount("overlay", "merged", "lowerdir=lower,upperdir=upper,workdir=work,userxattr")

def procfs():
    namespace()
    child = os.fork()
    if child == 0:
        try:
            mount("proc", "/proc")
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "")

def clone3():
    result = libc.syscall(CLONE3, None, 0)  # EINVAL where it is not refused
    if ctypes.get_errno() != errno.EINVAL:
        call(result)

def hostname():
    result = libc.syscall(SETHOSTNAME, None, -1)  # EINVAL where it is not refused
    if ctypes.get_errno() != errno.EINVAL:
        call(result)

def masked():
    if not any(line.split()[4] == "/proc/keys" for line in open("/proc/self/mountinfo")):
        raise OSError(errno.ENOENT, "")

def device(name, number):
    os.mknod(name, 0o20666, number)
    if number:
        os.close(os.open(name, os.O_RDWR))

def no_new_privileges():
    if libc.prctl(39, 0, 0, 0, 0) != 1:
        raise OSError(errno.ENOENT, "")

def newuidmap():
    ours, theirs = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        libc.syscall(UNSHARE, NEWUSER)
        os.write(theirs[1], b"x")
        os.read(ours[0], 1)
        os._exit(0)
    os.read(theirs[0], 1)
    accounts = [account.pw_name for account in pwd.getpwall() if account.pw_uid == me]
    ranges = [line.split(":") for line in open("/etc/subuid")]
    first = next((first for name, first, _ in ranges if name in accounts), "1")
    done = subprocess.run(["newuidmap", str(child), "0", str(me), "1", "1", first, "1000"], stderr=subprocess.DEVNULL)
    os.write(ours[1], b"x")
    os.waitpid(child, 0)
    if done.returncode:
        raise OSError(errno.EPERM, "")

for name, attempt in {
    "namespace": namespace, "tmpfs": tmpfs, "overlay": overlay, "procfs": procfs, "clone3": clone3,
    "keyring": lambda: syscall(KEYCTL, 0, -3, 0), "hostname": hostname,
    "chroot": lambda: os.chroot("."), "null": lambda: device("null", os.makedev(1, 3)),
    "whiteout": lambda: device("whiteout", 0), "chown": lambda: os.chown("owned", 1, 1),
    "setuid": lambda: os.setresuid(1, 1, 1), "newuidmap": newuidmap,
    "no_new_privileges": no_new_privileges, "masked": masked,
}.items():
    open("owned", "w").close()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            attempt()
            print(name, "yes")
        except OSError as error:
            print(name, errno.errorcode[error.errno])
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"#;

/// What each environment allows, in the order of [`Environment::ALL`].
#[rustfmt::skip]
const ALLOWED: [(&str, [&str; 10]); 15] = [
    // Account, SubordinateIds, Root, Docker, DockerWithoutMknod, RemappedDocker, Unconfined, UnconfinedUser, MountsRefused, Restricted
    ("namespace", ["yes", "yes", "yes", "EPERM", "EPERM", "EPERM", "yes", "yes", "yes", "EPERM"]),
    ("tmpfs", ["yes", "yes", "yes", "EPERM", "EPERM", "EPERM", "yes", "yes", "EACCES", "EPERM"]),
    ("overlay", ["yes", "yes", "yes", "EPERM", "EPERM", "EPERM", "yes", "yes", "EACCES", "EPERM"]),
    ("procfs", ["yes", "yes", "yes", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EACCES", "EPERM"]),
    ("clone3", ["yes", "yes", "yes", "ENOSYS", "ENOSYS", "ENOSYS", "yes", "yes", "yes", "ENOSYS"]),
    ("keyring", ["yes", "yes", "yes", "EPERM", "EPERM", "EPERM", "yes", "yes", "yes", "EPERM"]),
    ("hostname", ["EPERM", "EPERM", "yes", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM"]),
    ("chroot", ["EPERM", "EPERM", "yes", "yes", "yes", "yes", "yes", "EPERM", "yes", "EPERM"]),
    ("null", ["EPERM", "EPERM", "yes", "yes", "EPERM", "EPERM", "yes", "EPERM", "yes", "EPERM"]),
    ("whiteout", ["yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes", "yes"]),
    ("chown", ["EPERM", "EPERM", "yes", "yes", "yes", "yes", "yes", "EPERM", "yes", "EPERM"]),
    ("setuid", ["EPERM", "EPERM", "yes", "yes", "yes", "yes", "yes", "EPERM", "yes", "EPERM"]),
    ("newuidmap", ["EPERM", "yes", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM", "EPERM"]),
    ("no_new_privileges", ["ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "ENOENT", "yes"]),
    ("masked", ["ENOENT", "ENOENT", "ENOENT", "yes", "yes", "yes", "yes", "yes", "yes", "yes"]),
];

#[test]
fn each_environment_allows_what_the_real_one_does() {
    let mut wrong = String::new();
    for (column, environment) in Environment::ALL.into_iter().enumerate() {
        let found = environment.place().run(&["python3", "-c", TRY]).succeeded();
        let found: BTreeMap<&str, &str> =
            found.stdout.lines().map(|line| line.split_once(' ').unwrap()).collect();
        assert_eq!(found.len(), ALLOWED.len(), "{environment:?}: {found:?}");
        for (name, expected) in ALLOWED {
            if found[name] != expected[column] {
                wrong +=
                    &format!("{environment:?}: {name} is {} instead of {}\n", found[name], expected[column]);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The ids of a user, as the programs see them and as the files have them outside; exit codes, variables, arguments, and
/// the files of the tests.
#[test]
fn programs_of_a_place_see_their_user_files_and_arguments() {
    for environment in Environment::ALL {
        let mut place = environment.place();
        place.set("SOME_VARIABLE", "some value");
        place.write("context/a b", "content");
        let script = r#"
            id -u; cat "context/a b"; echo; echo "$SOME_VARIABLE"; echo "$1"; env | grep -c ^AWS_
            stat -c %u . context "context/a b" "$HOME" | sort -u
            echo made >made; "$LBUILD" --version | cut -d' ' -f1
            [ -d "$2" ] && [ -e "$3" ] && ! touch "$2/x" 2>/dev/null && exit 7"#;
        let (bases, hello) = (place.part("bases"), place.testdata("functions/hello-python/app.py"));
        let done = place.run(&["/bin/sh", "-c", script, "sh", "an argument\nof two lines", &bases, &hello]);
        assert_eq!(done.code, Some(7), "{environment:?}: {}{}", done.stdout, done.stderr);
        let id = done.stdout.lines().next().unwrap();
        let expected = format!("{id}\ncontent\nsome value\nan argument\nof two lines\n0\n{id}\nlbuild\n");
        assert_eq!(done.stdout, expected, "{environment:?}");
        assert_eq!(fs::read_to_string(place.path("made")).unwrap(), "made\n");
        let is_root = matches!(
            environment,
            Environment::Root
                | Environment::Docker
                | Environment::DockerWithoutMknod
                | Environment::RemappedDocker
                | Environment::Unconfined
                | Environment::MountsRefused
        );
        assert_eq!(id == "0", is_root, "{environment:?} is {id}");
    }
}

/// Without a volume, the directory is on the overlay, which cannot hold the upper directory of another.
#[test]
fn a_container_without_a_volume_is_an_overlay() {
    for (environment, expected) in [(Environment::Docker, "EPERM"), (Environment::Unconfined, "EINVAL")] {
        let place = environment.place_without_volume();
        place.write("in", "content");
        let script = "stat -f -c %T .; cp in out; python3 -c \"$1\" | sed -n 's/^overlay //p'";
        let done = place.run(&["/bin/sh", "-c", script, "sh", TRY]).succeeded();
        assert_eq!(done.stdout, format!("overlayfs\n{expected}\n"), "{environment:?}");
        assert_eq!(fs::read_to_string(place.path("out")).unwrap(), "content");
    }
}

/// The mounts and control groups of this machine that name a directory or a container.
fn traces(dir: &Path) -> Vec<String> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found: Vec<String> =
        mounts.lines().filter(|line| line.contains(name)).map(str::to_owned).collect();
    let groups =
        as_root("find", &["/sys/fs/cgroup".as_ref(), "-type".as_ref(), "d".as_ref(), "-name".as_ref()])
            .arg(format!("{name}*"))
            .output()
            .unwrap();
    found.extend(String::from_utf8_lossy(&groups.stdout).lines().map(str::to_owned));
    found.extend(processes_of(dir));
    found
}

#[track_caller]
fn assert_nothing_left(dir: &Path, what: &str) {
    let begun = Instant::now();
    loop {
        let found = traces(dir);
        if found.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {found:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Daemons, which no shell waits for, and files that only root may remove.
const DAEMONS: &str =
    "mkdir -p d/e; touch d/e/f; chmod 0 d/e d; setsid sleep 1000 & (sleep 2000 &) & echo started; sleep 3000";

#[test]
fn nothing_of_a_place_is_left() {
    for environment in Environment::ALL {
        for end in ["returns", "is ended"] {
            let place: Place = environment.place();
            let dir = place.path("").parent().unwrap().to_owned();
            let what = format!("{environment:?} {end}");
            if end == "returns" {
                let done = place.script(&DAEMONS.replace("sleep 3000", "exit 3"));
                assert_eq!(done.code, Some(3), "{what}: {}{}", done.stdout, done.stderr);
            } else {
                let mut running = place.start(&["/bin/sh", "-c", DAEMONS]);
                running.wait_for("started");
                assert!(place.processes().iter().any(|line| line.contains("sleep 2000")), "{what}");
            }
            drop(place);
            assert!(!dir.exists(), "{what}");
            assert_nothing_left(&dir, &what);
        }
    }
}
