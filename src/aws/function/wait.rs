//! Waits until Lambda has created or updated a function.

use std::time::{Duration, Instant};

use super::name::LambdaFunction;
use super::reasons;
use super::state::{FunctionState, Reason};
use crate::error::{Error, Result};

/// The pause after the first look at a function, and the longest one. The SDK's own waiters back off further, and a
/// deployment would then wait for minutes after its function is ready.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// A step of a deployment, as its caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FunctionStep {
    /// The function is created.
    Creates,
    /// The image is set.
    SetsImage,
    /// These settings are set.
    Sets(Vec<&'static str>),
    /// Lambda is at work: the state or the status of the update, and its reason.
    Waits(String),
    /// Another caller changes the function.
    Conflict,
    /// A version is published.
    Published(String),
    /// An alias has a version.
    Aliased {
        /// Its name.
        alias: String,
        /// The version.
        version: String,
    },
    /// The deployment failed, and the function gets back what it had.
    RollsBack,
}

/// The aim of a wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Nothing is under way, whether it succeeded or not.
    Quiet,
    /// The function can be invoked with what it was given.
    Success,
}

pub(super) type Tell<'t> = dyn Fn(FunctionStep) + Send + Sync + 't;

impl LambdaFunction {
    /// Looks at the function until it is ready, or its failure is known.
    pub(super) async fn wait(
        &self,
        qualifier: Option<&str>,
        aim: For,
        patience: Duration,
        tell: &Tell<'_>,
    ) -> Result<FunctionState> {
        let (began, mut pause, mut told) = (Instant::now(), FIRST, String::new());
        loop {
            let state = match self.look(qualifier).await {
                // Lambda's work on the function goes on meanwhile.
                Err(error) if is_passing(&error) && began.elapsed() < patience => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST);
                    continue;
                }
                state => state?,
            };
            match judge(&state) {
                Verdict::Ready => return Ok(state),
                Verdict::Failed { what, reason } if aim == For::Success => {
                    return Err(self.failed(what, reason));
                }
                Verdict::Failed { .. } => return Ok(state),
                Verdict::Changing(now) => {
                    if began.elapsed() >= patience {
                        let (function, after) = (self.to_string(), began.elapsed());
                        return Err(Error::FunctionWait { function, state: now, after });
                    }
                    if now != told {
                        tell(FunctionStep::Waits(now.clone()));
                        told = now;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn look(&self, qualifier: Option<&str>) -> Result<FunctionState> {
        let call = self.call("look at the function", "lambda:GetFunctionConfiguration");
        let request = self.client().await.get_function_configuration().function_name(&self.called);
        let found = request.set_qualifier(qualifier.map(str::to_owned)).send().await;
        let found = found.map_err(|error| call.failed(error))?;
        Ok(FunctionState::of_config(&configuration(&found)))
    }

    fn failed(&self, what: &'static str, reason: Option<Reason>) -> Error {
        let Reason { code, text } = reason.unwrap_or(Reason { code: String::new(), text: String::new() });
        let hint = reasons::explained(&code).map(|(_, hint)| hint);
        Error::FunctionFailed { function: self.to_string(), what, code, reason: text, hint }
    }
}

/// Whether a look may succeed later: too many calls, or no connection.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::AwsConnection { .. } => true,
        Error::Aws { answer, .. } => {
            matches!(
                answer.code.as_str(),
                "TooManyRequestsException" | "ThrottlingException" | "ServiceException"
            )
        }
        _ => false,
    }
}

/// The verdict on the state of a function.
enum Verdict {
    Ready,
    Failed {
        what: &'static str,
        reason: Option<Reason>,
    },
    /// It will become something else, or nobody knows.
    Changing(String),
}

/// An unknown state is waited on, and said in the end.
fn judge(function: &FunctionState) -> Verdict {
    let with = |what: &str, reason: &Option<Reason>| match reason {
        Some(Reason { code, text }) => {
            let meaning = reasons::explained(code).map_or(text.as_str(), |(meaning, _)| meaning);
            format!("{what} ({code}: {meaning})")
        }
        None => what.to_owned(),
    };
    match (function.last_update.as_str(), function.state.as_str()) {
        ("Failed", _) => {
            Verdict::Failed { what: "the update failed", reason: function.last_update_reason.clone() }
        }
        ("Successful", "Active" | "Inactive") => Verdict::Ready,
        ("Successful", "Failed") => {
            Verdict::Failed { what: "it is in the state Failed", reason: function.state_reason.clone() }
        }
        ("Successful", state) => Verdict::Changing(with(state, &function.state_reason)),
        (status, _) => Verdict::Changing(with(&format!("update {status}"), &function.last_update_reason)),
    }
}

/// The answer of one call in the type of others, field by field, since the SDK has a type for each.
fn configuration(
    found: &aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput,
) -> aws_sdk_lambda::types::FunctionConfiguration {
    aws_sdk_lambda::types::FunctionConfiguration::builder()
        .set_function_arn(found.function_arn().map(str::to_owned))
        .set_version(found.version().map(str::to_owned))
        .set_package_type(found.package_type().cloned())
        .set_architectures(Some(found.architectures().to_vec()))
        .set_state(found.state().cloned())
        .set_state_reason(found.state_reason().map(str::to_owned))
        .set_state_reason_code(found.state_reason_code().cloned())
        .set_last_update_status(found.last_update_status().cloned())
        .set_last_update_status_reason(found.last_update_status_reason().map(str::to_owned))
        .set_last_update_status_reason_code(found.last_update_status_reason_code().cloned())
        .build()
}
