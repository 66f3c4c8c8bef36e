//! The output of commands, and the errors of those that fail: as text, as JSON, and folded in the logs of CI services.

use crate::support::command_builds::{Builds, events, events_of};
use crate::support::environments::Environment;
use crate::support::lbuild::RunOutput;
use serde_json::json;

/// Fails at its second command, which has more lines than the error repeats; the last one has no end.
const FAILING: &str = "FROM localhost/busybox
RUN echo first; date >/now

RUN for i in $(seq 30); do echo line $i; done && \\
    printf '\\033[31mred\\033[0m 10%%\\r20%%\\n::error::from the command\\n' >&2 && \\
    printf 'the last' && \\
    exit 9
RUN date >/never
";

const LAST: [&str; 10] = [
    "line 24",
    "line 25",
    "line 26",
    "line 27",
    "line 28",
    "line 29",
    "line 30",
    "20%",
    "::error::from the command",
    "the last",
];

fn place(builds: &Builds) -> String {
    format!("{}/Dockerfile:4", builds.place.text("context"))
}

#[test]
fn the_error_of_a_command_has_place_exit_code_and_last_lines() {
    for (environment, mode) in [
        (Environment::Root, "namespaces"),
        (Environment::Account, "copy"),
        (Environment::Docker, "chroot"),
        (Environment::Account, "proot"),
    ] {
        let builds = Builds::in_place(environment);
        let error = builds.build(FAILING, &["--run-mode", mode]).failed(3);
        let (place, what) = (place(&builds), format!("{environment:?}: {error}"));
        assert!(error.contains(&format!("run      {place} RUN for i in $(seq 30);")), "{what}");
        assert!(error.contains(&format!("({mode})\n")), "{what}");
        for line in ["line 1", "line 30", "20%", "::error::from the command", "the last"] {
            assert!(error.contains(&format!("\n{place} | {line}\n")), "{line}: {what}");
        }
        let (_, message) = error.split_once("\nerror: ").unwrap_or_else(|| panic!("{what}"));
        assert!(message.starts_with(&format!("{place}:1: the command ended with exit code 9\n")), "{what}");
        assert!(message.contains("\n  4 | RUN for i in $(seq 30);"), "{what}");
        let lines: Vec<&str> = message.lines().filter_map(|line| line.strip_prefix("  | ")).collect();
        assert_eq!(lines, LAST, "{what}");
        // no line of a command may begin as one that controls a CI service
        assert!(!error.lines().any(|line| line.trim_start().starts_with("::")), "{what}");
        assert!(!error.contains('\u{1b}') && !error.contains('\r'), "{what}");
        assert!(!builds.place.path("out/index.json").exists(), "{what}");
    }
}

#[test]
fn commands_are_events_in_json() {
    let builds = Builds::in_place(Environment::Account);
    let done = builds.build(FAILING, &["--json"]);
    assert_eq!((done.code, &*done.stdout), (Some(3), ""), "{}", done.stderr);
    let events = events(&done);
    let of = |reason: &str| events_of(&events, reason);
    let first = format!("{}/Dockerfile:2", builds.place.text("context"));
    let started = of("command-started");
    assert_eq!(started.len(), 2, "{started:#?}");
    let expected = json!({ "reason": "command-started", "place": first, "command": "RUN echo first; date >/now", "mode": "namespaces" });
    assert_eq!(started[0], expected);
    let output = of("command-output");
    assert_eq!(output[0], json!({ "reason": "command-output", "place": first, "line": "first" }));
    assert_eq!(output.len(), 34, "{output:#?}");
    assert!(output[1..].iter().all(|event| event["place"] == place(&builds).as_str()), "{output:#?}");
    assert_eq!(output.last().unwrap()["line"], "the last");
    let ended = of("command-ended");
    assert_eq!(ended.len(), 2, "{ended:#?}");
    assert!(
        ended.iter().all(|event| event["duration"].as_f64().is_some_and(|time| time < 60.0)),
        "{ended:#?}"
    );
    let error = events.last().unwrap();
    assert_eq!((&error["reason"], &error["exit_code"]), (&json!("error"), &json!(3)), "{error}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("{}:1: the command ended with exit code 9", place(&builds))),
        "{message}"
    );
    assert!(LAST.iter().all(|line| message.contains(line)) && !message.contains("line 23"), "{message}");
}

fn on(service: &str, dockerfile: &str) -> RunOutput {
    let mut builds = Builds::in_place(Environment::Account);
    builds.place.set(service, "true");
    builds.build(dockerfile, &[])
}

#[test]
fn output_is_folded_in_the_logs_of_ci_services() {
    let error = on("GITHUB_ACTIONS", FAILING).failed(3);
    let lines: Vec<&str> = error.lines().collect();
    let of = |prefix: &str| lines.iter().positions(|line| line.starts_with(prefix));
    let (begins, ends) = (of("::group::run      "), of("::endgroup::"));
    assert_eq!((begins.len(), ends.len()), (2, 2), "{error}");
    assert!(begins[0] < ends[0] && ends[0] < begins[1] && begins[1] < ends[1], "{error}");
    // the error is outside, and nothing of a command controls the service
    assert!(of("error: ")[0] > ends[1], "{error}");
    let controls = lines.iter().filter(|line| line.trim_start().starts_with("::"));
    assert_eq!(controls.count(), 4, "{error}");

    // of two commands at the same time, neither is inside the other
    let parallel = "FROM localhost/busybox AS one\nRUN for i in $(seq 20); do echo one $i; sleep 0.01; done; date >/one\n\
                    FROM localhost/busybox AS two\nRUN for i in $(seq 20); do echo two $i; sleep 0.01; done; date >/two\n\
                    FROM localhost/busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\n";
    let done = on("GITHUB_ACTIONS", parallel).succeeded();
    let mut open: Option<&str> = None;
    let mut counts = [0, 0];
    for line in done.stderr.lines() {
        if let Some(title) = line.strip_prefix("::group::") {
            assert_eq!(open, None, "{}", done.stderr);
            open = Some(if title.contains(":2 RUN") { "one" } else { "two" });
        } else if line == "::endgroup::" {
            assert!(open.take().is_some(), "{}", done.stderr);
        } else if let Some((_, text)) = line.split_once(" | ") {
            let name = open.unwrap_or_else(|| panic!("not in a group: {line}\n{}", done.stderr));
            assert!(text.starts_with(name), "{line} in the group of {name}\n{}", done.stderr);
            counts[usize::from(name == "two")] += 1;
        }
    }
    assert_eq!((open, counts), (None, [20, 20]), "{}", done.stderr);

    let error = on("GITLAB_CI", FAILING).failed(3);
    let names = |mark: &str| -> Vec<String> {
        let names = error.split(mark).skip(1).map(|rest| rest.split(':').nth(1).unwrap_or_default());
        names.map(|name| name.split(['[', '\r']).next().unwrap_or_default().to_owned()).collect()
    };
    let (starts, ends) = (names("\u{1b}[0Ksection_start:"), names("\u{1b}[0Ksection_end:"));
    assert!(starts.len() == 2 && starts == ends && starts[0] != starts[1], "{starts:?}, {ends:?}");
    assert!(
        starts.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')),
        "{starts:?}"
    );
}

/// The positions of the items that match.
trait Positions: Iterator + Sized {
    fn positions(self, matches: impl Fn(Self::Item) -> bool) -> Vec<usize> {
        self.enumerate().filter_map(|(at, item)| matches(item).then_some(at)).collect()
    }
}

impl<I: Iterator> Positions for I {}

#[test]
fn the_error_of_a_command_that_does_not_start_says_what_is_missing() {
    for (environment, mode) in
        [(Environment::Root, "namespaces"), (Environment::Account, "copy"), (Environment::Docker, "chroot")]
    {
        let builds = Builds::in_place(environment);
        for (lines, fault, hint) in [
            ("RUN [\"/bin/missing\", \"a\"]", "cannot execute /bin/missing: No such file or directory", None),
            (
                "RUN [\"missing\", \"a\"]",
                "No such file or directory",
                Some("programs are looked up in the image's PATH: /usr/bin:/bin"),
            ),
            ("RUN [\"/etc/passwd\"]", "cannot execute /etc/passwd: Permission denied", None),
            (
                "SHELL [\"/bin/bash\", \"-c\"]\nRUN date >/x",
                "cannot execute /bin/bash: No such file or directory",
                Some("the image needs the shell"),
            ),
            ("USER nobody-here\nRUN date >/x", "nobody-here", None),
            (
                "RUN date >/x; printf '#!/no/interpreter\\n' >/script; chmod 755 /script\nRUN [\"/script\"]",
                "cannot execute /script",
                None,
            ),
        ] {
            let done = builds.build(&format!("FROM localhost/busybox\n{lines}\n"), &["--run-mode", mode]);
            let what = format!("{environment:?}, {mode}, {lines}: {}", done.stderr);
            assert!(done.code.is_some_and(|code| [2, 3].contains(&code)) && done.stdout.is_empty(), "{what}");
            let message = done.stderr.split_once("error: ").unwrap_or_else(|| panic!("{what}")).1;
            let line = lines.lines().count() + 1;
            assert!(
                message.starts_with(&format!("{}/Dockerfile:{line}:", builds.place.text("context"))),
                "{what}"
            );
            assert!(message.contains(fault), "{what}");
            let found = message.split_once("\nhint: ").map(|(_, hint)| hint);
            match hint {
                Some(hint) => assert!(found.is_some_and(|found| found.contains(hint)), "{what}"),
                None => assert!(!found.is_some_and(|found| found.contains("PATH")), "{what}"),
            }
        }
    }
}
