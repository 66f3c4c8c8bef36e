//! A running environment: a directory of its user, and programs in it.

use super::super::lbuild::RunOutput;
use super::super::{part, testdata};
use super::{Environment, as_root, done, processes_of};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An environment with a directory of its user.
pub struct Place {
    pub environment: Environment,
    dir: TempDir,
    volume: bool,
    variables: Vec<(String, String)>,
}

/// The script that process 1 of a place runs.
const LAUNCH: &str = include_str!("launch.sh");

impl Place {
    pub(super) fn new(environment: Environment, volume: bool) -> Place {
        let dir = tempfile::Builder::new().prefix("place-").tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("ours");
        for name in ["user/home", "user/tmp", "tools/parts", "tools/testdata", "rig"] {
            fs::create_dir_all(dir.path().join(name)).expect("ours");
        }
        fs::write(dir.path().join("tools/lbuild"), "").expect("ours");
        let place = Place { environment, dir, volume, variables: Vec::new() };
        place.chown(&place.path(""));
        place
    }

    /// A path in the user's directory: the same for the programs of the place and for the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("user").join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The path at which programs of the place see a part of `tests/run`, such as `bases/zstd`.
    pub fn part(&self, name: &str) -> String {
        part(name); // fails with its name if it is missing
        self.dir.path().join("tools/parts").join(name).display().to_string()
    }

    /// The path at which programs of the place see a file of `testdata`.
    pub fn testdata(&self, name: &str) -> String {
        assert!(testdata(name).exists(), "no testdata/{name}");
        self.dir.path().join("tools/testdata").join(name).display().to_string()
    }

    /// Sets a variable for all later runs.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// From here, a container does not have these programs.
    pub fn hide(&self, programs: &[&str]) {
        assert!(self.environment.container().is_some(), "{:?} is no container", self.environment);
        fs::write(self.dir.path().join("without"), programs.join("\n") + "\n").expect("ours");
    }

    /// Writes a file of the user.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let source = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(source.path(), content).expect("ours");
        self.copy_in(source.path(), name);
    }

    /// Copies a file or directory to `name` in the user's directory.
    pub fn copy_in(&self, from: &Path, name: &str) {
        let to = self.path(name);
        let parent = to.parent().expect("below the directory");
        done(&mut as_root("mkdir", &["-p".as_ref(), parent.as_ref()]));
        done(&mut as_root(
            "cp",
            &["-rT".as_ref(), "--preserve=mode,links".as_ref(), from.as_ref(), to.as_ref()],
        ));
        done(&mut as_root("chmod", &["-R".as_ref(), "u+rwX,go+rX".as_ref(), to.as_ref()]));
        self.chown(&self.path(name.split('/').next().expect("a name")));
    }

    fn chown(&self, path: &Path) {
        let (uid, gid) = self.environment.owner();
        let owner = format!("{uid}:{gid}");
        done(&mut as_root("chown", &["-hR".as_ref(), owner.as_ref(), path.as_ref()]));
    }

    /// Runs lbuild.
    pub fn lbuild<S: AsRef<OsStr>>(&self, arguments: &[S]) -> RunOutput {
        let lbuild = self.dir.path().join("tools/lbuild");
        let mut all = vec![lbuild.as_os_str()];
        all.extend(arguments.iter().map(AsRef::as_ref));
        self.run(&all)
    }

    /// Runs a script of `sh`, in which `$LBUILD` is the program under test.
    pub fn script(&self, script: &str) -> RunOutput {
        self.run(&["/bin/sh", "-c", script])
    }

    /// Runs a program with its arguments in the user's directory.
    pub fn run<S: AsRef<OsStr>>(&self, program: &[S]) -> RunOutput {
        let mut command = self.command(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("unshare starts");
        let stdin = child.stdin.take();
        let output = child.wait_with_output().expect("unshare ends");
        drop(stdin);
        RunOutput::of(output)
    }

    /// Starts a program, which ends at the latest when the returned value is dropped. Its output goes to the file `log`
    /// in the directory of the test.
    pub fn start<S: AsRef<OsStr>>(&self, program: &[S]) -> RunningPlace {
        let log = self.dir.path().join("log");
        let file = fs::File::create(&log).expect("ours");
        let mut command = self.command(program);
        command.stdin(Stdio::piped()).stdout(file.try_clone().expect("a log is a file")).stderr(file);
        RunningPlace { child: command.spawn().expect("unshare starts"), log }
    }

    /// Process 1 of the place reads from its standard input until the end of the test, then ends everything.
    fn command<S: AsRef<OsStr>>(&self, program: &[S]) -> Command {
        let (dir, owner) = (self.dir.path(), self.environment.owner());
        let variables = self.environment_variables();
        let kind = match self.environment.container() {
            Some(container) => {
                let program: Vec<String> =
                    program.iter().map(|word| word.as_ref().to_str().expect("UTF-8").to_owned()).collect();
                let volume = self.volume.then(|| self.path(""));
                let config = container.config(dir, volume.as_deref(), &self.path(""), &variables, &program);
                fs::write(dir.join("config.json"), config.to_string()).expect("ours");
                match (self.volume, self.environment) {
                    (true, Environment::EmulatingDocker) => "emulating",
                    (true, _) => "volume",
                    (false, Environment::EmulatingDocker) => panic!("it has a volume"),
                    (false, _) => "overlay",
                }
            }
            None => "machine",
        };
        let parts = part("bases").parent().expect("in the directory of the parts").to_owned();
        let mut arguments: Vec<&OsStr> =
            ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
                .map(OsStr::new)
                .to_vec();
        let (uid, gid) = (owner.0.to_string(), owner.1.to_string());
        let (testdata, launch) = (testdata(""), LAUNCH);
        arguments.extend(["bash", "-c", launch, "place", kind].map(OsStr::new));
        arguments.extend([dir.as_os_str(), uid.as_ref(), gid.as_ref()]);
        arguments.extend([OsStr::new(env!("CARGO_BIN_EXE_lbuild")), parts.as_os_str(), testdata.as_os_str()]);
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let count = variables.len().to_string();
        arguments.push(count.as_ref());
        arguments.extend(variables.iter().map(OsStr::new));
        arguments.extend(program.iter().map(AsRef::as_ref));
        as_root("unshare", &arguments)
    }

    fn environment_variables(&self) -> Vec<(String, String)> {
        let lbuild = self.dir.path().join("tools/lbuild").display().to_string();
        let mut variables = vec![
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("LBUILD".to_owned(), lbuild),
        ];
        for (name, dir) in
            [("HOME", "home"), ("TMPDIR", "tmp"), ("LBUILD_CACHE", "cache"), ("DOCKER_CONFIG", "docker")]
        {
            variables.push((name.to_owned(), self.text(dir)));
        }
        for (name, value) in &self.variables {
            variables.retain(|(other, _)| other != name);
            variables.push((name.clone(), value.clone()));
        }
        variables
    }

    /// The command lines of processes that run in the place, its process 1 included: what a place that has ended leaves.
    pub fn processes(&self) -> Vec<String> {
        processes_of(self.dir.path())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // files of other ids, and directories without permissions
        let _ =
            as_root("rm", &["-rf".as_ref(), "--one-file-system".as_ref(), self.path("").as_ref()]).status();
    }
}

/// A program that runs in a place.
pub struct RunningPlace {
    child: Child,
    log: PathBuf,
}

impl RunningPlace {
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the log has this text.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            let late = begun.elapsed() > Duration::from_secs(60);
            assert!(!ended && !late, "no {text:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for RunningPlace {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
