//! `lbuild run`: the URL of the emulator, and changes of the code.

use super::rig::{OwnBase, Rig, Served, call};
use crate::support::lbuild::{Lbuild, function};
use crate::support::{run, tool};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn curl_gets_an_answer_from_the_emulators_url() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    assert!(served.url.ends_with("/2015-03-31/functions/function/invocations"), "{}", served.url);
    let mut curl = Command::new(tool("curl"));
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--data",
        r#"{"do": "text", "text": "é"}"#,
        &served.url,
    ]);
    assert_eq!(run(&mut curl).unwrap(), "\"\\u00e9\"");
    // what it prints is in the log
    served.invoke(&call("logs"));
    assert!(served.log().contains("to standard output é\n"), "{}", served.log());
    // the next invocation has the same process
    assert_eq!([1, 2], [0, 0].map(|_| served.invoke(&call("count")).as_u64().unwrap()));
}

#[test]
fn requests_are_those_of_lambdas_api() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    let context = BASE64_STANDARD.encode(r#"{"custom":{"a":1}}"#);
    let seen = served.post(br#"{"do":"seen"}"#, &[("X-Amz-Client-Context", &context)]);
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(seen["client"], json!({ "a": 1 }), "{seen}");
    assert_eq!(served.post(b"{}", &[("X-Amz-Client-Context", "no base64!")]).status, 400);
    let pretty = BASE64_STANDARD.encode("{\n  \"custom\": {\"b\": 2}\n}");
    let seen = served.post(br#"{"do":"seen"}"#, &[("X-Amz-Client-Context", &pretty)]);
    let seen: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(seen["client"], json!({ "b": 2 }), "{seen}");
    assert_eq!(served.post(b"{}", &[("X-Amz-Invocation-Type", "Event")]).status, 202);
    assert_eq!(served.post(b"{}", &[("X-Amz-Invocation-Type", "DryRun")]).status, 204);
    assert_eq!(served.post(b"{}", &[("X-Amz-Invocation-Type", "Other")]).status, 400);
    assert_eq!(served.post(&vec![b' '; 7 << 20], &[]).status, 413);
    assert_eq!(served.post(br#"{"do":"raised"}"#, &[]).status, 200);
    let mut curl = Command::new(tool("curl"));
    let (url, headers) = (&served.url, ["--silent", "--dump-header", "-", "--output", "/dev/null"]);
    let head = run(curl.args(headers).args(["--data", r#"{"do": "raised"}"#, url])).unwrap().to_lowercase();
    assert!(
        head.contains("x-amz-function-error: unhandled") && head.contains("x-amzn-requestid: "),
        "{head}"
    );
    let mut curl = Command::new(tool("curl"));
    let other = run(curl.args(["--silent", &format!("http://{}/other", served.address())])).unwrap();
    assert!(other.contains("/2015-03-31/functions/function/invocations"), "{other}");
}

/// A page of another site, opened in a browser of this machine.
#[test]
fn requests_of_other_sites_are_refused() {
    let rig = Rig::new();
    for form in [&[][..], &["--url"]] {
        let served = rig.serve(form);
        let status = |headers: &[&str]| {
            let mut curl = Command::new(tool("curl"));
            curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--data", "{}"]);
            curl.args(headers.iter().flat_map(|header| ["--header", header]));
            run(curl.arg(&served.url)).unwrap()
        };
        assert_eq!(status(&["Host: evil.example"]), "403");
        assert_eq!(status(&["Origin: http://evil.example"]), "403");
        assert_eq!(status(&["Origin: null"]), "403");
        assert_eq!(status(&[&format!("Origin: http://{}", served.address())]), "200");
        assert_eq!(status(&["Host: localhost:1"]), "200");
    }
}

#[test]
fn the_end_of_the_log_is_returned_on_request() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    let mut curl = Command::new(tool("curl"));
    curl.args([
        "--silent",
        "--dump-header",
        "-",
        "--output",
        "/dev/null",
        "--header",
        "X-Amz-Log-Type: Tail",
    ]);
    let head = run(curl.args(["--data", r#"{"do": "logs"}"#, &served.url])).unwrap();
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("x-amz-log-result: "))
        .unwrap_or_else(|| panic!("{head}"));
    let log = String::from_utf8(BASE64_STANDARD.decode(line.trim()).unwrap()).unwrap();
    assert!(log.contains("to standard output é\n") && log.contains("\nREPORT RequestId: "), "{log}");
}

#[test]
fn what_is_wrong_is_told_with_a_hint() {
    let rig = Rig::new();
    let served = rig.serve(&[]);
    served.invoke(&json!({ "do": "writes", "path": "/var/task/x" }));
    let log = served.log();
    assert!(
        log.contains("warning: the function has failed\nhint: in Lambda, only /tmp can be written to"),
        "{log}"
    );
}

#[test]
fn a_directory_that_is_made_again_is_watched() {
    let lbuild = Lbuild::new();
    let version = |value: &str| format!("def handler(event, context):\n    return '{value}'\n");
    let parent = function(&[("dist/app.py", version("one"))]);
    let (dist, app) = (parent.path().join("dist"), parent.path().join("dist/app.py"));
    let served = Served::start(
        &lbuild,
        &super::rig::arguments("run", &dist, &super::rig::python_base(), "app.handler", &["--watch"]),
    );
    served.wait_for(&json!({}), &json!("one"));
    for value in ["two", "three"] {
        // as bundlers do
        std::fs::remove_dir_all(&dist).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        std::fs::create_dir(&dist).unwrap();
        std::fs::write(&app, version(value)).unwrap();
        served.wait_for(&json!({}), &json!(value));
    }
    let image = format!(
        "oci:{}:{}",
        crate::support::bases::layout("oci-index").display(),
        crate::support::bases::TAG
    );
    let error = lbuild.run(&["run", &image, "--port", "0", "--watch"]).failed(2);
    assert!(error.contains("--watch: a finished image has no files to watch"), "{error}");
}

#[test]
fn changed_code_is_served_from_then_on() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", "def handler(event, context):\n    return 'one'\n"), ("sub/data", "")]);
    let app = code.path().join("app.py");
    let arguments =
        super::rig::arguments("run", code.path(), &super::rig::python_base(), "app.handler", &["--watch"]);
    let served = Served::start(&lbuild, &arguments);
    served.wait_for(&json!({}), &json!("one"));
    std::fs::write(&app, "def handler(event, context):\n    return 'two'\n").unwrap();
    served.wait_for(&json!({}), &json!("two"));
    // an editor that writes another file, and renames it
    let new = code.path().join(".app.py.new");
    std::fs::write(&new, "import helper\ndef handler(event, context):\n    return helper.value\n").unwrap();
    std::fs::rename(&new, &app).unwrap();
    std::fs::write(code.path().join("sub/other"), "").unwrap();
    std::fs::write(code.path().join("helper.py"), "value = 'three'\n").unwrap();
    served.wait_for(&json!({}), &json!("three"));
    // a fault leaves the earlier code in place
    std::fs::write(code.path().join("lbuild.toml"), "nothing = [\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(served.invoke(&json!({})), "three");
    assert!(served.log().contains("error: "), "{}", served.log());
    std::fs::remove_file(code.path().join("lbuild.toml")).unwrap();
    std::fs::write(code.path().join("helper.py"), "value = 'four'\n").unwrap();
    served.wait_for(&json!({}), &json!("four"));
}

#[test]
fn a_dockerfile_is_built_again_when_it_changes() {
    let lbuild = Lbuild::new();
    let dockerfile = |value: &str| {
        format!(
            "FROM base\nCOPY app.py /var/task/\nRUN echo {value} >/var/task/value\nCMD [\"app.handler\"]\n"
        )
    };
    let code = function(&[
        ("Dockerfile", dockerfile("one")),
        (
            "app.py",
            "def handler(event, context):\n    return open('/var/task/value').read().strip()\n".to_owned(),
        ),
    ]);
    let base = format!("base={}", super::rig::python_base());
    let path = code.path().display().to_string();
    let arguments = ["run", &path, "--build-context", &base, "--watch"].map(str::to_owned);
    let served = Served::start(&lbuild, &arguments);
    served.wait_for(&json!({}), &json!("one"));
    std::fs::write(code.path().join("Dockerfile"), dockerfile("two")).unwrap();
    served.wait_for(&json!({}), &json!("two"));
}

/// The case of `s1-aws-base`, as its `expect.md` says.
#[test]
fn an_image_on_aws_base_answers_on_its_port() {
    let mut lbuild = Lbuild::new();
    let _index = crate::dockerfile::case_answers::furnished(&mut lbuild);
    let context = lbuild.path("s1-aws-base");
    let case = crate::support::testdata("dockerfile/cases/s1-aws-base");
    run(Command::new(tool("cp")).arg("-rT").arg(case).arg(&context)).unwrap();
    let base = format!("public.ecr.aws/lambda/python:3.12=oci:{}:python", lbuild.text("bases"));
    let arguments = ["run", &lbuild.text("s1-aws-base"), "--build-context", &base].map(str::to_owned);
    let served = Served::start(&lbuild, &arguments);
    assert_eq!(served.invoke(&json!({})), json!({ "six": "1.17.0" }), "{}", served.log());
    assert!(served.log().contains("\npython 3.11"), "{}", served.log());
}

/// A base that is not AWS's, with the runtime client and the emulator.
#[test]
fn an_image_with_the_emulator_answers_without_it() {
    let mut lbuild = Lbuild::new();
    let case = OwnBase::new(&mut lbuild);
    for arch in ["amd64", "arm64"] {
        let done = lbuild.ok(&case.arguments(&lbuild, "invoke", arch));
        assert_eq!(done.stdout, "{\"six\": \"1.17.0\"}\n");
        assert!(!done.stderr.contains("the emulator"), "{}", done.stderr);
    }
}
