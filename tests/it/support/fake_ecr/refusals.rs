//! Refusals of single calls: for a missing right, or by a rate limit.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::{Call, Reply, Route, State, answer, error};

/// The identity in ECR's messages about missing rights.
pub const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/ci/x";

#[derive(Clone, Debug)]
pub struct Refusal {
    /// The right that ECR requires for the call, such as `ecr:PutImage`; `token` for the token service.
    pub action: &'static str,
    pub answer: RefusalAnswer,
    /// The repository whose requests are refused; `None` for all.
    pub on: Option<&'static str>,
    /// The number of refusals; later calls are served.
    pub times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefusalAnswer {
    /// 403 with ECR's message.
    Denied,
    /// 403 without a message.
    Silence,
    /// The connection is reset.
    Reset,
    TooMany {
        message: &'static str,
        retry_after: Option<u64>,
    },
}

impl Refusal {
    pub fn always(action: &'static str, answer: RefusalAnswer) -> Refusal {
        Refusal { action, answer, on: None, times: u64::MAX }
    }

    pub fn on(self, repository: &'static str) -> Refusal {
        Refusal { on: Some(repository), ..self }
    }
}

impl State {
    /// The refusal of this request, if a rule applies.
    pub(super) fn refused(&mut self, call: &Call, route: &Route) -> Option<Reply> {
        let names = names_of(&call.head.method, route);
        let due = |refusal: &&mut Refusal| {
            let here = refusal.on.is_none() || refusal.on == route.repository();
            refusal.times > 0 && here && names.contains(&refusal.action)
        };
        let refusal = self.behaviour.refusals.iter_mut().find(due)?;
        refusal.times -= 1;
        Some(match refusal.answer {
            RefusalAnswer::Denied => {
                let action = refusal.action;
                let repository = route.repository().unwrap_or_default();
                let message = format!(
                    "User: {CALLER} is not authorized to perform: {action} on resource: \
                     arn:aws:ecr:eu-west-1:123456789012:repository/{repository} because no identity-based \
                     policy allows the {action} action"
                );
                error(StatusCode::FORBIDDEN, "DENIED", &message, json!(null))
            }
            RefusalAnswer::Silence => answer(StatusCode::FORBIDDEN, &[], ""),
            RefusalAnswer::Reset => Reply::Reset,
            RefusalAnswer::TooMany { message, retry_after } => {
                let body = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": message }] });
                let seconds = retry_after.unwrap_or_default().to_string();
                let wait = retry_after.map(|_| ("retry-after", seconds.as_str()));
                let headers: Vec<_> =
                    [("content-type", "application/json")].into_iter().chain(wait).collect();
                answer(StatusCode::TOO_MANY_REQUESTS, &headers, body.to_string())
            }
        })
    }
}

/// The rights of a request. The single PUT of a blob needs two, because it is two calls of ECR's API.
fn names_of(method: &Method, route: &Route) -> &'static [&'static str] {
    match (method.as_str(), route) {
        (_, Route::Token) => &["token"],
        ("GET" | "HEAD", Route::Manifest { .. }) => &["ecr:BatchGetImage"],
        ("PUT", Route::Manifest { .. }) => &["ecr:PutImage"],
        ("HEAD", Route::Blob { .. }) => &["ecr:BatchCheckLayerAvailability"],
        ("GET", Route::Blob { .. }) => &["ecr:GetDownloadUrlForLayer"],
        ("POST", Route::Uploads { .. }) => &["ecr:InitiateLayerUpload"],
        ("PUT", Route::Upload { .. }) => &["ecr:UploadLayerPart", "ecr:CompleteLayerUpload"],
        _ => &[],
    }
}
