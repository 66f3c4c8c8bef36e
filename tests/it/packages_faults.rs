//! Builds with wheels from a failing index, and killed builds: they give the same image and an intact cache.

use crate::support::index::Index;
use crate::support::lbuild::{Lbuild, RunOutput, files, function, tiny_base};
use crate::support::proxy::{Fault, Rule};
use crate::support::python::Clients;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Large and small wheels.
const WANTED: [&str; 5] = ["numpy", "pydantic-core", "jmespath", "idna", "urllib3"];

const CORE: &str = "/files/pydantic_core-";

struct IndexSetup {
    index: Index,
    code: TempDir,
    clients: Clients,
}

impl IndexSetup {
    fn new() -> IndexSetup {
        let (index, clients) = (Index::start(), Clients::new());
        clients.uv_lock(&index.url(), &WANTED).unwrap_or_else(|error| panic!("{error}"));
        index.clear();
        IndexSetup { index, code: function(&[("app.py", "import numpy")]), clients }
    }

    fn arguments(&self, user: &Lbuild) -> Vec<String> {
        let (code, base) = (self.code.path().display().to_string(), tiny_base());
        let to = format!("oci:{}:it", user.text("image"));
        let lock = self.clients.path("project/uv.lock").display().to_string();
        let all = ["push", &code, "--base", &base, "--arch", "arm64", "--to", &to, "--lock", &lock];
        all.iter().chain(&["--python-version", "3.11"]).map(|&word| word.to_owned()).collect()
    }

    fn build(&self, user: &Lbuild) -> String {
        user.ok(&self.arguments(user)).digest()
    }
}

/// Fails if a blob's content does not match its name; returns the number of blobs.
fn expect_intact(cache: &Path) -> usize {
    let blobs = cache.join("blobs/sha256");
    let held = if blobs.exists() { files(&blobs) } else { Default::default() };
    let hex =
        |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (name, content) in held.iter().filter(|(name, _)| !name.starts_with('.')) {
        assert_eq!(&hex(content), name);
    }
    held.len()
}

#[test]
fn an_index_may_fail_temporarily() {
    let setup = IndexSetup::new();
    let expected = setup.build(&Lbuild::new());
    let later = || Fault::Refuse { status: 503, retry_after: Some("1".to_owned()) };
    for fault in [
        later(),
        Fault::ResetBody { at: 300_000 },
        Fault::CutBody { at: 300_000 },
        Fault::CutBody { at: 0 },
        Fault::ResetBeforeBody,
        Fault::CorruptByte { at: 300_000 },
    ] {
        setup.index.clear();
        setup.index.set_script([
            Rule::on("GET", CORE, fault.clone()),
            Rule::on("GET", "/files/idna-", fault.clone()),
        ]);
        let (user, began) = (Lbuild::new(), Instant::now());
        let done = user.ok(&setup.arguments(&user));
        assert_eq!(done.digest(), expected, "{fault:?}");
        assert!(done.stderr.contains("retry "), "{fault:?}: {}", done.stderr);
        assert!(fault != later() || began.elapsed() >= Duration::from_secs(1));
        expect_intact(&user.cache());
    }
}

#[test]
fn an_index_that_keeps_failing_is_an_error() {
    let setup = IndexSetup::new();
    let refusal = |status| Fault::Refuse { status, retry_after: None };
    for (fault, code, says) in [
        (refusal(404), 5, "404"),
        (refusal(503), 5, "503"),
        (Fault::CorruptByte { at: 300_000 }, 5, "corrupt"),
        (Fault::CutBody { at: 300_000 }, 5, "fetch pydantic_core"),
    ] {
        setup.index.set_script([Rule::on("GET", CORE, fault.clone()).always()]);
        let user = Lbuild::new();
        let error = user.run(&setup.arguments(&user)).failed(code);
        assert!(error.contains(says) && error.contains("pydantic_core-2.50.4"), "{fault:?}: {error}");
        assert!(!user.path("image/index.json").exists());
        expect_intact(&user.cache());
    }
    // Wheels that were fetched before the error are kept.
    setup.index.set_script([]);
}

/// Files of a user outside the cache, the image and the initial directories.
fn elsewhere(user: &Lbuild) -> Vec<String> {
    let all = files(&user.path(""));
    all.into_keys().filter(|name| !name.starts_with("cache/") && !name.starts_with("image/")).collect()
}

#[test]
fn a_build_may_be_killed_at_any_moment() {
    let setup = IndexSetup::new();
    let began = Instant::now();
    let expected = setup.build(&Lbuild::new());
    let whole = began.elapsed();
    let mut ended = 0;
    // Random moments from the clock, since the critical ones are unknown; the failure message shows the moment.
    let mut state = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    for round in 0..20 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let moment = whole.mul_f64((state % 1000) as f64 / 1000.0);
        let user = Lbuild::new();
        let mut command = user.command(&setup.arguments(&user));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        let done = RunOutput::of(child.wait_with_output().unwrap());
        ended += usize::from(done.code.is_some());
        expect_intact(&user.cache());
        assert_eq!(setup.build(&user), expected, "round {round}, killed after {moment:?}");
        assert!(expect_intact(&user.cache()) > 5);
        assert_eq!(elsewhere(&user), Vec::<String>::new(), "round {round}, killed after {moment:?}");
        user.ok(&["cache", "prune"]);
        let temporary = |name: &&String| name.contains("/.");
        let left = files(&user.path("")).into_keys().collect::<Vec<_>>();
        assert_eq!(left.iter().find(temporary), None, "round {round}, killed after {moment:?}");
        assert_eq!(setup.build(&user), expected, "a build after pruning");
    }
    println!("{ended} of 20 builds ended before they were killed; a whole one takes {whole:?}");
    assert!(ended < 15);
}
