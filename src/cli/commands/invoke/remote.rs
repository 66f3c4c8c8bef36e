//! `lbuild invoke --remote`: the same output for a function in AWS.

use lbuild::aws::RemoteOutcome;
use lbuild::lambda::invoke::Status;
use serde_json::{Value, json};

use super::result::{failure_of, payload_as_json, write};
use crate::cli::args::invoke::Invoke;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::{print_json, show_log};

/// Invokes the function: the response on standard output, the end of its log on standard error.
pub async fn run(
    function: &str,
    args: &Invoke,
    event: Vec<u8>,
    client_context: Option<String>,
    context: &Context,
) -> Result<(), Failure> {
    if let Some(flag) = args.image.args.making() {
        let message = format!("{flag} describes an image to build, but {function} is in AWS");
        return Err(Failure::usage(message, "leave it out: `lbuild deploy` changes the function"));
    }
    let function = context.aws.function(function).await?;
    let outcome = function.invoke(event, client_context.as_deref()).await?;
    let status = status(&outcome);
    if context.json {
        let mut all = json!({
            "schema": 1, "status": status, "version": outcome.version, "log": outcome.log,
        });
        if let (Value::Object(all), Value::Object(payload)) = (&mut all, payload_as_json(&outcome.payload)) {
            all.extend(payload);
        }
        print_json(&format!("{all:#}"))?;
    } else {
        show_log(&outcome.log);
        write(&outcome.payload).await?;
        if !outcome.payload.is_empty() && !outcome.payload.ends_with(b"\n") {
            write(b"\n").await?;
        }
    }
    match status {
        Status::Success => Ok(()),
        status => Err(failure_of(status, &outcome.payload, None, None)),
    }
}

/// Lambda says only that an invocation failed; the kind is in the payload and in the REPORT line.
fn status(outcome: &RemoteOutcome) -> Status {
    if !outcome.is_error {
        return Status::Success;
    }
    let told = serde_json::from_slice::<Value>(&outcome.payload).unwrap_or_default();
    let text = |name: &str| told[name].as_str().unwrap_or_default();
    let (error_type, message) = (text("errorType"), text("errorMessage"));
    let report = outcome.log.lines().rfind(|line| line.starts_with("REPORT ")).unwrap_or_default();
    let is_timeout =
        matches!(error_type, "" | "Sandbox.Timedout") && message.contains("Task timed out after");
    if report.contains("Status: timeout") || is_timeout {
        Status::Timeout
    } else if error_type == "Runtime.OutOfMemory" || message.contains("signal: killed") {
        Status::OutOfMemory
    } else if outcome.log.contains("INIT_REPORT") && outcome.log.contains("Phase: init\tStatus: error") {
        Status::InitError
    } else if matches!(error_type, "Runtime.ExitError" | "Extension.Crash") {
        Status::Crash
    } else {
        Status::FunctionError
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_failure_is_read_from_the_payload_and_the_log() {
        for (payload, log, expected) in [
            (json!({ "errorMessage": "2026 x Task timed out after 3.00 seconds" }), "", Status::Timeout),
            (json!({ "errorMessage": "x" }), "REPORT RequestId: 1\tStatus: timeout\n", Status::Timeout),
            (json!({ "errorType": "Runtime.OutOfMemory" }), "", Status::OutOfMemory),
            (
                json!({ "errorType": "Runtime.ExitError", "errorMessage": "signal: killed" }),
                "",
                Status::OutOfMemory,
            ),
            (json!({ "errorType": "Runtime.ExitError" }), "", Status::Crash),
            (json!({ "errorType": "KeyError" }), "", Status::FunctionError),
            (
                json!({ "errorType": "Own", "errorMessage": "Task timed out after x" }),
                "",
                Status::FunctionError,
            ),
            (
                json!({ "errorType": "Runtime.ExitError" }),
                "INIT_REPORT Init Duration: 9.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n",
                Status::InitError,
            ),
        ] {
            let payload = payload.to_string().into_bytes();
            let outcome =
                RemoteOutcome { payload, is_error: true, log: log.to_owned(), version: "1".to_owned() };
            assert_eq!(status(&outcome), expected);
        }
    }
}
