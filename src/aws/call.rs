//! Describes a call to AWS, and converts its failures to [`Error`]s.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};

use crate::error::{AwsRefusal, Error, Permission};

/// A call to AWS, as error messages describe it.
pub(super) struct Call {
    /// The purpose, as in "cannot {operation}".
    operation: String,
    /// The IAM action that the call requires; also the name of the call.
    action: &'static str,
    /// The ARN of the action's resource.
    resource: String,
}

impl Call {
    pub(super) fn new(operation: &str, action: &'static str, resource: &str) -> Call {
        Call { operation: operation.to_owned(), action, resource: resource.to_owned() }
    }

    /// The error for a failed call.
    pub(super) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(refusal) = error else { return self.unanswered(error) };
        let metadata = refusal.err();
        let code = metadata.code().unwrap_or("an error").to_owned();
        let message = metadata.message().unwrap_or_default().to_owned();
        let headers = refusal.raw().headers();
        let request_id = headers.get("x-amzn-requestid").or_else(|| headers.get("x-amz-request-id"));
        let denied =
            matches!(code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation");
        let permission =
            || Permission { action: self.action.to_owned(), resource: self.resource.clone(), denied: false };
        let missing = denied.then(|| Permission::in_message(&message).unwrap_or_else(permission));
        Error::Aws {
            operation: self.operation.clone(),
            call: self.action.to_owned(),
            answer: Box::new(AwsRefusal {
                code,
                message,
                request_id: request_id.map(str::to_owned),
                missing,
            }),
        }
    }

    /// The error for a call without an answer: no credentials, or no connection.
    fn unanswered<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let chain =
            || std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |e| e.source());
        let credentials = chain().find_map(|cause| cause.downcast_ref::<CredentialsError>());
        let lack = credentials.map(|cause| matches!(cause, CredentialsError::CredentialsNotLoaded(_)));
        match lack {
            Some(true) => Error::NoAwsCredentials { source: error.into() },
            Some(false) => Error::AwsCredentials { source: error.into() },
            None => Error::AwsConnection {
                operation: self.operation.clone(),
                call: self.action.to_owned(),
                source: error.into(),
            },
        }
    }
}
