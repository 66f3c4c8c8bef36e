//! Deployments that meet failures, conflicts, refusals and lost answers, and those that are killed.

use super::rig::{Rig, push};
use crate::support::lambda_api::{LambdaBehaviour, REGISTRY, ROLE};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn a_failed_update_is_a_failure_and_the_next_one_mends_it() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    let failing = |code| LambdaBehaviour {
        failing: Some((rig.v2.clone(), code)),
        looks: 1,
        ..LambdaBehaviour::default()
    };
    for (code, hint) in [
        ("InvalidImage", "`lbuild check IMAGE` finds the fault"),
        ("ImageAccessDenied", "`lbuild repo policy REPOSITORY --allow-lambda`"),
        ("FunctionError.InvalidEntryPoint", "`lbuild invoke IMAGE`"),
        ("SomethingNew", "`lbuild status`"),
    ] {
        rig.api.behave(failing(code));
        let error = rig.deploy("v2", &["--memory", "256"]).failed(5);
        assert!(
            error.contains(&format!("the update failed ({code})")) && error.contains(hint),
            "{code}: {error}"
        );
        assert_eq!(rig.api.config("hello", "/MemorySize"), 128, "settings are not for a failed image");
    }
    rig.api.behave(LambdaBehaviour::default());
    // the old image is set again, because nobody knows what Lambda has
    rig.deploy("v1", &[]).succeeded();
    assert_eq!(rig.api.config("hello", "/LastUpdateStatus"), "Successful");
    rig.deploy("v2", &[]).succeeded();
    assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v2));
}

#[test]
fn a_failed_creation_is_a_failure() {
    let rig = Rig::new(LambdaBehaviour::default());
    rig.api.behave(LambdaBehaviour {
        failing: Some((rig.v1.clone(), "FunctionError.PermissionDenied")),
        ..LambdaBehaviour::default()
    });
    let error = rig.deploy("v1", &["--create", "--role", ROLE]).failed(5);
    assert!(error.contains("it is in the state Failed (FunctionError.PermissionDenied)"), "{error}");
    assert!(error.contains("hint: give the files the modes 0644 and 0755"), "{error}");
}

#[test]
fn a_failure_is_rolled_back_on_request() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    rig.api.behave(LambdaBehaviour {
        failing: Some((rig.v2.clone(), "InvalidImage")),
        ..LambdaBehaviour::default()
    });
    let error = rig.deploy("v2", &["--rollback-on-failure", "--alias", "live"]).failed(5);
    assert!(error.contains("and it has again what it had") && error.contains("InvalidImage"), "{error}");
    assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v1));
    assert_eq!(rig.api.config("hello", "/LastUpdateStatus"), "Successful");
    assert_eq!(rig.api.alias("hello", "live"), None);
}

#[test]
fn other_updates_and_too_many_calls_are_waited_for() {
    let rig =
        Rig::with_function(LambdaBehaviour { conflicts: 2, throttled: 2, ..LambdaBehaviour::default() });
    let done = rig.deploy("v2", &["--memory", "256"]).succeeded();
    assert!(done.stderr.contains("another update is under way"), "{}", done.stderr);
    assert_eq!(rig.api.config("hello", "/MemorySize"), 256);
    // one that is under way from the start
    rig.api.set("hello", "LastUpdateStatus", json!("InProgress"));
    rig.api.behave(LambdaBehaviour::default());
    let error = rig.deploy("v1", &["--wait", "1"]).failed(5);
    assert!(error.contains("is not ready after 1 s: update InProgress"), "{error}");
}

#[test]
fn a_state_that_lasts_is_told_in_the_end() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    for (state, code, told) in [
        (
            "Pending",
            "EniLimitExceeded",
            "Pending (EniLimitExceeded: the account has too many network interfaces)",
        ),
        ("Pending", "BrandNew", "Pending (BrandNew: some text)"),
        ("Deactivating", "BrandNew", "Deactivating (BrandNew: some text)"),
    ] {
        rig.api.set("hello", "State", json!(state));
        rig.api.set("hello", "StateReasonCode", json!(code));
        rig.api.set("hello", "StateReason", json!("some text"));
        rig.api.behave(LambdaBehaviour::default());
        let error = rig.deploy("v2", &["--wait", "0"]).failed(5);
        assert!(error.contains(told) && error.contains("hint: "), "{error}");
        rig.api.set("hello", "State", json!("Active"));
    }
    // weeks without an invocation
    rig.api.set("hello", "State", json!("Inactive"));
    rig.api.set("hello", "StateReasonCode", json!("Idle"));
    rig.deploy("v1", &[]).succeeded();
}

#[test]
fn what_lambda_never_changes_is_refused_before_anything_changes() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    push(&rig.user, "hello:arm", 1, "arm64");
    let error = rig.deploy("arm", &[]).failed(2);
    assert!(
        error.contains("is for amd64, but the image is for arm64") && error.contains("--change-arch"),
        "{error}"
    );
    assert_eq!(rig.api.changes(), [""; 0]);
    rig.deploy("arm", &["--change-arch"]).succeeded();
    assert_eq!(rig.api.config("hello", "/Architectures"), json!(["arm64"]));
    rig.api.changes();
    let run = |arguments: &[&str], code| rig.user.run(arguments).failed(code);
    let image = format!("{REGISTRY}/hello:v1");
    for (arguments, code, message) in [
        (&["deploy", "other", &image][..], 5, "there is no function other"),
        (&["deploy", "hello:live", &image], 2, "names a version or an alias"),
        (&["deploy", "a b", &image], 2, "is not the name of a function"),
        (
            &["deploy", "hello", "123456789012.dkr.ecr.us-east-1.amazonaws.com/hello:v1"],
            2,
            "the function hello is in eu-west-1",
        ),
        (&["deploy", "hello", "registry.example/hello:v1"], 2, "is not a registry of ECR"),
        (&["deploy", "hello", "oci:/tmp/none:1"], 2, "is not in ECR"),
        (&["deploy", "hello", "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/hello:v1"], 2, "FIPS"),
        (&["deploy", "hello", &image, "--deps", "x"], 2, "describes an image to build"),
        (&["deploy", "hello", &image, "--create"], 2, "--role"),
        (&["deploy", "hello", &image, "--env", "AWS_REGION=x"], 2, "Lambda sets AWS_REGION itself"),
        (
            &["deploy", "hello", &image, "--env", "AWS_SESSION_TOKEN=x"],
            2,
            "Lambda sets AWS_SESSION_TOKEN itself",
        ),
        (&["deploy", "hello", &image, "--env", "NOT_SET_HERE"], 2, "--env NOT_SET_HERE has no value"),
        (&["deploy", "hello", &format!("{REGISTRY}/hello:none")], 4, "does not exist"),
    ] {
        let error = run(arguments, code);
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
    rig.api.set("hello", "PackageType", json!("Zip"));
    let error = rig.deploy("v1", &["--allow-lambda"]).failed(2);
    assert!(error.contains("has the package type Zip") && error.contains("hint: "), "{error}");
    assert_eq!((rig.api.changes(), rig.api.policies()), (Vec::new(), 0));
}

/// The actions that a deployment needs.
pub const ACTIONS: [&str; 9] = [
    "GetFunction",
    "CreateFunction",
    "GetFunctionConfiguration",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "PublishVersion",
    "GetAlias",
    "CreateAlias",
    "UpdateAlias",
];

/// Each call that is refused is named with the action that the caller lacks.
#[test]
fn a_missing_permission_is_named() {
    for action in ACTIONS {
        let rig = Rig::with_function(LambdaBehaviour::default());
        rig.deploy("v1", &["--alias", "live"]).succeeded();
        rig.api.behave(LambdaBehaviour { denied: Some(action), ..LambdaBehaviour::default() });
        let alias = if action == "CreateAlias" { "other" } else { "live" };
        let function = if action == "CreateFunction" { "new" } else { "hello" };
        let image = format!("{REGISTRY}/hello:v2");
        let all =
            ["deploy", function, &image, "--create", "--role", ROLE, "--memory", "256", "--alias", alias];
        let error = rig.user.run(&all).failed(6);
        assert!(error.contains(&format!("lambda:{action}")) && error.contains("hint: "), "{action}: {error}");
    }
}

#[test]
fn a_change_whose_answer_is_lost_is_not_made_twice() {
    for action in [
        "CreateFunction",
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
        "PublishVersion",
        "CreateAlias",
    ] {
        let lost = LambdaBehaviour { lost: Some(action), looks: 1, ..LambdaBehaviour::default() };
        let rig = Rig::new(lost.clone());
        if action != "CreateFunction" {
            rig.api.put("hello", &format!("{REGISTRY}/hello@{}", rig.v1), &json!({}));
        }
        let all = ["--create", "--role", ROLE, "--memory", "256", "--alias", "live"];
        rig.deploy("v2", &all).succeeded();
        assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v2), "{action}");
        assert_eq!(rig.api.config("hello", "/MemorySize"), 256, "{action}");
        assert_eq!(
            (rig.api.alias("hello", "live").as_deref(), rig.api.versions()),
            (Some("1"), 1),
            "{action}"
        );
    }
}

/// Whatever was done before, the next run completes it.
#[test]
fn an_update_that_was_killed_is_completed_by_the_next_run() {
    assert!(killed(Rig::with_function) > 8);
}

#[test]
fn a_creation_that_was_killed_is_completed_by_the_next_run() {
    assert!(killed(Rig::new) > 5);
}

/// Kills a deployment after each of its calls, and runs it again; returns how often.
fn killed(start: fn(LambdaBehaviour) -> Rig) -> usize {
    let mut killed = 0;
    for number in 1.. {
        let rig =
            start(LambdaBehaviour { silent_after: Some(number), looks: 1, ..LambdaBehaviour::default() });
        let all = ["--create", "--role", ROLE, "--memory", "256", "--alias", "live"];
        let mut command = rig.user.command(&rig.arguments("v2", &all));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let reached = loop {
            if rig.api.wait_for_calls(number, Duration::from_millis(20)) {
                break true;
            }
            if child.try_wait().unwrap().is_some() {
                break false;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        if !reached {
            break;
        }
        killed += 1;
        rig.api.behave(LambdaBehaviour { looks: 1, ..LambdaBehaviour::default() });
        rig.deploy("v2", &all).succeeded();
        assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v2), "call {number}");
        assert_eq!(rig.api.config("hello", "/MemorySize"), 256, "call {number}");
        assert_eq!(
            (rig.api.alias("hello", "live").as_deref(), rig.api.versions()),
            (Some("1"), 1),
            "call {number}"
        );
    }
    killed
}
