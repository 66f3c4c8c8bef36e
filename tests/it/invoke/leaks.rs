//! Many invocations, in a row and at once: no process, descriptor, directory or memory is left.

use super::rig::Rig;
use serde_json::json;
use std::fs;
use std::time::{Duration, Instant};

/// The open descriptors, the threads, and the resident memory in KiB of a process.
fn state(pid: u32) -> (usize, usize, u64) {
    let count = |name: &str| fs::read_dir(format!("/proc/{pid}/{name}")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (count("fd"), count("task"), resident.trim().trim_end_matches(" kB").parse().unwrap())
}

/// The processes that a process has started, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    children.iter().copied().chain(below.collect::<Vec<_>>()).collect()
}

/// In one environment, as in Lambda.
#[test]
fn a_thousand_invocations_in_a_row_leave_nothing() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    for number in 1..=50 {
        assert_eq!(served.invoke(&json!({ "do": "count" })), number);
    }
    let (descriptors, threads, memory) = state(served.pid());
    for number in 51..=1000 {
        assert_eq!(served.invoke(&json!({ "do": "count" })), number);
    }
    let after = state(served.pid());
    assert!(after.0 <= descriptors + 4 && after.1 <= threads + 2, "{after:?} {descriptors} {threads}");
    assert!(after.2 < memory + (16 << 10), "{} KiB, before {memory} KiB", after.2);
    assert_eq!(served.interrupt(), Some(130));
    assert_eq!(fs::read_dir(rig.lbuild.cache().join("work")).map(|dir| dir.count()).unwrap_or_default(), 0);
}

/// An environment that ended is made again, each time.
#[test]
fn environments_that_end_are_replaced() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    assert_eq!(served.invoke(&json!({ "do": "count" })), 1);
    let before = state(served.pid());
    for _ in 0..20 {
        assert_eq!(served.invoke(&json!({ "do": "exits", "code": 1 }))["errorType"], "Runtime.ExitError");
        assert_eq!(served.invoke(&json!({ "do": "count" })), 1);
    }
    let after = state(served.pid());
    assert!(after.0 <= before.0 + 4 && after.1 <= before.1 + 2, "{before:?} {after:?}");
}

#[test]
fn fifty_invocations_at_once_do_not_disturb_each_other() {
    let rig = Rig::new();
    let served = rig.serve(&["--concurrency", "50"]);
    served.invoke(&json!({}));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..50)
            .map(|number| {
                let served = &served;
                scope.spawn(move || {
                    let path = "/tmp/x";
                    assert_eq!(served.invoke(&json!({ "do": "writes", "path": path })), "written");
                    served.invoke(&json!({ "number": number }))
                })
            })
            .collect();
        for (number, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().unwrap(), json!({ "number": number }));
        }
    });
    assert!(!descendants(served.pid()).is_empty());
    let pid = served.pid();
    let started = descendants(pid);
    assert_eq!(served.interrupt(), Some(130));
    let deadline = Instant::now() + Duration::from_secs(10);
    while started.iter().any(|pid| fs::exists(format!("/proc/{pid}")).unwrap_or(false)) {
        assert!(Instant::now() < deadline, "processes are left");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(fs::read_dir(rig.lbuild.cache().join("work")).map(|dir| dir.count()).unwrap_or_default(), 0);
}

/// Commands of their own, with one cache.
#[test]
fn several_commands_at_once_share_a_cache() {
    let rig = Rig::new();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|number| {
                let rig = &rig;
                scope.spawn(move || rig.answer(&json!({ "number": number }), &[]))
            })
            .collect();
        for (number, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().unwrap(), json!({ "number": number }));
        }
    });
}
