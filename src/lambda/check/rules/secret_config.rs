//! Nothing secret is in the config.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::case::Case;
use super::super::{Findings, Rule, Severity, secrets};

pub(super) const RULE: Rule = Rule {
    name: "secret-config",
    severity: Severity::Error,
    what: "The environment, the labels, the command and the history hold no passwords, tokens or keys.",
    why: "Whoever may pull the image reads its config, and build arguments stand in its history. The secret is in \
          every registry and cache that the image was in, and is as old as the image.",
    example: "`ARG NPM_TOKEN` and `docker build --build-arg NPM_TOKEN=…`, or `ENV DB_PASSWORD=…`.",
    way_out: "revoke the secret, and read it at run time from Secrets Manager or Parameter Store, or mount it for the \
              build alone with RUN --mount=type=secret",
    source: "https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/",
    check,
};

/// A secret: what tells it from others, which is never shown, and what is said of it.
type Found = (String, String);

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut tell = Teller { told: BTreeSet::new(), findings };
    for (name, value) in case.config.env() {
        tell.tell(in_pair(name, value), &format!("the variable {name}"), format!("config.Env.{name}"));
    }
    for (name, value) in case.config.labels() {
        tell.tell(in_pair(name, value), &format!("the label {name}"), format!("config.Labels.{name}"));
    }
    for (field, words) in [("Entrypoint", case.config.entrypoint()), ("Cmd", case.config.cmd())] {
        for (number, word) in words.into_iter().enumerate() {
            tell.tell(in_text(word), "the command", format!("config.{field}[{number}]"));
        }
    }
    let history = case.config.as_json().get("history").and_then(Value::as_array).into_iter().flatten();
    for (number, entry) in history.enumerate() {
        for field in ["created_by", "comment"] {
            let text = entry.get(field).and_then(Value::as_str).unwrap_or_default();
            tell.tell(in_text(text), "the history", format!("history[{number}].{field}"));
        }
    }
}

/// Tells each secret where it is met first: a build argument stands in the history once for each command that
/// could see it.
struct Teller<'a> {
    told: BTreeSet<String>,
    findings: &'a mut Findings,
}

impl Teller<'_> {
    fn tell(&mut self, found: Vec<Found>, place: &str, field: String) {
        let told = &mut self.told;
        let new: Vec<String> =
            found.into_iter().filter_map(|(which, text)| told.insert(which).then_some(text)).collect();
        let what = match &new[..] {
            [] => return,
            [one] => format!("a secret in clear text: {one}"),
            all => format!("{} secrets in clear text: {}", all.len(), all.join(", ")),
        };
        self.findings.add(format!("{place} has {what}")).in_field(field);
    }
}

fn in_pair(name: &str, value: &str) -> Vec<Found> {
    let by_form = of_form(&format!("{name}={value}"));
    if !by_form.is_empty() {
        return by_form;
    }
    let secret = secrets::named(name, value);
    secret.map(|secret| (format!("{name}={value}"), secret.to_string())).into_iter().collect()
}

fn in_text(text: &str) -> Vec<Found> {
    let mut found = of_form(text);
    // `|1 TOKEN=abc /bin/sh -c …`, `ARG TOKEN=abc`, `--token=abc`.
    for word in text.split_whitespace() {
        let Some((name, value)) = secrets::assignment(word) else { continue };
        let Some(secret) = secrets::named(name, value) else { continue };
        if secrets::find(word).is_empty() {
            found.push((format!("{name}={value}"), format!("{secret} ({name})")));
        }
    }
    found
}

fn of_form(text: &str) -> Vec<Found> {
    secrets::find(text).into_iter().map(|secret| (secret.to_string(), secret.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::sample::Sample;
    use super::RULE;

    const VALUE: &str = "0123456789abcdef";

    fn fields(sample: &Sample) -> Vec<String> {
        sample.check(&RULE).into_iter().map(|finding| finding.field.expect("a field")).collect()
    }

    #[test]
    fn secrets_of_the_process_are_found_and_not_shown() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = Sample::python()
            .process(
                "Env",
                json!(["PATH=/bin", format!("DB_PASSWORD={VALUE}"), "DB_URL=pg://me:hunter2@db/x"]),
            )
            .process("Labels", json!({ "a.token": VALUE, "maintainer": "Me <me@i.example>" }))
            .process("Cmd", json!(["app.handler", format!("--api-key={VALUE}x")]));
        assert_eq!(
            sample.says(&RULE),
            [
                "the variable DB_PASSWORD has a secret in clear text: password …cdef",
                "the variable DB_URL has a secret in clear text: password in a URL",
                "the label a.token has a secret in clear text: token …cdef",
                "the command has a secret in clear text: API key …defx (api-key)",
            ]
        );
        let expected =
            ["config.Env.DB_PASSWORD", "config.Env.DB_URL", "config.Labels.a.token", "config.Cmd[1]"];
        assert_eq!(fields(&sample), expected);
    }

    #[test]
    fn build_arguments_are_found_once() {
        let mut sample = Sample::python();
        sample.config["history"] = json!([
            { "created_by": format!("ARG NPM_TOKEN={VALUE}"), "empty_layer": true },
            { "created_by": format!("RUN |2 NPM_TOKEN={VALUE} DEBUG=1 /bin/sh -c npm ci # buildkit") },
            { "created_by": format!("|1 OTHER_TOKEN={VALUE} /bin/sh -c true"), "comment": "buildkit.dockerfile.v0" },
            { "created_by": "RUN /bin/sh -c TOKEN=$(cat /run/secrets/token) npm ci", "empty_layer": true },
        ]);
        assert_eq!(
            sample.says(&RULE),
            [
                "the history has a secret in clear text: token …cdef (NPM_TOKEN)",
                "the history has a secret in clear text: token …cdef (OTHER_TOKEN)",
            ]
        );
        assert_eq!(fields(&sample), ["history[0].created_by", "history[2].created_by"]);
    }

    #[test]
    fn what_official_images_set_is_none() {
        let sample = Sample::python().process(
            "Env",
            json!(["GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305", "PYTHON_SHA256=ed8b6ad1bb3e6b1a"]),
        );
        assert_eq!(sample.says(&RULE), [""; 0]);
    }
}
