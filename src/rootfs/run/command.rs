//! A command: the files of its image, its process, and how it ends.

use std::error::Error;
use std::ffi::CString;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use super::obstacle::Obstacle;

/// What no program of a command can exceed: the default capabilities of Docker's containers.
pub(crate) const CAPABILITIES: CapabilitySet = CapabilitySet::AUDIT_WRITE
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SYS_CHROOT);

/// The files of an image. None of these directories changes its place while a command runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Files<'f> {
    /// Directories that are laid over each other, topmost first. Changes go to `upper`; `work` is an empty directory of
    /// the same file system. Both are used once.
    Overlay { lowers: &'f [PathBuf], upper: &'f Path, work: &'f Path },
    /// A directory that the command may change.
    Tree(&'f Path),
    /// A directory that nobody changes. What the command needs besides is in memory.
    Fixed(&'f Path),
    /// As [`Files::Tree`], but the command cannot change it.
    FixedTree(&'f Path),
}

/// A mount: it hides the file or directory that the image has at its path.
#[derive(Clone)]
pub(crate) struct Bind {
    pub(crate) source: BindSource,
    /// A path of the image; its links are followed there. A missing file gets a stub for the time of the command.
    pub(crate) target: String,
    pub(crate) writable: bool,
}

/// The source of a mount.
#[derive(Clone)]
pub(crate) enum BindSource {
    /// A file or directory of this machine. Where nothing can be mounted, a file is copied, and a directory or a socket is
    /// moved into the image and back: it must be of the same file system, and nobody else may use it.
    Path(PathBuf),
    /// An empty directory in memory that holds this number of bytes.
    Memory { size: Option<u64> },
    /// An empty directory that nobody but root may enter.
    Closed,
    /// A file with this content, which no disk gets to see where something can be mounted.
    File { content: Vec<u8>, mode: u32, uid: u32, gid: u32 },
}

/// The metadata of a mount's source. Refuses a link: a command that left one there would reach files of this machine.
pub(super) fn source_metadata(path: &Path) -> io::Result<std::fs::Metadata> {
    let found = path.symlink_metadata()?;
    match found.is_symlink() {
        true => Err(Errno::LOOP.into()),
        false => Ok(found),
    }
}

/// A user of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Further groups.
    pub(crate) groups: Vec<u32>,
}

/// A command.
#[derive(Clone)]
pub(crate) struct Process {
    /// Absolute paths; the first that exists is executed.
    pub(crate) programs: Vec<CString>,
    pub(crate) arguments: Vec<CString>,
    /// The whole environment.
    pub(crate) environment: Vec<CString>,
    /// The working directory, an absolute path. It is made for the user if it does not exist.
    pub(crate) directory: CString,
    pub(crate) user: User,
    pub(crate) binds: Vec<Bind>,
    /// Paths below /dev, contents and modes.
    pub(crate) files: Vec<(String, Vec<u8>, u32)>,
    /// Whether there is a /dev/shm.
    pub(crate) shared_memory: bool,
    /// The command uses the caller's network. Without, it has a loopback interface of its own.
    pub(crate) network: bool,
    pub(crate) hostname: String,
}

impl Process {
    /// A process of root in an empty environment. `programs` as in the field.
    pub(super) fn new(programs: Vec<CString>) -> Process {
        Process {
            arguments: programs.iter().take(1).cloned().collect(),
            programs,
            environment: Vec::new(),
            directory: c"/".to_owned(),
            user: User::default(),
            binds: Vec::new(),
            files: Vec::new(),
            shared_memory: true,
            network: true,
            hostname: "lbuild".to_owned(),
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Why a command did not run, or not to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A step of the set-up.
    Step {
        step: &'static str,
        about: String,
        errno: Errno,
    },
    /// No program could be executed. `exists` if that is about its interpreter or dynamic linker.
    Exec {
        program: PathBuf,
        errno: Errno,
        exists: bool,
    },
    /// The caller asked for it.
    Stopped,
    /// The processes ended without a result: they were killed from outside.
    Killed,
    Io {
        step: &'static str,
        source: io::Error,
    },
}

impl Failure {
    pub(super) fn io(step: &'static str) -> impl Fn(io::Error) -> Failure {
        move |source| Failure::Io { step, source }
    }
}

impl From<Obstacle> for Failure {
    fn from(obstacle: Obstacle) -> Failure {
        Failure::Step { step: obstacle.step, about: String::new(), errno: obstacle.errno }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Step { step, about, errno } if about.is_empty() => write!(f, "cannot {step}: {errno}"),
            Failure::Step { step, about, errno } => write!(f, "cannot {step} ({about}): {errno}"),
            Failure::Exec { program, exists: true, .. } => {
                write!(f, "cannot execute {}: its interpreter does not exist", program.display())
            }
            Failure::Exec { program, errno, .. } => {
                write!(f, "cannot execute {}: {errno}", program.display())
            }
            Failure::Stopped => write!(f, "the command was stopped"),
            Failure::Killed => write!(f, "the command was killed with its namespace"),
            Failure::Io { step, .. } => write!(f, "cannot {step}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Failure::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
