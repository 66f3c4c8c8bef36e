//! The image is in a private ECR repository in the function's Region.

use std::net::IpAddr;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::image::EcrHost;

pub(super) const RULE: Rule = Rule {
    name: "registry-region",
    severity: Severity::Error,
    what: "The image is in a private ECR repository in the function's Region.",
    why: "Lambda pulls only from private repositories of ECR, of any account but of the same Region: otherwise \
          creating or updating the function fails.",
    example: "A repository in eu-west-1 for a function in eu-central-1.",
    help: "push the image to a repository in the function's Region, or let ECR replicate it there",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    for host in case.asked.registries() {
        judge(host, case.asked.region.as_deref(), findings);
    }
}

fn judge(host: &str, region: Option<&str>, findings: &mut Findings) {
    match EcrHost::parse(host) {
        Some(ecr) => {
            let Some(asked) = region else { return };
            if ecr.region() != asked {
                findings
                    .add(format!("the repository is in {}, but the function is in {asked}", ecr.region()));
            }
        }
        None if is_local(host) || is_like_ecr(host) => {}
        None => {
            let message = format!("{host} is not a private registry of ECR; Lambda pulls only from those");
            findings.add(message).as_severe(Severity::Note);
        }
    }
}

/// Whether the registry is on this machine, as in tests.
fn is_local(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.split_once(']'));
    let name = bracketed.map_or_else(|| host.split(':').next().unwrap_or(host), |(name, _)| name);
    name.split('.').any(|label| label == "localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a host is ECR in a partition that is newer than this program, or an emulator of ECR.
fn is_like_ecr(host: &str) -> bool {
    [".dkr.ecr", ".dkr-ecr"].iter().any(|service| host.contains(service))
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    fn sample(repository: &str, region: Option<&str>) -> Sample {
        let mut sample = Sample::python();
        sample.asked.repositories = vec![repository.to_owned()];
        sample.asked.region = region.map(str::to_owned);
        sample
    }

    #[test]
    fn a_repository_in_another_region_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a";
        assert_eq!(sample(repository, None).says(&RULE), [""; 0]);
        assert_eq!(sample(repository, Some("eu-west-1")).says(&RULE), [""; 0]);
        let elsewhere = sample(repository, Some("eu-central-1")).check(&RULE);
        assert_eq!(
            elsewhere[0].message,
            "the repository is in eu-west-1, but the function is in eu-central-1"
        );
        assert_eq!(elsewhere[0].severity, Severity::Error);
    }

    #[test]
    fn a_registry_other_than_ecr_is_a_note() {
        for host in ["docker.io", "public.ecr.aws", "r.example:5000"] {
            let found = sample(&format!("{host}/a/b"), None).check(&RULE);
            assert_eq!(found.len(), 1, "{host}");
            assert_eq!(found[0].severity, Severity::Note, "{host}");
        }
        for host in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:5000",
            "[::1]:5000",
            "000000000000.dkr.ecr.us-east-1.localhost.localstack.cloud:4566",
            "123456789012.dkr.ecr.xy-new-1.amazonaws.xy",
        ] {
            assert_eq!(sample(&format!("{host}/a"), None).says(&RULE), [""; 0], "{host}");
        }
    }
}
