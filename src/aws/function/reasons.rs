//! Lambda's codes for the reasons of a state or of a failed update.
//!
//! <https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html>; the meaning of those about images:
//! <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html>.

/// The meaning of a code, and a way out. `None` for a code that this version of lbuild does not know.
pub fn explained(code: &str) -> Option<(&'static str, &'static str)> {
    let (_, meaning, hint) = REASONS.iter().find(|(name, ..)| *name == code)?;
    Some((meaning, hint))
}

const NETWORK: &str = "see the VPC settings of the function";
const KEY: &str = "see the KMS key of the function, and its policy";
const FILES: &str = "see the file system of the function, its access point and its security groups";
const LATER: &str = "try again later";
const LOCAL: &str = "`lbuild check IMAGE` and `lbuild invoke IMAGE` show the fault on this machine";

/// The code, its meaning and the way out.
const REASONS: &[(&str, &str, &str)] = &[
    ("Idle", "it was not invoked for weeks", "an invocation wakes it up"),
    ("Creating", "it is being created", "wait"),
    ("Restoring", "it is being woken up", "wait"),
    ("ImageDeleted", "the image was deleted from its repository", "push the image again, and deploy it"),
    (
        "ImageAccessDenied",
        "Lambda may not pull the image",
        "`lbuild repo policy REPOSITORY --allow-lambda` lets it; an image that is encrypted needs the right to use its key",
    ),
    (
        "InvalidImage",
        "Lambda cannot read the image",
        "`lbuild check IMAGE` finds the fault; deploy a mended image",
    ),
    (
        "InvalidConfiguration",
        "settings of the function contradict each other",
        "see the settings of the function",
    ),
    ("InvalidRuntime", "the runtime is not one of Lambda's", "see the settings of the function"),
    ("InvalidZipFileException", "Lambda cannot read the zip", "deploy the function again"),
    ("FunctionError", "the function failed in its init phase", LOCAL),
    ("FunctionError.InvalidEntryPoint", "the entry point does not exist, or cannot be executed", LOCAL),
    ("FunctionError.InvalidWorkingDirectory", "the working directory does not exist", LOCAL),
    (
        "FunctionError.PermissionDenied",
        "Lambda's user may not read or execute a file that the start needs",
        "give the files the modes 0644 and 0755; `lbuild check IMAGE` names them",
    ),
    ("FunctionError.RuntimeInitError", "the runtime ended in the init phase", LOCAL),
    ("FunctionError.ExtensionInitError", "an extension ended in the init phase", LOCAL),
    (
        "FunctionError.InitTimeout",
        "the init phase took too long",
        "start faster, or give the function more memory",
    ),
    (
        "FunctionError.InitResourceExhausted",
        "the init phase needed too much memory",
        "give the function more memory",
    ),
    (
        "FunctionError.TooManyExtensions",
        "the image has more than 10 extensions",
        "leave some out of /opt/extensions",
    ),
    (
        "InsufficientRolePermissions",
        "the role of the function does not have the rights for its VPC",
        "give the role AWSLambdaVPCAccessExecutionRole",
    ),
    ("InsufficientCapacity", "AWS has no capacity for it now", LATER),
    ("InternalError", "Lambda has failed", LATER),
    ("DependencyError", "a service that Lambda needs has failed", LATER),
    ("EC2RequestLimitExceeded", "too many calls of EC2 in the account", LATER),
    ("ServiceQuotaExceededException", "a quota of the account is used up", "ask AWS for a higher quota"),
    ("VcpuLimitExceeded", "the quota of processors of the account is used up", "ask AWS for a higher quota"),
    (
        "CapacityProviderScalingLimitExceeded",
        "its capacity provider cannot grow",
        "raise the limit of the capacity provider",
    ),
    ("EniLimitExceeded", "the account has too many network interfaces", "ask AWS for a higher quota"),
    ("SubnetOutOfIPAddresses", "a subnet has no free address", NETWORK),
    ("InvalidSubnet", "a subnet does not exist", NETWORK),
    ("InvalidSecurityGroup", "a security group does not exist", NETWORK),
    (
        "DisallowedByVpcEncryptionControl",
        "the VPC requires encryption that the function does not have",
        NETWORK,
    ),
    ("DisabledKMSKey", "the key is disabled", KEY),
    ("InvalidStateKMSKey", "the key is in a state in which it cannot be used", KEY),
    ("KMSKeyAccessDenied", "the function may not use the key", KEY),
    ("KMSKeyNotFound", "the key does not exist", KEY),
    ("EFSIOError", "the file system cannot be read", FILES),
    ("EFSMountConnectivityError", "the file system cannot be reached", FILES),
    ("EFSMountFailure", "the file system cannot be mounted", FILES),
    ("EFSMountTimeout", "the file system did not answer in time", FILES),
    ("DrainingDurableExecutions", "executions that are under way have to end first", "wait"),
];

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::{LastUpdateStatusReasonCode, StateReasonCode};

    use super::*;

    #[test]
    fn every_code_that_the_sdk_knows_is_explained() {
        for code in StateReasonCode::values().iter().chain(LastUpdateStatusReasonCode::values()) {
            assert!(explained(code).is_some(), "{code}");
        }
        assert_eq!(explained("NewOne"), None);
    }
}
