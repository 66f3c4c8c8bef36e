//! Every request of a push × every kind of fault, with a proxy between lbuild and the real servers of the base, the
//! destination and a wheel. After each push either the tag names the expected, complete image, or lbuild has reported
//! one error and the tag is untouched; the next push succeeds.
//!
//! `tests/run` tries a sample that differs in each run; `tests/run --faults` tries all. `LBUILD_TEST_SEED` repeats a
//! sample.

use crate::support::lbuild::{Lbuild, RunOutput, function, noise};
use crate::support::proxy::{Fault, Proxy, Rule};
use crate::support::registry::{Mode, Registry};
use crate::support::wheelhouse::{LOCK, Wheelhouse};
use crate::support::{bases, faults, testdata};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// The number of cases in a sample.
const SAMPLE: usize = 70;
const WORKERS: usize = 12;
const WHEEL: &str = "dep-2.0-py3-none-any.whl";

/// The state before the push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Push {
    Cold,
    Changed,
    Unchanged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Server {
    Base,
    Destination,
    Wheel,
}

/// One fault at one request.
#[derive(Clone)]
struct Case {
    push: Push,
    server: Server,
    /// The position of the request among those to this server, from 1.
    position: u64,
    /// The request at this position in a push without faults.
    request: String,
    fault: Fault,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { push, server, position, request, fault } = self;
        write!(f, "{push:?}, {server:?} {position} ({request}), {fault:?}")
    }
}

/// The kinds of faults for a request with this method.
fn faults_of(method: &str) -> Vec<Fault> {
    let refuse = |status| Fault::Refuse { status, retry_after: None };
    let mut kinds: Vec<Fault> = [200, 401, 408, 429, 500, 502, 503, 504].map(refuse).into();
    kinds.push(Fault::too_many_requests(1));
    kinds.extend([Fault::ResetBeforeBody, Fault::ResetAfterBody, Fault::CommitThenReset]);
    kinds.extend([Fault::CloseBeforeBody, Fault::CommitThenClose, Fault::CommitThen { status: 500 }]);
    kinds.push(Fault::Stall(Duration::from_secs(3)));
    if faults::all() {
        kinds.push(Fault::Stall(Duration::from_secs(600)));
    }
    match method {
        "GET" => kinds.extend([
            Fault::CutBody { at: 40 },
            Fault::ResetBody { at: 40 },
            Fault::CorruptByte { at: 90 },
            Fault::CorruptByte { at: 170 },
        ]),
        "PUT" => kinds.extend([
            Fault::ResetInBody { at: 40 },
            Fault::CutRequestBody { at: 40 },
            Fault::CorruptRequestByte { at: 90 },
            Fault::CorruptRequestByte { at: 170 },
        ]),
        _ => {}
    }
    kinds
}

/// Servers without faults, which all workers share.
struct Origins {
    base: Registry,
    destination: Registry,
    wheels: Wheelhouse,
}

/// Proxies in front of the servers, for one push at a time. The image names its base with the proxy's port, so each
/// worker has its own digests.
struct Worker<'o> {
    origins: &'o Origins,
    proxies: BTreeMap<Server, Proxy>,
    _wheel_server: crate::support::wheelhouse::WheelServer,
    lock: String,
    codes: [TempDir; 2],
    expected: BTreeMap<Push, String>,
    /// The requests of each push without faults.
    requests: BTreeMap<(Push, Server), Vec<String>>,
}

impl<'o> Worker<'o> {
    fn new(origins: &'o Origins, number: usize) -> Worker<'o> {
        let wheel_server = origins.wheels.serve("127.0.0.1");
        let upstream = wheel_server.address();
        let proxies = BTreeMap::from([
            (Server::Base, Proxy::to(&origins.base.host())),
            (Server::Destination, Proxy::to(&origins.destination.host())),
            (Server::Wheel, Proxy::to(&upstream)),
        ]);
        let place = format!("url = 'http://{}/{WHEEL}'", proxies[&Server::Wheel].host());
        let lock = format!("{LOCK}{}", origins.wheels.locked(WHEEL, &place));
        let code = |version: u64| {
            let data = noise(version, 3000);
            function(&[("app.py", &b"def handler(event, context): pass"[..]), ("data", &data)])
        };
        let mut worker = Worker {
            origins,
            proxies,
            _wheel_server: wheel_server,
            lock,
            codes: [code(1), code(2)],
            expected: BTreeMap::new(),
            requests: BTreeMap::new(),
        };
        for push in [Push::Cold, Push::Changed, Push::Unchanged] {
            let case = Attempt::prepare(&worker, push, &format!("clean-{number}-{push:?}").to_lowercase());
            let digest = case.push().succeeded().digest();
            let requests = worker.proxies.iter().map(|(server, proxy)| {
                let seen = proxy.seen().into_iter().map(|seen| {
                    let path = seen.target.split('?').next().unwrap_or_default();
                    format!("{} {path}", seen.method)
                });
                ((push, *server), seen.collect())
            });
            worker.requests.extend(requests.collect::<Vec<_>>());
            worker.expected.insert(push, digest);
        }
        worker
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for ((push, server), requests) in &self.requests {
            for (index, request) in requests.iter().enumerate() {
                let method = request.split(' ').next().expect("a method");
                cases.extend(faults_of(method).into_iter().map(|fault| Case {
                    push: *push,
                    server: *server,
                    position: index as u64 + 1,
                    request: request.clone(),
                    fault,
                }));
            }
        }
        cases
    }

    /// Runs the case; the description of a violation is an error.
    fn check(&self, case: &Case, repository: &str) -> Result<Outcome, String> {
        let attempt = Attempt::prepare(self, case.push, repository);
        let before = attempt.tag();
        let proxy = &self.proxies[&case.server];
        proxy.set_script([Rule::on("*", "", case.fault.clone()).nth(case.position)]);
        let output = attempt.push();
        let injected = proxy.injected()[0] > 0;
        proxy.set_script([]);
        let expected = &self.expected[&case.push];
        let after = attempt.tag();
        let described = |text: &str| {
            format!("{case}: {text}\nexit code {:?}\n{}{}", output.code, output.stdout, output.stderr)
        };
        let violation = |text: &str| Err(described(text));
        match output.code {
            Some(0) if digest_of(&output) != expected => return violation("another digest"),
            Some(0) if after.as_deref() != Some(expected) => {
                return violation("the tag does not name the image");
            }
            Some(0) => {}
            Some(_) if output.stderr.lines().filter(|line| line.starts_with("error: ")).count() != 1 => {
                return violation("not one error");
            }
            // A registry may store the manifest and lose its answer.
            Some(_) if after == before || after.as_deref() == Some(expected) => {}
            Some(_) => return violation(&format!("the tag moved from {before:?} to {after:?}")),
            None => return violation("a signal ended it"),
        }
        if let Some(digest) = &after {
            attempt.verify(digest).map_err(|text| described(&text))?;
        }
        let again = attempt.push();
        if again.code != Some(0) || digest_of(&again) != expected {
            return violation(&format!("the next push fails: {}{}", again.stdout, again.stderr));
        }
        attempt.verify(expected).map_err(|text| described(&format!("after the next push: {text}")))?;
        if let Some(left) = faults::left_over(&attempt.lbuild.cache()) {
            return violation(&format!("{left} is left in the cache"));
        }
        Ok(match (injected, output.code) {
            (false, _) => Outcome::NotInjected,
            (true, Some(0)) => Outcome::Pushed,
            (true, _) => Outcome::Failed,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Pushed,
    Failed,
    /// The push made fewer requests, or the body was too short.
    NotInjected,
}

/// A user who pushes to a repository of their own.
struct Attempt<'w> {
    worker: &'w Worker<'w>,
    lbuild: Lbuild,
    code: &'w Path,
    repository: String,
}

impl<'w> Attempt<'w> {
    /// The state before the push: for all but a cold push, an earlier push without faults.
    fn prepare(worker: &'w Worker<'w>, push: Push, repository: &str) -> Attempt<'w> {
        let lbuild = Lbuild::new();
        std::fs::write(lbuild.path("pylock.toml"), &worker.lock).expect("ours");
        let code = worker.codes[0].path();
        let mut attempt = Attempt { worker, lbuild, code, repository: repository.to_owned() };
        if push != Push::Cold {
            attempt.push().succeeded();
        }
        if push == Push::Changed {
            attempt.code = worker.codes[1].path();
        }
        worker.proxies.values().for_each(Proxy::clear);
        attempt
    }

    fn push(&self) -> RunOutput {
        let host = |server| self.worker.proxies[&server].host();
        let base = format!("{}/lambda/python:1", host(Server::Base));
        let to = format!("{}/{}:1", host(Server::Destination), self.repository);
        let (code, lock) = (self.code.to_str().expect("UTF-8"), self.lbuild.text("pylock.toml"));
        let packages = ["--lock", &lock, "--python-version", "3.12"];
        self.lbuild
            .run(&[&["push", code, "--base", &base, "--arch", "arm64", "--to", &to], &packages[..]].concat())
    }

    fn storage(&self) -> std::path::PathBuf {
        self.worker.origins.destination.storage()
    }

    fn tag(&self) -> Option<String> {
        faults::tag_in(&self.storage(), &self.repository, "1")
    }

    fn verify(&self, digest: &str) -> Result<(), String> {
        faults::verify_in(&self.storage(), &self.repository, digest)
    }
}

/// The digest on standard output, or nothing.
fn digest_of(output: &RunOutput) -> &str {
    output.stdout.trim_end().rsplit_once('@').map_or("", |(_, digest)| digest)
}

#[test]
fn a_fault_at_any_request_loses_nothing() {
    let (base, destination) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    bases::seed(&base, &testdata("base"), "python3.12", "lambda/python", "1");
    let origins = Origins { base, destination, wheels: Wheelhouse::new() };
    let first = Worker::new(&origins, 0);
    let positions: usize = first.requests.values().map(Vec::len).sum();
    let mut cases = first.cases();
    let total = cases.len();
    let mut random = faults::Random::seeded();
    let seed = random.seed();
    random.shuffle(&mut cases);
    if !faults::all() {
        cases.truncate(SAMPLE);
    }
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let run = |worker: &Worker<'_>| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else { return };
            let result = worker.check(case, &format!("case-{number}"));
            results.lock().expect("no panic").push((case, result));
        }
    };
    std::thread::scope(|scope| {
        let (origins, run) = (&origins, &run);
        for number in 1..WORKERS {
            scope.spawn(move || run(&Worker::new(origins, number)));
        }
        run(&first);
    });
    let results = results.into_inner().expect("no panic");
    let violations: Vec<&String> = results.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    let count = |wanted| results.iter().filter(|(_, result)| result.as_ref() == Ok(&wanted)).count();
    let (pushed, failed, idle) =
        (count(Outcome::Pushed), count(Outcome::Failed), count(Outcome::NotInjected));
    println!(
        "seed {seed}: {positions} positions, {total} cases, {} tried: {pushed} pushed, {failed} failed with an error, \
         {idle} not injected, {} lost",
        results.len(),
        violations.len()
    );
    for (case, result) in &results {
        if *result == Ok(Outcome::Failed) {
            println!("failed: {case}");
        }
    }
    assert!(
        violations.is_empty(),
        "seed {seed}: {}",
        violations.iter().map(|text| format!("{text}\n")).collect::<String>()
    );
    assert!(pushed > results.len() / 2, "seed {seed}: most faults are survived");
}
