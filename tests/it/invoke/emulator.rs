//! The responses are those of Lambda's runtime interface emulator with the same image, ids masked.

use super::rig::{HANDLERS, Served, masked, node_base, python_base};
use crate::support::image_tools::ImageLocation;
use crate::support::invoke::Function;
use crate::support::lbuild::{Lbuild, function};
use crate::support::tool;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const NODE: &str = r#"
class OwnError extends Error { constructor(message) { super(message); this.name = "OwnError"; } }
const all = {
  text: (event) => event.text,
  nothing: () => undefined,
  throws: () => { throw new OwnError("of the function: é"); },
  rejects: () => Promise.reject(new TypeError("later")),
  late: () => new Promise((resolve) => setTimeout(resolve, 50, { late: true })),
};
export const handler = (event) => (all[event.do] ?? ((event) => event))(event);
"#;

/// A request to both: the body, and the headers.
struct Case {
    name: String,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

fn event(name: &str, more: Value) -> Case {
    let mut body = json!({ "do": name });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    Case { name: name.to_owned(), body: body.to_string().into_bytes(), headers: Vec::new() }
}

fn raw(name: &str, body: &[u8]) -> Case {
    Case { name: name.to_owned(), body: body.to_vec(), headers: Vec::new() }
}

fn built(lbuild: &Lbuild, code: &Path, base: &str, handler: &str, tag: &str) {
    let (code, to) = (code.display().to_string(), format!("oci:{}:{tag}", lbuild.text("out")));
    lbuild.ok(&[
        "build",
        &code,
        "--base",
        base,
        "--handler",
        handler,
        "--to",
        &to,
        "--no-check",
        "--arch",
        "amd64",
    ]);
}

/// Sends the cases to the emulator and to `lbuild run`, and compares the answers.
fn compare(lbuild: &Lbuild, tag: &str, cases: &[Case]) {
    let image = format!("oci:{}:{tag}", lbuild.text("out"));
    let emulator = Function::start(&ImageLocation::layout(&lbuild.path("out"), tag)).unwrap();
    let ours = Served::start(lbuild, &["run".to_owned(), image]);
    for Case { name, body, headers } in cases {
        let file = lbuild.path("event");
        std::fs::write(&file, body).unwrap();
        let answers = [emulator.address(), ours.address()].map(|address| {
            let mut curl = Command::new(tool("curl"));
            curl.args(["--silent", "--show-error", "--data-binary", &format!("@{}", file.display())]);
            curl.args(
                headers.iter().flat_map(|(name, value)| ["--header".to_owned(), format!("{name}: {value}")]),
            );
            let url = format!("http://{address}/2015-03-31/functions/function/invocations");
            let output = curl.arg(url).output().unwrap();
            assert!(output.status.success(), "{name}: {output:?}\n{}", ours.log());
            output.stdout
        });
        let [theirs, answer] = answers.map(|answer| masked(&String::from_utf8_lossy(&answer)));
        assert!(answer == theirs, "{tag}: {name}: {:.2000}\nand not\n{theirs:.2000}\n{}", answer, ours.log());
    }
}

#[test]
fn responses_of_python_are_the_emulators() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", HANDLERS)]);
    built(&lbuild, code.path(), &python_base(), "app.handler", "python");
    let context = BASE64_STANDARD.encode(r#"{"custom":{"a":"é"},"client":{"installation_id":"i"},"env":{}}"#);
    let mut with_context = event("seen", json!({}));
    with_context.headers = vec![("X-Amz-Client-Context".to_owned(), context)];
    with_context.name = "client context".to_owned();
    let cases = [
        raw("empty object", b"{}"),
        raw("list", b"[1, 2, {\"a\": null}]"),
        raw("text", b"\"text\""),
        raw("null", b"null"),
        raw("number", b"-1.50e3"),
        raw("unicode", "{\"é\": \"\u{1f600}\\u00e9 \u{0} \"}".replace('\0', "\\u0000").as_bytes()),
        raw("no JSON", b"{not json"),
        raw("empty", b""),
        raw("binary", &[0xff, 0, 0xfe, 1]),
        event("numbers", json!({})),
        event("raised", json!({})),
        event("key_error", json!({})),
        event("cause", json!({})),
        event("no_json", json!({})),
        event("not_a_number", json!({})),
        event("seen", json!({})),
        with_context,
        event("text", json!({ "text": "\u{7f} \t \\ \" / <>&" })),
        event("large", json!({ "size": 5 << 20 })),
        event("logs", json!({})),
        event("count", json!({})),
        event("count", json!({})),
        event("unknown handler", json!({})),
    ];
    compare(&lbuild, "python", &cases);
}

#[test]
fn responses_of_node_and_a_script_are_the_emulators() {
    let lbuild = Lbuild::new();
    let code = function(&[("index.mjs", NODE)]);
    built(&lbuild, code.path(), &node_base(), "index.handler", "node");
    let cases = [
        raw("empty object", b"{}"),
        event("text", json!({ "text": "é \u{1f600}" })),
        event("nothing", json!({})),
        event("throws", json!({})),
        event("rejects", json!({})),
        event("late", json!({})),
    ];
    compare(&lbuild, "node", &cases);
}
