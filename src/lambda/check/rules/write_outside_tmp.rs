//! Settings make tools write to /tmp only.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::places::is_writable;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "write-outside-tmp",
    severity: Severity::Warning,
    what: "Directories that settings make tools write to are below /tmp.",
    why: "The file system of a function is read-only except for /tmp. A tool that has to store its files elsewhere \
          fails, or repeats its work in every new execution environment.",
    example: "ENV NUMBA_CACHE_DIR=/var/task/.cache.",
    help: "set the variable to a directory below /tmp, or remove it",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

/// Variables that name a directory to write to, and whether a read-only directory with files is enough. Tools that fall
/// back to another directory by themselves, as SQLite does, are not listed.
const VARIABLES: [(&str, bool); 11] = [
    ("HF_HOME", true),
    ("HF_HUB_CACHE", true),
    ("MPLCONFIGDIR", true),
    ("NPM_CONFIG_CACHE", true),
    ("NUMBA_CACHE_DIR", false),
    ("PYTHONPYCACHEPREFIX", true),
    ("TMPDIR", false),
    ("TORCH_HOME", true),
    ("TRANSFORMERS_CACHE", true),
    ("XDG_CACHE_HOME", true),
    ("npm_config_cache", true),
];

fn check(case: &Case<'_>, findings: &mut Findings) {
    for (name, may_be_read_only) in VARIABLES {
        let Some(dir) = case.config.var(name).filter(|dir| dir.starts_with('/')) else { continue };
        if is_writable(case, dir) {
            continue;
        }
        // The files in the image may be enough, and an unknown layer may contain some.
        let place = case.files.resolve(dir).path;
        let has_files = || case.files.below(&place).any(|file| !file.member.is_directory());
        if may_be_read_only && (has_files() || !case.is_certain()) {
            continue;
        }
        let message = format!("{name} is {dir}, where a function cannot write");
        findings.add(message).in_field(format!("config.Env.{name}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    fn with(variable: &str) -> Sample {
        Sample::python().process("Env", json!([variable, "LAMBDA_TASK_ROOT=/var/task"]))
    }

    #[test]
    fn directories_to_write_to_must_be_writable() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        for variable in
            ["TMPDIR=/tmp", "HF_HOME=/tmp/hf", "HF_HOME=/mnt/models", "TMPDIR=relative", "HOME=/home/app"]
        {
            assert_eq!(with(variable).says(&RULE), [""; 0], "{variable}");
        }
        assert_eq!(
            with("TMPDIR=/var/tmp").says(&RULE),
            ["TMPDIR is /var/tmp, where a function cannot write"]
        );
        assert_eq!(
            with("HF_HOME=/tmpfoo").says(&RULE),
            ["HF_HOME is /tmpfoo, where a function cannot write"]
        );
        assert_eq!(with("TMPDIR=/work").link(1, "work", "tmp").says(&RULE), [""; 0]);
        assert_eq!(with("TMPDIR=/dev/shm").says(&RULE).len(), 1, "Lambda does not have it");
        assert_eq!(with("TMPDIR=/").says(&RULE).len(), 1);
        assert_eq!(with("SQLITE_TMPDIR=/var/lib").says(&RULE), [""; 0], "SQLite falls back to /tmp");
    }

    #[test]
    fn a_cache_may_be_filled_in_the_image() {
        let filled = with("HF_HOME=/opt/models").file(1, "opt/models/hub/version.txt", 0o644);
        assert_eq!(filled.says(&RULE), [""; 0]);
        assert_eq!(with("HF_HOME=/opt/models").unknown(0).says(&RULE), [""; 0]);
        assert_eq!(with("HF_HOME=/opt/models").directories(1, "opt/models/hub").says(&RULE).len(), 1);
        let numba = with("NUMBA_CACHE_DIR=/opt/numba").file(1, "opt/numba/x.nbi", 0o644);
        assert_eq!(numba.says(&RULE).len(), 1, "numba always writes");
    }
}
