//! `lbuild status`.

use super::rig::{Rig, push};
use crate::support::lambda_api::{LambdaBehaviour, REGISTRY, ROLE};
use serde_json::{Value, json};

#[test]
fn a_function_and_its_image_are_shown() {
    let rig = Rig::new(LambdaBehaviour::default());
    rig.api.put(
        "hello",
        &format!("{REGISTRY}/hello:v1"),
        &json!({ "Environment": { "Variables": { "TOKEN": "top-secret" } } }),
    );
    rig.api.set("hello", "ImageConfigResponse", json!({ "ImageConfig": { "Command": ["app.other"] } }));
    let done = rig.user.ok(&["status", "hello"]);
    for line in [
        "function    arn:aws:lambda:eu-west-1:123456789012:function:hello",
        "state       Active",
        "update      Successful",
        "arch        amd64",
        "limits      128 MB of memory, 3 s, 512 MB of /tmp",
        &format!("role        {ROLE}"),
        &format!("image       {REGISTRY}/hello:v1"),
        "cmd         [\"app.other\"]",
        "variables   TOKEN",
    ] {
        assert!(done.stdout.lines().any(|found| found == line), "{line}: {}", done.stdout);
    }
    assert!(!done.stdout.contains("top-secret"), "{}", done.stdout);
    assert_eq!(rig.api.changes(), [""; 0]);
}

/// Lambda takes the digest of a tag when it is deployed only.
#[test]
fn a_tag_that_has_moved_is_told() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    let shown = |rig: &Rig| -> Value {
        serde_json::from_str(&rig.user.ok(&["status", "hello", "--json"]).stdout).unwrap()
    };
    let state = shown(&rig);
    assert_eq!((&state["digest"], &state["tag_digest"]), (&json!(rig.v1), &Value::Null));
    rig.api.put("hello", &format!("{REGISTRY}/hello:v1"), &json!({}));
    push(&rig.user, "hello:v1", 3, "amd64");
    let state = shown(&rig);
    assert!(state["tag_digest"].is_string() && state["tag_digest"] != json!(rig.v1), "{state}");
    let text = rig.user.ok(&["status", "hello"]).stdout;
    assert!(text.contains("tag         names another image now: sha256:"), "{text}");
    // one that was deployed by its digest is compared with a name on request
    rig.api.put("hello", &format!("{REGISTRY}/hello@{}", rig.v2), &json!({}));
    for (tag, line) in [("v2", "tag         names this image"), ("v1", "tag         names another image now")]
    {
        let text = rig.user.ok(&["status", "hello", &format!("{REGISTRY}/hello:{tag}")]).stdout;
        assert!(text.contains(line), "{tag}: {text}");
    }
}

#[test]
fn a_function_that_does_not_work_is_a_failure() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    rig.api.set("hello", "State", json!("Failed"));
    rig.api.set("hello", "StateReasonCode", json!("ImageDeleted"));
    rig.api.set("hello", "StateReason", json!("The image was deleted"));
    let done = rig.user.run(&["status", "hello"]);
    assert_eq!(done.code, Some(5), "{done:?}");
    let line = "state       Failed (ImageDeleted: the image was deleted from its repository)";
    assert!(done.stdout.contains(line), "{}", done.stdout);
    assert!(done.stderr.contains("hint: push the image again, and deploy it"), "{}", done.stderr);
    let error = rig.user.run(&["status", "other"]).failed(5);
    assert!(error.contains("there is no function other"), "{error}");
}
