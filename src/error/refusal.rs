//! Refusals by registries and AWS services.

use crate::image::Digest;

/// An unsuccessful response of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The registry, with its port.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// The first error code of the response, for example `NAME_UNKNOWN`.
    pub code: Option<String>,
    /// The registry's message, shortened.
    pub message: String,
    /// The digest in the response, for example with the code `MANIFEST_BLOB_UNKNOWN`.
    pub digest: Option<Digest>,
    /// The registry's id of the request, for its operators.
    pub request_id: Option<String>,
    /// The missing permission, if ECR refused.
    pub missing: Option<Permission>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {}", self.host, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

impl Refusal {
    /// Whether the registry limits the rate of requests.
    pub(crate) fn is_too_many(&self) -> bool {
        self.status == 429
            || self.code.as_deref() == Some("TOOMANYREQUESTS")
            || self.message.contains("toomanyrequests")
    }

    /// Whether the monthly data limit of the registry is reached; waiting does not help.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.message.contains("Data limit exceeded")
    }
}

/// A missing AWS permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action, for example `ecr:PutImage`.
    pub action: String,
    /// The ARN of the resource, or `*`.
    pub resource: String,
    /// Whether a policy denies it explicitly; then allowing it in another policy has no effect.
    pub denied: bool,
}

impl Permission {
    /// The permission that AWS names in a refusal: "User: … is not authorized to perform: … on resource: …".
    pub(crate) fn in_message(message: &str) -> Option<Permission> {
        let word = |text: &str| {
            text.split_whitespace().next().map(|word| word.trim_end_matches([',', '.']).to_owned())
        };
        let (_, rest) = message.split_once("not authorized to perform: ")?;
        let resource = rest.split_once("on resource: ").and_then(|(_, resource)| word(resource));
        let resource = resource.unwrap_or_else(|| "*".to_owned());
        Some(Permission { action: word(rest)?, resource, denied: message.contains("explicit deny") })
    }
}

/// A refusal by an AWS service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRefusal {
    /// The error code, for example `AccessDeniedException`.
    pub code: String,
    /// The message of AWS.
    pub message: String,
    /// The id of the request at AWS.
    pub request_id: Option<String>,
    /// The missing permission, if that is the reason.
    pub missing: Option<Permission>,
}

impl std::fmt::Display for AwsRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered {}", self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}
