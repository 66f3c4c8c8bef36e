//! The statements of a repository's policy that let Lambda pull from it.
//!
//! The statements are those of <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions>,
//! with the same names. All other statements stay.

use serde_json::{Map, Value, json};

use crate::image::EcrHost;

const ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
const SERVICE: &str = "lambda.amazonaws.com";

/// The statement for Lambda in the repository's own account.
const OWN: &str = "LambdaECRImageRetrievalPolicy";
/// The statement for principals of other accounts, which create or update functions with the image.
const ACCOUNTS: &str = "CrossAccountPermission";
/// The statement for Lambda on behalf of other accounts.
const FOREIGN: &str = "LambdaECRImageCrossAccountRetrievalPolicy";

/// The policy extended so that Lambda may pull, also for functions of `accounts`; `None` if it allows this already.
///
/// Only statements with exactly the structure that lbuild writes change, and their lists only get longer. A statement
/// that its owner narrowed is not changed, whatever its name; if it lets Lambda pull for functions of the repository's
/// account, no other statement is added.
///
/// # Errors
/// The reason why the text is not a policy.
pub(super) fn allow_lambda(
    policy: Option<&str>,
    host: &EcrHost,
    accounts: &[String],
) -> Result<Option<String>, &'static str> {
    let mut document = match policy {
        Some(text) => serde_json::from_str(text).map_err(|_| "it is not JSON")?,
        None => json!({ "Version": "2012-10-17", "Statement": [] }),
    };
    let statements = statements(&mut document)?;
    let before = statements.clone();
    if !statements.iter().any(|statement| lets_lambda(statement, host)) {
        statements.push(allow(fresh(statements, OWN), json!({ "Service": SERVICE })));
    }
    let foreign: Vec<&String> = accounts.iter().filter(|account| *account != host.account()).collect();
    if !foreign.is_empty() {
        let root = |account| format!("arn:{}:iam::{account}:root", host.partition());
        let functions =
            |account| format!("arn:{}:lambda:{}:{account}:function:*", host.partition(), host.region());
        grow(statements, &Family::ACCOUNTS, foreign.iter().map(root).collect());
        grow(statements, &Family::FUNCTIONS, foreign.iter().map(functions).collect());
    }
    let changed = *statements != before;
    Ok(changed.then(|| format!("{document:#}")))
}

/// The statements as a list. A policy with one statement may have an object in place of the list.
fn statements(document: &mut Value) -> Result<&mut Vec<Value>, &'static str> {
    let policy = document.as_object_mut().ok_or("it is not a JSON object")?;
    let statement = policy.entry("Statement").or_insert_with(|| json!([]));
    if statement.is_object() {
        *statement = json!([statement.take()]);
    }
    statement.as_array_mut().ok_or("it has no list of statements")
}

/// Whether a statement of any name lets Lambda pull for all or some functions of the repository's own account.
fn lets_lambda(statement: &Value, host: &EcrHost) -> bool {
    let actions = texts(&statement["Action"]);
    let allowed = |action: &&str| {
        actions
            .iter()
            .any(|given| given == action || given == "ecr:*" || given == "*" || given == "ecr:BatchGet*")
    };
    let principal = texts(&statement["Principal"]["Service"]).iter().any(|service| service == SERVICE);
    let condition = statement.get("Condition").and_then(Value::as_object);
    statement["Effect"] == "Allow"
        && principal
        && condition.is_none_or(|condition| !is_for_others(condition, host.account()))
        && ACTIONS.iter().all(allowed)
}

/// Whether a condition names functions or accounts, but none of `account`. AWS ignores the case of keys.
fn is_for_others(condition: &Map<String, Value>, account: &str) -> bool {
    let keys = condition.values().filter_map(Value::as_object).flatten();
    keys.into_iter().any(|(key, value)| {
        let values = texts(value);
        match key.to_ascii_lowercase().as_str() {
            "aws:sourceaccount" => !values.iter().any(|value| value == account || value == "*"),
            "aws:sourcearn" => {
                let of = |value: &String| value.split(':').nth(4).map(str::to_owned);
                !values.iter().any(|value| of(value).is_none_or(|of| of == account || of.contains('*')))
            }
            _ => false,
        }
    })
}

/// A family of statements for other accounts, which differ only in one list.
struct Family {
    sid: &'static str,
    condition: bool,
}

impl Family {
    const ACCOUNTS: Family = Family { sid: ACCOUNTS, condition: false };
    const FUNCTIONS: Family = Family { sid: FOREIGN, condition: true };

    /// The list in a statement with exactly the structure that lbuild writes.
    fn list<'a>(&self, statement: &'a mut Value) -> Option<&'a mut Value> {
        let keys = ["Sid", "Effect", "Principal", "Action", "Condition"];
        let own = statement["Sid"].as_str().is_some_and(|sid| sid.starts_with(self.sid))
            && statement.as_object()?.keys().all(|key| keys.contains(&key.as_str()))
            && statement["Effect"] == "Allow"
            && sorted(texts(&statement["Action"])) == ACTIONS;
        if !own {
            return None;
        }
        let principal = statement["Principal"].as_object()?;
        let who = if self.condition { "Service" } else { "AWS" };
        if principal.len() != 1 || !principal.contains_key(who) {
            return None;
        }
        if !self.condition {
            return match statement.get("Condition") {
                None => statement["Principal"].get_mut("AWS"),
                Some(_) => None,
            };
        }
        if principal["Service"] != SERVICE {
            return None;
        }
        let (operator, keys) = only(statement.get_mut("Condition")?)?;
        let (key, list) = only(keys)?;
        let known =
            ["StringLike", "ArnLike"].contains(&operator) && key.eq_ignore_ascii_case("aws:sourceArn");
        known.then_some(list)
    }

    fn statement(&self, sid: String, list: Vec<String>) -> Value {
        if !self.condition {
            return allow(sid, json!({ "AWS": list }));
        }
        let mut statement = allow(sid, json!({ "Service": SERVICE }));
        statement["Condition"] = json!({ "StringLike": { "aws:sourceArn": list } });
        statement
    }
}

/// The only entry of an object; `None` if it does not have exactly one.
fn only(object: &mut Value) -> Option<(&str, &mut Value)> {
    let object = object.as_object_mut().filter(|object| object.len() == 1)?;
    object.iter_mut().next().map(|(key, value)| (key.as_str(), value))
}

/// Adds the members of `more` that no statement lists, to an existing statement or else to a new statement.
fn grow(statements: &mut Vec<Value>, family: &Family, mut more: Vec<String>) {
    for statement in statements.iter_mut() {
        let known = family.list(statement).map(|list| texts(list)).unwrap_or_default();
        more.retain(|one| !known.contains(one));
    }
    if more.is_empty() {
        return;
    }
    match statements.iter_mut().find_map(|statement| family.list(statement)) {
        Some(list) => *list = json!(sorted([texts(list), more].concat())),
        None => statements.push(family.statement(fresh(statements, family.sid), sorted(more))),
    }
}

fn allow(sid: String, principal: Value) -> Value {
    json!({ "Sid": sid, "Effect": "Allow", "Principal": principal, "Action": ACTIONS })
}

/// The name, with a number appended if it is taken, because names are unique within a policy.
fn fresh(statements: &[Value], sid: &str) -> String {
    let taken = |name: &String| statements.iter().any(|statement| statement["Sid"] == **name);
    let mut names = std::iter::once(sid.to_owned()).chain((2u32..).map(|number| format!("{sid}{number}")));
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// The strings of a policy's value: one string or a list of strings.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The texts sorted and without duplicates.
fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> EcrHost {
        EcrHost::new("123456789012", "eu-west-1")
    }

    fn allowed(policy: Option<&str>, accounts: &[&str]) -> Option<Value> {
        let accounts: Vec<String> = accounts.iter().map(|account| account.to_string()).collect();
        let text = allow_lambda(policy, &host(), &accounts).unwrap();
        text.map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn lambda_is_allowed_once() {
        let policy = allowed(None, &[]).unwrap();
        assert_eq!(
            policy,
            json!({ "Version": "2012-10-17", "Statement": [{
                "Sid": "LambdaECRImageRetrievalPolicy",
                "Effect": "Allow",
                "Principal": { "Service": "lambda.amazonaws.com" },
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            }]})
        );
        assert_eq!(allowed(Some(&policy.to_string()), &[]), None);
    }

    #[test]
    fn the_statement_that_the_console_writes_is_enough() {
        let policy = json!({ "Version": "2008-10-17", "Statement": {
            "Sid": "any", "Effect": "Allow", "Principal": { "Service": ["lambda.amazonaws.com"] },
            "Action": ["ecr:SetRepositoryPolicy", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            "Condition": { "StringLike": { "aws:sourceArn": "arn:aws:lambda:eu-west-1:123456789012:function:*" } },
        }});
        assert_eq!(allowed(Some(&policy.to_string()), &[]), None);
    }

    #[test]
    fn a_statement_for_others_is_not_enough_and_is_kept() {
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
        let merged = allowed(Some(&policy.to_string()), &[]).unwrap();
        assert_eq!(merged["Id"], "x");
        assert_eq!((&merged["Statement"][0], &merged["Statement"][1]), (&others, &elsewhere));
        assert_eq!(merged["Statement"][2]["Sid"], "LambdaECRImageRetrievalPolicy2");
        assert_eq!(merged["Statement"][2]["Condition"], Value::Null);
        assert_eq!(merged["Statement"].as_array().unwrap().len(), 3);
        assert_eq!(allowed(Some(&merged.to_string()), &[]), None);
    }

    #[test]
    fn a_statement_that_its_owner_narrowed_is_not_changed() {
        for condition in [
            json!({ "StringEquals": { "aws:SourceAccount": "123456789012" } }),
            json!({ "ArnLike": { "AWS:SourceArn": "arn:aws:lambda:eu-west-1:123456789012:function:hello" } }),
            json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } }),
        ] {
            let mut own = super::allow(OWN.to_owned(), json!({ "Service": SERVICE }));
            own["Condition"] = condition;
            let policy = json!({ "Version": "2012-10-17", "Statement": [own] });
            assert_eq!(allowed(Some(&policy.to_string()), &[]), None, "{policy}");
        }
        let mut everyone = super::allow(ACCOUNTS.to_owned(), json!({ "AWS": "*" }));
        everyone["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
        let mut denied = super::allow(FOREIGN.to_owned(), json!({ "Service": SERVICE }));
        denied["Effect"] = json!("Deny");
        let mut wide = super::allow("CrossAccountPermission9".to_owned(), json!({ "AWS": "arn:x" }));
        wide["Action"] = json!(["ecr:*"]);
        let before = [everyone, denied, wide];
        let policy = json!({ "Version": "2012-10-17", "Statement": before });
        let merged = allowed(Some(&policy.to_string()), &["111111111111"]).unwrap();
        let after = merged["Statement"].as_array().unwrap();
        assert_eq!(after[..3], before);
        let sids: Vec<_> = after[3..].iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids, [OWN, "CrossAccountPermission2", "LambdaECRImageCrossAccountRetrievalPolicy2"]);
        assert_eq!(after[4]["Principal"]["AWS"], json!(["arn:aws:iam::111111111111:root"]));
        assert_eq!(allowed(Some(&merged.to_string()), &["111111111111"]), None);
    }

    #[test]
    fn other_accounts_need_both_statements_and_are_added_to_the_list() {
        let first = allowed(None, &["111111111111", "123456789012"]).unwrap();
        let second = allowed(Some(&first.to_string()), &["222222222222"]).unwrap();
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
        assert_eq!(allowed(Some(&second.to_string()), &["111111111111"]), None);
    }

    #[test]
    fn a_text_that_is_not_a_policy_is_not_overwritten() {
        for text in ["", "[]", r#"{"Statement": "x"}"#] {
            assert!(allow_lambda(Some(text), &host(), &[]).is_err(), "{text}");
        }
    }
}
