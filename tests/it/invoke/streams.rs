//! Responses that are streamed, by the protocol of the runtime clients:
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming>.

use super::rig::{Served, python_base, report};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A runtime that answers as the event says.
const RUNTIME: &str = include_str!("streaming.py");

fn rig() -> (Lbuild, TempDir) {
    (Lbuild::new(), function(&[("bootstrap*", RUNTIME)]))
}

fn arguments(command: &str, code: &TempDir, more: &[&str]) -> Vec<String> {
    let base = python_base();
    let code = code.path().display().to_string();
    let all = [command, &code, "--base", &base, "--entrypoint", "/var/task/bootstrap", "--cmd", "any"];
    all.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn invoke(event: &str, more: &[&str]) -> RunOutput {
    let (lbuild, code) = rig();
    lbuild.run(&arguments("invoke", &code, &[&["-d", event], more].concat()))
}

#[test]
fn a_stream_is_printed_without_its_metadata() {
    let done = invoke(r#"{"pieces": ["one ", "two ", "drei é"]}"#, &[]).succeeded();
    assert_eq!(done.stdout, "one two drei é\n");
    assert!(report(&done.stderr, "Duration").is_some(), "{}", done.stderr);
    let done = invoke(r#"{"http": {"statusCode": 201}, "pieces": ["body"]}"#, &[]).succeeded();
    assert_eq!(done.stdout, "body\n");
    let done = invoke(r#"{"pieces": ["a", "b"]}"#, &["--json"]).succeeded();
    let result: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&result["payload"], &result["streamed"]), (&"ab".into(), &true.into()));
}

#[test]
fn a_stream_is_passed_on_while_it_is_written() {
    let (lbuild, code) = rig();
    let served = Served::start(&lbuild, &arguments("run", &code, &["--url"]));
    let mut stream = TcpStream::connect(served.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let event = r#"{"http": {"statusCode": 207, "headers": {"X-Own": "yes"}, "cookies": ["a=1", "b=2"]}, "pieces": ["first", "second"], "pause": 2}"#;
    let begin = Instant::now();
    write!(stream, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{event}", event.len()).unwrap();
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while !text.contains("first") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    let early = begin.elapsed();
    assert!(!text.contains("second"), "{text}");
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("second") && begin.elapsed() > early + Duration::from_secs(1), "{text}");
    let lower = text.to_lowercase();
    for header in ["http/1.1 207", "x-own: yes", "set-cookie: a=1", "set-cookie: b=2"] {
        assert!(lower.contains(header), "{header}: {text}");
    }
}

#[test]
fn an_error_in_the_middle_is_an_error() {
    let done = invoke(
        r#"{"pieces": ["begun"], "error": ["Own.Type", "{\"errorMessage\": \"why\", \"errorType\": \"Own.Type\"}"]}"#,
        &[],
    );
    assert_eq!(done.code, Some(9), "{done:?}");
    assert!(
        done.stdout.starts_with("begun")
            && done.stderr.contains("error: the function returned an error: Own.Type: why"),
        "{done:?}"
    );
}

#[test]
fn requests_that_the_api_does_not_have_are_refused_as_in_lambda() {
    let done = invoke(r#"{"refusals": true}"#, &[]);
    // its mode of response is none
    assert_eq!(done.code, Some(9), "{done:?}");
    let expected = r#"{"mode": [400, "InvalidFunctionResponseMode"], "other id": [400, "InvalidRequestID"], "twice": [403, "InvalidStateTransition"], "unknown": [404, null]}"#;
    assert!(done.stderr.contains(expected), "{}", done.stderr);
}
