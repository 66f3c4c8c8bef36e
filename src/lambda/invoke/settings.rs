//! What a function has besides its image, as in its settings in Lambda.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long the init phase may take: <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>.
pub(super) const INIT_LIMIT: Duration = Duration::from_secs(10);

/// The largest response that is not streamed, and the largest event, in bytes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. Lambda adds some kilobytes for its own use.
pub const MAX_PAYLOAD: usize = 6 * 1024 * 1024 + 100;

/// The largest streamed response, in bytes.
pub const MAX_STREAM: u64 = 200 * 1024 * 1024;

/// The open files and processes that an execution environment may have, same page as [`MAX_PAYLOAD`].
pub(super) const MOST_FILES: u64 = 1024;
pub(super) const MOST_PROCESSES: u64 = 1024;

/// The network of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FunctionNetwork {
    /// This machine's.
    #[default]
    Host,
    /// A loopback interface of its own, and nothing else.
    None,
}

/// The settings of a function. The default values are those of Lambda's runtime interface emulator.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// The name of the function.
    pub name: String,
    /// The memory that the function may use, in MiB.
    pub memory: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// The size of `/tmp`, in MiB.
    pub ephemeral_storage: u32,
    /// Variables of the environment. They come before those of the image.
    pub variables: BTreeMap<String, String>,
    /// The Region in which the function believes it runs.
    pub region: String,
    /// The network.
    pub network: FunctionNetwork,
}

impl Default for FunctionSettings {
    fn default() -> FunctionSettings {
        FunctionSettings {
            name: "test_function".to_owned(),
            memory: 3008,
            timeout: Duration::from_secs(300),
            ephemeral_storage: 512,
            variables: BTreeMap::new(),
            region: "us-east-1".to_owned(),
            network: FunctionNetwork::Host,
        }
    }
}

impl FunctionSettings {
    /// The function's ARN, in an account that does not exist.
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{}", self.region, self.name)
    }
}

/// The account of the emulator's ARNs.
pub(super) const ACCOUNT: &str = "012345678912";
/// The version of a function that is not published.
pub(super) const VERSION: &str = "$LATEST";
