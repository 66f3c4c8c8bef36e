//! The config does not contain secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::super::secrets::{self, Secret};

pub(super) const RULE: Rule = Rule {
    name: "secret-config",
    severity: Severity::Error,
    what: "The environment, labels, command and history do not contain passwords, tokens or keys.",
    why: "Everyone who can pull the image can read its config, and the history contains build arguments. The secret \
          stays in every registry and cache that has had the image. A secret recognised by its form is an error, one \
          recognised only by its name a warning.",
    example: "`ARG NPM_TOKEN` and `docker build --build-arg NPM_TOKEN=…`, or `ENV DB_PASSWORD=…`.",
    help: "revoke the secret, and read it at run time from Secrets Manager or Parameter Store; for the build, mount it \
           with RUN --mount=type=secret",
    source: "https://docs.docker.com/reference/build-checks/secrets-used-in-arg-or-env/",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut reporter = Reporter { reported: BTreeSet::new(), findings };
    for (name, value) in case.config.env() {
        let shown = shown(name);
        let field = format!("config.Env.{shown}");
        reporter.report(in_pair(name, value), &format!("the variable {shown}"), field);
    }
    for (name, value) in case.config.labels() {
        let shown = shown(name);
        let field = format!("config.Labels.{shown}");
        reporter.report(in_pair(name, value), &format!("the label {shown}"), field);
    }
    for (field, words) in [("Entrypoint", case.config.entrypoint()), ("Cmd", case.config.cmd())] {
        for (number, word) in words.iter().enumerate() {
            let mut found = in_text(word);
            let option = number.checked_sub(1).map(|before| words[before]);
            found.extend(option.and_then(|option| of_option(option, word)));
            reporter.report(found, "the command", format!("config.{field}[{number}]"));
        }
    }
    let history = case.config.as_json().get("history").and_then(Value::as_array).into_iter().flatten();
    for (number, entry) in history.enumerate() {
        for field in ["created_by", "comment"] {
            let text = entry.get(field).and_then(Value::as_str).unwrap_or_default();
            reporter.report(in_text(text), "the history", format!("history[{number}].{field}"));
        }
    }
}

/// The name, or `…` if it is a secret: an item without `=` is parsed as a name.
fn shown(name: &str) -> &str {
    if secrets::find(name).is_empty() { name } else { "…" }
}

/// A secret and its description.
struct Found {
    /// Distinguishes it from other secrets.
    mark: u64,
    severity: Severity,
    text: String,
}

impl Found {
    fn by_form(secret: &Secret) -> Found {
        Found { mark: secret.mark, severity: Severity::Error, text: secret.to_string() }
    }

    fn by_name(secret: &Secret, text: String) -> Found {
        Found { mark: secret.mark, severity: Severity::Warning, text }
    }
}

/// Reports each secret once: the history repeats a build argument for each command that can use it.
struct Reporter<'a> {
    reported: BTreeSet<u64>,
    findings: &'a mut Findings,
}

impl Reporter<'_> {
    fn report(&mut self, mut found: Vec<Found>, place: &str, field: String) {
        found.retain(|found| self.reported.insert(found.mark));
        let Some(severity) = found.iter().map(|found| found.severity).max() else { return };
        let texts: Vec<&str> = found.iter().map(|found| found.text.as_str()).collect();
        let what = match &texts[..] {
            [one] => format!("a secret in clear text: {one}"),
            all => format!("{} secrets in clear text: {}", all.len(), all.join(", ")),
        };
        self.findings.add(format!("{place} has {what}")).as_severe(severity).in_field(field);
    }
}

fn in_pair(name: &str, value: &str) -> Vec<Found> {
    if secrets::is_public(name) {
        return Vec::new();
    }
    let by_form = of_form(&format!("{name}={value}"));
    if !by_form.is_empty() {
        return by_form;
    }
    let secret = secrets::named(name, value);
    secret.iter().map(|secret| Found::by_name(secret, secret.to_string())).collect()
}

fn in_text(text: &str) -> Vec<Found> {
    let mut found = of_form(text);
    let (declared, shell) = halves(text);
    found.extend(declared.split_whitespace().filter_map(|word| of_assignment(word, secrets::named)));
    let words: Vec<&str> = shell.split_whitespace().collect();
    found.extend(words.iter().filter_map(|word| of_assignment(word, secrets::in_shell)));
    found.extend(words.windows(2).filter_map(|pair| of_option(pair[0], pair[1])));
    found
}

/// Splits a line of history into its declarations and its command: `ENV TOKEN=abc`, `|1 TOKEN=abc /bin/sh -c …`, with
/// the prefixes of Docker's builders.
fn halves(text: &str) -> (&str, &str) {
    let line = text.trim_start();
    let line = line.strip_prefix("/bin/sh -c #(nop)").unwrap_or(line).trim_start();
    if ["ENV ", "ARG ", "LABEL "].iter().any(|instruction| line.starts_with(instruction)) {
        return (line, "");
    }
    let run = line.strip_prefix("RUN ").unwrap_or(line);
    if run.starts_with('|') { run.split_once(" -c ").unwrap_or((run, "")) } else { ("", run) }
}

fn of_assignment(word: &str, is_secret: fn(&str, &str) -> Option<Secret>) -> Option<Found> {
    let (name, value) = secrets::assignment(word)?;
    let secret = is_secret(name, value)?;
    // A secret recognised by its form has been reported already.
    secrets::find(word).is_empty().then(|| Found::by_name(&secret, format!("{secret} ({name})")))
}

fn of_option(word: &str, next: &str) -> Option<Found> {
    let (name, value) = secrets::option(word, next)?;
    let secret = secrets::in_shell(name, value)?;
    secrets::find(next).is_empty().then(|| Found::by_name(&secret, format!("{secret} ({name})")))
}

fn of_form(text: &str) -> Vec<Found> {
    secrets::find(text).iter().map(Found::by_form).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::sample::Sample;
    use super::{RULE, Severity};

    const VALUE: &str = "0123456789abcdef";

    fn token() -> String {
        format!("ghp_{}", "a1B2c3D4e".repeat(4))
    }

    fn fields(sample: &Sample) -> Vec<String> {
        sample.check(&RULE).into_iter().map(|finding| finding.field.expect("a field")).collect()
    }

    /// The messages about one line of the history.
    fn of_history(line: &str) -> Vec<String> {
        let mut sample = Sample::python();
        sample.config["history"] = json!([{ "created_by": line }]);
        sample.says(&RULE)
    }

    #[test]
    fn secrets_of_the_process_are_found_and_not_shown() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = Sample::python()
            .process(
                "Env",
                json!([
                    "PATH=/bin",
                    format!("DB_PASSWORD={VALUE}"),
                    "DB_URL=pg://me:hunter2@db/x",
                    format!("GH={}", token())
                ]),
            )
            .process("Labels", json!({ "a.token": format!("{VALUE}1"), "maintainer": "Me <me@i.example>" }))
            .process(
                "Cmd",
                json!(["app.handler", format!("--api-key={VALUE}2"), "--token", format!("{VALUE}3")]),
            );
        assert_eq!(
            sample.says(&RULE),
            [
                "the variable DB_PASSWORD has a secret in clear text: password",
                "the variable DB_URL has a secret in clear text: password in a URL",
                "the variable GH has a secret in clear text: GitHub token ghp_…",
                "the label a.token has a secret in clear text: token",
                "the command has a secret in clear text: API key (api-key)",
                "the command has a secret in clear text: token (token)",
            ]
        );
        let expected = [
            "config.Env.DB_PASSWORD",
            "config.Env.DB_URL",
            "config.Env.GH",
            "config.Labels.a.token",
            "config.Cmd[1]",
            "config.Cmd[3]",
        ];
        assert_eq!(fields(&sample), expected);
    }

    #[test]
    fn a_secret_recognised_only_by_its_name_is_a_warning() {
        let sample = Sample::python()
            .process("Env", json!([format!("DB_PASSWORD={VALUE}"), format!("TOKEN={}", token())]));
        let severities: Vec<Severity> = sample.check(&RULE).iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Error]);
    }

    #[test]
    fn a_secret_in_place_of_a_pair_is_not_shown() {
        let sample = Sample::python().process("Env", json!([token()]));
        assert_eq!(sample.says(&RULE), ["the variable … has a secret in clear text: GitHub token ghp_…"]);
        assert_eq!(fields(&sample), ["config.Env.…"]);
    }

    #[test]
    fn build_arguments_are_reported_once() {
        let mut sample = Sample::python();
        sample.config["history"] = json!([
            { "created_by": format!("ARG NPM_TOKEN={VALUE}"), "empty_layer": true },
            { "created_by": format!("RUN |2 NPM_TOKEN={VALUE} DEBUG=1 /bin/sh -c npm ci # buildkit") },
            { "created_by": format!("|1 OTHER_TOKEN={VALUE}1 /bin/sh -c true"), "comment": "buildkit.dockerfile.v0" },
            { "created_by": "RUN /bin/sh -c TOKEN=$(cat /run/secrets/token) npm ci", "empty_layer": true },
        ]);
        assert_eq!(
            sample.says(&RULE),
            [
                "the history has a secret in clear text: token (NPM_TOKEN)",
                "the history has a secret in clear text: token (OTHER_TOKEN)",
            ]
        );
        assert_eq!(fields(&sample), ["history[0].created_by", "history[2].created_by"]);
    }

    #[test]
    fn the_history_of_every_builder_is_parsed() {
        for (line, expected) in [
            (format!("/bin/sh -c #(nop) ARG TOKEN={VALUE}"), "token (TOKEN)"),
            (format!("/bin/sh -c #(nop)  ENV DB_PASSWORD=correcthorse A={VALUE}"), "password (DB_PASSWORD)"),
            (format!("ENV A=b API_KEY={VALUE}"), "API key (API_KEY)"),
            (
                "|1 DB_PASSWORD=correcthorse /bin/bash -o pipefail -c true".to_owned(),
                "password (DB_PASSWORD)",
            ),
            (format!("RUN |1 TOKEN={} /bin/sh -c true", token()), "GitHub token ghp_…"),
            (
                format!(
                    "RUN /bin/sh -c curl -H \"Authorization: Bearer {}\" i.example",
                    "a1B2c3D4".repeat(3)
                ),
                "login in a header",
            ),
            (format!("/bin/sh -c echo \"//r.example/:_authToken={VALUE}\" > .npmrc"), "token (_authToken)"),
            (format!("RUN /bin/sh -c export API_TOKEN='{VALUE}'; make"), "token (API_TOKEN)"),
            (format!("RUN /bin/sh -c tool login --token {VALUE} # buildkit"), "token (token)"),
            ("RUN /bin/sh -c git clone https://me:hunter2@i.example/a".to_owned(), "password in a URL"),
        ] {
            assert_eq!(
                of_history(&line),
                [format!("the history has a secret in clear text: {expected}")],
                "{line}"
            );
        }
    }

    #[test]
    fn variables_of_official_images_are_ignored() {
        let sample = Sample::python().process(
            "Env",
            json!([
                "GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305",
                "PYTHON_SHA256=c909157bb25ec114e5869124cc2a9c4a4d4c1e957ca4ff553f1edc692101154e",
                "RUBY_DOWNLOAD_SHA256=b224f9844646cc92765df8288a46838511c1cec5b550d8874bd4686a904fcee7",
                "JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStorePassword=changeit",
                "NODE_VERSION=22.1.0",
                "LANG=en_US.UTF-8",
                "NEXT_PUBLIC_MAPS_API_KEY=AIzaa1B2c3D4a1B2c3D4a1B2c3D4a1B2c3D4a1B",
            ]),
        );
        assert_eq!(sample.says(&RULE), [""; 0]);
    }

    #[test]
    fn commands_without_secrets_are_ignored() {
        for line in [
            "RUN /bin/sh -c for key in C4F0DFFF4E8C1A8236409D08E73BC641CC11F4C8; do gpg --recv-keys \"$key\"; done",
            "RUN /bin/sh -c echo \"9ce3c3dbd2a1ea5a4a4fd06d6a3d4d8e8ab0d3e3 *node.tar.xz\" | sha256sum -c -",
            "RUN /bin/sh -c adduser --disabled-password --gecos '' appuser1234",
            "RUN /bin/sh -c adduser --disabled-password appuser1234",
            "RUN /bin/sh -c sed -i 's|^password=.*|password=$PASSWORD1|' /etc/a.conf",
            "RUN /bin/sh -c python -c \"login(user, password=os.environ['PASSWORD1'], token=getenv('T1'))\"",
            "RUN /bin/sh -c pip install token==1.2.3.4.5 --token $PIP_TOKEN_1",
            "RUN --mount=type=secret,id=npm_token1 npm ci",
            "RUN /bin/sh -c SECRET_KEY_BASE_DUMMY=1 ./bin/rails assets:precompile",
            "/bin/sh -c #(nop) ENV SECRET_NAME=prod/db-1 TOKEN_URL=https://i.example/a1B2c3D4a1B2",
            "ARG NPM_TOKEN",
            "CMD [\"app.handler\"]",
        ] {
            assert_eq!(of_history(line), [""; 0], "{line}");
        }
    }
}
