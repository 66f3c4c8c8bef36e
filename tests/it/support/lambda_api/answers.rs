//! Answers in the forms of AWS.

use super::REGION;
use crate::support::fake_ecr::CALLER;
use crate::support::http::Response;
use serde_json::{Value, json};

pub fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:123456789012:function:{name}")
}

pub fn ok(status: u16, value: &Value) -> Response {
    Response { status, body: value.to_string().into_bytes() }
}

/// The answer to GetCallerIdentity.
pub fn sts() -> Response {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>{CALLER}</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    Response { status: 200, body: body.into_bytes() }
}

pub fn refused(status: u16, code: &str, message: &str) -> Response {
    ok(status, &json!({ "__type": code, "Message": message, "message": message }))
}
