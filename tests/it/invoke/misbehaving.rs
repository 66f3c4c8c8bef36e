//! Functions that fail, or do what Lambda forbids: what is reported, the exit code, and nothing left.

use super::rig::{Rig, call, masked, python_base, report};
use crate::support::environments::processes_of;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// The payload of an invocation that fails with this code.
#[track_caller]
fn fails(done: &RunOutput, code: i32) -> Value {
    assert_eq!(done.code, Some(code), "{done:?}");
    assert!(done.stderr.contains("\nerror: "), "{}", done.stderr);
    serde_json::from_str(&masked(&done.stdout)).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// No workplace is left in the cache, and no process that names the user's directory.
#[track_caller]
fn nothing_is_left(lbuild: &Lbuild) {
    let work = fs::read_dir(lbuild.cache().join("work")).map(|dir| dir.count()).unwrap_or_default();
    assert_eq!(work, 0);
    assert_eq!(processes_of(&lbuild.path("")), Vec::<String>::new());
}

#[test]
fn an_error_of_the_function_is_its_own() {
    let rig = Rig::new();
    let error = fails(&rig.invoke(&call("raised"), &[]), 9);
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&json!("OwnError"), &json!("of the function: é \"quoted\""))
    );
    nothing_is_left(&rig.lbuild);
}

#[test]
fn the_end_of_the_process_is_told_as_lambda_tells_it() {
    let rig = Rig::new();
    let exit = "Runtime.ExitError";
    for (event, message) in [
        (json!({ "do": "exits", "code": 3 }), "Runtime exited with error: exit status 3"),
        (json!({ "do": "exits", "code": 0 }), "Runtime exited without providing a reason"),
        (json!({ "do": "system_exit", "code": 7 }), "Runtime exited with error: exit status 7"),
        (json!({ "do": "killed", "signal": 9 }), "Runtime exited with error: signal: killed"),
        (json!({ "do": "killed", "signal": 15 }), "Runtime exited with error: signal: terminated"),
        (call("crashes"), "Runtime exited with error: signal: segmentation fault"),
    ] {
        let done = rig.invoke(&event, &[]);
        let expected =
            json!({ "errorType": exit, "errorMessage": format!("RequestId: ID Error: {message}") });
        assert_eq!(fails(&done, 11), expected);
        let line = format!("RequestId: ID Error: {message}\n{exit}\nEND RequestId: ID\n");
        assert!(masked(&done.stderr).contains(&line), "{}", done.stderr);
        assert_eq!(report(&done.stderr, "Status"), Some("error"));
        assert_eq!(report(&done.stderr, "Error Type"), Some(exit));
    }
    nothing_is_left(&rig.lbuild);
}

#[test]
fn processes_that_are_left_end() {
    let rig = Rig::new();
    for name in ["forks", "daemon"] {
        // a number of seconds that no other process of this machine has
        let seconds = (100_000 + std::process::id()).to_string();
        rig.answer(&json!({ "do": name, "seconds": seconds }), &[]);
        let left =
            std::process::Command::new("pgrep").args(["-f", &format!("sleep {seconds}")]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{name}");
    }
    nothing_is_left(&rig.lbuild);
}

#[test]
fn a_time_out_ends_the_function() {
    let rig = Rig::new();
    let begin = Instant::now();
    let done = rig.invoke(&json!({ "do": "sleeps", "seconds": 100 }), &["--timeout", "1"]);
    assert!(begin.elapsed() < Duration::from_secs(30));
    let error = json!({ "errorType": "Sandbox.Timedout", "errorMessage": "RequestId: ID Error: Task timed out after 1.00 seconds" });
    assert_eq!(fails(&done, 10), error);
    assert_eq!(report(&done.stderr, "Duration"), Some("1000.00 ms"), "{}", done.stderr);
    assert_eq!(report(&done.stderr, "Status"), Some("timeout"), "{}", done.stderr);
    assert!(
        masked(&done.stderr).contains("\nID Task timed out after 1.00 seconds\n")
            && done.stderr.contains("hint: --timeout")
    );
    nothing_is_left(&rig.lbuild);
}

/// Lambda ends an init phase after ten seconds, and repeats it as a part of the invocation.
#[test]
fn a_long_init_phase_is_repeated_in_the_invocation() {
    let lbuild = Lbuild::new();
    let code = function(&[(
        "app.py",
        "import time\ntime.sleep(11)\ndef handler(event, context):\n    return 'late'\n",
    )]);
    let arguments = super::rig::arguments("invoke", code.path(), &python_base(), "app.handler", &[]);
    let done = lbuild.run(&arguments).succeeded();
    assert_eq!(done.stdout, "\"late\"\n");
    let lines: Vec<&str> = done.stderr.lines().collect();
    let init =
        lines.iter().find(|line| line.starts_with("INIT_REPORT ")).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(init.contains("Init Duration: 10") && init.ends_with("Phase: init\tStatus: timeout"), "{init}");
    assert_eq!(report(&done.stderr, "Init Duration"), None);
    let duration: f64 = report(&done.stderr, "Duration").unwrap().trim_end_matches(" ms").parse().unwrap();
    assert!((11_000.0..20_000.0).contains(&duration), "{duration}");
}

#[test]
fn too_much_memory_ends_the_function() {
    let rig = Rig::new();
    let done = rig.invoke(&call("eats"), &["--memory", "128"]);
    let message = "RequestId: ID Error: Runtime exited with error: signal: killed";
    assert_eq!(fails(&done, 12), json!({ "errorType": "Runtime.OutOfMemory", "errorMessage": message }));
    assert_eq!(report(&done.stderr, "Memory Size"), Some("128 MB"));
    assert_eq!(report(&done.stderr, "Max Memory Used"), Some("128 MB"));
    assert!(done.stderr.contains("hint: --memory"), "{}", done.stderr);
    nothing_is_left(&rig.lbuild);
}

#[test]
fn only_tmp_can_be_written_to() {
    let rig = Rig::new();
    for path in ["/var/task/x", "/x", "/opt/x", "/var/tmp/x", "/var/runtime/bootstrap"] {
        let done = rig.invoke(&json!({ "do": "writes", "path": path }), &[]);
        let error = fails(&done, 9);
        assert_eq!(error["errorMessage"], format!("[Errno 30] Read-only file system: '{path}'"));
        assert!(done.stderr.contains("hint: in Lambda, only /tmp can be written to"), "{}", done.stderr);
    }
    assert_eq!(rig.answer(&json!({ "do": "writes", "path": "/tmp/x" }), &[]), "written");
    assert_eq!(rig.answer(&json!({ "do": "fills", "megabytes": 400 }), &[]), 400 << 20);
    let done = rig.invoke(&json!({ "do": "fills", "megabytes": 600 }), &[]);
    assert!(fails(&done, 9)["errorMessage"].as_str().unwrap().contains("No space left"), "{done:?}");
    assert!(done.stderr.contains("hint: /tmp is full: --ephemeral-storage"), "{}", done.stderr);
    assert_eq!(
        rig.answer(&json!({ "do": "fills", "megabytes": 600 }), &["--ephemeral-storage", "1024"]),
        600 << 20
    );
}

#[test]
fn limits_are_lambdas() {
    let rig = Rig::new();
    assert_eq!(rig.answer(&call("files"), &[]), json!([24, true]));
    assert_eq!(rig.answer(&call("shared_memory"), &[]), "none");
    let large = rig.invoke(&json!({ "do": "large", "size": 7 << 20 }), &[]);
    assert_eq!(fails(&large, 9)["errorType"], "Function.ResponseSizeTooLarge");
}

#[test]
fn a_file_that_lambda_cannot_read_cannot_be_read_here() {
    let lbuild = Lbuild::new();
    let dockerfile = "FROM base\nCOPY app.py other.py /var/task/\nRUN chmod 0600 /var/task/other.py && chmod 0700 /var/runtime\n\
                      RUN chmod 0755 /var/runtime\nCMD [\"app.handler\"]\n";
    let app = "import os\ndef handler(event, context):\n    import other\n    return 1\n";
    let code = function(&[("Dockerfile", dockerfile), ("app.py", app), ("other.py", "")]);
    let base = format!("base={}", python_base());
    let done = lbuild.run(&["invoke", code.path().to_str().unwrap(), "--build-context", &base]);
    let error = fails(&done, 9);
    assert_eq!(error["errorMessage"], "[Errno 13] Permission denied: '/var/task/other.py'");
    // the rule and the layer
    assert!(done.stderr.contains("error: unreadable\n  /var/task/other.py (layer 5): "), "{}", done.stderr);
}

#[test]
fn what_cannot_start_is_explained() {
    let lbuild = Lbuild::new();
    let code = function(&[
        ("app.py", "import nothing_here\n"),
        ("late.py", "def handler(event, context):\n    import missing.part\n"),
        ("ok.py", "def handler(event, context): return 1\n"),
        ("script*", "#!/bin/none\n"),
        ("text", "no program"),
    ]);
    let arm = fs::read("/usr/bin/true").map(|mut program| {
        // the architecture of its header becomes another one
        program[18] = 183;
        program
    });
    fs::write(code.path().join("foreign"), arm.unwrap()).unwrap();
    fs::set_permissions(code.path().join("foreign"), PermissionsExt::from_mode(0o755)).unwrap();
    let run = |more: &[&str]| {
        let all = super::rig::arguments("invoke", code.path(), &python_base(), "ok.handler", &[]);
        let all = all.iter().map(String::as_str).chain(more.iter().copied()).collect::<Vec<_>>();
        lbuild.run(&all)
    };
    let with = |handler: &str| {
        lbuild.run(&super::rig::arguments("invoke", code.path(), &python_base(), handler, &[]))
    };
    for (done, code, error_type, hint) in [
        (with("app.handler"), 9, "Runtime.ImportModuleError", "the image has no module nothing_here"),
        (with("late.handler"), 9, "ModuleNotFoundError", "the image has no module missing"),
        (with("ok.nothing"), 9, "Runtime.HandlerNotFound", "name a function of the module"),
        (run(&["--entrypoint", "/none"]), 9, "Runtime.InvalidEntrypoint", ""),
        (
            run(&["--entrypoint", "/var/task/script"]),
            9,
            "Runtime.InvalidEntrypoint",
            "its first line names a program",
        ),
        (
            run(&["--entrypoint", "/var/task/text"]),
            9,
            "Runtime.InvalidEntrypoint",
            "others may not execute it (mode 0644)",
        ),
        (
            run(&["--entrypoint", "/var/task/foreign"]),
            9,
            "Runtime.InvalidEntrypoint",
            "this file is for arm64, but the function is for amd64",
        ),
        (run(&["--workdir", "/none"]), 9, "Runtime.InvalidWorkingDir", ""),
    ] {
        assert_eq!(fails(&done, code)["errorType"], error_type, "{done:?}");
        assert!(done.stderr.contains(hint), "{hint}: {}", done.stderr);
    }
    let empty = lbuild.run(&["invoke", code.path().to_str().unwrap(), "--base", "scratch"]).failed(2);
    assert!(
        empty.contains("the image has no entry point and no command") && empty.contains("hint: "),
        "{empty}"
    );
}

#[test]
fn a_hundred_megabytes_of_output_are_passed_on() {
    let rig = Rig::new();
    let done = rig.invoke(&json!({ "do": "prints", "kilobytes": 100 << 10 }), &[]).succeeded();
    assert_eq!(done.stdout, "\"printed\"\n");
    assert_eq!(done.stderr.bytes().filter(|byte| *byte == b'y').count() / 1023, 100 << 10);
}

#[test]
fn output_without_an_end_is_passed_on() {
    let rig = Rig::new();
    let done = rig.invoke(&json!({ "do": "one_line", "megabytes": 20 }), &[]).succeeded();
    let longest = done.stderr.lines().map(|line| line.bytes().filter(|byte| *byte == b'z').count()).max();
    assert_eq!(longest, Some(20 << 20));
    // a process that goes on writing does not keep the others
    assert_eq!(rig.invoke(&call("floods"), &[]).succeeded().stdout, "\"left\"\n");
    nothing_is_left(&rig.lbuild);
}

#[test]
fn a_function_gains_no_right_and_does_not_see_lbuilds_arguments() {
    let rig = Rig::new();
    for network in ["host", "none"] {
        assert_eq!(rig.answer(&call("process"), &["--network", network]), json!(["1", "", "init"]));
    }
}

/// Nobody reads what lbuild prints: it ends all the same.
#[test]
fn a_reader_that_does_not_read_does_not_keep_lbuild() {
    let rig = Rig::new();
    let mut arguments = rig.arguments("invoke", &["--timeout", "2"]);
    arguments.extend(["-d".to_owned(), json!({ "do": "prints", "kilobytes": 1 << 20 }).to_string()]);
    let mut command = rig.lbuild.command(&arguments);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // its pipes stay open, and full
    assert_eq!(child.wait().unwrap().code(), Some(130));
    nothing_is_left(&rig.lbuild);
}

#[test]
fn an_interruption_ends_all() {
    let rig = Rig::new();
    let seconds = (200_000 + std::process::id()).to_string();
    let mut arguments = rig.arguments("invoke", &[]);
    arguments.extend(["-d".to_owned(), json!({ "do": "sleeps", "seconds": 200_000 }).to_string()]);
    let mut command = rig.lbuild.command(&arguments);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("START ") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut log, &mut line).unwrap() > 0);
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let _ = seconds;
    nothing_is_left(&rig.lbuild);
}
