//! The registry is not a FIPS endpoint.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::lambda::refused_registry;

pub(super) const RULE: Rule = Rule {
    name: "fips-registry",
    severity: Severity::Error,
    what: "The image's registry is not a FIPS endpoint of ECR.",
    why: "Lambda does not pull from FIPS endpoints of ECR: creating or updating the function fails.",
    example: "`123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app:v1`.",
    help: "use the host name without -fips: it is the same repository",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    for host in case.asked.registries() {
        if let Some(usual) = refused_registry(host) {
            findings.add(format!("{host} is a FIPS endpoint; the same repository is at {usual}"));
        } else if is_named_fips(host) {
            findings.add(format!("{host} is a FIPS endpoint"));
        }
    }
}

/// Whether the host name marks a FIPS endpoint, also in a partition that is newer than this program.
fn is_named_fips(host: &str) -> bool {
    [".dkr.ecr-fips.", ".dkr-ecr-fips."].iter().any(|service| host.contains(service))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn a_fips_host_is_found() {
        let mut sample = Sample::python();
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.asked.repositories = vec!["123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b".to_owned()];
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.asked.repositories = vec!["123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/a/b".to_owned()];
        assert_eq!(
            sample.says(&RULE),
            [
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com is a FIPS endpoint; the same repository is at \
                 123456789012.dkr.ecr.us-east-1.amazonaws.com"
            ]
        );
        for host in [
            "123456789012.dkr.ecr-fips.xy-new-1.amazonaws.xy",
            "123456789012.dkr-ecr-fips.us-east-1.on.aws:443",
        ] {
            sample.asked.repositories = vec![format!("{host}/a/b")];
            assert_eq!(sample.says(&RULE), [format!("{host} is a FIPS endpoint")]);
        }
        sample.asked.repositories = vec!["r.example/a.dkr.ecr-fips.b".to_owned()];
        assert_eq!(sample.says(&RULE), [""; 0], "not in the host name");
    }
}
