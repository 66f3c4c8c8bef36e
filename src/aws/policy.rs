//! What a repository's policy must say for Lambda to pull from it.
//!
//! The statements are those of <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions>,
//! under the same names. Whatever else a policy says stays.

use serde_json::{Map, Value, json};

use crate::image::EcrHost;

const ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
const SERVICE: &str = "lambda.amazonaws.com";

/// Lambda in the repository's own account.
const OWN: &str = "LambdaECRImageRetrievalPolicy";
/// Other accounts, whose callers name the image.
const ACCOUNTS: &str = "CrossAccountPermission";
/// Lambda on behalf of other accounts.
const FOREIGN: &str = "LambdaECRImageCrossAccountRetrievalPolicy";

/// The policy with Lambda allowed, for functions of `accounts` too; `None` when it allows that already.
///
/// # Errors
/// Why the text is no policy.
pub(super) fn allow_lambda(
    policy: Option<&str>,
    host: &EcrHost,
    accounts: &[String],
) -> Result<Option<String>, &'static str> {
    let mut document = match policy {
        Some(text) => serde_json::from_str(text).map_err(|_| "it is no JSON")?,
        None => json!({ "Version": "2012-10-17", "Statement": [] }),
    };
    let statements = statements(&mut document)?;
    let before = statements.clone();
    let own = arns(host, &[host.account().to_owned()]);
    if !statements.iter().any(|statement| lets_lambda(statement, &own)) {
        put(statements, OWN, json!({ "Service": SERVICE }), None);
    }
    let foreign: Vec<String> =
        accounts.iter().filter(|account| *account != host.account()).cloned().collect();
    let roots: Vec<String> =
        foreign.iter().map(|account| format!("arn:{}:iam::{account}:root", host.partition())).collect();
    let functions = arns(host, &foreign);
    if !foreign.is_empty() {
        let named = named(statements, ACCOUNTS).map(|statement| texts(&statement["Principal"]["AWS"]));
        let all = union(named.unwrap_or_default(), roots);
        put_unless_same(statements, ACCOUNTS, json!({ "AWS": all }), None);
        let named = named_functions(statements);
        let all = union(named, functions);
        put_unless_same(statements, FOREIGN, json!({ "Service": SERVICE }), Some(all));
    }
    let changed = *statements != before;
    Ok(changed.then(|| format!("{document:#}")))
}

/// The statements, as a list that can grow: a policy of one may stand without.
fn statements(document: &mut Value) -> Result<&mut Vec<Value>, &'static str> {
    let policy = document.as_object_mut().ok_or("it is no JSON object")?;
    let statement = policy.entry("Statement").or_insert_with(|| json!([]));
    if statement.is_object() {
        *statement = json!([statement.take()]);
    }
    statement.as_array_mut().ok_or("it has no list of statements")
}

fn arns(host: &EcrHost, accounts: &[String]) -> Vec<String> {
    let arn = |account| format!("arn:{}:lambda:{}:{account}:function:*", host.partition(), host.region());
    accounts.iter().map(arn).collect()
}

/// Whether a statement, whatever its name, lets Lambda pull for functions of these ARNs.
fn lets_lambda(statement: &Value, functions: &[String]) -> bool {
    let actions = texts(&statement["Action"]);
    let allowed = |action: &&str| {
        actions
            .iter()
            .any(|given| given == action || given == "ecr:*" || given == "*" || given == "ecr:BatchGet*")
    };
    let principal = texts(&statement["Principal"]["Service"]).iter().any(|service| service == SERVICE);
    let condition = match statement.get("Condition").and_then(Value::as_object) {
        None => true,
        Some(condition) => functions.iter().all(|function| source_arns(condition).contains(function)),
    };
    statement["Effect"] == "Allow" && principal && condition && ACTIONS.iter().all(allowed)
}

/// The functions that a condition is for, when it says nothing else. The key's case does not matter to AWS.
fn source_arns(condition: &Map<String, Value>) -> Vec<String> {
    let one = |map: &Map<String, Value>| {
        (map.len() == 1).then(|| map.iter().next().map(|(k, v)| (k.clone(), v.clone())))
    };
    let Some(Some((operator, keys))) = one(condition) else { return Vec::new() };
    let Some(Some((key, value))) = keys.as_object().and_then(one) else { return Vec::new() };
    match (operator.as_str(), key.to_ascii_lowercase().as_str()) {
        ("StringLike" | "ArnLike", "aws:sourcearn") => texts(&value),
        _ => Vec::new(),
    }
}

fn named<'a>(statements: &'a [Value], sid: &str) -> Option<&'a Value> {
    statements.iter().find(|statement| statement["Sid"] == sid)
}

fn named_functions(statements: &[Value]) -> Vec<String> {
    let condition = named(statements, FOREIGN).and_then(|statement| statement["Condition"].as_object());
    condition.map(source_arns).unwrap_or_default()
}

/// Adds a statement, unless one of that name says the same.
fn put_unless_same(statements: &mut Vec<Value>, sid: &str, principal: Value, functions: Option<Vec<String>>) {
    let same = named(statements, sid).is_some_and(|statement| {
        let functions_there = statement["Condition"].as_object().map(source_arns);
        let sorted = |value: &Value| union(texts(value), Vec::new());
        statement["Effect"] == "Allow"
            && ACTIONS.iter().all(|action| texts(&statement["Action"]).iter().any(|given| given == action))
            && sorted(&statement["Principal"]["AWS"]) == sorted(&principal["AWS"])
            && sorted(&statement["Principal"]["Service"]) == sorted(&principal["Service"])
            && functions_there.map(|there| union(there, Vec::new()))
                == functions.clone().map(|f| union(f, Vec::new()))
    });
    if !same {
        put(statements, sid, principal, functions);
    }
}

/// Adds a statement in place of the one of that name, if there is one.
fn put(statements: &mut Vec<Value>, sid: &str, principal: Value, functions: Option<Vec<String>>) {
    let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Principal": principal, "Action": ACTIONS });
    if let Some(functions) = functions {
        statement["Condition"] = json!({ "StringLike": { "aws:sourceArn": functions } });
    }
    match statements.iter_mut().find(|statement| statement["Sid"] == sid) {
        Some(place) => *place = statement,
        None => statements.push(statement),
    }
}

/// A policy's values are a text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// All of both, sorted, none twice.
fn union(mut these: Vec<String>, those: Vec<String>) -> Vec<String> {
    these.extend(those);
    these.sort();
    these.dedup();
    these
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> EcrHost {
        EcrHost::new("123456789012", "eu-west-1")
    }

    fn allow(policy: Option<&str>, accounts: &[&str]) -> Option<Value> {
        let accounts: Vec<String> = accounts.iter().map(|account| account.to_string()).collect();
        let text = allow_lambda(policy, &host(), &accounts).unwrap();
        text.map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn lambda_is_allowed_once() {
        let policy = allow(None, &[]).unwrap();
        assert_eq!(
            policy,
            json!({ "Version": "2012-10-17", "Statement": [{
                "Sid": "LambdaECRImageRetrievalPolicy",
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }]})
        );
        assert_eq!(allow(Some(&policy.to_string()), &[]), None);
    }

    #[test]
    fn what_the_console_wrote_is_enough() {
        let policy = json!({ "Version": "2008-10-17", "Statement": {
            "Sid": "any", "Effect": "Allow", "Principal": { "Service": ["lambda.amazonaws.com"] },
            "Action": ["ecr:SetRepositoryPolicy", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            "Condition": { "StringLike": { "aws:sourceArn": "arn:aws:lambda:eu-west-1:123456789012:function:*" } },
        }});
        assert_eq!(allow(Some(&policy.to_string()), &[]), None);
    }

    #[test]
    fn a_statement_for_others_is_not_enough_and_stays() {
        let others = json!({
            "Sid": "mine", "Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage",
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        });
        let elsewhere = json!({
            "Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" }, "Action": ACTIONS,
            "Condition": { "StringLike": { "aws:sourceArn": "arn:aws:lambda:eu-west-1:999999999999:function:*" } },
        });
        let policy = json!({ "Version": "2012-10-17", "Id": "x", "Statement": [others, elsewhere] });
        let merged = allow(Some(&policy.to_string()), &[]).unwrap();
        assert_eq!(merged["Id"], "x");
        assert_eq!(merged["Statement"][0], others);
        assert_eq!(merged["Statement"][1]["Condition"], Value::Null);
        assert_eq!(merged["Statement"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn other_accounts_need_both_statements_and_add_up() {
        let first = allow(None, &["111111111111", "123456789012"]).unwrap();
        let second = allow(Some(&first.to_string()), &["222222222222"]).unwrap();
        let statements = second["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 3);
        assert_eq!(
            statements[1]["Principal"]["AWS"],
            json!(["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"])
        );
        assert_eq!(
            statements[2]["Condition"]["StringLike"]["aws:sourceArn"],
            json!([
                "arn:aws:lambda:eu-west-1:111111111111:function:*",
                "arn:aws:lambda:eu-west-1:222222222222:function:*"
            ])
        );
        assert_eq!(allow(Some(&second.to_string()), &["111111111111"]), None);
    }

    #[test]
    fn what_is_no_policy_is_not_overwritten() {
        for text in ["", "[]", r#"{"Statement": "x"}"#] {
            assert!(allow_lambda(Some(text), &host(), &[]).is_err(), "{text}");
        }
    }
}
