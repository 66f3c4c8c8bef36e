//! The Extensions and Telemetry APIs: extensions that are programs of their own, and parts of the runtime.

use super::rig::{HANDLERS, Served, arguments, python_base};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An extension, which writes what it gets to /tmp, where the function can read it.
const EXTENSION: &str = include_str!("extension.py");

/// A function with an extension in `/opt/extensions`.
fn with_extension(mode: u32, extension: &str) -> (Lbuild, TempDir, String) {
    use std::os::unix::fs::PermissionsExt;
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", HANDLERS)]);
    let dir = function(&[("extensions/observer*", extension)]);
    let file = dir.path().join("extensions/observer");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    let kept = dir.keep();
    let add = format!("{}:/opt", kept.display());
    (lbuild, code, add)
}

fn run(lbuild: &Lbuild, code: &TempDir, add: &str, event: &Value, more: &[&str]) -> RunOutput {
    let event = event.to_string();
    let all = [&["--add", add, "-d", &event][..], more].concat();
    lbuild.run(&arguments("invoke", code.path(), &python_base(), "app.handler", &all))
}

#[test]
fn an_extension_gets_its_events() {
    for network in ["host", "none"] {
        let (lbuild, code, add) = with_extension(0o755, EXTENSION);
        let wanted = json!({ "do": "notes", "file": "events", "until": "INVOKE" });
        let done = run(&lbuild, &code, &add, &wanted, &["--network", network]).succeeded();
        let text: String = serde_json::from_str(&done.stdout).unwrap();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let registered = &events[0];
        let expected = json!({
            "functionName": "test_function", "functionVersion": "$LATEST", "handler": "app.handler", "accountId": "012345678912",
        });
        assert_eq!(registered, &expected);
        let event = &events[1];
        assert_eq!(event["eventType"], "INVOKE");
        assert_eq!(
            event["invokedFunctionArn"],
            "arn:aws:lambda:us-east-1:012345678912:function:test_function"
        );
        assert_eq!(event["tracing"]["type"], "X-Amzn-Trace-Id");
        assert!(
            done.stderr.contains(&format!("RequestId: {} ", event["requestId"].as_str().unwrap())),
            "{done:?}"
        );
        // the end is told, and its last words are in the log
        assert!(done.stderr.contains("extension: SHUTDOWN spindown\n"), "{}", done.stderr);
    }
}

#[test]
fn telemetry_has_the_platforms_events_and_what_the_function_prints() {
    for (network, kind) in [("host", "telemetry"), ("none", "telemetry"), ("host", "logs"), ("host", "tcp")] {
        let (lbuild, code, add) = with_extension(0o755, EXTENSION);
        let variable = format!("SUBSCRIBES={kind}");
        let more = ["--add", &add, "--env", &variable, "--network", network];
        let served =
            Served::start(&lbuild, &arguments("run", code.path(), &python_base(), "app.handler", &more));
        served.invoke(&json!({ "do": "logs" }));
        let text = served.invoke(&json!({ "do": "notes", "file": "telemetry", "until": "platform.report" }));
        let text = text.as_str().unwrap().to_owned();
        let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
        assert!(!of("platform.start").is_empty() && !of("platform.report").is_empty(), "{kind}: {text}");
        let metrics = &of("platform.report")[0]["record"]["metrics"];
        assert!(
            metrics["durationMs"].as_f64().unwrap() > 0.0 && metrics["memorySizeMB"] == 3008,
            "{kind}: {metrics}"
        );
        let lines: Vec<&str> = of("function").iter().map(|event| event["record"].as_str().unwrap()).collect();
        assert!(lines.contains(&"to standard output é"), "{kind}: {lines:?}");
        match kind {
            "logs" => {
                assert!(!of("platform.end").is_empty() && of("platform.initStart").is_empty(), "{text}")
            }
            _ => assert!(
                !of("platform.initStart").is_empty()
                    && !of("platform.runtimeDone").is_empty()
                    && of("platform.end").is_empty(),
                "{kind}: {text}"
            ),
        }
    }
}

/// An extension that ends has got all that happened before, whatever its buffering.
#[test]
fn telemetry_comes_before_the_end() {
    for network in ["host", "none"] {
        let (lbuild, code, add) = with_extension(0o755, EXTENSION);
        let more = ["--env", "SUBSCRIBES=telemetry", "--env", "BUFFERS=30000", "--network", network];
        let done = run(&lbuild, &code, &add, &json!({ "do": "logs" }), &more).succeeded();
        let line = done
            .stderr
            .lines()
            .find(|line| line.starts_with("extension: got "))
            .unwrap_or_else(|| panic!("{done:?}"));
        for kind in ["platform.initStart", "platform.start", "function", "platform.report"] {
            assert!(line.contains(kind), "{network}: {line}");
        }
    }
}

/// It registers by the name of its file.
#[test]
fn an_extension_of_another_name_is_refused() {
    let other = EXTENSION.replace("NAME = os.path.basename(sys.argv[0])", "NAME = 'other'");
    let (lbuild, code, add) = with_extension(0o755, &other);
    let done = run(&lbuild, &code, &add, &json!({}), &[]);
    assert_eq!(done.code, Some(11), "{done:?}");
    assert!(
        done.stderr.contains("Extension.InvalidExtensionName") && done.stderr.contains("/opt/extensions"),
        "{done:?}"
    );
}

#[test]
fn the_runtime_starts_when_extensions_have_registered() {
    let slow = EXTENSION.replace("# before the registration", "time.sleep(1)");
    let (lbuild, code, add) = with_extension(0o755, &slow);
    std::fs::write(
        code.path().join("app.py"),
        "import os\nfound = os.path.exists('/tmp/events')\ndef handler(event, context):\n    return found\n",
    )
    .unwrap();
    assert_eq!(run(&lbuild, &code, &add, &json!({}), &[]).succeeded().stdout, "true\n");
}

#[test]
fn an_extension_that_fails_ends_the_environment() {
    let crash = "#!/bin/sh\necho its last words >&2\nexit 3\n";
    let error = EXTENSION
        .replace("# after the registration", "init_error('Extension.Reason', {'errorMessage': 'why'})");
    for (mode, extension, error_type, message) in [
        (0o755, crash, "Extension.Crash", "extension observer: exited with error: exit status 3"),
        (
            0o644,
            crash,
            "Extension.LaunchError",
            "extension observer: fork/exec /opt/extensions/observer: permission denied",
        ),
        (
            0o755,
            &error,
            "Extension.InitError",
            "extension observer: Extension.Reason: {\"errorMessage\": \"why\"}",
        ),
    ] {
        let (lbuild, code, add) = with_extension(mode, extension);
        // `--add` makes files readable, but keeps that they are not executable
        let done = run(&lbuild, &code, &add, &json!({}), &[]);
        assert_eq!(done.code, Some(11), "{done:?}");
        let payload: Value = serde_json::from_str(&super::rig::masked(&done.stdout)).unwrap();
        let expected =
            json!({ "errorType": error_type, "errorMessage": format!("RequestId: ID Error: {message}") });
        assert_eq!(payload, expected, "{done:?}");
    }
}

/// A part of the runtime's process that registers as an extension.
#[test]
fn the_runtime_registers_extensions_too() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", include_str!("internal.py"))]);
    let done = lbuild.run(&arguments("invoke", code.path(), &python_base(), "app.handler", &[])).succeeded();
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&answer["events"], &answer["late"]), (&json!(["INVOKE"]), &json!(403)), "{done:?}");
}
