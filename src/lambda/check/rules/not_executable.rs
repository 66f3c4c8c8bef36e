//! What Lambda starts may be executed.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::files::Seen;
use super::super::{Findings, Rule, Severity};
use super::bootstrap::is_os_only;
use super::cmd_count::has_aws_entry;
use super::python_handler::join;
use crate::lambda::BOOTSTRAP;

pub(super) const RULE: Rule = Rule {
    name: "not-executable",
    severity: Severity::Error,
    what: "Everybody may execute the entrypoint and the extensions.",
    why: "Lambda starts them as a user who owns nothing in the image. One that others may not execute ends with \
          `permission denied`: as `Runtime.InvalidEntrypoint`, or as `Extension.LaunchError` for each file of \
          /opt/extensions, whatever it is.",
    example: "/opt/extensions/agent with mode 0644, out of an archive that was made on Windows.",
    way_out: "give the file mode 0755, as `chmod +x` or `COPY --chmod=755` does; move what is no extension elsewhere",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html",
    check,
};

const EXTENSIONS: &str = "opt/extensions";

/// Where programs are looked for when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn check(case: &Case<'_>, findings: &mut Findings) {
    // One finding for each file, whatever it is started as.
    let mut faults: BTreeMap<&str, (Seen<'_>, &str)> = BTreeMap::new();
    let paths = case.files.below(EXTENSIONS).map(|file| file.member.path.as_str());
    for path in paths.filter(|path| !path[EXTENSIONS.len() + 1..].contains('/')) {
        if let Some(file) = case.files.file(path).filter(|file| !is_executable(*file)) {
            faults.insert(path, (file, "Lambda takes this file for an extension"));
        }
    }
    if let Some(file) = entrypoint(case) {
        faults.entry(&file.member.path).or_insert((file, "the image starts this file"));
    }
    let bootstrap = case.files.file(BOOTSTRAP).filter(|file| !is_executable(*file));
    // The rule on the OS-only bases has its own word on theirs.
    if let Some(file) = bootstrap
        && has_aws_entry(case)
        && !is_os_only(case)
    {
        faults.entry(&file.member.path).or_insert((file, "the base's entry script starts this file"));
    }
    for (path, (file, start)) in faults {
        let message = format!("{start}, and others may not execute it (mode {:04o})", file.member.mode);
        findings.add(message).in_layer(case, file.layer).at(path);
    }
}

fn is_executable(file: Seen<'_>) -> bool {
    file.member.mode & 0o001 != 0
}

/// The file that the image is to start, when it cannot be.
fn entrypoint<'a>(case: &Case<'a>) -> Option<Seen<'a>> {
    let entrypoint = case.config.entrypoint();
    let program = entrypoint.first().copied().or_else(|| case.config.cmd().first().copied())?;
    if program.contains('/') {
        let dir = if program.starts_with('/') { "" } else { case.config.workdir().unwrap_or_default() };
        return case.files.file(&join(dir, program)).filter(|file| !is_executable(*file));
    }
    // An unknown layer may have it in a directory that comes first.
    if !case.files.complete {
        return None;
    }
    let dirs = case.config.var("PATH").unwrap_or(PATH).split(':');
    let files: Vec<Seen<'a>> = dirs.filter_map(|dir| case.files.file(&join(dir, program))).collect();
    // What may not be executed is passed over as long as there is another.
    if files.iter().any(|file| is_executable(*file)) { None } else { files.first().copied() }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
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
            ["opt/extensions/bad: Lambda takes this file for an extension, and others may not execute it \
                 (mode 0750)"]
        );
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
        assert_eq!(found(&["/none"], "app", 0o644), 0, "what is missing is no matter of modes");
        let both = Sample::python().file(1, "usr/bin/run", 0o644).file(1, "bin/run", 0o755);
        assert_eq!(both.process("Entrypoint", json!(["run"])).says(&RULE), [""; 0]);
    }

    #[test]
    fn cmd_is_started_when_there_is_no_entrypoint() {
        let sample = Sample::python().process("Entrypoint", json!([])).process("Cmd", json!(["/app"]));
        assert_eq!(
            sample.file(1, "app", 0o644).says(&RULE),
            ["app: the image starts this file, and others may not execute it (mode 0644)"]
        );
    }

    #[test]
    fn the_runtimes_bootstrap_must_be_executable() {
        let sample = Sample::python().file(1, "var/runtime/bootstrap", 0o644);
        assert_eq!(
            sample.says(&RULE),
            [
                "var/runtime/bootstrap: the base's entry script starts this file, and others may not execute it \
                 (mode 0644)"
            ]
        );
        assert_eq!(sample.process("Entrypoint", json!(["/bin/sh"])).says(&RULE), [""; 0]);
    }
}
