//! What `lbuild invoke` prints, and its arguments.

use super::rig::{Rig, call, node_base, python_base, report};
use crate::support::lbuild::{Lbuild, function};
use crate::support::testdata;
use serde_json::{Value, json};

#[test]
fn the_response_is_on_standard_output_and_the_log_on_standard_error() {
    let rig = Rig::new();
    let done = rig.invoke(&call("logs"), &[]).succeeded();
    assert_eq!(done.stdout, "null\n");
    let lines: Vec<&str> = done.stderr.lines().collect();
    let at = |start: &str| {
        lines.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {lines:#?}"))
    };
    let order = [
        "START RequestId: ",
        "to standard output é",
        "to standard error",
        "without an end",
        "END RequestId: ",
        "REPORT ",
    ];
    let order: Vec<usize> = order.into_iter().map(at).collect();
    assert!(order.is_sorted(), "{lines:#?}");
    for member in ["Duration", "Billed Duration", "Memory Size", "Max Memory Used", "Init Duration"] {
        assert!(report(&done.stderr, member).is_some(), "{member}: {}", done.stderr);
    }
    let number = |member: &str| {
        report(&done.stderr, member).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let (billed, sum) = (number("Billed Duration"), number("Duration") + number("Init Duration"));
    assert!(billed >= sum && billed < sum + 1.1, "{}", done.stderr);
    assert!((5.0..200.0).contains(&number("Max Memory Used")), "{}", done.stderr);
}

#[test]
fn the_second_invocation_makes_and_unpacks_nothing() {
    let rig = Rig::new();
    rig.answer(&json!({}), &[]);
    let roots = || std::fs::read_dir(rig.lbuild.cache().join("roots")).unwrap().count();
    let before = roots();
    let done = rig.invoke(&json!({}), &[]).succeeded();
    assert_eq!((roots(), done.layer_counts()), (before, (0, 1)));
    // another version of the code takes over the files of the base
    std::fs::write(rig.code().join("app.py"), "def handler(event, context):\n    return 'other'\n").unwrap();
    assert_eq!(rig.answer(&json!({}), &[]), "other");
    assert_eq!(roots(), before + 1);
}

#[test]
fn an_event_is_text_a_file_or_standard_input() {
    let rig = Rig::new();
    assert_eq!(rig.answer(&json!({ "x": "é" }), &[]), json!({ "x": "é" }));
    let file = rig.lbuild.path("event.json");
    std::fs::write(&file, r#"{"of": "a file"}"#).unwrap();
    let arguments = rig.arguments("invoke", &["--event", file.to_str().unwrap()]);
    assert_eq!(rig.lbuild.ok(&arguments).stdout, "{\"of\": \"a file\"}\n");
    let arguments = rig.arguments("invoke", &["--event", "-"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(rig.lbuild.run_with("[1]", &arguments).succeeded().stdout, "[1]\n");
    assert_eq!(rig.lbuild.ok(&rig.arguments("invoke", &[])).stdout, "{}\n");
    for (more, message) in [
        (["--event", "/none"], "cannot read /none"),
        (["-d", "{x"], "the event of -d is not JSON"),
        (["-d", "@event.json"], "hint: --event FILE reads a file"),
        (["--client-context", "[]"], "--client-context is not a JSON object"),
        (["--env", "AWS_REGION=eu-west-1"], "hint: --region sets it here"),
        (["--function-name", "a b"], "--function-name `a b` has other characters"),
    ] {
        let error = rig.lbuild.run(&rig.arguments("invoke", &more)).failed(2);
        assert!(error.contains(message), "{more:?}: {error}");
    }
    let context = rig.answer(&json!({ "do": "seen" }), &["--client-context", "{\n \"custom\": {\"a\": 1}}"]);
    assert_eq!(context["client"], json!({ "a": 1 }));
}

#[test]
fn variables_are_those_of_the_arguments() {
    let mut rig = Rig::new();
    std::fs::write(
        rig.code().join("app.py"),
        "import os\ndef handler(event, context):\n    return {name: os.environ.get(name) for name in event}\n",
    )
    .unwrap();
    let file = rig.lbuild.path("variables");
    std::fs::write(&file, "# comment\n\nA=file\nB=of $HOME 'file'\nGIVEN\nMISSING\n").unwrap();
    rig.lbuild.set("GIVEN", "of the environment");
    let names = json!(["A", "B", "C", "GIVEN", "MISSING", "AWS_REGION", "HOME"]);
    let more = [
        "--env-file",
        file.to_str().unwrap(),
        "--env",
        "A=flag",
        "--env",
        "C=$PATH",
        "--region",
        "eu-west-1",
    ];
    let answer = rig.answer(&names, &more);
    let expected = json!({
        "A": "flag", "B": "of $HOME 'file'", "C": "$PATH", "GIVEN": "of the environment", "MISSING": null,
        "AWS_REGION": "eu-west-1", "HOME": null,
    });
    assert_eq!(answer, expected);
}

/// The caller's credentials are its own: a function gets them only on request.
#[test]
fn credentials_are_given_on_request_only() {
    let mut rig = Rig::new();
    std::fs::write(
        rig.code().join("app.py"),
        "import os\ndef handler(event, context):\n    return {k: v for k, v in os.environ.items() if k.startswith('AWS_') and \
         ('KEY' in k or 'TOKEN' in k or 'REGION' in k or 'METADATA' in k)}\n",
    )
    .unwrap();
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "top-secret-key"),
        ("AWS_SESSION_TOKEN", "top-secret-token"),
        ("AWS_REGION", "eu-north-1"),
    ] {
        rig.lbuild.set(name, value);
    }
    let region = json!({ "AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-1", "AWS_EC2_METADATA_DISABLED": "true" });
    assert_eq!(rig.answer(&json!({}), &[]), region);
    let mut all = region;
    all["AWS_ACCESS_KEY_ID"] = json!("AKIDEXAMPLE");
    all["AWS_SECRET_ACCESS_KEY"] = json!("top-secret-key");
    all["AWS_SESSION_TOKEN"] = json!("top-secret-token");
    assert_eq!(rig.answer(&json!({}), &["--with-credentials"]), all);
    let both = rig
        .lbuild
        .run(&rig.arguments("invoke", &["--with-credentials", "--env", "AWS_SESSION_TOKEN=x"]))
        .failed(2);
    assert!(both.contains("AWS_SESSION_TOKEN") && both.contains("hint: "), "{both}");
    // no file of the cache has them
    let found = crate::support::command_builds::files_with(&rig.lbuild.cache(), &["top-secret"]);
    assert_eq!(found, "");
}

#[test]
fn json_has_the_response_and_the_report() {
    let rig = Rig::new();
    let done = rig.invoke(&call("logs"), &["--json"]).succeeded();
    let result: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&result["status"], &result["payload"], &result["schema"]),
        (&json!("success"), &Value::Null, &json!(1))
    );
    assert!(result["report"]["init_duration_ms"].as_f64().unwrap() > 0.0, "{result}");
    let events: Vec<Value> = done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let logs = |source: &str| -> Vec<&str> {
        let of = |event: &&Value| event["reason"] == "log" && event["source"] == source;
        events.iter().filter(of).map(|event| event["message"].as_str().unwrap()).collect()
    };
    assert_eq!(logs("function"), ["to standard output é", "to standard error", "without an end"]);
    assert!(logs("platform").last().unwrap().starts_with("REPORT "), "{events:#?}");
    let done = rig.invoke(&call("raised"), &["--json"]);
    let result: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(done.code, Some(9), "{done:?}");
    assert_eq!(
        (&result["status"], &result["payload"]["errorType"]),
        (&json!("function-error"), &json!("OwnError"))
    );
}

#[test]
fn an_image_is_invoked_with_other_settings_than_its_own() {
    let lbuild = Lbuild::new();
    let code = function(&[
        ("app.py", super::rig::HANDLERS),
        ("more.py", "def handler(event, context):\n    return 'more'\n"),
    ]);
    let to = format!("oci:{}:1", lbuild.text("out"));
    lbuild.ok(&[
        "build",
        code.path().to_str().unwrap(),
        "--base",
        &python_base(),
        "--handler",
        "app.handler",
        "--to",
        &to,
        "--arch",
        "amd64",
        "--no-check",
    ]);
    assert_eq!(lbuild.ok(&["invoke", &to, "-d", "[]"]).stdout, "[]\n");
    assert_eq!(lbuild.ok(&["invoke", &to, "--handler", "more.handler"]).stdout, "\"more\"\n");
    assert_eq!(lbuild.ok(&["invoke", &to, "--cmd", "more.handler"]).stdout, "\"more\"\n");
    let script = ["--entrypoint", r#"["/bin/sh", "-c", "echo $0 here >&2; exec /var/runtime/bootstrap"]"#];
    let done = lbuild.ok(&[
        &["invoke", &to][..],
        &script,
        &["--env", "_X=1", "--cmd", "app.handler", "--workdir", "/opt"],
    ]
    .concat());
    assert!(done.stderr.contains("app.handler here"), "{}", done.stderr);
    let error = lbuild.run(&["invoke", &to, "--deps", "x"]).failed(2);
    assert!(error.contains("--deps describes an image to build") && error.contains("hint:"), "{error}");
}

#[test]
fn functions_of_other_languages_answer() {
    let lbuild = Lbuild::new();
    let node = testdata("functions/hello-node");
    let done = lbuild.ok(&[
        "invoke",
        node.to_str().unwrap(),
        "--base",
        &node_base(),
        "--handler",
        "index.handler",
        "-d",
        "{\"nonce\":\"n\"}",
    ]);
    assert!(done.stdout.contains("\"nonce\":\"n\""), "{}", done.stdout);
    for arch in ["amd64", "arm64"] {
        let provided = format!("{}:/var/runtime", testdata("functions/hello-provided").display());
        let code = function(&[("unused", "")]);
        let more = [
            "--add",
            &provided,
            "--base",
            &python_base(),
            "--handler",
            "any",
            "--arch",
            arch,
            "-d",
            "{\"a\":1}",
        ];
        let done = lbuild.ok(&[&["invoke", code.path().to_str().unwrap()][..], &more].concat());
        let answer: Value = serde_json::from_str(&done.stdout).unwrap();
        let machine = if arch == "arm64" { "aarch64" } else { "x86_64" };
        assert_eq!((&answer["event"]["a"], &answer["machine"]), (&json!(1), &json!(machine)), "{done:?}");
    }
}

/// A program that is compiled, with the Runtime API by hand.
#[test]
fn a_compiled_program_answers() {
    let lbuild = Lbuild::new();
    let code = function(&[("bootstrap.rs", include_str!("bootstrap.rs"))]);
    let bootstrap = code.path().join("bootstrap");
    let mut rustc = std::process::Command::new("rustc");
    rustc.args(["--edition=2024", "-O", "-o"]).arg(&bootstrap).arg(code.path().join("bootstrap.rs"));
    crate::support::run(&mut rustc).unwrap();
    let add = format!("{}:/var/runtime/bootstrap", bootstrap.display());
    let done = lbuild.ok(&[
        "invoke",
        testdata("functions/hello-provided").to_str().unwrap(),
        "--base",
        &python_base(),
        "--add",
        &add,
        "--handler",
        "any",
        "-d",
        "{\"compiled\": true}",
    ]);
    assert_eq!(done.stdout, "{\"compiled\": true}\n", "{done:?}");
}
