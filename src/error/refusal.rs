//! What others say when they refuse: registries, and the services of AWS.

use crate::image::Digest;

/// A registry's answer other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The registry, with its port.
    pub host: String,
    /// The HTTP status.
    pub status: u16,
    /// The first error code of the answer, as `NAME_UNKNOWN`.
    pub code: Option<String>,
    /// What the registry says, shortened.
    pub message: String,
    /// The digest that the answer is about, as for `MANIFEST_BLOB_UNKNOWN`.
    pub digest: Option<Digest>,
    /// The registry's own name for the request, for its operators.
    pub request_id: Option<String>,
    /// The right that was missing, when it is ECR that refuses.
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
    /// Whether the registry has had more requests than it takes.
    pub(crate) fn is_too_many(&self) -> bool {
        self.status == 429
            || self.code.as_deref() == Some("TOOMANYREQUESTS")
            || self.message.contains("toomanyrequests")
    }

    /// Whether it has sent more than it will this month; that does not pass by waiting.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.message.contains("Data limit exceeded")
    }
}

/// A right of AWS that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action, as `ecr:PutImage`.
    pub action: String,
    /// The ARN of what it is needed on, or `*`.
    pub resource: String,
    /// Whether a policy denies it, so that to allow it elsewhere is of no use.
    pub denied: bool,
}

impl Permission {
    /// The right that AWS names in a refusal: "User: … is not authorized to perform: … on resource: …".
    pub(crate) fn told(message: &str) -> Option<Permission> {
        let word = |text: &str| {
            text.split_whitespace().next().map(|word| word.trim_end_matches([',', '.']).to_owned())
        };
        let (_, rest) = message.split_once("not authorized to perform: ")?;
        let resource = rest.split_once("on resource: ").and_then(|(_, resource)| word(resource));
        let resource = resource.unwrap_or_else(|| "*".to_owned());
        Some(Permission { action: word(rest)?, resource, denied: message.contains("explicit deny") })
    }
}

/// What a service of AWS says when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRefusal {
    /// The kind of error, as `AccessDeniedException`.
    pub code: String,
    /// What AWS says.
    pub message: String,
    /// AWS's own name for the request.
    pub request_id: Option<String>,
    /// The right that was missing, if that was it.
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
