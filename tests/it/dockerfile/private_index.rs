//! The case `32-secret-private-index` in each mode: pip in the image reaches an index with a login that is a secret.

use super::cases::wheels;
use super::secrets::contents;
use crate::support::command_builds::{commands_of, files_with};
use crate::support::debian;
use crate::support::environments::{Environment, Place};
use crate::support::faults;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::RunOutput;
use crate::support::root_tree::RootTree;
use crate::support::testdata;

const NAME: &str = "32-secret-private-index";
const PASSWORD: &str = "password-of-the-index";
const TOKEN: &str = "token-of-the-caller";

fn build(place: &Place, context: &str, base: &str, to: &str, more: &[&str]) -> RunOutput {
    let (context, to) = (place.text(context), format!("oci:{}", place.text(to)));
    let arguments =
        ["build", &context, "--build-context", base, "--arch", debian::ARCHITECTURE, "--no-check"];
    place.lbuild(&[&arguments[..], &["--to", &to], more].concat())
}

/// Debian's pip with Lambda's directories.
fn base(place: &Place) -> String {
    place.write(
        "base/Dockerfile",
        "FROM localhost/debian\nENV LAMBDA_TASK_ROOT=/var/task\nWORKDIR /var/task\n",
    );
    let debian = format!("localhost/debian=oci:{}:{}", place.part("debian/image"), debian::TAG);
    build(place, "base", &debian, "bases:python", &[]).succeeded();
    format!("public.ecr.aws/lambda/python:3.12=oci:{}:python", place.text("bases"))
}

/// The places that have one of the two values.
fn leaks(place: &Place, done: &RunOutput) -> String {
    let values = [PASSWORD, TOKEN];
    let mut found = String::new();
    for name in ["cache", "out", "tmp"] {
        found += &files_with(&place.path(name), &values);
    }
    for (path, bytes) in contents(&place.path("out")) {
        let has = |value: &str| bytes.windows(value.len()).any(|window| window == value.as_bytes());
        if values.iter().any(|value| has(value)) {
            found += &format!("{path}\n");
        }
    }
    let output = format!("{}{}", done.stdout, done.stderr);
    if values.iter().any(|value| output.contains(value)) {
        found += &format!("the output: {output}\n");
    }
    found
}

#[test]
fn a_private_index_is_reached_with_a_secret_in_each_mode() {
    let dir = tempfile::tempdir().unwrap();
    wheels(dir.path(), &["idna"]);
    let login = Some(("__token__".to_owned(), PASSWORD.to_owned()));
    let index = Index::of(dir.path(), IndexBehaviour { login, ..IndexBehaviour::default() });
    let mut place = Environment::Root.place();
    place.copy_in(&testdata("dockerfile/cases").join(NAME), "context");
    place.write("pip.conf", format!("[global]\nindex-url = {}\n", index.url_with_login()));
    place.set("TOKEN", TOKEN);
    let base = base(&place);
    let conf = format!("id=pipconf,src={}", place.text("pip.conf"));
    let secrets = ["--secret", &conf, "--secret", "id=token,env=TOKEN"];
    for mode in faults::sample(["namespaces", "copy", "chroot"], 1) {
        let run = |to: &str, more: &[&str]| {
            build(&place, "context", &base, to, &[&["--run-mode", mode], more].concat())
        };
        // without a secret that is required, before anything runs
        let done = run("none:1", &["--no-cache", "--secret", &conf]);
        assert!(
            done.code.is_some_and(|code| code != 0) && commands_of(&done) == 0,
            "{mode}: {}",
            done.stderr
        );
        assert!(done.stderr.contains("the secret `token` is required"), "{mode}: {}", done.stderr);

        index.clear();
        let done = run("out:1", &[&secrets[..], &["--no-cache"]].concat());
        assert_eq!((done.code, commands_of(&done)), (Some(0), 2), "{mode}: {}", done.stderr);
        assert!(!index.fetched().is_empty(), "{mode}: the index was not asked");
        let tree = RootTree::of(&place.path("out"), "1", debian::ARCHITECTURE, None);
        for path in ["requirements.txt", "idna/__init__.py", "idna/core.py", "app.py"] {
            let line = tree.line(&format!("var/task/{path}")).unwrap_or_default();
            assert!(line.starts_with("0644 0:0 file"), "{mode}: {path}: {line}");
        }
        for path in ["etc/pip.conf", "run/secrets", "root/.cache/pip"] {
            assert_eq!(tree.line(path), None, "{mode}: {path}");
        }
        assert_eq!(leaks(&place, &done), "", "{mode}");

        // the line is not done again for another value
        place.write("pip.conf", format!("[global]\nindex-url = {}\ntimeout = 5\n", index.url_with_login()));
        let again = run("out:1", &secrets);
        assert_eq!((again.digest(), commands_of(&again)), (done.digest(), 0), "{mode}: {}", again.stderr);

        // pip fails, and names the index
        place.write("context/requirements.txt", "idna==99\n");
        let done = run("none:1", &secrets);
        assert_eq!(done.code, Some(3), "{mode}: {}", done.stderr);
        assert!(done.stderr.contains("idna==99"), "{mode}: {}", done.stderr);
        assert_eq!(leaks(&place, &done), "", "{mode}");
        place.write("context/requirements.txt", "idna==3.10\n");
    }
}
