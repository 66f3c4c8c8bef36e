//! The image starts a program that uses Lambda's runtime API.

use super::super::case::{Case, Seen};
use super::super::facts::Fact;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "runtime-client",
    severity: Severity::Error,
    what: "The image starts a runtime interface client.",
    why: "Lambda passes events through its runtime API. A program that does not request them there never gets any, and \
          every invocation ends with a timeout or `Runtime.ExitError`.",
    example: "FROM python:3.12-slim with CMD `python app.py`.",
    help: "install the language's runtime interface client and make it the entrypoint, with the handler as CMD; for a \
           web server, add the Lambda Web Adapter",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-ric",
    check,
};

/// A runtime interface client: its interpreter, its name, and the parts of paths that show that it is installed.
struct Client {
    interpreter: &'static str,
    name: &'static str,
    marks: &'static [&'static str],
}

const CLIENTS: [Client; 4] = [
    Client { interpreter: "python", name: "awslambdaric", marks: &["awslambdaric/"] },
    // Some package managers do not unpack it into its own directory.
    Client { interpreter: "node", name: "aws-lambda-ric", marks: &["aws-lambda-ric"] },
    Client { interpreter: "ruby", name: "aws_lambda_ric", marks: &["aws_lambda_ric"] },
    // Any jar may contain it.
    Client {
        interpreter: "java",
        name: "com.amazonaws.services.lambda.runtime.api.client.AWSLambda",
        marks: &[".jar", "lambda/runtime/api/client/AWSLambda.class"],
    },
];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (entrypoint, cmd) = (case.config.entrypoint(), case.config.cmd());
    let field = if entrypoint.is_empty() { "config.Cmd" } else { "config.Entrypoint" };
    let mut words: Vec<&str> = entrypoint.into_iter().chain(cmd).collect();
    if words.is_empty() {
        findings
            .add("the image has neither ENTRYPOINT nor CMD: there is nothing to start")
            .in_field("config.Entrypoint")
            // The settings of the function may set both.
            .as_severe(Severity::Warning);
        return;
    }
    // The emulator starts the program that its arguments name.
    if words[0].ends_with("aws-lambda-rie") {
        words.remove(0);
    }
    let Some((program, arguments)) = words.split_first() else { return };
    if has_extension(case) {
        return;
    }
    let program = program.rsplit('/').next().unwrap_or_default();
    let Some(client) = CLIENTS.iter().find(|client| runs(program, client.interpreter)) else { return };
    let is_one = |path: &str| client.marks.iter().any(|mark| has_mark(path, mark));
    // A bundle may contain the client, and a program may use the API without one.
    let is_its_own = |facts: &[Fact]| facts.contains(&Fact::RuntimeClient);
    if case.files.iter().any(|file| is_one(&file.member.path) || is_its_own(file.member.facts())) {
        return;
    }
    let message = if arguments.iter().any(|argument| argument.ends_with(client.name)) {
        format!("{program} starts {}, which is not in the image", client.name)
    } else if program != "npx" && !arguments.iter().any(|argument| may_be_a_client(argument)) {
        format!("the image starts {program}, but has no runtime interface client for it ({})", client.name)
    } else {
        return;
    };
    if case.is_certain() {
        findings.add(message).in_field(field);
    }
}

/// Whether a program is an interpreter, as `python3.12` is for `python`.
fn runs(program: &str, interpreter: &str) -> bool {
    let version = program.strip_prefix(interpreter);
    let is_version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    version.is_some_and(is_version) || (interpreter == "node" && ["nodejs", "npx"].contains(&program))
}

fn has_mark(path: &str, mark: &str) -> bool {
    // The jars of a Java installation do not count.
    path.contains(mark) && !(mark == ".jar" && ["jdk", "jre", "jvm"].iter().any(|dir| path.contains(dir)))
}

/// Whether an argument is an archive, whose content is unknown, or names a bootstrap.
fn may_be_a_client(argument: &str) -> bool {
    let endings = [".jar", ".pyz", ".pex", ".zip"];
    let word = argument.to_ascii_lowercase();
    argument == "-jar" || word.contains("bootstrap") || endings.iter().any(|ending| word.ends_with(ending))
}

/// Whether the image has an extension, which may be the client, as the Lambda Web Adapter is.
fn has_extension(case: &Case<'_>) -> bool {
    let dir = case.files.resolve("opt/extensions").path;
    let is_one = |file: Seen<'_>| {
        let name = file.member.path.get(dir.len() + 1..).unwrap_or_default();
        !name.contains('/') && !file.member.is_directory()
    };
    case.files.below(&dir).any(is_one)
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Fact;
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    fn sample(entrypoint: &[&str], cmd: &[&str], files: &[&str]) -> Sample {
        let sample = Sample::empty(1).process("Entrypoint", json!(entrypoint)).process("Cmd", json!(cmd));
        files.iter().fold(sample, |sample, file| sample.file(0, file, 0o755))
    }

    const RIC: &str = "usr/local/lib/python3.12/site-packages/awslambdaric/__init__.py";

    type Words = &'static [&'static str];

    #[test]
    fn clients_are_recognised() {
        let cases: &[(Words, Words, Words)] = &[
            (&["/lambda-entrypoint.sh"], &["app.handler"], &[]),
            (&["/usr/local/bin/python", "-m", "awslambdaric"], &["app.handler"], &[RIC]),
            (&["/usr/local/bin/aws-lambda-rie", "python3", "-m", "awslambdaric"], &["app.handler"], &[RIC]),
            (
                &["/usr/bin/npx", "aws-lambda-ric"],
                &["app.handler"],
                &["f/node_modules/aws-lambda-ric/index.mjs"],
            ),
            (&["/usr/local/bin/aws_lambda_ric"], &["app.handler"], &[]),
            (&["java", "-cp", "./*", "pkg.Main"], &[], &["function/client.jar"]),
            (&["/usr/bin/java", "-jar"], &["app.jar"], &[]),
            (
                &["node", "f/node_modules/.bin/aws-lambda-ric"],
                &["a.b"],
                &[".yarn/cache/aws-lambda-ric-npm-3.zip"],
            ),
            (&["bundle", "exec", "aws_lambda_ric"], &["app.run"], &[]),
            (&["python"], &["-m", "awslambdaric", "app.handler"], &[RIC]),
            (&["/main"], &[], &["main"]),
            (&["/bin/sh", "-c", "python app.py"], &[], &[]),
            (&[], &["node", "server.js"], &["opt/extensions/lambda-adapter"]),
            (&[], &["node", "bootstrap.js"], &[]),
            (&["docker-entrypoint.sh"], &["node"], &[]),
        ];
        for &(entrypoint, cmd, files) in cases {
            assert_eq!(sample(entrypoint, cmd, files).says(&RULE), [""; 0], "{entrypoint:?} {cmd:?}");
        }
    }

    #[test]
    fn interpreters_need_a_client() {
        let cases: &[(Words, Words, &str)] = &[
            (
                &[],
                &["python3"],
                "the image starts python3, but has no runtime interface client for it (awslambdaric)",
            ),
            (
                &["/usr/bin/python3.12", "app.py"],
                &[],
                "the image starts python3.12, but has no runtime interface client for it (awslambdaric)",
            ),
            (
                &["node"],
                &["index.js"],
                "the image starts node, but has no runtime interface client for it (aws-lambda-ric)",
            ),
            (
                &["python", "-m", "awslambdaric"],
                &["a.b"],
                "python starts awslambdaric, which is not in the image",
            ),
            (&["npx", "aws-lambda-ric"], &["a.b"], "npx starts aws-lambda-ric, which is not in the image"),
            (&[], &[], "the image has neither ENTRYPOINT nor CMD: there is nothing to start"),
        ];
        for &(entrypoint, cmd, fault) in cases {
            assert_eq!(sample(entrypoint, cmd, &["usr/bin/python"]).says(&RULE), [fault]);
        }
    }

    #[test]
    fn a_program_may_be_its_own_client() {
        let run = || sample(&["node", "--enable-source-maps"], &["dist/run.js"], &["dist/run.js"]);
        assert_eq!(run().says(&RULE).len(), 1);
        let with = |fact: Fact| run().facts(0, "dist/run.js", [fact]).says(&RULE);
        assert_eq!(with(Fact::RuntimeClient), [""; 0]);
        assert_eq!(with(Fact::defines(["handler"])).len(), 1);
        let classes = sample(&["java"], &["-cp", "/app", "x.Main"], &["app/x/Main.class"]);
        assert_eq!(classes.says(&RULE).len(), 1);
        let path = "app/com/amazonaws/services/lambda/runtime/api/client/AWSLambda.class";
        assert_eq!(classes.file(0, path, 0o644).says(&RULE), [""; 0]);
    }

    #[test]
    fn unknown_layers_and_extensions_may_be_clients() {
        assert_eq!(sample(&["python", "app.py"], &[], &[]).unknown(0).says(&RULE), [""; 0]);
        assert_eq!(sample(&["python", "app.py"], &[], &[RIC]).says(&RULE), [""; 0]);
        let web = || sample(&["node", "app.js"], &[], &["opt/adapter/lambda-adapter"]);
        assert_eq!(web().link(0, "opt/extensions", "adapter").says(&RULE), [""; 0]);
        assert_eq!(
            web().directory(0, "opt/extensions").directory(0, "opt/extensions/a").says(&RULE).len(),
            1
        );
    }
}
