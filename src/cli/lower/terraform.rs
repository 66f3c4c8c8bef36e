//! A query of Terraform's external data source, as the arguments of `lbuild push`. The flags are those of clap's
//! description, so that each is written once.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use serde_json::{Map, Value};

use crate::cli::args::push::Push;
use crate::cli::args::terraform::Query;
use crate::cli::output::exit::Failure;

/// Flags that write something, or read standard input, with what to do instead.
const REFUSED: [(&[&str], &str); 4] = [
    (&["dry-run"], "leave it out: nothing is written"),
    (&["create-repo", "allow-lambda"], "give it to the `lbuild push` that follows"),
    (&["metadata-file", "digest-file"], "take the digest from the result"),
    (&["username", "password-stdin"], "log in first, with `docker login` or AWS credentials"),
];

/// Flags of every command.
const OF_ALL_COMMANDS: [&str; 3] = ["quiet", "json", "jobs"];

/// The arguments of the push that the query describes.
pub fn push(query: &str) -> Result<Push, Failure> {
    let command = Query::command();
    let (mut flags, mut path) = (Vec::new(), Vec::new());
    for (key, value) in fields(query)? {
        let argument = argument(&command, &key)?;
        let Value::String(value) = value else {
            let hint = "Terraform's values are strings: use jsonencode() for a list, tostring() for others";
            return Err(Failure::usage(format!("the value of `{key}` in the query is not a string"), hint));
        };
        match argument.is_positional() {
            true => path = vec!["--".to_owned(), value],
            false => flags.extend(words(argument, &key, value)?),
        }
    }
    flags.append(&mut path);
    let parsed = command.try_get_matches_from(flags).and_then(|found| Query::from_arg_matches(&found));
    let Query { push } = parsed.map_err(|error| refused(&error))?;
    match push.image.dockerfile.is_stdin() {
        true => Err(Failure::usage(
            "`dockerfile` is `-`, but standard input has the query",
            "write the Dockerfile to a file",
        )),
        false => Ok(push),
    }
}

fn fields(query: &str) -> Result<Map<String, Value>, Failure> {
    let hint = "it is a JSON object of strings: `lbuild terraform --help`";
    match serde_json::from_str(query) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::usage("the query on standard input is not a JSON object", hint)),
        Err(error) => {
            let message = format!("the query on standard input is not JSON: {error}");
            Err(Failure::usage(message, hint))
        }
    }
}

/// The argument that a key names.
fn argument<'c>(command: &'c Command, key: &str) -> Result<&'c Arg, Failure> {
    // Terraform's own names have underscores.
    let name = key.replace('_', "-");
    if let Some((_, hint)) = REFUSED.iter().find(|(names, _)| names.contains(&&*name)) {
        return Err(Failure::usage(format!("`{key}` has no place in the query of a data source"), *hint));
    }
    let is_meant = |argument: &&Arg| match argument.get_long_and_visible_aliases() {
        Some(names) => names.contains(&&*name),
        None => argument.is_positional() && argument.get_id() == &*name,
    };
    command.get_arguments().find(is_meant).ok_or_else(|| {
        let hint = match OF_ALL_COMMANDS.contains(&&*name) {
            true => "put it into `program`, before `terraform`",
            false => "keys are `path` and the flags of `lbuild push` without `--`",
        };
        Failure::usage(format!("the query has the unknown key `{key}`"), hint)
    })
}

/// The words of a flag with its values.
fn words(argument: &Arg, key: &str, value: String) -> Result<Vec<String>, Failure> {
    let flag = format!("--{}", argument.get_long().unwrap_or(key));
    let may_be_bare = argument.get_num_args().is_some_and(|number| number.min_values() == 0);
    Ok(match argument.get_action() {
        ArgAction::Append => values(key, value)?.iter().map(|value| format!("{flag}={value}")).collect(),
        ArgAction::SetTrue => match &*value {
            "true" => vec![flag],
            "false" => Vec::new(),
            _ => {
                let message = format!("the value of `{key}` in the query is `{value}`");
                return Err(Failure::usage(message, "it is a switch: true or false"));
            }
        },
        _ if may_be_bare && value == "true" => vec![flag],
        _ if may_be_bare && value == "false" => Vec::new(),
        _ => vec![format!("{flag}={value}")],
    })
}

/// The values of a flag that may be repeated.
fn values(key: &str, value: String) -> Result<Vec<String>, Failure> {
    if value.trim_start().starts_with('[') {
        return serde_json::from_str(&value).map_err(|error| {
            let message =
                format!("the value of `{key}` in the query is not a JSON array of strings: {error}");
            Failure::usage(message, "write jsonencode([…]), or one value in a line")
        });
    }
    Ok(value.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The message of clap without the usage, which is that of another command.
fn refused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or_default().trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let hint = match error.kind() {
        ErrorKind::ArgumentConflict => "leave one of them out of the query",
        _ => "`lbuild push --help` lists the flags",
    };
    Failure::usage(format!("the query describes no push: {message}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(query: &str) -> String {
        push(query).err().unwrap().to_string()
    }

    #[test]
    fn keys_are_flags() {
        let push = push(
            r#"{"path": "-fn", "runtime": "python3.12", "build_arg": "A=1\n\nB=x y\n", "label": "[\"a=[1]\\n2\", \"b=3\"]",
                "npm": "true", "slim": "false", "cmd": "[\"a.b\"]", "web-adapter": "true", "file": "Dockerfile"}"#,
        );
        let push = push.ok().unwrap();
        let image = &push.image;
        assert_eq!((image.path.to_str(), image.runtime.as_deref()), (Some("-fn"), Some("python3.12")));
        assert_eq!(image.dockerfile.build_arg, ["A=1", "B=x y"]);
        assert_eq!(image.label, ["a=[1]\n2", "b=3"]);
        assert!(image.node.npm && !image.python.slim);
        assert_eq!(image.cmd.as_deref(), Some("[\"a.b\"]"));
        assert_eq!(image.layers.web_adapter.as_deref(), Some(""));
        assert!(image.dockerfile.dockerfile.is_some());
    }

    #[test]
    fn every_flag_of_a_push_is_a_key_or_refused() {
        let command = Query::command();
        let refused: Vec<&str> = REFUSED.iter().flat_map(|(names, _)| *names).copied().collect();
        let known: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
        for name in &known {
            assert_eq!(argument(&command, name).is_err(), refused.contains(name), "{name}");
        }
        assert!(refused.iter().all(|name| known.contains(name) || cfg!(not(feature = "aws"))), "{known:?}");
    }

    #[test]
    fn faults_name_the_key() {
        for (query, expected) in [
            ("", "the query on standard input is not JSON"),
            ("[]", "the query on standard input is not a JSON object"),
            (r#"{"plattform": "x"}"#, "the query has the unknown key `plattform`"),
            (r#"{"jobs": "2"}"#, "the query has the unknown key `jobs`"),
            (r#"{"npm": true}"#, "the value of `npm` in the query is not a string"),
            (r#"{"npm": "yes"}"#, "the value of `npm` in the query is `yes`"),
            (r#"{"label": "[1]"}"#, "the value of `label` in the query is not a JSON array of strings"),
            (r#"{"metadata_file": "x"}"#, "`metadata_file` has no place in the query"),
            (r#"{"arch": "sparc"}"#, "the query describes no push: invalid value 'sparc' for '--arch"),
            (r#"{"base": "a", "runtime": "b"}"#, "cannot be used with"),
            (r#"{"dockerfile": "-"}"#, "`dockerfile` is `-`"),
        ] {
            let message = failure(query);
            assert!(message.contains(expected), "{query}: {message}");
        }
    }
}
