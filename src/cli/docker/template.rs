//! The part of Go's templates with which tools ask `docker` for one value: `{{.Field}}`, `{{json .Field}}`,
//! `{{index .Field N}}`, and one in another, as in `{{json (index .RepoDigests 0)}}`. Text around them is kept.
//!
//! <https://docs.docker.com/engine/cli/formatting/>

use serde_json::Value;

use crate::cli::output::exit::Failure;

/// The exit code of `docker` for a template that it cannot read.
const UNREADABLE: u8 = 64;

/// Why an action has no value.
enum NoValue {
    /// It is not of the part of Go's templates that is read.
    Unreadable,
    /// The document has no such element.
    Missing,
}

/// The template, filled in from a document.
pub fn filled(template: &str, document: &Value) -> Result<String, Failure> {
    let unreadable = |what: &str| {
        let message = format!("lbuild does not read the template `{template}`: {what}");
        let hint = "it reads fields, `json` and `index`: {{.Id}}, {{json .Config}}, {{index .RepoDigests 0}}";
        Failure::docker(UNREADABLE, message, hint)
    };
    let (mut out, mut rest) = (String::new(), template);
    while let Some((text, after)) = rest.split_once("{{") {
        let (action, after) = after.split_once("}}").ok_or_else(|| unreadable("a `{{` has no `}}`"))?;
        out.push_str(text);
        let words = words(action.trim().trim_matches('-').trim());
        let (value, is_json) = action_value(&words, document).map_err(|why| match why {
            NoValue::Unreadable => unreadable(&format!("`{action}`")),
            NoValue::Missing => {
                let hint = "the digests of an image, for example, are those of its pushes";
                Failure::docker(1, format!("error calling index: {{{{{action}}}}}: index out of range"), hint)
            }
        })?;
        out.push_str(&if is_json { value.to_string() } else { printed(&value) });
        rest = after;
    }
    Ok(out + rest)
}

/// The words of an action; a parenthesis is a word of its own, and quoted text is one word.
fn words(action: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in action.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | ')' if !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                words.push(c.to_string());
                continue;
            }
            c if c.is_whitespace() && !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// The value of an action, and whether it is printed as JSON.
fn action_value(words: &[String], document: &Value) -> Result<(Value, bool), NoValue> {
    match words {
        [first, rest @ ..] if first == "json" => Ok((operand(rest, document)?, true)),
        words => Ok((operand(words, document)?, false)),
    }
}

fn operand(words: &[String], document: &Value) -> Result<Value, NoValue> {
    match words {
        [open, inner @ .., close] if open == "(" && close == ")" => operand(inner, document),
        [index, field, keys @ ..] if index == "index" => {
            keys.iter().try_fold(of_field(field, document)?, |value, key| indexed(&value, key))
        }
        [field] => of_field(field, document),
        _ => Err(NoValue::Unreadable),
    }
}

/// The value of `.A.B`. A field that a document does not have is no value.
fn of_field(path: &str, document: &Value) -> Result<Value, NoValue> {
    let path = path.strip_prefix('.').ok_or(NoValue::Unreadable)?;
    let names = path.split('.').filter(|name| !name.is_empty());
    Ok(names.fold(document, |value, name| field(value, name)).clone())
}

/// A field by its name in JSON, or by that of Go, which differs in case: `ApiVersion` is `APIVersion` there.
fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    let gos =
        || value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    value.get(name).or_else(gos).unwrap_or(&Value::Null)
}

fn indexed(value: &Value, key: &str) -> Result<Value, NoValue> {
    let key = key.trim_matches('"');
    match value {
        Value::Array(values) => {
            let number: usize = key.parse().map_err(|_| NoValue::Unreadable)?;
            values.get(number).cloned().ok_or(NoValue::Missing)
        }
        Value::Object(values) => Ok(values.get(key).cloned().unwrap_or(Value::String(String::new()))),
        _ => Err(NoValue::Missing),
    }
}

/// A value as Go prints it.
fn printed(value: &Value) -> String {
    let several = |values: Vec<String>| values.join(" ");
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => format!("[{}]", several(values.iter().map(printed).collect())),
        Value::Object(values) => {
            let pairs = values.iter().map(|(name, value)| format!("{name}:{}", printed(value)));
            format!("map[{}]", several(pairs.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_gives_what_go_gives() {
        let document = json!({
            "Id": "sha256:0a", "Size": 3, "RepoDigests": ["r.example/a@sha256:0b"], "Config": { "Env": ["A=1", "B=2"] },
            "Labels": { "a.b": "c" },
        });
        for (template, expected) in [
            ("{{.Id}}", "sha256:0a"),
            ("{{ .Id }}:{{.Size}}", "sha256:0a:3"),
            ("'{{json (index .RepoDigests 0)}}'", "'\"r.example/a@sha256:0b\"'"),
            ("{{index .RepoDigests 0}}", "r.example/a@sha256:0b"),
            ("{{json .Config}}", r#"{"Env":["A=1","B=2"]}"#),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            (r#"{{index .Labels "a.b"}}"#, "c"),
            ("{{.ID}}", "sha256:0a"),
            ("{{.Missing}}", "<no value>"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(template, &document).unwrap(), expected, "{template}");
        }
        for (template, expected) in [
            ("{{range .RepoDigests}}{{.}}{{end}}", 64),
            ("{{.Id", 64),
            ("{{len .Id}}", 64),
            ("{{index .RepoDigests one}}", 64),
            ("{{index .RepoDigests 7}}", 1),
            ("{{index .Missing 0}}", 1),
        ] {
            let failure = filled(template, &document).unwrap_err();
            assert!(
                matches!(failure, Failure::Docker { code, .. } if code == expected),
                "{template}: {failure}"
            );
        }
    }
}
