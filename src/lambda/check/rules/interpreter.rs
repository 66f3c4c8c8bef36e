//! The programs that Lambda or the function starts have their interpreters in the image.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::case::{Case, Member, Seen};
use super::super::doubt::is_expected;
use super::super::finding::Severity;
use super::super::function::join;
use super::super::libc::{self, Libc};
use super::super::package::dir;
use super::super::rule::{Findings, Rule};
use super::super::start::{path, places, starting};
use crate::scan::{Code, Elf};
use crate::tree::Target;

pub(super) const RULE: Rule = Rule {
    name: "interpreter",
    severity: Severity::Error,
    what: "The image contains the interpreters of the entrypoint, the extensions, the bootstrap, and the commands that \
           the function has in its PATH.",
    why: "The start fails with `no such file or directory`. The message names the program, although the missing file \
          is the interpreter.",
    example: "A bash script as extension, in an image without bash; a command of a virtual environment, which names \
              the Python of the machine on which it was created.",
    help: "add the interpreter to the image, or change the first line to one that the image has",
    source: "https://man7.org/linux/man-pages/man2/execve.2.html",
    check,
};

/// Linux's separators in the first line of a script.
const BLANKS: [char; 2] = [' ', '\t'];

fn check(case: &Case<'_>, findings: &mut Findings) {
    // The libc is not known if a layer is not.
    let libc = LazyCell::new(|| if case.files.complete { libc::of_image(case) } else { None });
    let mut started = BTreeSet::new();
    for file in starting(case) {
        let path = file.member.path.as_str();
        if started.insert(path)
            && let Some(name) = lacking(case, &libc, file.member)
            && is_certain(case, &name)
        {
            let message = format!("this file is started, but its interpreter {name} is not in the image");
            findings.add(message).in_layer(case, file.layer).at(path);
        }
    }
    let mut commands: BTreeMap<(&str, String), Vec<Seen<'_>>> = BTreeMap::new();
    for place in command_dirs(case) {
        for file in case.files.below(&place) {
            let path = file.member.path.as_str();
            if dir(path) != place || file.member.entry.mode & 0o111 == 0 || started.contains(path) {
                continue;
            }
            let Some(Code::Script(line)) = file.member.code() else { continue };
            if let Some(name) = of_script(case, line) {
                commands.entry((dir(path), name)).or_default().push(file);
            }
        }
    }
    for ((_, name), files) in &commands {
        let Some(file) = files.first().filter(|_| is_certain(case, name)) else { continue };
        let more = match files.len() - 1 {
            0 => String::new(),
            others => format!(" (and {others} more in its directory)"),
        };
        let message = format!("the interpreter {name} of this script is not in the image{more}");
        let finding = findings.add(message).in_layer(case, file.layer).at(&file.member.path);
        finding.as_severe(Severity::Warning);
    }
}

/// The directories of PATH that belong to the function: in its own directory, of a Lambda layer, or of a virtual
/// environment. Scripts of a base may need programs that the base lacks, and scripts that pip installs beside
/// the packages are rarely run.
fn command_dirs(case: &Case<'_>) -> BTreeSet<String> {
    let root = case.task_root();
    let dirs = path(case)
        .unwrap_or_default()
        .split(':')
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| dir.trim_matches('/'));
    let is_own = |dir: &&str| {
        let is_of_function = !root.is_empty() && dir.starts_with(&format!("{root}/"));
        let above = dir.rsplit_once('/').map_or("", |(above, _)| above);
        is_of_function || *dir == "opt/bin" || case.files.get(join(above, "pyvenv.cfg")).is_some()
    };
    dirs.filter(is_own).map(str::to_owned).collect()
}

/// Whether an interpreter is certainly missing: an unknown layer may contain it.
fn is_certain(case: &Case<'_>, interpreter: &str) -> bool {
    !is_in_base(case, interpreter) && case.is_certain()
}

/// Whether a program is probably in an unknown layer of the base.
fn is_in_base(case: &Case<'_>, program: &str) -> bool {
    !case.files.complete && is_expected(case, program)
}

/// The interpreter that a file needs, if it is not in the image.
fn lacking(
    case: &Case<'_>,
    libc: &LazyCell<Option<Libc>, impl FnOnce() -> Option<Libc>>,
    member: &Member,
) -> Option<String> {
    match member.code()? {
        Code::Script(line) => of_script(case, line),
        Code::Elf(elf) => of_program(case, libc, elf),
    }
}

fn of_program(
    case: &Case<'_>,
    libc: &LazyCell<Option<Libc>, impl FnOnce() -> Option<Libc>>,
    elf: &Elf,
) -> Option<String> {
    let loader = elf.interpreter.as_deref().filter(|path| path.starts_with('/'))?;
    // Other rules report programs for another machine or another libc.
    let is_ours = case.arch().is_some_and(|arch| elf.machine.is(arch));
    if !is_ours || !is_missing(case, loader) {
        return None;
    }
    let is_foreign = matches!((**libc, libc::needed(elf)), (Some(has), Some(needs)) if has != needs);
    (!is_foreign).then(|| loader.to_owned())
}

/// The missing interpreter of a script, given the text after `#!`, parsed as by Linux and env.
fn of_script(case: &Case<'_>, line: &str) -> Option<String> {
    let line = line.trim_matches(BLANKS);
    let (interpreter, rest) = line.split_once(BLANKS).unwrap_or((line, ""));
    if !interpreter.starts_with('/') {
        return None;
    }
    if is_missing(case, interpreter) && !is_in_base(case, interpreter) {
        return Some(shown(interpreter));
    }
    let program = of_env(rest).filter(|_| interpreter.ends_with("/env"))?;
    // The directory of a relative path is unknown.
    let is_known = program.starts_with('/') || !program.contains('/');
    let is_nowhere = || places(case, program).iter().all(|place| is_missing(case, place));
    (is_known && path(case).is_some() && is_nowhere()).then(|| shown(program))
}

/// The program that env runs; `None` if that is uncertain.
fn of_env(rest: &str) -> Option<&str> {
    let rest = rest.trim_matches(BLANKS);
    let split = ["-S", "--split-string="].iter().find_map(|option| rest.strip_prefix(*option));
    let program = match split {
        Some(words) => words.split(BLANKS).find(|word| !word.is_empty() && !word.contains('='))?,
        // Linux passes the rest of the line as one argument, with its blanks.
        None => Some(rest).filter(|rest| !rest.contains('='))?,
    };
    let is_plain = !program.starts_with('-') && !program.contains(['"', '\'', '\\', '$']);
    (is_plain && !program.is_empty()).then_some(program)
}

/// The name of a missing interpreter, with the likely cause.
fn shown(name: &str) -> String {
    if name.ends_with('\r') {
        return format!("{} (the line ends with CRLF)", name.escape_debug());
    }
    match name.contains(BLANKS) {
        true => format!("{name:?} (one name to env, without its option -S)"),
        false => name.to_owned(),
    }
}

/// Whether the image certainly has nothing at a path.
fn is_missing(case: &Case<'_>, path: &str) -> bool {
    matches!(case.files.resolve(path).target, Target::Nothing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::finding::Severity;
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
            ["opt/extensions/a: this file is started, but its interpreter /bin/bash is not in the image"];
        assert_eq!(bad.says(&RULE), expected);
        assert_eq!(bad.check(&RULE)[0].severity, Severity::Error);
        assert_eq!(bad.unknown(0).says(&RULE), [""; 0]);
        assert_eq!(script("opt/extensions/lib/a", "/bin/bash").says(&RULE), [""; 0], "not an extension");
    }

    #[test]
    fn env_searches_for_its_argument() {
        let says = |line| script("var/runtime/bootstrap", line).says(&RULE).len();
        assert_eq!(says("/usr/bin/env python3.12"), 0);
        assert_eq!(says("/usr/bin/env -S A=b python3.12 -u"), 0);
        assert_eq!(says("/usr/bin/env -Spython3.12 -u"), 0);
        assert_eq!(says("/usr/bin/env\t python3.12 "), 0);
        assert_eq!(says("/usr/bin/env"), 0);
        assert_eq!(says("/usr/bin/env python3"), 1);
        assert_eq!(says("/usr/bin/env -S /opt/none"), 1);
        assert_eq!(says("/usr/bin/env -i none"), 0, "uncertain");
        assert_eq!(says("/usr/bin/env -S 'none'"), 0, "uncertain");
        assert_eq!(says("/usr/bin/env A=b none"), 0, "uncertain");
        assert_eq!(says("/bin/env sh"), 1, "env is in /usr/bin");
        assert_eq!(
            script("var/runtime/bootstrap", "/usr/bin/env python3.12 -u").says(&RULE),
            [
                "var/runtime/bootstrap: this file is started, but its interpreter \"python3.12 -u\" (one name to \
                 env, without its option -S) is not in the image"
            ]
        );
    }

    #[test]
    fn a_carriage_return_is_part_of_the_name() {
        for (line, name) in [("/bin/sh\r", "/bin/sh"), ("/usr/bin/env python3.12\r", "python3.12")] {
            let expected = format!(
                "opt/extensions/a: this file is started, but its interpreter {name}\\r (the line ends with CRLF) is \
                 not in the image"
            );
            assert_eq!(script("opt/extensions/a", line).says(&RULE), [expected]);
        }
    }

    #[test]
    fn the_bootstrap_is_started_by_awss_entry_script() {
        let sample = script("var/runtime/bootstrap", "/bin/none");
        assert_eq!(sample.says(&RULE).len(), 1);
        assert_eq!(sample.process("Entrypoint", json!(["/bin/sh"])).says(&RULE), [""; 0]);
    }

    #[test]
    fn the_entrypoint_is_searched_in_the_configs_path() {
        let program = |loader: &str| {
            Sample::python().elf(1, "usr/bin/serve", |elf| elf.interpreter = Some(loader.to_owned()))
        };
        let entry = |sample: Sample| sample.process("Entrypoint", json!(["serve", "--all"]));
        let expected =
            ["usr/bin/serve: this file is started, but its interpreter /lib/ld.so.1 is not in the image"];
        assert_eq!(entry(program("/lib/ld.so.1")).says(&RULE), expected);
        assert_eq!(entry(program("/lib64/ld-linux-x86-64.so.2")).says(&RULE), [""; 0]);
        assert_eq!(program("/lib/ld.so.1").says(&RULE), [""; 0], "it is not started");
        let cmd = program("/lib/ld.so.1").process("Entrypoint", json!(null)).process("Cmd", json!(["serve"]));
        assert_eq!(cmd.says(&RULE), expected);
        assert_eq!(entry(program("/lib/ld-musl-x86_64.so.1")).says(&RULE), [""; 0], "it is for another libc");
    }

    /// An image with a script of a virtual environment in a directory, which is the first one of PATH if `first` is
    /// set.
    fn command(dir: &str, first: bool) -> Sample {
        let path = format!("{dir}/a");
        let sample = script(&path, "/home/me/.venv/bin/python");
        let dirs = if first { format!("/{dir}:/opt/bin") } else { "/opt/bin".to_owned() };
        sample
            .process("Env", json!([format!("PATH={dirs}:/usr/bin/:/bin"), "LAMBDA_RUNTIME_DIR=/var/runtime"]))
    }

    #[test]
    fn commands_in_a_directory_are_one_warning() {
        let (path, other) = ("var/task/.venv/bin/a", "var/task/.venv/bin/b");
        let sample = command("var/task/.venv/bin", true);
        let two = sample.clone().file(1, other, 0o755).script(1, other, "/home/me/.venv/bin/python");
        let expected =
            ["var/task/.venv/bin/a: the interpreter /home/me/.venv/bin/python of this script is not in the \
                         image (and 1 more in its directory)"];
        assert_eq!(two.says(&RULE), expected);
        assert_eq!(two.check(&RULE)[0].severity, Severity::Warning);
        let text = sample.with(1, path, |member| member.entry.mode = 0o644);
        assert_eq!(text.says(&RULE), [""; 0]);
    }

    #[test]
    fn commands_are_scripts_in_the_functions_directories_of_path() {
        assert_eq!(command("opt/bin", false).says(&RULE).len(), 1);
        assert_eq!(command("var/task/bin", false).says(&RULE), [""; 0], "not in PATH");
        assert_eq!(command("var/task/bin/more", true).says(&RULE).len(), 1);
        assert_eq!(command("opt/conda/bin", true).says(&RULE), [""; 0], "a base's");
        let venv = command("opt/venv/bin", true).file(1, "opt/venv/pyvenv.cfg", 0o644);
        assert_eq!(venv.says(&RULE).len(), 1);
        assert_eq!(command("usr/bin", true).says(&RULE), [""; 0], "a base's");
    }
}
