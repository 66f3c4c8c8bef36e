//! The image does not rely on volumes.

use serde_json::Value;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::places::is_writable;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "volume-set",
    severity: Severity::Warning,
    what: "The config does not declare volumes.",
    why: "Lambda does not mount volumes: the directory has the files of the image and is read-only. Container engines \
          make it writable, so the fault occurs only in Lambda.",
    example: "VOLUME /data, and a program that keeps its database there.",
    help: "remove VOLUME, and write to /tmp, or to a file system that the function mounts below /mnt",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let process = case.config.as_json().get("config");
    let volumes = process.and_then(|process| process.get("Volumes")).and_then(Value::as_object);
    let mut paths: Vec<&String> = volumes.into_iter().flat_map(|volumes| volumes.keys()).collect();
    // The order in the config depends on the builder.
    paths.sort_unstable();
    for path in paths {
        if !is_writable(case, path) {
            let message = format!("{path} is declared as a volume, but is read-only in Lambda");
            findings.add(message).in_field("config.Volumes");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    #[test]
    fn volumes_are_found() {
        let says = |volumes: serde_json::Value| Sample::python().process("Volumes", volumes).says(&RULE);
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(says(json!({})), [""; 0]);
        assert_eq!(says(json!({ "/tmp": {}, "/tmp/work/": {}, "/mnt/efs": {} })), [""; 0]);
        assert_eq!(says(json!({ "/tmpfoo": {}, "/dev/shm": {} })).len(), 2);
        let link = Sample::python().link(1, "data", "/tmp").process("Volumes", json!({ "/data/db": {} }));
        assert_eq!(link.says(&RULE), [""; 0]);
        assert_eq!(
            says(json!({ "/var/lib/x": {}, "/data": {} })),
            [
                "/data is declared as a volume, but is read-only in Lambda",
                "/var/lib/x is declared as a volume, but is read-only in Lambda",
            ]
        );
    }
}
