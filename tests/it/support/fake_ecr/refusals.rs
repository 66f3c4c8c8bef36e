//! Single calls that are refused, for want of a right or because there were too many of them.

use hyper::{Method, StatusCode};
use serde_json::json;

use super::{Call, Reply, Route, State, answer, error};

/// Who ECR says lacks a right.
pub const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/ci/x";

#[derive(Clone, Debug)]
pub struct Refusal {
    /// The right that ECR asks for the call, as `ecr:PutImage`; `token` for the token service.
    pub call: &'static str,
    pub with: RefusalAnswer,
    /// In this repository alone; everywhere when there is none.
    pub on: Option<&'static str>,
    /// How often; after that the call is served.
    pub times: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RefusalAnswer {
    /// 403 in ECR's words.
    Denied,
    /// 403 and not a word.
    Silence,
    /// The connection ends.
    Reset,
    TooMany {
        message: &'static str,
        retry_after: Option<u64>,
    },
}

impl Refusal {
    pub fn always(call: &'static str, with: RefusalAnswer) -> Refusal {
        Refusal { call, with, on: None, times: u64::MAX }
    }

    pub fn on(self, repository: &'static str) -> Refusal {
        Refusal { on: Some(repository), ..self }
    }
}

impl State {
    /// The refusal that is due for this request.
    pub(super) fn refused(&mut self, call: &Call, route: &Route) -> Option<Reply> {
        let names = names_of(&call.head.method, route);
        let due = |refusal: &&mut Refusal| {
            let here = refusal.on.is_none() || refusal.on == route.repository();
            refusal.times > 0 && here && names.contains(&refusal.call)
        };
        let refusal = self.behaviour.refusals.iter_mut().find(due)?;
        refusal.times -= 1;
        Some(match refusal.with {
            RefusalAnswer::Denied => {
                let action = refusal.call;
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

/// What a push sends in one PUT is two calls to ECR.
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
