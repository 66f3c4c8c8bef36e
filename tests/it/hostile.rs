//! Malicious images: each gives an error or findings within bounded memory and time, and lbuild writes only to its
//! cache.

mod archives;
mod bombs;
mod documents;
mod elf;
mod finished;
mod links;
mod member_counts;
mod streams;
mod tar_headers;
mod terminal_text;

use crate::support::image_builder::{self, Layer, Tar};
use crate::support::lbuild::Lbuild;
use crate::support::run;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Memory limit of a run, in KiB: some buffers for each thread, in an unoptimised build.
const SMALL_MEMORY: u64 = 128 << 10;

/// Memory limit of a run that reads the largest accepted number of names, in KiB.
const LARGE_MEMORY: u64 = 300 << 10;

/// Time limit of a run. Quadratic time takes hours, so the limit leaves room for slow machines.
const TIMEOUT_SECONDS: u64 = 120;

/// Runs one command after the other and reports how each ended. Limits on time and address space protect the machine.
const RUNNER_SCRIPT: &str = r#"
import json, os, resource, signal, subprocess, sys, tempfile

def bounds():
    signal.alarm(int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

def text(stream):
    stream.seek(0)
    return stream.read().decode()

for arguments in json.loads(sys.argv[3]):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen([sys.argv[2], *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                 preexec_fn=bounds)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": child.returncode, "peak": usage.ru_maxrss, "out": text(out), "err": text(err)}))
"#;

/// Exit code, memory and output of a run.
#[derive(Debug, Deserialize)]
struct MeasuredRun {
    /// Negative when a signal ended it.
    code: i32,
    /// Peak memory, in KiB.
    peak: u64,
    out: String,
    err: String,
}

impl MeasuredRun {
    /// Checks the rules for every run, whether it succeeded or failed.
    #[track_caller]
    fn assert_bounded(&self, arguments: &[String], memory: u64) {
        let context = format!("{arguments:?}: {}", head(&self.err));
        assert_ne!(self.code, -14, "it takes more than {TIMEOUT_SECONDS} s: {context}");
        assert!(
            self.code >= 0 && self.code != 130 && !self.err.contains("panicked"),
            "{}: {context}",
            self.code
        );
        assert!(self.peak < memory, "{} KiB: {context}", self.peak);
        for text in [&self.out, &self.err] {
            let raw = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(raw, None, "a control character in the output: {context}");
        }
    }

    #[track_caller]
    fn failed(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, code, "{}{}", head(&self.out), head(&self.err));
        for text in says {
            assert!(self.err.contains(text), "no {text:?} in {}", head(&self.err));
        }
    }
}

/// The beginning of a text, for failure messages.
fn head(text: &str) -> String {
    text.chars().take(2000).collect()
}

/// A user, with directories that lbuild must not change.
struct Workspace {
    lbuild: Lbuild,
    /// Memory limit of each run, in KiB.
    memory: u64,
}

impl Workspace {
    fn new() -> Workspace {
        let lbuild = Lbuild::new();
        for dir in ["beside", "function"] {
            std::fs::create_dir(lbuild.path(dir)).unwrap();
        }
        std::fs::write(lbuild.path("function/app.py"), "def handler(e, c): return e\n").unwrap();
        Workspace { lbuild, memory: SMALL_MEMORY }
    }

    /// An image of these layers, without other faults.
    fn image(&self, name: &str, layers: &[Layer]) -> String {
        image_builder::image(&self.lbuild.path(name), layers, |config, _| {
            config["config"] = json!({ "Entrypoint": ["/entry"] });
        })
    }

    /// A push with this image as its base.
    fn push(&self, base: &str) -> Vec<String> {
        let function = self.lbuild.text("function");
        words(&["push", &function, "--base", base, "--arch", "amd64", "--to", "oci:out:v1"])
    }

    /// The commands that read an image's layers; `diff` compares it with `good`.
    fn readers(&self, good: &str, image: &str) -> [Vec<String>; 3] {
        [
            words(&["check", image, "--deny", "notes"]),
            words(&["inspect", image, "--tree"]),
            words(&["diff", good, image]),
        ]
    }

    #[track_caller]
    fn run(&self, runs: &[Vec<String>]) -> Vec<MeasuredRun> {
        let (before, seconds) = (self.names(), TIMEOUT_SECONDS.to_string());
        let all = serde_json::to_string(runs).unwrap();
        let mut python = self.lbuild.wrapped(&["python3", "-c", RUNNER_SCRIPT, &seconds], &[all]);
        let output = run(&mut python).unwrap();
        let ends: Vec<MeasuredRun> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(ends.len(), runs.len());
        ends.iter().zip(runs).for_each(|(end, arguments)| end.assert_bounded(arguments, self.memory));
        assert_eq!(self.names(), before, "only the cache may be written to");
        self.assert_clean_cache();
        ends
    }

    /// Every path except those in the cache and in the layout that pushes write.
    fn names(&self) -> BTreeSet<PathBuf> {
        let mut found = names(&self.lbuild.path(""));
        found.retain(|path| ["cache", "out"].iter().all(|place| !path.starts_with(self.lbuild.path(place))));
        found
    }

    /// Names of cache files are digests; any other name is an unfinished file.
    fn assert_clean_cache(&self) {
        let own = ["CACHEDIR.TAG", "blobs", "sha256", "keys", "stat", "locks", "prune"];
        for path in names(&self.lbuild.cache()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_digest || own.contains(&name) || name.starts_with("run-"), "{path:?}");
        }
    }

    /// Runs every command that reads layers on an image of each case, and checks the results.
    #[track_caller]
    fn check_cases(&self, cases: Vec<(Vec<Layer>, Expectation)>) {
        let good = self.image("good", &[Layer::gzip(Tar::new().file("good", 0o644, "good"))]);
        let images: Vec<String> = cases
            .iter()
            .enumerate()
            .map(|(number, (layers, _))| self.image(&format!("case-{number}"), layers))
            .collect();
        let mut runs = Vec::new();
        for (image, (_, ends)) in images.iter().zip(&cases) {
            runs.extend(self.readers(&good, image));
            if let Expectation::Broken(_) = ends {
                runs.push(self.push(image));
            }
        }
        let mut done = self.run(&runs).into_iter();
        for (number, (image, (_, ends))) in images.iter().zip(cases).enumerate() {
            eprintln!("case {number}: {ends:?}");
            let [check, tree, diff]: [MeasuredRun; 3] = std::array::from_fn(|_| done.next().unwrap());
            match ends {
                Expectation::Broken(cause) => {
                    for end in [&tree, &diff] {
                        end.failed(4, &["layer sha256:", image, cause]);
                    }
                    let pushed = done.next().unwrap();
                    let found = |end: &MeasuredRun, said: &str| {
                        end.failed(8, &[]);
                        assert!(said.contains("layer-content") && said.contains(cause), "{}", head(said));
                    };
                    found(&check, &check.out);
                    // A layer that does not look like gzip has to be recompressed before anything is checked.
                    match pushed.code {
                        4 => pushed.failed(4, &["layer sha256:"]),
                        _ => found(&pushed, &pushed.err),
                    }
                    assert!(!self.lbuild.path("out/index.json").exists(), "nothing was pushed");
                    continue;
                }
                Expectation::Found(rule) => {
                    assert!(check.out.contains(&format!(": {rule}\n")), "no {rule} in {}", head(&check.out));
                    check.failed(8, &[&format!("oci:{}@", self.lbuild.text(&format!("case-{number}")))]);
                }
                Expectation::Good => assert_eq!(check.code, 0, "{}", head(&check.out)),
            }
            assert_eq!((tree.code, diff.code), (0, 0), "{}{}", head(&tree.err), head(&diff.err));
        }
    }
}

/// The expected result of the commands that read layers.
#[derive(Clone, Copy, Debug)]
enum Expectation {
    /// An error of the image with this text among its causes.
    Broken(&'static str),
    /// The commands read everything, and `check` has a finding of this rule.
    Found(&'static str),
    /// The commands read everything, and `check` has no findings.
    Good,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every path below a directory; links are not followed.
fn names(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut ahead = vec![dir.to_owned()];
    while let Some(dir) = ahead.pop() {
        // An unused cache directory does not exist.
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                ahead.push(entry.path());
            }
            found.insert(entry.path());
        }
    }
    found
}
