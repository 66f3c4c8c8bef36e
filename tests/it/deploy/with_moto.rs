//! The same against moto, which looks for the image in its ECR.

use super::rig::{push, user};
use crate::support::lambda_api::{REGION, REGISTRY};
use crate::support::moto::Moto;
use crate::support::registry::{Mode, Registry};
use serde_json::json;

#[test]
fn a_function_is_created_updated_and_shown() {
    let (moto, registry) = (Moto::with_images(), Registry::start(Mode::Plain));
    let user = user(&moto.url(), &registry);
    moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": "hello" }));
    let role = moto.role("hello");
    let mut digests = Vec::new();
    for (tag, number) in [("v1", 1), ("v2", 2)] {
        let digest = push(&user, &format!("hello:{tag}"), number, "amd64");
        moto.put_image(REGION, &registry, "hello", tag);
        digests.push(digest);
    }
    let deploy = |tag: &str, more: &[&str]| {
        let image = format!("{REGISTRY}/hello:{tag}");
        user.run(&[&["deploy", "hello", &image][..], more].concat())
    };
    let create = ["--create", "--role", &role, "--memory", "256", "--env", "A=1"];
    let done = deploy("v1", &create).succeeded();
    assert_eq!(done.stdout, format!("arn:aws:lambda:{REGION}:123456789012:function:hello\n"));
    let again = deploy("v1", &create).succeeded();
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    let done = deploy("v2", &["--timeout", "20"]).succeeded();
    assert!(
        done.stderr.contains("gets the image") && done.stderr.contains("gets another timeout"),
        "{}",
        done.stderr
    );
    let found = moto.lambda(REGION, "hello");
    assert_eq!(found["Code"]["ImageUri"], json!(format!("{REGISTRY}/hello@{}", digests[1])));
    assert_eq!(found["Configuration"]["Timeout"], 20);
    assert_eq!(found["Configuration"]["Environment"]["Variables"], json!({ "A": "1" }));
    let shown = user.ok(&["status", "hello"]).stdout;
    assert!(
        shown.contains(&format!("digest      {}", digests[1])) && shown.contains("state       Active"),
        "{shown}"
    );
    let error = user.run(&["status", "missing"]).failed(5);
    assert!(error.contains("there is no function missing"), "{error}");
}
