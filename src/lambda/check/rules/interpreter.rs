//! What is started has its interpreter in the image.

use std::collections::{BTreeMap, BTreeSet};

use super::super::case::Case;
use super::super::files::{Leads, Seen};
use super::super::{Findings, Rule, Severity};
use super::libc_kind;
use crate::layer::Elf;
use crate::layer::survey::{Content, Member};

pub(super) const RULE: Rule = Rule {
    name: "interpreter",
    severity: Severity::Error,
    what: "The interpreter of what is started is in the image: of the entrypoint, of extensions, of the bootstrap, and of \
           the function's commands.",
    why: "The start fails with `no such file or directory`, which is said of the file that is there, and means the one \
          that is not.",
    example: "An extension that is a script of bash, in an image that has none; a command of a virtual environment, \
              which names the Python of the machine that it was made on.",
    way_out: "put the interpreter into the image, or name in the first line one that is there",
    source: "https://man7.org/linux/man-pages/man2/execve.2.html",
    check,
};

/// What the entry script of AWS's bases starts.
const BOOTSTRAP: &str = "var/runtime/bootstrap";

/// Where programs are looked for when the config does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin:/var/lang/bin";

fn check(case: &Case<'_>, findings: &mut Findings) {
    if !case.files.complete {
        return;
    }
    let mut started = BTreeSet::new();
    for file in starting(case) {
        let path = file.member.path.as_str();
        if started.insert(path)
            && let Some(name) = lacking(case, file.member)
        {
            let message = format!("this is started, and its interpreter {name} is not in the image");
            findings.add(message).in_layer(case, file.layer).at(path);
        }
    }
    let mut commands: BTreeMap<(&str, String), Vec<Seen<'_>>> = BTreeMap::new();
    for file in case.files.below("var/task").chain(case.files.below("opt")) {
        let Some((dir, _)) = file.member.path.rsplit_once('/') else { continue };
        if !has_commands(dir) || file.member.mode & 0o111 == 0 || started.contains(file.member.path.as_str())
        {
            continue;
        }
        let Some(Content::Script(line)) = file.member.content.as_deref() else { continue };
        if let Some(name) = of_script(case, line) {
            commands.entry((dir, name)).or_default().push(file);
        }
    }
    for ((_, name), files) in &commands {
        let Some(file) = files.first() else { continue };
        let more = match files.len() - 1 {
            0 => String::new(),
            others => format!(" (and {others} more in its directory)"),
        };
        let message = format!("the interpreter {name} of this script is not in the image{more}");
        let finding = findings.add(message).in_layer(case, file.layer).at(&file.member.path);
        finding.as_severe(Severity::Warning);
    }
}

/// The files that Lambda starts by itself.
fn starting<'a>(case: &Case<'a>) -> Vec<Seen<'a>> {
    let (entrypoint, cmd) = (case.config.entrypoint(), case.config.cmd());
    let entry = entrypoint.first().or(cmd.first());
    let entry = entry.and_then(|word| places(case, word).iter().find_map(|place| case.files.file(place)));
    let extensions = case.files.below("opt/extensions").map(|file| file.member.path.as_str());
    let extensions = extensions.filter(|path| path.matches('/').count() == 2);
    let others = extensions.chain([BOOTSTRAP]).filter_map(|path| case.files.file(path));
    entry.into_iter().chain(others).collect()
}

/// Whether the scripts of a directory are the function's own commands. Those of npm's packages are hardly ever run,
/// and those of a base may be for what it does not have.
fn has_commands(dir: &str) -> bool {
    let is_own = dir.starts_with("var/task/") && dir.ends_with("/bin") && !dir.contains("/node_modules/");
    is_own || ["opt/bin", "opt/python/bin"].contains(&dir)
}

/// Where a program of this name may be.
fn places(case: &Case<'_>, word: &str) -> Vec<String> {
    if word.starts_with('/') {
        return vec![word.to_owned()];
    }
    if word.contains('/') {
        return vec![format!("{}/{word}", case.config.workdir().unwrap_or_default())];
    }
    case.config.var("PATH").unwrap_or(PATH).split(':').map(|dir| format!("{dir}/{word}")).collect()
}

/// The interpreter that a file needs and the image lacks.
fn lacking(case: &Case<'_>, member: &Member) -> Option<String> {
    match member.content.as_deref()? {
        Content::Script(line) => of_script(case, line),
        Content::Elf(elf) => of_program(case, elf),
        Content::Notes(_) => None,
    }
}

fn of_program(case: &Case<'_>, elf: &Elf) -> Option<String> {
    let loader = elf.interpreter.as_deref().filter(|path| path.starts_with('/'))?;
    // What is for another machine or another libc is found as that.
    let is_ours = case.arch().is_some_and(|arch| elf.machine.is(arch));
    let libcs = (libc_kind::of_image(case), libc_kind::needed(elf));
    let is_foreign = matches!(libcs, (Some(has), Some(needs)) if has != needs);
    (is_ours && !is_foreign && is_missing(case, loader)).then(|| loader.to_owned())
}

/// Reads what stands behind `#!`.
fn of_script(case: &Case<'_>, line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let interpreter = words.next().filter(|path| path.starts_with('/'))?;
    if is_missing(case, interpreter) {
        return Some(interpreter.to_owned());
    }
    if !interpreter.ends_with("/env") {
        return None;
    }
    let program = words.find(|word| *word != "-S" && !word.contains('='))?;
    // What another option makes of the rest, or where a relative path begins, is not told.
    let is_told = !program.starts_with('-') && (program.starts_with('/') || !program.contains('/'));
    let is_nowhere = || places(case, program).iter().all(|place| is_missing(case, place));
    (is_told && is_nowhere()).then(|| program.to_owned())
}

/// Whether a path leads to nothing for certain.
fn is_missing(case: &Case<'_>, path: &str) -> bool {
    matches!(case.files.resolve(path), Leads::Nowhere)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    fn script(path: &str, line: &str) -> Sample {
        Sample::python().file(0, "usr/bin/env", 0o755).file(1, path, 0o755).script(1, path, line)
    }

    #[test]
    fn an_extension_without_its_interpreter_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(script("opt/extensions/a", "/bin/sh -e").says(&RULE), [""; 0]);
        let bad = script("opt/extensions/a", "/bin/bash");
        let expected =
            ["opt/extensions/a: this is started, and its interpreter /bin/bash is not in the image"];
        assert_eq!(bad.says(&RULE), expected);
        assert_eq!(bad.check(&RULE)[0].severity, Severity::Error);
        assert_eq!(bad.unknown(0).says(&RULE), [""; 0]);
        assert_eq!(script("opt/extensions/lib/a", "/bin/bash").says(&RULE), [""; 0], "that is no extension");
    }

    #[test]
    fn env_looks_for_its_argument() {
        let says = |line| script("var/runtime/bootstrap", line).says(&RULE).len();
        assert_eq!(says("/usr/bin/env python3.12"), 0);
        assert_eq!(says("/usr/bin/env -S A=b python3.12 -u"), 0);
        assert_eq!(says("/usr/bin/env python3"), 1);
        assert_eq!(says("/usr/bin/env -S /opt/none"), 1);
        assert_eq!(says("/usr/bin/env -i none"), 0, "who knows");
        assert_eq!(says("/bin/env sh"), 1, "it is elsewhere");
    }

    #[test]
    fn the_entrypoint_is_found_as_the_config_says() {
        let program = |loader: &str| {
            Sample::python().elf(1, "usr/bin/serve", |elf| elf.interpreter = Some(loader.to_owned()))
        };
        let entry = |sample: Sample| sample.process("Entrypoint", json!(["serve", "--all"]));
        let expected =
            ["usr/bin/serve: this is started, and its interpreter /lib/ld.so.1 is not in the image"];
        assert_eq!(entry(program("/lib/ld.so.1")).says(&RULE), expected);
        assert_eq!(entry(program("/lib64/ld-linux-x86-64.so.2")).says(&RULE), [""; 0]);
        assert_eq!(program("/lib/ld.so.1").says(&RULE), [""; 0], "nobody starts it");
        let cmd = program("/lib/ld.so.1").process("Entrypoint", json!(null)).process("Cmd", json!(["serve"]));
        assert_eq!(cmd.says(&RULE), expected);
        assert_eq!(entry(program("/lib/ld-musl-x86_64.so.1")).says(&RULE), [""; 0], "it is for another libc");
    }

    #[test]
    fn commands_of_a_directory_are_one_warning() {
        let (venv, other) = ("/home/me/.venv/bin/python", "var/task/bin/b");
        let sample = script("var/task/bin/a", venv).file(1, other, 0o755).script(1, other, venv);
        let expected =
            ["var/task/bin/a: the interpreter /home/me/.venv/bin/python of this script is not in the image \
                         (and 1 more in its directory)"];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
        for elsewhere in ["usr/bin/a", "var/task/a", "var/task/node_modules/a/bin/a", "opt/conda/bin/a"] {
            assert_eq!(script(elsewhere, venv).says(&RULE), [""; 0], "{elsewhere}");
        }
        let text = script("var/task/bin/a", venv).with(1, "var/task/bin/a", |member| member.mode = 0o644);
        assert_eq!(text.says(&RULE), [""; 0]);
    }
}
