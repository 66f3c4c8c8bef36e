//! The name of a function.

use std::fmt;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};

use crate::aws::call::Call;
use crate::aws::caller::Aws;
use crate::error::{Error, Result};
use crate::image::EcrHost;

/// A function of Lambda, by name; it may not exist yet.
#[derive(Clone)]
pub struct LambdaFunction {
    aws: Aws,
    /// The account of an ARN.
    account: Option<String>,
    region: String,
    /// The name alone.
    name: String,
    /// A version or alias.
    qualifier: Option<String>,
    /// The name that Lambda's calls take: an ARN if one was given, else the name alone.
    pub(super) called: String,
}

impl Aws {
    /// A function, by its name (`hello`, `hello:alias`) or its ARN, whose region is that of the calls.
    ///
    /// # Errors
    /// For a text of another form; when no region is set.
    pub async fn function(&self, text: &str) -> Result<LambdaFunction> {
        let invalid = || Error::FunctionName { text: text.to_owned() };
        let is_name = |name: &str| {
            let is_right = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            !name.is_empty() && name.len() <= 64 && name.chars().all(is_right)
        };
        let parts: Vec<&str> = text.split(':').collect();
        let (account, region, name, qualifier) = match parts[..] {
            [name] => (None, None, name, None),
            [name, qualifier] => (None, None, name, Some(qualifier)),
            ["arn", _, "lambda", region, account, "function", name] => {
                (Some(account), Some(region), name, None)
            }
            ["arn", _, "lambda", region, account, "function", name, qualifier] => {
                (Some(account), Some(region), name, Some(qualifier))
            }
            _ => return Err(invalid()),
        };
        let is_qualifier = |text: &str| is_name(text) || text == "$LATEST";
        if !is_name(name) || !qualifier.is_none_or(is_qualifier) {
            return Err(invalid());
        }
        let called = match account {
            Some(_) => parts[..7].join(":"),
            None => name.to_owned(),
        };
        let region = match region {
            Some(region) => region.to_owned(),
            None => self.region().await?,
        };
        let (account, qualifier) = (account.map(str::to_owned), qualifier.map(str::to_owned));
        Ok(LambdaFunction { aws: self.clone(), account, region, name: name.to_owned(), qualifier, called })
    }
}

impl LambdaFunction {
    /// The region of the function.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account of the function, if its ARN was given.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The version or alias that was named.
    pub fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_deref()
    }

    pub(super) async fn client(&self) -> Client {
        self.aws.lambda(&self.region).await
    }

    /// A client that waits for as long as a function may run, and never invokes it twice.
    pub(super) async fn client_for_invocations(&self) -> Client {
        let client = self.client().await;
        let longest = Duration::from_secs(15 * 60 + 30);
        let limits = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(longest)
            .operation_timeout(longest)
            .build();
        let config =
            client.config().to_builder().timeout_config(limits).retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    /// A call for this function.
    pub(super) fn call(&self, operation: &str, action: &'static str) -> Call {
        let resource = match &self.account {
            Some(_) => self.called.clone(),
            None => {
                let partition = EcrHost::new("", &self.region).partition();
                format!("arn:{partition}:lambda:{}:*:function:{}", self.region, self.name)
            }
        };
        Call::new(&format!("{operation} {self}"), action, &resource)
    }
}

impl fmt::Display for LambdaFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether a call was refused with this code.
pub(super) fn is<E, R>(error: &SdkError<E, R>, code: &str) -> bool
where
    E: ProvideErrorMetadata,
{
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_function_is_named_by_its_name_or_its_arn() {
        let aws = Aws::in_region("eu-west-1");
        for (text, region, qualifier, called) in [
            ("hello", "eu-west-1", None, "hello"),
            ("hello:live", "eu-west-1", Some("live"), "hello"),
            (
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:hello:7",
                "cn-north-1",
                Some("7"),
                "arn:aws-cn:lambda:cn-north-1:123456789012:function:hello",
            ),
        ] {
            let function = aws.function(text).await.unwrap();
            let found = (function.region(), function.qualifier(), &*function.called);
            assert_eq!(found, (region, qualifier, called), "{text}");
        }
        for text in ["", "a b", "a:b:c", "arn:aws:s3:::bucket", "repo/image", "hello:"] {
            assert!(aws.function(text).await.is_err(), "{text}");
        }
    }
}
