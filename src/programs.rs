//! The programs that lbuild starts: package managers, interpreters, credential helpers. They end with lbuild, together
//! with the programs that they start themselves, even if lbuild is killed.
//!
//! A shell forks a watcher and then becomes the program. The watcher waits for the end of a pipe whose other end only
//! this process holds. The kernel closes that end when this process ends, for whatever reason, and the watcher then
//! kills the program's process group. It belongs to the group itself, so the group's number cannot be another group's
//! by then. Dropping a [`Running`] closes the pipe too.
//!
//! `PR_SET_PDEATHSIG` would not be enough: it reaches neither the children of a program nor a program whose starting
//! thread has ended.

use std::ffi::OsStr;
use std::io::{self, PipeReader, PipeWriter};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::error::text::one_line;
use crate::error::{Error, Result};

const SHELL: &str = "/bin/sh";

/// Opens the pipe `$1` again, forks the watcher, and becomes the program. In a process group that is not the terminal's, a program that uses the
/// terminal would be stopped; with these signals ignored it gets an error.
const WATCHED: &str = "exec 3<\"$1\" || exit 126; shift; trap '' TTIN TTOU; \
    { trap '' HUP INT QUIT TERM; read -r _ <&3; kill -s KILL -- -$$; } </dev/null >/dev/null 2>&1 & \
    exec \"$@\" 3<&-";

/// Waits for the end of standard input, and removes the directory `$1`. Programs that are being killed may still write
/// there, and directories may have no permissions, as one of each overlay.
const REMOVE: &str = "trap '' HUP INT QUIT TERM; read -r _; n=0; while [ $n -lt 50 ]; do rm -rf -- \"$1\" || chmod -R u+rwx -- \"$1\"; \
    sleep 0.1 || sleep 1; [ -e \"$1\" ] || break; n=$((n + 1)); done";

/// The program that starts another one in a new session, where no terminal can stop it.
static SETSID: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    // Not relative to the directory in which a program runs.
    on_path("setsid").filter(|file| file.is_absolute())
});

/// A program on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// A program to be started, as a command.
pub(crate) struct Program {
    command: Command,
    /// `None` on a machine without a shell: the program then is not killed with this process.
    lifeline: io::Result<Option<Lifeline>>,
}

/// A command that starts a program with no standard input. Arguments may be added.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Program {
    let lifeline = match Path::new(SHELL).exists() {
        true => Lifeline::new().map(Some),
        false => Ok(None),
    };
    let mut command = match &lifeline {
        Ok(Some(lifeline)) => {
            let mut command = shell(WATCHED);
            command.arg(lifeline.path()).arg(program);
            Command::from(command)
        }
        _ => Command::new(program),
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    Program { command, lifeline }
}

/// A command that runs a script in a process group of its own.
fn shell(script: &str) -> std::process::Command {
    let mut command = match &*SETSID {
        Some(setsid) => {
            let mut command = std::process::Command::new(setsid);
            command.arg(SHELL);
            command
        }
        None => {
            let mut command = std::process::Command::new(SHELL);
            command.process_group(0);
            command
        }
    };
    command.args(["-c", script, "lbuild-watcher"]);
    command
}

impl Deref for Program {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.command
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Command {
        &mut self.command
    }
}

impl Program {
    /// Starts the program.
    ///
    /// # Errors
    /// When it cannot be started, or no pipe can be created.
    pub(crate) fn start(mut self) -> io::Result<Running> {
        let mut lifeline = self.lifeline?;
        if let Some(lifeline) = &lifeline {
            lifeline.hand_on()?;
        }
        let child = self.command.spawn()?;
        if let Some(lifeline) = &mut lifeline {
            lifeline.reader = None;
        }
        Ok(Running { child, lifeline })
    }

    /// Runs the program until its end, and returns what it writes to standard output and standard error.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) async fn output(mut self) -> io::Result<Output> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.start()?.output().await
    }
}

/// The last lines of standard error that an error quotes.
const SHOWN_LINES: usize = 10;

/// The characters of a command that an error quotes.
const SHOWN_COMMAND: usize = 100;

/// Runs a program of the user in a directory until its end. Returns what it prints to standard output, without blanks
/// around. Files that it makes stay where they are, as its output may name one.
///
/// # Errors
/// When it cannot be started, fails, or prints something other than text.
pub async fn printed_by(words: &[String], dir: &Path) -> Result<String> {
    let fail = |fault: String, output: Vec<String>| {
        let words = words.join(" ");
        let shown: String = one_line(&words).chars().take(SHOWN_COMMAND).collect();
        let more = if words.chars().count() > SHOWN_COMMAND { "…" } else { "" };
        Error::Program { program: format!("`{shown}{more}`"), fault, output }
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(fail("names no program".to_owned(), Vec::new()));
    };
    let found = if program.contains('/') { Some(dir.join(program)) } else { on_path(program) };
    let Some(found) = found.filter(|file| is_program(file)) else {
        return Err(fail(format!("cannot be run: there is no program {program}"), Vec::new()));
    };
    // A relative path would be one of the program's own directory.
    let found = std::path::absolute(&found).unwrap_or(found);
    let mut command = command(found);
    command.args(arguments).current_dir(dir);
    let done = command.output().await;
    let Output { status, stdout, stderr } =
        done.map_err(|error| fail(format!("cannot be run: {error}"), Vec::new()))?;
    let stderr = String::from_utf8_lossy(&stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES));
    let output = last.map(|line| one_line(line).into_owned()).collect();
    if !status.success() {
        return Err(fail(format!("failed ({status})"), output));
    }
    match String::from_utf8(stdout) {
        Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => Err(fail("printed nothing".to_owned(), output)),
        Err(_) => Err(fail("printed something other than text in UTF-8".to_owned(), output)),
    }
}

/// A pipe that the watcher reads. No other process gets the writer.
struct Lifeline {
    /// `None` when the program has it.
    reader: Option<PipeReader>,
    _writer: PipeWriter,
}

impl Lifeline {
    fn new() -> io::Result<Lifeline> {
        let (reader, _writer) = io::pipe()?;
        Ok(Lifeline { reader: Some(reader), _writer })
    }

    /// The name by which the program's shell can open the reader. By this process's number it could not: others may not
    /// look at its descriptors while it protects its memory from commands.
    fn path(&self) -> String {
        let own = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
        format!("{own}/{}", self.reader.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    /// Lets the programs that are started from now on have the reader. One too many does no harm: nothing is ever written.
    fn hand_on(&self) -> io::Result<()> {
        if let Some(reader) = &self.reader {
            rustix::io::fcntl_setfd(reader, rustix::io::FdFlags::empty())?;
        }
        Ok(())
    }
}

/// A running program. Dropping it kills the program, and all programs that it has started.
pub(crate) struct Running {
    pub(crate) child: Child,
    lifeline: Option<Lifeline>,
}

impl Running {
    /// As [`limited_output`](Running::limited_output), without a limit.
    pub(crate) async fn output(self) -> io::Result<Output> {
        self.limited_output(u64::MAX).await
    }

    /// Waits for the end of the program, and returns what it has written to its pipes, at most `limit` bytes of each.
    /// Programs that it has started and that still run are killed then.
    pub(crate) async fn limited_output(self, limit: u64) -> io::Result<Output> {
        let Running { mut child, lifeline } = self;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let status = {
            let read = async { tokio::try_join!(all(out, limit, &mut stdout), all(err, limit, &mut stderr)) };
            let mut read = std::pin::pin!(read);
            let mut is_read = false;
            let status = tokio::select! {
                done = &mut read => {
                    done?;
                    is_read = true;
                    child.wait().await
                }
                status = child.wait() => status,
            };
            drop(lifeline);
            // A program in another session is not killed, and may keep the pipes open.
            if !is_read && let Ok(done) = tokio::time::timeout(REST, read).await {
                done?;
            }
            status?
        };
        Ok(Output { status, stdout, stderr })
    }
}

/// The time in which the rest of a program's output is read after its end. It is in the pipes by then.
const REST: Duration = Duration::from_secs(2);

async fn all(pipe: Option<impl AsyncRead + Unpin>, limit: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(bytes).await?;
    }
    Ok(())
}

/// Removes a directory if it still exists when this value is dropped, or when this process ends.
#[derive(Debug)]
pub(crate) struct RemovedAtEnd {
    dir: PathBuf,
    /// Its standard input is the pipe.
    watcher: std::process::Child,
    is_cancelled: bool,
}

impl RemovedAtEnd {
    /// `None` if the watcher cannot be started: the directory then stays if this process is killed.
    pub(crate) fn new(dir: &Path) -> Option<RemovedAtEnd> {
        let dir = std::path::absolute(dir).ok()?;
        let mut watcher = shell(REMOVE);
        watcher.arg(&dir).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // It needs no secrets, and must not keep a directory in use.
        watcher.current_dir("/").env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let watcher = watcher.spawn().ok()?;
        Some(RemovedAtEnd { dir, watcher, is_cancelled: false })
    }
}

impl RemovedAtEnd {
    /// Leaves the directory where it is, whatever happens to this process.
    pub(crate) fn cancel(mut self) {
        self.is_cancelled = true;
    }
}

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        if self.dir.exists() && !self.is_cancelled {
            drop(self.watcher.stdin.take());
        } else {
            let _ = self.watcher.kill();
            let _ = self.watcher.wait();
        }
    }
}

#[cfg(test)]
mod tests;
