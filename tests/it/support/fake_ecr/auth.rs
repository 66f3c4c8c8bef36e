//! Authentication: Basic like private ECR, bearer tokens like public registries, and expiry.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode, header};
use serde_json::json;

use super::{Call, Reply, State, answer, error, json_answer, query_of};

#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    Open,
    /// Any user name with this password.
    Basic { password: String },
    /// Any user name with the password of the repository's first part, as in registries with a login for each part.
    Parts { passwords: BTreeMap<String, String> },
    /// A token service at `/token` (GET, or POST with an OAuth2 form).
    Bearer {
        /// Any user name with this password gets a token for the requested scopes; this is also the refresh token.
        /// `None`: no credential is accepted.
        password: Option<String>,
        /// A client without a credential gets a token to pull; a wrong credential gets a 403, as from public.ecr.aws.
        anonymous_pull: bool,
        /// The token service answers every request with 403 and this message.
        denial: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub struct Expiry {
    pub after: ExpiryTrigger,
    pub answer: ExpiredAnswer,
    /// The password after the expiry. `None`: the old one still gets bearer tokens, and Basic accepts no password.
    pub next_password: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub enum ExpiryTrigger {
    /// After this number of authorized requests.
    Requests(u64),
    /// After this number of stored blobs.
    BlobPuts(u64),
}

/// The answer to an expired credential.
#[derive(Clone, Copy, Debug, Default)]
pub enum ExpiredAnswer {
    /// 401 with a challenge, as in the specification.
    #[default]
    Challenge,
    /// 403 without a challenge, like private ECR (flipt-io/flipt#3043).
    Forbidden,
    /// 400 without a challenge, like public.ecr.aws (aws/containers-roadmap#2835).
    BadRequest,
}

#[derive(Default)]
pub struct AuthState {
    expired: bool,
    requests: u64,
    blob_puts: u64,
    issued: u64,
    tokens: BTreeMap<String, Token>,
}

struct Token {
    /// Pairs of repository and action.
    grants: Vec<(String, String)>,
    /// Issued before the expiry.
    old: bool,
}

enum Credential {
    None,
    Password(String),
    Refresh(String),
}

impl State {
    pub(super) fn authorize(&self, call: &Call, repository: Option<&str>) -> Result<(), Reply> {
        let header = call.header(header::AUTHORIZATION);
        match &self.behaviour.auth {
            Auth::Open => Ok(()),
            Auth::Basic { password } => {
                let shown = header.and_then(basic_password);
                if shown.is_some() && shown.as_deref() == self.good_password(Some(password)) {
                    return Ok(());
                }
                let stale = self.auth.expired && shown.as_ref() == Some(password);
                Err(self.refusal(call, repository, stale))
            }
            Auth::Parts { passwords } => {
                let part = repository.and_then(|repository| repository.split('/').next());
                let good = part.and_then(|part| passwords.get(part));
                let shown = header.and_then(basic_password);
                match shown.as_ref() == good && good.is_some() {
                    true => Ok(()),
                    false => Err(self.refusal(call, repository, false)),
                }
            }
            Auth::Bearer { .. } => {
                let token = header.and_then(|value| value.strip_prefix("Bearer "));
                let token = token.and_then(|token| self.auth.tokens.get(token));
                let stale = self.auth.expired && token.is_some_and(|token| token.old);
                let granted = |token: &Token| {
                    let action = action_of(&call.head.method);
                    repository.is_none_or(|name| token.grants(name, action))
                };
                if !stale && token.is_some_and(granted) {
                    return Ok(());
                }
                Err(self.refusal(call, repository, stale))
            }
        }
    }

    /// Whether this request may also read `repository`, which a mount from it requires.
    pub(super) fn may_pull(&self, call: &Call, repository: &str) -> bool {
        let Auth::Bearer { .. } = self.behaviour.auth else { return true };
        let token = call.header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let token = token.and_then(|token| self.auth.tokens.get(token));
        token.is_some_and(|token| token.grants(repository, "pull"))
    }

    /// Counts an authorized request, and expires the credentials when the trigger is reached.
    pub(super) fn age(&mut self, call: &Call, reply: &Reply) {
        let stored = matches!(reply, Reply::Answer(response) if response.status() == StatusCode::CREATED);
        self.auth.requests += 1;
        if call.head.method == Method::PUT && stored && call.head.uri.path().contains("/blobs/uploads/") {
            self.auth.blob_puts += 1;
        }
        let due = match self.behaviour.expires.as_ref().map(|expires| expires.after) {
            Some(ExpiryTrigger::Requests(n)) => self.auth.requests >= n,
            Some(ExpiryTrigger::BlobPuts(n)) => self.auth.blob_puts >= n,
            None => false,
        };
        if due && !self.auth.expired {
            self.auth.expired = true;
            self.auth.tokens.values_mut().for_each(|token| token.old = true);
        }
    }

    pub(super) fn issue_token(&mut self, call: &Call) -> Reply {
        let Auth::Bearer { password, anonymous_pull, denial } = &self.behaviour.auth else {
            return error(StatusCode::NOT_FOUND, "NOT_FOUND", "no token service here", json!(null));
        };
        if let Some(reason) = denial {
            return error(StatusCode::FORBIDDEN, "DENIED", reason, json!(null));
        }
        let form = query_of(str::from_utf8(call.body.as_deref().unwrap_or_default()).unwrap_or_default());
        let good = self.good_password(password.as_deref());
        let actions = match credential(call, &form) {
            Credential::None if *anonymous_pull => "pull",
            Credential::Password(shown) | Credential::Refresh(shown) if Some(shown.as_str()) == good => {
                "pull,push"
            }
            _ if *anonymous_pull => {
                let message = "Your authorization token has expired. Reauthenticate and try again.";
                return error(StatusCode::FORBIDDEN, "DENIED", message, json!(null));
            }
            _ => return error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "incorrect credential", json!(null)),
        };
        let scopes = call.query.get("scope").into_iter().chain(form.get("scope")).flatten();
        let grants =
            scopes.flat_map(|text| text.split(' ')).flat_map(|scope| grants_of(scope, actions)).collect();
        self.auth.issued += 1;
        let token = format!("token-{}", self.auth.issued);
        self.auth.tokens.insert(token.clone(), Token { grants, old: false });
        json_answer(json!({ "token": token, "access_token": token, "expires_in": 300 }))
    }

    fn good_password<'a>(&'a self, before: Option<&'a str>) -> Option<&'a str> {
        match (&self.behaviour.expires, &self.behaviour.auth) {
            (Some(expires), auth) if self.auth.expired => {
                let keeps = matches!(auth, Auth::Bearer { .. }).then_some(before).flatten();
                expires.next_password.as_deref().or(keeps)
            }
            _ => before,
        }
    }

    fn refusal(&self, call: &Call, repository: Option<&str>, stale: bool) -> Reply {
        let expired = self.behaviour.expires.as_ref().map(|expires| expires.answer).unwrap_or_default();
        match expired {
            ExpiredAnswer::Forbidden if stale => {
                let message = "Your authorization token has expired. Reauthenticate and try again.";
                return error(StatusCode::FORBIDDEN, "DENIED", message, json!(null));
            }
            ExpiredAnswer::BadRequest if stale => {
                let message = "Your Authorization Token is invalid.";
                return error(StatusCode::BAD_REQUEST, "DENIED", message, json!(null));
            }
            _ => (),
        }
        let host = call.header(header::HOST).unwrap_or_default();
        if let Auth::Basic { .. } | Auth::Parts { .. } = self.behaviour.auth {
            let challenge = format!("Basic realm=\"http://{host}/\",service=\"ecr.amazonaws.com\"");
            let headers = [("www-authenticate", challenge.as_str()), ("content-type", "text/plain")];
            return answer(StatusCode::UNAUTHORIZED, &headers, "Not Authorized\n");
        }
        let mut challenge = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"");
        if let Some(repository) = repository {
            let actions = if action_of(&call.head.method) == "pull" { "pull" } else { "pull,push" };
            challenge += &format!(",scope=\"repository:{repository}:{actions}\"");
        }
        let body = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "authentication required" }] });
        let headers = [("www-authenticate", challenge.as_str()), ("content-type", "application/json")];
        answer(StatusCode::UNAUTHORIZED, &headers, body.to_string())
    }
}

impl Token {
    fn grants(&self, repository: &str, action: &str) -> bool {
        self.grants.iter().any(|(name, granted)| name == repository && granted == action)
    }
}

fn action_of(method: &Method) -> &'static str {
    if matches!(*method, Method::GET | Method::HEAD) { "pull" } else { "push" }
}

/// The allowed pairs of a scope `repository:NAME:ACTIONS`.
fn grants_of(scope: &str, allowed: &str) -> Vec<(String, String)> {
    let parts = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
    let Some((name, actions)) = parts else { return Vec::new() };
    let actions = actions.split(',').filter(|action| allowed.split(',').any(|other| other == *action));
    actions.map(|action| (name.to_owned(), action.to_owned())).collect()
}

fn credential(call: &Call, form: &BTreeMap<String, Vec<String>>) -> Credential {
    let field = |name: &str| form.get(name).and_then(|values| values.first()).cloned();
    if let Some(password) = call.header(header::AUTHORIZATION).and_then(basic_password) {
        return Credential::Password(password);
    }
    if let Some(token) = field("refresh_token") {
        return Credential::Refresh(token);
    }
    field("password").map_or(Credential::None, Credential::Password)
}

fn basic_password(header: &str) -> Option<String> {
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}
