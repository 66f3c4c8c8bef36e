//! A directory and an unprivileged account in its own namespaces, for the image tools. If root runs the tests, the
//! account is one that `tests/run` created, otherwise it is the current user.

use super::{run, tool};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const ACCOUNT: &str = "lbuild-tests";

pub struct Sandbox {
    dir: TempDir,
}

/// The account of the image tools: uid, gid, and whether the tests must change to it.
fn account() -> (u32, u32, bool) {
    let own = std::fs::metadata("/proc/self").expect("/proc is mounted");
    if own.uid() != 0 {
        return (own.uid(), own.gid(), false);
    }
    let id = |what: &str| {
        let text = run(Command::new(tool("id")).args([what, ACCOUNT]));
        let text = text.unwrap_or_else(|_| panic!("run tests/run first: missing account {ACCOUNT}"));
        text.trim().parse().expect("id prints a number")
    };
    (id("-u"), id("-g"), true)
}

/// The account's uid and gid.
pub fn account_ids() -> (u32, u32) {
    let (uid, gid, _) = account();
    (uid, gid)
}

impl Sandbox {
    pub fn new() -> Sandbox {
        let dir = tempfile::Builder::new().prefix("sandbox-").tempdir().expect("a temporary directory");
        let sandbox = Sandbox { dir };
        for name in ["home", "run", "tmp"] {
            std::fs::create_dir(sandbox.path().join(name)).expect("writable");
        }
        std::fs::set_permissions(sandbox.path(), PermissionsExt::from_mode(0o755)).expect("ours");
        sandbox.chown(sandbox.path());
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Copies a file or directory to `name` in the sandbox, readable by the account.
    pub fn copy_in(&self, from: &Path, name: &str) {
        let to = self.path().join(name);
        run(Command::new(tool("cp")).args(["-r", "--no-preserve=mode"]).arg(from).arg(&to)).expect("copied");
        self.chown(&to);
    }

    fn chown(&self, path: &Path) {
        let (uid, gid, change) = account();
        if change {
            let owner = format!("{uid}:{gid}");
            run(Command::new(tool("chown")).args(["-R", &owner]).arg(path)).expect("root may change owners");
        }
    }

    /// A program that runs as the account.
    pub fn command(&self, program: &str) -> Command {
        let (uid, gid, change) = account();
        let mut command = Command::new(tool(if change { "setpriv" } else { program }));
        if change {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".into()]);
            command.arg(tool(program));
        }
        command.env_clear().current_dir(self.path());
        command
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8");
        command.env("SANDBOX", self.path()).env("HOME", self.path().join("home"));
        command.env("XDG_RUNTIME_DIR", self.path().join("run")).env("TMPDIR", self.path().join("tmp"));
        command
    }

    /// A shell script with the functions of `sandbox.sh`, as root of a user namespace of the account.
    fn script(&self, script: &str, arguments: &[&str]) -> Command {
        let (uid, gid, _) = account();
        let mut command = self.command("unshare");
        command.args([
            "--user",
            "--map-root-user",
            "--map-auto",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
        ]);
        command.args([
            "--mount-proc",
            "bash",
            "-c",
            &format!("{}\n{script}", include_str!("sandbox.sh")),
            "sandbox",
        ]);
        command.args(arguments);
        // Podman would otherwise create another rootless namespace, and leave it behind
        command.env("_CONTAINERS_USERNS_CONFIGURED", "done");
        command
            .env("_CONTAINERS_ROOTLESS_UID", uid.to_string())
            .env("_CONTAINERS_ROOTLESS_GID", gid.to_string());
        command
    }

    /// Runs a script for at most two minutes; returns its output, or a description of the failure.
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<String, String> {
        let inner = self.script(script, arguments);
        let mut command = Command::new(tool("timeout"));
        command.args(["--kill-after=1", "120"]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(command.current_dir(self.path()))
    }

    /// Starts a script, which ends at the latest when the returned value is dropped. Its output goes to `log`.
    pub fn start(&self, script: &str, arguments: &[&str], log: &Path) -> SandboxedProcess {
        let log = std::fs::File::create(log).expect("the log can be made");
        // the shell is process 1 and waits on a pipe that only this process holds, so it ends with this process
        let script =
            format!("main() {{ {script}\n}}; main \"$@\" </dev/null & exec 3<&0; read -r _ <&3 & wait -n");
        let mut command = self.script(&script, arguments);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a log is a file")).stderr(log);
        SandboxedProcess(command.spawn().expect("unshare starts"))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // only root, or a process in such a namespace, can remove files of subordinate ids
        if !account().2 {
            let _ = self.run("rm -rf \"$SANDBOX\"/*", &[]);
        }
    }
}

pub struct SandboxedProcess(Child);

impl SandboxedProcess {
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for SandboxedProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
