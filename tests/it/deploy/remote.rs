//! `lbuild invoke --remote`.

use super::rig::Rig;
use crate::support::lambda_api::LambdaBehaviour;
use serde_json::{Value, json};

const LOG: &str = "START RequestId: 1 Version: $LATEST\nhello from the function\nEND RequestId: 1\n\
                   REPORT RequestId: 1\tDuration: 2.10 ms\tBilled Duration: 3 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\n";

#[test]
fn a_function_in_aws_is_invoked_as_one_on_this_machine() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    let invoke = |payload: Value, is_error, log, more: &[&str]| {
        let invocation = Some((payload, is_error, log));
        rig.api.behave(LambdaBehaviour { invocation, ..LambdaBehaviour::default() });
        rig.user.run(&[&["invoke", "--remote", "hello", "-d", "{\"a\":1}"][..], more].concat())
    };
    let done = invoke(json!({ "answer": "é" }), false, LOG, &[]).succeeded();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("{\"answer\":\"é\"}\n", LOG));
    let error = json!({ "errorMessage": "no", "errorType": "KeyError" });
    let done = invoke(error.clone(), true, LOG, &[]);
    assert_eq!((done.code, done.stdout), (Some(9), format!("{error}\n")));
    assert!(done.stderr.contains("error: the function returned an error: KeyError: no"), "{}", done.stderr);
    let late = json!({ "errorMessage": "2026-11-30T00:00:00Z 1 Task timed out after 3.00 seconds" });
    assert_eq!(invoke(late, true, LOG, &[]).code, Some(10));
    assert_eq!(invoke(json!({ "errorType": "Runtime.ExitError" }), true, LOG, &[]).code, Some(11));
    assert_eq!(invoke(json!({ "errorType": "Runtime.OutOfMemory" }), true, LOG, &[]).code, Some(12));
    let done = invoke(json!([1]), false, LOG, &["--json"]).succeeded();
    let result: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&result["status"], &result["payload"], &result["log"]),
        (&json!("success"), &json!([1]), &json!(LOG))
    );
    rig.api.behave(LambdaBehaviour { denied: Some("InvokeFunction"), ..LambdaBehaviour::default() });
    let error = rig.user.run(&["invoke", "--remote", "hello"]).failed(6);
    assert!(error.contains("lambda:InvokeFunction"), "{error}");
    let error = rig.user.run(&["invoke", "--remote", "hello", "--deps", "x"]).failed(2);
    assert!(error.contains("--deps describes an image to build"), "{error}");
}
