//! Runs that share the cache, killed at random moments and beside `lbuild cache prune`. `tests/run --faults` repeats
//! these tests more often, and `LBUILD_TEST_SEED` repeats the moments of an earlier run.

use crate::support::faults::{self, Random};
use crate::support::lbuild::{Lbuild, RunOutput, files, function, noise, tiny_base};
use crate::support::processes::wait_for_end;
use crate::support::registry::{Mode, Registry};
use std::fs;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A smaller number for a usual run of the tests.
fn amount(usual: usize, all: usize) -> usize {
    if faults::all() { all } else { usual }
}

fn random() -> Random {
    let random = Random::seeded();
    println!("LBUILD_TEST_SEED={}", random.seed());
    random
}

/// A random part of a period, up to a fifth longer than the whole.
fn part(random: &mut Random, whole: Duration) -> Duration {
    whole.mul_f64(random.below(1200) as f64 / 1000.0)
}

/// A user whose npm works for a while, with a child, and then installs a package.
fn user() -> Lbuild {
    let mut lbuild = Lbuild::new();
    let script = "#!/bin/bash\n[[ $1 == --version ]] && { echo 11.0.0; exit; }\n\
        mkdir -p node_modules/p; sleep 0.1; (sleep 300 & echo '{}' >node_modules/p/package.json; kill $!)\n";
    let bin = lbuild.program_of("npm", script);
    lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
    lbuild
}

/// A function that differs for each number.
fn code(number: usize) -> TempDir {
    let lock = format!("{{\"packages\":{{\"\":{{\"name\":\"f{number}\"}}}}}}");
    let content = noise(number as u64, 400_000);
    function(&[
        ("index.js", &b"exports.handler = () => 1"[..]),
        ("package.json", b"{}"),
        ("package-lock.json", lock.as_bytes()),
        ("data", &content),
    ])
}

fn arguments(code: &TempDir, to: &str) -> Vec<String> {
    let path = code.path().to_str().unwrap();
    ["push", path, "--npm", "--base", &tiny_base(), "--arch", "arm64", "--to", to].map(str::to_owned).into()
}

/// The digest of the image that a tag names; the repository must have all of the image.
#[track_caller]
fn tagged(registry: &Registry, repository: &str, tag: &str) -> String {
    let digest = faults::tag_in(&registry.storage(), repository, tag).expect("the tag exists");
    faults::verify_in(&registry.storage(), repository, &digest).unwrap();
    digest
}

fn start(lbuild: &Lbuild, arguments: &[String]) -> Child {
    lbuild.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Fails if a killed run has left a temporary file or a directory for a program.
fn nothing_is_left_over(lbuild: &Lbuild, what: &str) {
    let work = fs::read_dir(lbuild.cache().join("work")).into_iter().flatten().flatten().count();
    let temporary = |name: &String| name.contains("/.lbuild-") || name.contains("/.tmp");
    let files: Vec<_> = files(&lbuild.path("")).into_keys().filter(temporary).collect();
    assert!(work == 0 && files.is_empty(), "{what}: {work} directories, {files:?}");
}

#[test]
fn a_kill_at_any_moment_loses_nothing_and_leaves_nothing() {
    let registry = Registry::start(Mode::Plain);
    let (lbuild, mut random) = (user(), random());
    let to = format!("{}/function:1", registry.host());
    let first = code(0);
    let mut old = lbuild.ok(&arguments(&first, &to)).digest();
    // As long as the runs that are killed: the first one in an empty cache takes longer.
    let (second, begun) = (code(1000), Instant::now());
    lbuild.ok(&arguments(&second, &format!("{}/second:1", registry.host())));
    let (mut whole, mut killed) = (begun.elapsed(), 0);
    for round in 1..=100 {
        if round > amount(12, 100) && killed > 0 {
            break;
        }
        let code = code(round);
        let elsewhere = format!("{}/expected:{round}", registry.host());
        let expected = user().ok(&arguments(&code, &elsewhere)).digest();
        let mut child = start(&lbuild, &arguments(&code, &to));
        let moment = part(&mut random, whole);
        std::thread::sleep(moment);
        child.kill().unwrap();
        let done = RunOutput::of(child.wait_with_output().unwrap());
        match done.code {
            None => killed += 1,
            // The signal came too late.
            Some(_) => whole = whole.min(moment),
        }
        wait_for_end(&lbuild);
        let what = format!("round {round}, killed after {moment:?}");
        nothing_is_left_over(&lbuild, &what);
        let now = tagged(&registry, "function", "1");
        assert!(now == old || now == expected, "{what}: {now}");
        old = lbuild.ok(&arguments(&code, &to)).digest();
        assert!(old == expected && tagged(&registry, "function", "1") == old, "{what}: {old}");
    }
    println!("{killed} runs were killed");
    assert!(killed > 0);
}

#[test]
fn pushes_beside_prune_succeed() {
    let registry = Registry::start(Mode::Plain);
    let (lbuild, random) = (user(), std::sync::Mutex::new(random()));
    let (workers, rounds) = (amount(4, 16), amount(3, 12));
    let (stop, pruned, killed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let codes: Vec<_> = (0..workers).map(|worker| code(1000 + worker)).collect();
    let whole = {
        let begun = Instant::now();
        user().ok(&arguments(&codes[0], "oci:image:1"));
        begun.elapsed()
    };
    let push = |worker: usize| {
        let (lbuild, registry, random, killed) = (&lbuild, &registry, &random, &killed);
        for round in 0..rounds {
            let code = &codes[worker];
            // Every second round makes new layers; the others find those of the round before.
            if round.is_multiple_of(2) {
                let name = code.path().join("data");
                fs::write(name, noise((worker * 100 + round) as u64, 300_000)).unwrap();
            }
            let to = format!("{}/function-{worker}:{round}", registry.host());
            let mut child = start(lbuild, &arguments(code, &to));
            if (worker + round).is_multiple_of(3) {
                let moment = part(&mut random.lock().unwrap(), whole);
                std::thread::sleep(moment);
                child.kill().unwrap();
                child.wait().unwrap();
                killed.fetch_add(1, Ordering::Relaxed);
                child = start(lbuild, &arguments(code, &to));
            }
            let done = RunOutput::of(child.wait_with_output().unwrap());
            assert_eq!(done.code, Some(0), "{worker} {round}: {}", done.stderr);
            assert_eq!(tagged(registry, &format!("function-{worker}"), &round.to_string()), done.digest());
        }
    };
    std::thread::scope(|scope| {
        let pruners = ["0", "1MB"].map(|size| {
            let (lbuild, stop, pruned) = (&lbuild, &stop, &pruned);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    lbuild.ok(&["cache", "prune", "--days", "0", "--max-size", size]);
                    pruned.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let push = &push;
        let pushes: Vec<_> = (0..workers).map(|worker| scope.spawn(move || push(worker))).collect();
        let done: Vec<_> = pushes.into_iter().map(|push| push.join()).collect();
        stop.store(true, Ordering::Relaxed);
        pruners.into_iter().for_each(|pruner| pruner.join().unwrap());
        done.into_iter().for_each(|done| done.unwrap());
    });
    println!("{} pushes, {killed:?} killed before, {pruned:?} times pruned", workers * rounds);
    lbuild.ok(&["cache", "prune", "--days", "0"]);
    wait_for_end(&lbuild);
    nothing_is_left_over(&lbuild, "at the end");
    assert!(files(&lbuild.cache().join("blobs")).is_empty(), "nothing is in use any more");
    assert!(pruned.into_inner() > 0);
}
