//! An invocation of a function in AWS.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use base64::Engine as _;

use super::name::LambdaFunction;
use crate::error::Result;

/// The outcome of an invocation.
#[derive(Clone, Debug)]
pub struct RemoteOutcome {
    /// The response, or the error of the function as JSON.
    pub payload: Vec<u8>,
    /// Whether the payload is an error of the function.
    pub is_error: bool,
    /// The end of the log: at most 4 KiB, with the REPORT line.
    pub log: String,
    /// The version that answered.
    pub version: String,
}

impl LambdaFunction {
    /// Invokes the function, or the version or alias of its name, and waits for the response.
    ///
    /// # Errors
    /// When Lambda refuses the call. An error of the function is an outcome.
    pub async fn invoke(&self, event: Vec<u8>, client_context: Option<&str>) -> Result<RemoteOutcome> {
        let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
        let call = self.call("invoke", "lambda:InvokeFunction");
        let request = self.client_for_invocations().await.invoke().function_name(&self.called);
        let answer = request
            .set_qualifier(self.qualifier().map(str::to_owned))
            .set_client_context(client_context.map(encode))
            .log_type(LogType::Tail)
            .payload(Blob::new(event))
            .send()
            .await
            .map_err(|error| call.failed(error))?;
        let log = base64::prelude::BASE64_STANDARD.decode(answer.log_result().unwrap_or_default());
        Ok(RemoteOutcome {
            payload: answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default(),
            is_error: answer.function_error().is_some(),
            log: String::from_utf8_lossy(&log.unwrap_or_default()).into_owned(),
            version: answer.executed_version().unwrap_or_default().to_owned(),
        })
    }
}
