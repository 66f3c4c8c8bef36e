//! Lambda's user may execute the programs that Lambda starts.

use std::collections::BTreeMap;

use super::super::case::{Case, Seen};
use super::super::finding::Severity;
use super::super::function::join;
use super::super::places::{barrier, examined_places, is_in};
use super::super::rule::{Findings, Rule};
use super::super::start::{dirs, has_aws_entry, is_os_only, places};
use crate::lambda::BOOTSTRAP;
use crate::scan::Code;
use crate::tree::{EntryKind, Target};

pub(super) const RULE: Rule = Rule {
    name: "not-executable",
    severity: Severity::Error,
    what: "Users other than root can reach and execute the entrypoint and the extensions.",
    why: "Lambda starts them as a user who owns nothing in the image. A program that others may not execute fails with \
          `permission denied`, reported as `Runtime.InvalidEntrypoint`, or as `Extension.LaunchError` for every file \
          in /opt/extensions.",
    example: "/opt/extensions/agent with mode 0644, from an archive created on Windows; an entrypoint, or its \
              interpreter, in /root, which has mode 0700.",
    help: "give the file mode 0755, as `chmod +x` or `COPY --chmod=755` does, and install programs outside of home \
           directories, as UV_PYTHON_INSTALL_DIR=/usr/local/uv does; move other files out of /opt/extensions",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html",
    check,
};

const EXTENSIONS: &str = "opt/extensions";

/// Upper bound on the extensions that are reported: a hostile image can have a million.
const MOST: usize = 1000;

/// The reason why a path cannot be executed, and the layer of the file if there is one.
struct Fault {
    layer: Option<usize>,
    text: String,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    let mut search = Search::of(case);
    // One finding for each path, even if it is both an extension and the entrypoint.
    let mut faults: BTreeMap<String, (Fault, &str)> = BTreeMap::new();
    let dir = case.files.resolve(EXTENSIONS).path;
    for file in case.files.below(&dir) {
        let path = file.member.path.as_str();
        // Lambda ignores directories, but starts every link, whatever its target.
        let is_deeper = path[dir.len()..].trim_start_matches('/').contains('/');
        if is_deeper || file.member.is_directory() {
            continue;
        }
        if faults.len() < MOST
            && let Some(fault) = search.fault(path)
        {
            faults.insert(path.to_owned(), (fault, "Lambda starts this file as an extension"));
        }
    }
    if let Some((path, fault)) = search.entrypoint() {
        faults.entry(path).or_insert((fault, "the image starts this file"));
    }
    // The rule `bootstrap` checks the bootstrap of OS-only bases.
    if has_aws_entry(case)
        && !is_os_only(case)
        && let Some(fault) = search.fault(BOOTSTRAP)
    {
        let path = case.files.resolve(BOOTSTRAP).path;
        faults.entry(path.into()).or_insert((fault, "the base's entry script starts this file"));
    }
    for (path, (fault, start)) in faults {
        let finding = findings.add(format!("{start}, but {}", fault.text)).at(path);
        if let Some(layer) = fault.layer {
            finding.in_layer(case, layer);
        }
    }
}

/// The state that the examination of several files shares.
struct Search<'c, 'a> {
    case: &'c Case<'a>,
    /// The directories that the rule `unreadable` examines.
    examined: Vec<String>,
    programs: Option<Programs<'a>>,
    /// The reason why others cannot reach an interpreter, by the word that names it.
    interpreters: BTreeMap<String, Option<String>>,
}

impl<'c, 'a> Search<'c, 'a> {
    fn of(case: &'c Case<'a>) -> Search<'c, 'a> {
        Search { case, examined: examined_places(case), programs: None, interpreters: BTreeMap::new() }
    }

    /// The reason why others cannot execute the target of a path. A missing file is not a fault.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let directory = |layer| Some(Fault { layer, text: "it is a directory".to_owned() });
        let file = match self.case.files.resolve(path).target {
            Target::Directory => return directory(None),
            Target::Entry(found) => self.case.files.inode(found)?,
            Target::Nothing | Target::Loop => return None,
        };
        match file.member.entry.kind {
            EntryKind::Directory => directory(Some(file.layer)),
            EntryKind::File(_) => self.fault_of_file(path, file),
            _ => None,
        }
    }

    fn fault_of_file(&mut self, path: &str, file: Seen<'_>) -> Option<Fault> {
        let (layer, mode) = (Some(file.layer), file.member.entry.mode);
        if mode & 0o001 == 0 {
            return Some(Fault { layer, text: format!("others may not execute it (mode {mode:04o})") });
        }
        if let Some(text) = self.barred(path) {
            return Some(Fault { layer, text });
        }
        let Some(Code::Script(line)) = file.member.code() else { return None };
        if mode & 0o004 == 0 && !self.is_examined(path) {
            let text = format!("it is a script that others may not read (mode {mode:04o})");
            return Some(Fault { layer, text });
        }
        let text = self.barred_interpreter(line)?;
        Some(Fault { layer, text: format!("{text}, which is its interpreter") })
    }

    /// The reason why others cannot reach the interpreter of a script, given the text after `#!`.
    fn barred_interpreter(&mut self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace();
        let mut program = words.next().filter(|first| first.starts_with('/'))?;
        let is_searched = program.ends_with("/env");
        if is_searched {
            program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
        }
        if let Some(known) = self.interpreters.get(program) {
            return known.clone();
        }
        // The search skips programs that cannot be reached, if there is another one.
        let found = self.found(program);
        let faults: Option<Vec<String>> = found.iter().map(|path| self.barred(path)).collect();
        let fault = faults.and_then(|faults| faults.into_iter().next());
        // An unknown layer may contain another interpreter.
        let fault = fault.filter(|_| !is_searched || self.case.is_certain());
        self.interpreters.insert(program.to_owned(), fault.clone());
        fault
    }

    /// The reason why others cannot reach the target of a path. The rule `unreadable` examines the function's
    /// directories.
    fn barred(&self, path: &str) -> Option<String> {
        if self.is_examined(path) {
            return None;
        }
        let end = self.case.files.resolve(path).path;
        let dir =
            barrier(self.case, path.trim_start_matches('/')).or_else(|| barrier(self.case, &end))?.member;
        Some(format!("others may not enter /{} (mode {:04o}) on the way to /{end}", dir.path, dir.entry.mode))
    }

    fn is_examined(&self, path: &str) -> bool {
        let end = self.case.files.resolve(path).path;
        self.examined.iter().any(|place| is_in(&end, place))
    }

    /// The target of the program that the image starts, and its fault, if it has one.
    fn entrypoint(&mut self) -> Option<(String, Fault)> {
        let (case, config) = (self.case, self.case.config);
        let program = config.entrypoint().first().copied().or_else(|| config.cmd().first().copied())?;
        let mut found = places(case, program);
        if !program.contains('/') {
            found = self.found(program);
            // The search skips programs that cannot be executed, if there is another one.
            if found.iter().any(|place| self.fault(place).is_none()) {
                return None;
            }
        }
        let place = found.first()?;
        let fault = self.fault(place)?;
        // An unknown layer may contain the program in an earlier directory.
        if !program.contains('/') && !case.is_certain() {
            return None;
        }
        Some((case.files.resolve(place).path.into(), fault))
    }

    /// The programs that a word may name, in search order.
    fn found(&mut self, word: &str) -> Vec<String> {
        let case = self.case;
        let mut found = if word.contains('/') {
            places(case, word)
        } else {
            self.programs.get_or_insert_with(|| Programs::of(case)).places(word)
        };
        found.retain(|path| case.files.file(path).is_some());
        found
    }
}

/// An index of the files in the directories of PATH by name: there may be as many words to look up as files.
struct Programs<'a> {
    dirs: Vec<&'a str>,
    /// The numbers of the directories that have an entry with a name.
    named: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Programs<'a> {
    fn of(case: &Case<'a>) -> Programs<'a> {
        let dirs = dirs(case);
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for (number, dir) in dirs.iter().enumerate() {
            let resolved = case.files.resolve(dir);
            if matches!(resolved.target, Target::Entry(_) | Target::Directory) {
                numbers.entry(resolved.path.into()).or_insert(number);
            }
        }
        let mut named: BTreeMap<&'a str, Vec<usize>> = BTreeMap::new();
        for file in case.files.iter() {
            let path = file.member.path.as_str();
            let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
            if let Some(&number) = numbers.get(dir) {
                named.entry(name).or_default().push(number);
            }
        }
        named.values_mut().for_each(|numbers| numbers.sort_unstable());
        Programs { dirs, named }
    }

    fn places(&self, name: &str) -> Vec<String> {
        let numbers = self.named.get(name).into_iter().flatten();
        numbers.map(|&number| join(self.dirs[number], name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::tree::EntryKind;

    use serde_json::json;

    #[test]
    fn extensions_must_be_executable() {
        let sample = Sample::python()
            .file(1, "opt/extensions/good", 0o755)
            .file(1, "opt/extensions/bad", 0o750)
            .file(1, "opt/extensions/lib/helper.py", 0o644)
            .file(1, "opt/other", 0o644);
        assert_eq!(
            sample.says(&RULE),
            ["opt/extensions/bad: Lambda starts this file as an extension, but others may not execute it \
                 (mode 0750)"]
        );
    }

    #[test]
    fn a_link_in_the_directory_of_extensions_counts_as_one() {
        let message =
            |text: &str| [format!("opt/extensions/a: Lambda starts this file as an extension, but {text}")];
        let link = |target: &str| {
            let sample = Sample::python().file(1, "opt/agent/run", 0o644).directory(1, "opt/extensions/lib");
            sample.link(1, "opt/extensions/a", target).says(&RULE)
        };
        assert_eq!(link("../agent/run"), message("others may not execute it (mode 0644)"));
        assert_eq!(link("/opt/agent"), message("it is a directory"));
        assert_eq!(link("lib"), message("it is a directory"));
        assert_eq!(link("../none"), [""; 0], "a missing target does not count");
        let elsewhere = Sample::python().link(1, "opt/extensions", "/ext").file(1, "ext/a", 0o644);
        assert_eq!(elsewhere.says(&RULE).len(), 1);
    }

    #[test]
    fn a_hard_link_has_the_mode_of_its_file() {
        let sample = |mode: u32| {
            let sample = Sample::python().file(0, "opt/agent", mode).file(1, "opt/extensions/a", 0o644);
            let target = EntryKind::HardLink("opt/agent".into());
            // A later change of its other name does not affect it.
            sample
                .with(1, "opt/extensions/a", |member| member.entry.kind = target)
                .file(1, "opt/agent", 0o600)
                .says(&RULE)
                .len()
        };
        assert_eq!([0o755, 0o644].map(sample), [0, 1]);
    }

    #[test]
    fn the_entrypoint_must_be_executable() {
        let found = |entrypoint: &[&str], path: &str, mode: u32| {
            let sample = Sample::python().process("Entrypoint", json!(entrypoint)).file(1, path, mode);
            sample.says(&RULE).len()
        };
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(found(&["/app"], "app", 0o755), 0);
        assert_eq!(found(&["/app"], "app", 0o644), 1);
        assert_eq!(found(&["./run.sh"], "var/task/run.sh", 0o744), 1);
        assert_eq!(found(&["run"], "usr/bin/run", 0o644), 1);
        assert_eq!(found(&["run"], "elsewhere/run", 0o644), 0);
        assert_eq!(found(&["/none"], "app", 0o644), 0, "a missing file does not count");
        let both = Sample::python().file(1, "usr/bin/run", 0o644).file(1, "bin/run", 0o755);
        assert_eq!(both.process("Entrypoint", json!(["run"])).says(&RULE), [""; 0]);
        let root =
            Sample::python().process("Entrypoint", json!(["./run.sh"])).process("WorkingDir", "/".into());
        assert_eq!(root.file(1, "run.sh", 0o644).says(&RULE).len(), 1);
    }

    #[test]
    fn the_entrypoint_must_be_a_file() {
        let sample = |entrypoint: &str| Sample::python().process("Entrypoint", json!([entrypoint]));
        let expected = ["var/task: the image starts this file, but it is a directory"];
        assert_eq!(sample("/var/task").says(&RULE), expected);
        assert_eq!(sample("./").says(&RULE), expected);
        let by_path = sample("lang").process("Env", json!(["PATH=/var"]));
        assert_eq!(by_path.says(&RULE), [""; 0], "the search in PATH skips a directory");
    }

    #[test]
    fn only_absolute_directories_of_path_are_searched() {
        let sample = Sample::python().process("Entrypoint", json!(["app"])).file(1, "app", 0o644);
        for (path, found) in [("PATH=:/usr/bin", 0), ("PATH=bin:.", 0), ("PATH=/usr/bin:/", 1)] {
            assert_eq!(sample.clone().process("Env", json!([path])).says(&RULE).len(), found, "{path}");
        }
    }

    #[test]
    fn the_default_of_path_is_that_of_lambda() {
        let found = |path: &str, env: serde_json::Value| {
            let sample = Sample::python().process("Entrypoint", json!(["run"])).process("Env", env);
            sample.file(1, path, 0o644).says(&RULE).len()
        };
        for path in ["opt/bin/run", "usr/bin/run", "usr/local/bin/run", "usr/sbin/run"] {
            assert_eq!(found(path, json!([])), 1, "{path}");
        }
        assert_eq!(found("opt/bin/run", json!(["PATH=/usr/bin"])), 0);
        assert_eq!(found("opt/run", json!([])), 0);
        let long = format!("PATH=/usr/bin{}", ":/usr/bin".repeat(500));
        assert_eq!(found("usr/bin/run", json!([long])), 0, "uncertain");
        assert_eq!(found("usr/bin/run", json!(["PATH=/usr/bin:/usr/bin"])), 1);
    }

    #[test]
    fn a_directory_of_path_may_be_a_link() {
        let sample = Sample::python().link(0, "sbin", "usr/bin").file(1, "usr/bin/run", 0o644);
        let sample = sample.process("Entrypoint", json!(["run"]));
        for path in ["/none:/sbin:/usr/bin", "/lambda-entrypoint.sh/../usr/bin:/sbin/:/sbin", "/usr/../sbin"]
        {
            assert_eq!(
                sample.clone().process("Env", json!([format!("PATH={path}")])).says(&RULE),
                ["usr/bin/run: the image starts this file, but others may not execute it (mode 0644)"],
                "{path}"
            );
        }
        let first = sample.file(1, "bin/run", 0o600).process("Env", json!(["PATH=/bin:/sbin"]));
        assert_eq!(
            first.says(&RULE),
            ["bin/run: the image starts this file, but others may not execute it (mode 0600)"]
        );
    }

    #[test]
    fn others_must_be_able_to_reach_the_entrypoint() {
        let home = Sample::python().directory(1, "root").with(1, "root", |member| member.entry.mode = 0o700);
        let home = home.file(1, "root/bin/app", 0o755);
        let start = |sample: &Sample, word: &str| sample.clone().process("Entrypoint", json!([word]));
        let expected = [
            "root/bin/app: the image starts this file, but others may not enter /root (mode 0700) on the way to \
             /root/bin/app",
        ];
        assert_eq!(start(&home, "/root/bin/app").says(&RULE), expected);
        assert_eq!(start(&home.clone().link(1, "start", "root/bin/app"), "/start").says(&RULE), expected);
        assert_eq!(start(&home, "bin/app").process("WorkingDir", "/root".into()).says(&RULE), expected);
        let path = start(&home, "app").process("Env", json!(["PATH=/root/bin:/bin"]));
        assert_eq!(path.says(&RULE), expected);
        assert_eq!(path.clone().file(1, "bin/app", 0o755).says(&RULE), [""; 0], "the search skips it");
        assert_eq!(path.unknown(0).says(&RULE), [""; 0], "the first program is unknown");
        assert_eq!(start(&home, "/bin/sh").says(&RULE), [""; 0]);
    }

    #[test]
    fn others_must_be_able_to_reach_the_interpreter_of_a_script() {
        let script = |line: &str, mode: u32| {
            let sample =
                Sample::python().directory(1, "root").with(1, "root", |member| member.entry.mode = 0o700);
            let sample = sample.elf(1, "root/uv/python3", |_| ()).link(1, "app/python", "/root/uv/python3");
            let sample = sample.file(1, "app/run", mode).script(1, "app/run", line);
            sample.process("Entrypoint", json!(["/app/run"])).process("Env", json!(["PATH=/app:/usr/bin"]))
        };
        assert_eq!(script("/bin/sh", 0o755).says(&RULE), [""; 0]);
        assert_eq!(
            script("/bin/sh", 0o711).says(&RULE),
            ["app/run: the image starts this file, but it is a script that others may not read (mode 0711)"]
        );
        for line in ["/app/python -u", "/usr/bin/env -S A=b python -u"] {
            assert_eq!(
                script(line, 0o755).says(&RULE),
                [
                    "app/run: the image starts this file, but others may not enter /root (mode 0700) on the way to \
                     /root/uv/python3, which is its interpreter"
                ],
                "{line}"
            );
        }
        let another = script("/usr/bin/env python", 0o755).elf(0, "usr/bin/python", |_| ());
        assert_eq!(another.says(&RULE), [""; 0]);
        assert_eq!(script("/usr/bin/env none", 0o755).says(&RULE), [""; 0]);
    }

    #[test]
    fn cmd_is_started_without_an_entrypoint() {
        let sample = Sample::python().process("Entrypoint", json!([])).process("Cmd", json!(["/app"]));
        assert_eq!(
            sample.file(1, "app", 0o644).says(&RULE),
            ["app: the image starts this file, but others may not execute it (mode 0644)"]
        );
    }

    #[test]
    fn the_runtimes_bootstrap_must_be_executable() {
        let sample = Sample::python().file(1, "var/runtime/bootstrap", 0o644);
        assert_eq!(
            sample.says(&RULE),
            [
                "var/runtime/bootstrap: the base's entry script starts this file, but others may not execute it \
                 (mode 0644)"
            ]
        );
        assert_eq!(sample.process("Entrypoint", json!(["/bin/sh"])).says(&RULE), [""; 0]);
    }
}
