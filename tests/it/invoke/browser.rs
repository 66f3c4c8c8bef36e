//! Function URLs, in a real browser and with curl.

use super::rig::{Served, arguments, python_base};
use crate::support::lbuild::{Lbuild, function};
use crate::support::{run, tool};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::process::Command;

/// A page with a picture, a script that posts a form, and cookies.
const APP: &str = include_str!("pages.py");

/// A picture of one red pixel.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

fn picture() -> Vec<u8> {
    BASE64_STANDARD.decode(PICTURE).unwrap()
}

fn served(lbuild: &Lbuild) -> Served {
    let code = function(&[("app.py", APP.as_bytes()), ("pixel.png", &picture()[..])]);
    let served =
        Served::start(lbuild, &arguments("run", code.path(), &python_base(), "app.handler", &["--url"]));
    assert!(served.url.ends_with('/'), "{}", served.url);
    served
}

fn curl(url: &str, more: &[&str]) -> String {
    run(Command::new(tool("curl")).args(["--silent", "--show-error"]).args(more).arg(url)).unwrap()
}

#[test]
fn a_browser_shows_the_page_of_a_function() {
    let lbuild = Lbuild::new();
    let served = served(&lbuild);
    let profile = lbuild.text("profile");
    let mut chromium = lbuild.program(
        "chromium",
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--no-proxy-server",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            "--virtual-time-budget=10000",
            "--dump-dom",
            &format!("--user-data-dir={profile}"),
            &format!("{}page?name=G%C3%BCnter+%26+co&name=two", served.url),
        ],
    );
    let output = chromium.output().unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    for expected in [
        // the query, what the script has posted, the size of the picture, and the cookie of the first answer
        "<p id=\"query\">Günter &amp; co,two</p>",
        "<p id=\"posted\">posted: field=é value</p>",
        "<p id=\"picture\">1x1</p>",
        "<p id=\"cookie\">session=a1</p>",
    ] {
        assert!(
            dom.contains(expected),
            "{expected}: {dom}\n{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            served.log()
        );
    }
}

#[test]
fn a_request_becomes_an_event_of_format_2() {
    let lbuild = Lbuild::new();
    let served = served(&lbuild);
    let url = format!("{}echo/a%20b?x=1&y=&x=2&z", served.url);
    let headers =
        ["--header", "X-Many: 1", "--header", "X-Many: 2", "--cookie", "a=1; b=2", "--user-agent", "tests"];
    let event: Value = serde_json::from_str(&curl(&url, &headers)).unwrap();
    assert_eq!(
        (&event["version"], &event["routeKey"], &event["rawPath"]),
        (&json!("2.0"), &json!("$default"), &json!("/echo/a%20b"))
    );
    assert_eq!(event["rawQueryString"], "x=1&y=&x=2&z");
    assert_eq!(event["queryStringParameters"], json!({ "x": "1,2", "y": "", "z": "" }));
    assert_eq!((&event["headers"]["x-many"], &event["headers"]["cookie"]), (&json!("1,2"), &Value::Null));
    assert_eq!(
        (&event["cookies"], &event["isBase64Encoded"], &event["body"]),
        (&json!(["a=1", "b=2"]), &json!(false), &Value::Null)
    );
    let http = &event["requestContext"]["http"];
    let expected = json!({
        "method": "GET", "path": "/echo/a%20b", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "tests",
    });
    assert_eq!(http, &expected);
    assert_eq!(event["requestContext"]["domainName"], served.address());

    let url = format!("{}echo", served.url);
    let text: Value = serde_json::from_str(&curl(&url, &["--data", "a=é", "--request", "PUT"])).unwrap();
    assert_eq!((&text["body"], &text["isBase64Encoded"]), (&json!("a=é"), &json!(false)));
    assert_eq!(text["requestContext"]["http"]["method"], "PUT");
    let file = lbuild.path("binary");
    std::fs::write(&file, [0xff, 0, 1]).unwrap();
    let data = format!("@{}", file.display());
    let binary = ["--header", "Content-Type: application/octet-stream", "--data-binary", &data];
    let binary: Value = serde_json::from_str(&curl(&url, &binary)).unwrap();
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wAB"), &json!(true)));
}

#[test]
fn an_answer_becomes_a_response() {
    let lbuild = Lbuild::new();
    let served = served(&lbuild);
    let head = |path: &str| {
        let url = format!("{}{path}", served.url);
        curl(&url, &["--dump-header", "-", "--output", "/dev/null"]).to_lowercase()
    };
    let page = head("page");
    assert!(page.starts_with("http/1.1 200") && page.contains("content-type: text/html"), "{page}");
    assert!(
        page.contains("set-cookie: session=a1\r\n") && page.contains("set-cookie: other=2\r\n"),
        "{page}"
    );
    let file = lbuild.path("picture");
    curl(&format!("{}pixel.png", served.url), &["--output", file.to_str().unwrap()]);
    assert_eq!(std::fs::read(&file).unwrap(), picture());
    // without a status code, the answer is the body
    assert_eq!(curl(&format!("{}value", served.url), &[]), "{\"a\": 1}");
    assert!(head("value").contains("content-type: application/json"));
    assert_eq!(curl(&format!("{}text", served.url), &[]), "é");
    assert!(head("missing").starts_with("http/1.1 404"));
    for path in ["error", "bad-status", "switching", "bad-header", "bad-base64"] {
        assert!(head(path).starts_with("http/1.1 502"), "{path}");
    }
    assert!(
        served.log().contains("the function's answer is no HTTP response: its body is not Base64"),
        "{}",
        served.log()
    );
    assert!(head("float").starts_with("http/1.1 203"));
    assert_eq!(curl(&format!("{}error", served.url), &[]), "Internal Server Error");
}
