//! The part of Go's templates with which tools ask `docker` for one value: `{{.Field}}`, `{{json .Field}}`,
//! `{{index .Field N}}`, and one in another, as in `{{json (index .RepoDigests 0)}}`. Text around them is kept.
//!
//! <https://docs.docker.com/engine/cli/formatting/>

use serde_json::Value;

use crate::cli::output::exit::Failure;

/// The exit code of `docker` for a template that it cannot read.
const UNREADABLE: u8 = 64;

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
        let (value, is_json) = action_value(&words, document).map_err(|fault| match fault {
            Fault::Syntax => unreadable(&format!("`{action}`")),
            Fault::Missing(what) => {
                Failure::docker(1, format!("template parsing error: {action}: {what}"), None)
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

/// Why an action has no value.
enum Fault {
    Syntax,
    /// The document does not have what it names.
    Missing(String),
}

/// The value of an action, and whether it is printed as JSON.
fn action_value(words: &[String], document: &Value) -> Result<(Value, bool), Fault> {
    match words {
        [first, rest @ ..] if first == "json" => Ok((operand(rest, document)?, true)),
        words => Ok((operand(words, document)?, false)),
    }
}

fn operand(words: &[String], document: &Value) -> Result<Value, Fault> {
    match words {
        [open, inner @ .., close] if open == "(" && close == ")" => operand(inner, document),
        [index, field, keys @ ..] if index == "index" => {
            keys.iter().try_fold(of_field(field, document)?, |value, key| indexed(&value, key))
        }
        [field] => of_field(field, document),
        _ => Err(Fault::Syntax),
    }
}

/// The value of `.A.B`.
fn of_field(path: &str, document: &Value) -> Result<Value, Fault> {
    let names = path.strip_prefix('.').ok_or(Fault::Syntax)?.split('.').filter(|name| !name.is_empty());
    let mut value = document;
    for name in names {
        value = match value {
            // A part that is not set has no fields either.
            Value::Null => value,
            value => field(value, name).ok_or_else(|| Fault::Missing(format!("there is no {name}")))?,
        };
    }
    Ok(value.clone())
}

/// A field by its name in JSON, or by that of Go, which differs in case: `ApiVersion` is `APIVersion` there.
fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let gos =
        || value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    value.get(name).or_else(gos)
}

fn indexed(value: &Value, key: &str) -> Result<Value, Fault> {
    let key = key.trim_matches('"');
    match value {
        Value::Array(values) => {
            let index = key.parse::<usize>().map_err(|_| Fault::Syntax)?;
            let missing = || Fault::Missing(format!("there is no element {index} of {}", values.len()));
            values.get(index).cloned().ok_or_else(missing)
        }
        Value::Object(values) => Ok(values.get(key).cloned().unwrap_or(Value::String(String::new()))),
        // Of a map that is not set.
        Value::Null => Ok(Value::String(String::new())),
        _ => Err(Fault::Syntax),
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
            "Labels": { "a.b": "c" }, "None": null,
        });
        for (template, expected) in [
            ("{{.Id}}", "sha256:0a"),
            ("{{ .Id }}:{{.Size}}", "sha256:0a:3"),
            ("'{{json (index .RepoDigests 0)}}'", "'\"r.example/a@sha256:0b\"'"),
            ("{{index .RepoDigests 0}}", "r.example/a@sha256:0b"),
            ("{{json .Config}}", r#"{"Env":["A=1","B=2"]}"#),
            ("{{.Config.Env}}", "[A=1 B=2]"),
            (r#"{{index .Labels "a.b"}}"#, "c"),
            (r#"{{index .None "a"}}"#, ""),
            ("{{.ID}}", "sha256:0a"),
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
            ("{{.Missing}}", 1),
        ] {
            let failure = filled(template, &document).unwrap_err();
            assert!(
                matches!(failure, Failure::Docker { code, .. } if code == expected),
                "{template}: {failure}"
            );
        }
    }
}
