//! Functions for the tests of invocations, and `lbuild run` in the background.

use crate::dockerfile::case_answers;
use crate::support::debian::ARCHITECTURE;
use crate::support::http::{Request, Response, Server, send};
use crate::support::index::Index;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::{bases, run, testdata, tool};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const HANDLERS: &str = include_str!("handlers.py");

/// `oci:…` of the base for Python, for both architectures.
pub fn python_base() -> String {
    format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG)
}

/// `oci:…` of the base for Node.
pub fn node_base() -> String {
    format!("oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG)
}

/// A user with the function of `handlers.py` on the base for Python.
pub struct Rig {
    pub lbuild: Lbuild,
    code: TempDir,
}

impl Rig {
    pub fn new() -> Rig {
        Rig { lbuild: Lbuild::new(), code: function(&[("app.py", HANDLERS)]) }
    }

    pub fn code(&self) -> PathBuf {
        self.code.path().to_owned()
    }

    /// The arguments of a command for the function.
    pub fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        arguments(command, self.code.path(), &python_base(), "app.handler", more)
    }

    pub fn invoke(&self, event: &Value, more: &[&str]) -> RunOutput {
        let mut all = self.arguments("invoke", more);
        all.extend(["-d".to_owned(), event.to_string()]);
        self.lbuild.run(&all)
    }

    /// The response of an invocation that succeeds.
    #[track_caller]
    pub fn answer(&self, event: &Value, more: &[&str]) -> Value {
        let done = self.invoke(event, more).succeeded();
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    pub fn serve(&self, more: &[&str]) -> Served {
        Served::start(&self.lbuild, &self.arguments("run", more))
    }
}

/// The arguments of a command for a function.
pub fn arguments(command: &str, code: &Path, base: &str, handler: &str, more: &[&str]) -> Vec<String> {
    let code = code.display().to_string();
    let all = [command, &code, "--base", base, "--handler", handler];
    all.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
}

/// The case s1-own-base, in the directory of a user: a base that is not AWS's, with the runtime client and an emulator.
pub struct OwnBase {
    _index: Index,
    emulator: Server,
}

impl OwnBase {
    pub fn new(lbuild: &mut Lbuild) -> OwnBase {
        let index = case_answers::furnished(lbuild);
        let case = testdata("dockerfile/cases/s1-own-base");
        run(Command::new(tool("cp")).arg("-rT").arg(case).arg(lbuild.path("s1-own-base"))).unwrap();
        let emulator = Server::start("127.0.0.1", |_| Response {
            status: 200,
            body: b"#!/bin/sh\necho the emulator >&2\nexit 1\n".to_vec(),
        });
        OwnBase { _index: index, emulator }
    }

    /// The arguments of a command for it. Its commands need no process, so that they are done for both architectures.
    pub fn arguments(&self, lbuild: &Lbuild, command: &str, arch: &str) -> Vec<String> {
        let base = match arch {
            ARCHITECTURE => format!("oci:{}:python", lbuild.text("bases")),
            _ => python_base(),
        };
        let (path, base) = (lbuild.text("s1-own-base"), format!("python:3.12={base}"));
        let emulator = format!("RIE=http://{}/aws-lambda-rie", self.emulator.address);
        let all = [command, &path, "--build-context", &base, "--build-arg", &emulator, "--arch", arch];
        all.map(str::to_owned).to_vec()
    }
}

/// `lbuild run` on a free port; it ends when this value is dropped.
pub struct Served {
    child: Child,
    /// What it prints on standard output: its URL.
    pub url: String,
    log: PathBuf,
}

impl Served {
    pub fn start(lbuild: &Lbuild, arguments: &[String]) -> Served {
        let log = tempfile::Builder::new().prefix("log-").tempfile_in(lbuild.path("tmp")).expect("ours");
        let (file, log) = log.keep().expect("ours");
        let mut command = lbuild.command(arguments);
        command.args(["--port", "0"]).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().expect("lbuild starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut url).expect("lbuild writes UTF-8");
        let served = Served { child, url: url.trim().to_owned(), log };
        assert!(served.url.starts_with("http://127.0.0.1:"), "{url}{}", served.log());
        served
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url["http://".len()..].split('/').next().expect("a host")
    }

    fn target(&self) -> String {
        self.url["http://".len() + self.address().len()..].to_owned()
    }

    pub fn post(&self, body: &[u8], headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request { method: "POST".into(), target: self.target(), headers, body: body.to_vec() };
        send(self.address(), &request).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    pub fn invoke(&self, event: &Value) -> Value {
        let response = self.post(event.to_string().as_bytes(), &[]);
        let text = String::from_utf8_lossy(&response.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}", self.log()))
    }

    /// Waits for an answer to an event.
    pub fn wait_for(&self, event: &Value, expected: &Value) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.invoke(event);
            if answer == *expected {
                return;
            }
            assert!(Instant::now() < deadline, "{answer}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The file with what it writes on standard error.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as Ctrl-C does; returns its exit code.
    pub fn interrupt(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a member of the REPORT line.
pub fn report<'l>(log: &'l str, member: &str) -> Option<&'l str> {
    let line = log.lines().rfind(|line| line.starts_with("REPORT RequestId: "))?;
    line.split('\t').find_map(|part| part.strip_prefix(member)?.strip_prefix(": "))
}

/// Replaces ids, times and numbers of stack traces, which differ with each invocation.
pub fn masked(text: &str) -> String {
    let uuid = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("valid");
    uuid.replace_all(text, "ID").into_owned()
}

/// The event that calls a handler.
pub fn call(name: &str) -> Value {
    json!({ "do": name })
}
