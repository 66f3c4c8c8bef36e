//! The calls that lbuild makes to a registry.

use reqwest::Method;

/// A call of the distribution protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    LogIn,
    ReadManifest,
    FindManifest,
    PutManifest,
    RemoveManifest,
    FindBlob,
    ReadBlob,
    StartUpload,
    SendBlob,
    CancelUpload,
}

impl Call {
    pub(super) fn method(self) -> Method {
        match self {
            Call::LogIn | Call::ReadManifest | Call::ReadBlob => Method::GET,
            Call::FindManifest | Call::FindBlob => Method::HEAD,
            Call::StartUpload => Method::POST,
            Call::PutManifest | Call::SendBlob => Method::PUT,
            Call::CancelUpload | Call::RemoveManifest => Method::DELETE,
        }
    }

    /// The IAM action that ECR requires for the call:
    /// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>. One request sends a complete blob,
    /// so either of two actions may be missing.
    pub(super) fn ecr_action(self) -> &'static str {
        match self {
            Call::LogIn => "ecr:GetAuthorizationToken",
            Call::ReadManifest | Call::FindManifest => "ecr:BatchGetImage",
            Call::PutManifest => "ecr:PutImage",
            Call::RemoveManifest => "ecr:BatchDeleteImage",
            Call::FindBlob => "ecr:BatchCheckLayerAvailability",
            Call::ReadBlob => "ecr:GetDownloadUrlForLayer",
            Call::StartUpload => "ecr:InitiateLayerUpload",
            Call::SendBlob | Call::CancelUpload => "ecr:UploadLayerPart or ecr:CompleteLayerUpload",
        }
    }
}
