//! The calls that lbuild makes of a registry.

use reqwest::Method;

/// A call of the distribution protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    ReadManifest,
    PutManifest,
    FindBlob,
    ReadBlob,
    StartUpload,
    SendBlob,
    CancelUpload,
}

impl Call {
    pub(super) fn method(self) -> Method {
        match self {
            Call::ReadManifest | Call::ReadBlob => Method::GET,
            Call::FindBlob => Method::HEAD,
            Call::StartUpload => Method::POST,
            Call::PutManifest | Call::SendBlob => Method::PUT,
            Call::CancelUpload => Method::DELETE,
        }
    }

    /// The IAM action that ECR demands for it:
    /// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>. A blob is sent whole, so that
    /// either of two may be missing.
    pub(super) fn ecr_action(self) -> &'static str {
        match self {
            Call::ReadManifest => "ecr:BatchGetImage",
            Call::PutManifest => "ecr:PutImage",
            Call::FindBlob => "ecr:BatchCheckLayerAvailability",
            Call::ReadBlob => "ecr:GetDownloadUrlForLayer",
            Call::StartUpload => "ecr:InitiateLayerUpload",
            Call::SendBlob | Call::CancelUpload => "ecr:UploadLayerPart or ecr:CompleteLayerUpload",
        }
    }
}
