//! The contents of AWS's bases. If the layers of a base are not known, a finding is only in doubt if it does not follow
//! from these facts; a push then reads the layers.

use super::case::Case;
use super::facts::{Fact, Names};
use super::function::within;
use super::start::has_aws_entry;
use crate::lambda::{BOOTSTRAP, class_file, handler_files};

/// The bases on Amazon Linux 2, whose glibc is 2.26; the others are on Amazon Linux 2023, with 2.34.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>
const AMAZON_LINUX_2: [&str; 11] = [
    "java:11",
    "java:17",
    "java:8.al2",
    "nodejs:14",
    "nodejs:16",
    "nodejs:18",
    "provided:al2",
    "python:3.10",
    "python:3.11",
    "python:3.9",
    "ruby:3.2",
];

/// The programs of all bases that start others.
const PROGRAMS: [&str; 5] =
    ["/bin/bash", "/bin/sh", "/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-x86-64.so.2", "/usr/bin/env"];

/// The repository and tag of the base, such as `python:3.12`, if it is one of AWS's by the label that lbuild writes.
fn aws_base<'a>(case: &Case<'a>) -> Option<&'a str> {
    let label = case.config.label("org.opencontainers.image.base.name")?;
    let name = label.strip_prefix("public.ecr.aws/lambda/")?.split('@').next()?;
    (has_aws_entry(case) && name.contains(':')).then_some(name)
}

/// The glibc of one of AWS's bases.
pub fn expected_glibc(case: &Case<'_>) -> Option<(u32, u32)> {
    let name = aws_base(case)?;
    // A tag may continue with the architecture or a date.
    let is_old = AMAZON_LINUX_2
        .iter()
        .filter_map(|old| name.strip_prefix(*old))
        .any(|rest| rest.is_empty() || rest.starts_with(['-', '.']));
    Some(if is_old { (2, 26) } else { (2, 34) })
}

/// The minor version of Python of one of AWS's bases.
pub fn expected_python<'a>(case: &Case<'a>) -> Option<&'a str> {
    let version = aws_base(case)?.strip_prefix("python:3.")?;
    version.split(|letter: char| !letter.is_ascii_digit()).next().filter(|minor| !minor.is_empty())
}

/// Whether all of AWS's bases have this program.
pub fn is_expected(case: &Case<'_>, program: &str) -> bool {
    PROGRAMS.contains(&program) && aws_base(case).is_some()
}

/// Whether the handler is defined by the known files of the image for some runtime. If the runtime is not known, it is
/// probably that one.
pub fn defines_handler(case: &Case<'_>, handler: &str) -> bool {
    let is_file = |path: &str| case.files.file(path).is_some();
    let roots = case.roots();
    let defines = |path: &str, name: &str| {
        let Some(file) = case.files.file(path) else { return false };
        file.member.facts().iter().all(|fact| match fact {
            Fact::Defines(Names::These(names)) => names.iter().any(|defined| defined == name),
            _ => true,
        })
    };
    let in_module = ["python", "nodejs", "ruby"].iter().any(|runtime| {
        let name = handler.rsplit('/').next().unwrap_or(handler);
        let name = match *runtime {
            "nodejs" => name.split('.').nth(1),
            _ => name.rsplit('.').next(),
        };
        let files = handler_files(runtime, handler).unwrap_or_default();
        let mut paths = roots.iter().flat_map(|root| files.iter().map(move |file| format!("{root}/{file}")));
        paths.any(|path| defines(path.trim_start_matches('/'), name.unwrap_or_default()))
    });
    let in_jar = || {
        let facts = case.files.iter().flat_map(|file| file.member.facts());
        facts.into_iter().any(|fact| matches!(fact, Fact::Class { present: true, .. }))
    };
    let is_class = || {
        let class = class_file(handler);
        class.is_some_and(|class| {
            roots.iter().any(|root| is_file(format!("{root}/{class}").trim_start_matches('/')))
        })
    };
    in_module || is_file(BOOTSTRAP) || is_class() || in_jar()
}

/// Whether the image has a file that may define its handler, by its name.
pub fn has_handler_file(case: &Case<'_>) -> bool {
    let Some(handler) = case.handler() else { return false };
    let is_file = |path: &str| case.files.file(path).is_some();
    if case.runtime() == Some("provided") {
        return is_file(BOOTSTRAP);
    }
    let files = ["python", "nodejs", "ruby"].iter().filter_map(|runtime| handler_files(runtime, handler));
    let mut files = files.flatten();
    let roots = case.roots();
    files.any(|file| roots.iter().any(|root| is_file(&within(root, &file))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rules::RULES;
    use super::super::sample::Sample;
    use super::*;
    use crate::scan::Elf;

    fn on(base: &str) -> Sample {
        Sample::python().process("Labels", json!({ "org.opencontainers.image.base.name": base })).unknown(0)
    }

    #[test]
    fn the_name_of_a_base_of_aws_gives_its_glibc_and_python() {
        for (base, glibc, python) in [
            ("public.ecr.aws/lambda/python:3.12", Some((2, 34)), Some("12")),
            ("public.ecr.aws/lambda/python:3.9-arm64", Some((2, 26)), Some("9")),
            ("public.ecr.aws/lambda/python:3.11.2026.01.08.16", Some((2, 26)), Some("11")),
            ("public.ecr.aws/lambda/provided:al2", Some((2, 26)), None),
            ("public.ecr.aws/lambda/provided:al2023", Some((2, 34)), None),
            ("public.ecr.aws/lambda/nodejs:22", Some((2, 34)), None),
            ("r.example/lambda/python:3.12", None, None),
            ("public.ecr.aws/docker/library/python:3.12", None, None),
        ] {
            let facts = |case: &Case<'_>| {
                assert_eq!(is_expected(case, "/bin/sh"), glibc.is_some(), "{base}");
                (expected_glibc(case), expected_python(case).map(str::to_owned))
            };
            assert_eq!(on(base).with_case(facts), (glibc, python.map(str::to_owned)), "{base}");
        }
    }

    #[test]
    fn a_handler_may_be_defined_for_any_runtime() {
        let sample = || on("r.example/base:1");
        let defines = |sample: Sample, handler: &str| sample.with_case(|case| defines_handler(case, handler));
        assert!(defines(sample(), "app.handler"));
        assert!(!defines(sample(), "app.other") && !defines(sample(), "other.handler"));
        assert!(defines(sample().file(1, "var/task/index.mjs", 0o644), "index.handler"));
        assert!(defines(sample().file(1, "var/task/a/Main.class", 0o644), "a.Main::run"));
        assert!(defines(sample().directories(1, "var/runtime").file(1, "var/runtime/bootstrap", 0o755), "x"));
    }

    /// The rules with a finding that depends on the unknown base.
    fn doubtful(sample: &Sample) -> Vec<&'static str> {
        RULES.iter().filter(|rule| sample.is_in_doubt(rule)).map(|rule| rule.name).collect()
    }

    #[test]
    fn a_finding_is_in_doubt_only_if_the_base_may_refute_it() {
        let (aws, other) = ("public.ecr.aws/lambda/python:3.12", "r.example/base:1");
        let needs = |version| {
            move |elf: &mut Elf| {
                elf.needed = vec!["libc.so.6".to_owned()];
                elf.needs_glibc = Some((2, version));
            }
        };
        let musl = |elf: &mut Elf| elf.needed = vec!["libc.musl-x86_64.so.1".to_owned()];
        let loader = |elf: &mut Elf| elf.interpreter = Some("/lib64/ld-linux-x86-64.so.2".to_owned());
        let module = |tag: &str| format!("var/task/m.cpython-{tag}-x86_64-linux-gnu.so");
        let extensions = |base: &str| on(base).directories(1, "opt/extensions");
        let cases: [(Sample, &[&str]); 15] = [
            (on(aws), &[]),
            (on(other), &[]),
            (on(aws).elf(1, "var/task/x.so", needs(34)), &[]),
            (on(aws).elf(1, "var/task/x.so", needs(35)), &["glibc-version"]),
            (on(other).elf(1, "var/task/x.so", needs(17)), &["glibc-version", "libc-kind"]),
            (on(aws).elf(1, "var/task/x.so", musl), &["libc-kind"]),
            (on(aws).elf(1, &module("312"), |_| ()), &[]),
            (on(aws).elf(1, &module("311"), |_| ()), &["python-extension-version"]),
            (on(other).elf(1, &module("312"), |_| ()), &["python-extension-version"]),
            (on(aws).process("Cmd", json!(["other.handler"])), &["python-handler"]),
            (on(aws).link(1, "var/task/link", "/usr/lib64/x"), &["symlink-target"]),
            (on(aws).link(1, "var/task/link", "app.py"), &[]),
            (extensions(aws).elf(1, "opt/extensions/a", loader), &[]),
            (extensions(other).elf(1, "opt/extensions/a", loader), &["libc-kind", "interpreter"]),
            (
                extensions(aws).file(1, "opt/extensions/a", 0o755).script(
                    1,
                    "opt/extensions/a",
                    "/usr/bin/env x",
                ),
                &["interpreter"],
            ),
        ];
        for (number, (sample, rules)) in cases.iter().enumerate() {
            assert_eq!(doubtful(sample), *rules, "case {number}");
        }
        // A handler of an unknown runtime that the known files do not define: each language has its rule.
        let handlers = ["python-handler", "node-handler", "java-handler", "other-handler"];
        let doubts = doubtful(&on(other).process("Cmd", json!(["other.handler"])));
        assert!(handlers.iter().all(|rule| doubts.contains(rule)), "{doubts:?}");
    }

    #[test]
    fn nothing_is_in_doubt_if_all_layers_are_known() {
        let sample = Sample::python().process("Cmd", json!(["other.handler"]));
        assert_eq!(doubtful(&sample), [""; 0]);
    }
}
