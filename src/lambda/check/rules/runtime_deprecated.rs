//! AWS maintains the base's runtime.

use chrono::NaiveDate;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::lambda::{RuntimeBase, runtime_base};

pub(super) const RULE: Rule = Rule {
    name: "runtime-deprecated",
    severity: Severity::Warning,
    what: "The base's runtime is not deprecated.",
    why: "AWS does not maintain deprecated runtimes or their base images: new builds of the image do not get security \
          fixes.",
    example: "FROM public.ecr.aws/lambda/nodejs:18.",
    help: "move the function to the base of a newer runtime",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html#runtime-support-policy",
    check,
};

const LABEL: &str = "org.opencontainers.image.base.name";

/// A note is reported from this number of days before the deprecation.
const SOON: i64 = 60;

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(name) = case.config.label(LABEL).and_then(of_aws) else { return };
    let (message, severity) = match known(&name).and_then(|base| base.runtime) {
        Some(runtime) => match runtime.deprecated {
            Some(day) if day <= case.asked.today.as_str() => (
                format!("the base {name} has a runtime that has been deprecated since {day}"),
                Severity::Warning,
            ),
            Some(day) if days(&case.asked.today, day).is_some_and(|days| days <= SOON) => {
                (format!("the base {name} has a runtime that will be deprecated on {day}"), Severity::Note)
            }
            _ => return,
        },
        None => {
            let message = format!("lbuild does not know the base {name} or how long AWS maintains it");
            (message, Severity::Warning)
        }
    };
    findings.add(message).in_field(format!("config.Labels.{LABEL}")).as_severe(severity);
}

/// The repository and tag of one of AWS's bases, such as `python:3.12`; `None` if the tag does not contain a version.
fn of_aws(label: &str) -> Option<String> {
    let label = label.strip_prefix("docker.io/").unwrap_or(label);
    let name = ["public.ecr.aws/lambda/", "amazon/aws-lambda-"]
        .iter()
        .find_map(|place| label.strip_prefix(*place))?;
    let name = name.split('@').next()?;
    let (repository, tag) = name.split_once(':')?;
    // The tag `latest` does not name a fixed version.
    let has_version = tag.starts_with(|c: char| c.is_ascii_digit()) || repository == "provided";
    (has_version && tag != "latest").then(|| name.to_owned())
}

/// The runtime of a base whose tag may contain more than the version, such as `3.12-arm64` or `3.12.2026.01.08.16`.
/// A tag that names another operating system, such as `8.al2023`, has another runtime.
fn known(name: &str) -> Option<RuntimeBase> {
    let ends = name.rmatch_indices(['.', '-']).map(|(at, _)| at).filter(|at| !name[*at..].starts_with(".al"));
    let shorter = [name.len()].into_iter().chain(ends);
    shorter.map(|end| runtime_base(&name[..end])).find(|base| base.runtime.is_some())
}

fn days(today: &str, day: &str) -> Option<i64> {
    let (today, day): (NaiveDate, NaiveDate) = (today.parse().ok()?, day.parse().ok()?);
    Some(day.signed_duration_since(today).num_days())
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::{LABEL, RULE};
    use serde_json::json;

    fn on(base: &str, today: &str) -> Vec<(Severity, String)> {
        let mut sample = Sample::python().process("Labels", json!({ LABEL: base }));
        sample.asked.today = today.to_owned();
        sample.check(&RULE).into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    #[test]
    fn a_deprecation_is_found_in_advance_and_from_its_date_on() {
        let base = "public.ecr.aws/lambda/nodejs:22";
        assert!(on(base, "2027-02-28").is_empty());
        let soon = "the base nodejs:22 has a runtime that will be deprecated on 2027-04-30";
        assert_eq!(on(base, "2027-03-02"), [(Severity::Note, soon.to_owned())]);
        let now = "the base nodejs:22 has a runtime that has been deprecated since 2027-04-30";
        assert_eq!(on(base, "2027-04-30"), [(Severity::Warning, now.to_owned())]);
        assert_eq!(on("amazon/aws-lambda-nodejs:22", "2028-01-01").len(), 1);
    }

    #[test]
    fn tags_may_contain_more_than_the_version() {
        for tag in [
            "nodejs:18-arm64",
            "nodejs:18.2025.01.08.16",
            "nodejs:18.2025.01.08.16-x86_64",
            "nodejs:18@sha256:00",
        ] {
            let found = on(&format!("public.ecr.aws/lambda/{tag}"), "2026-11-21");
            assert!(found.len() == 1 && found[0].0 == Severity::Warning, "{tag}: {found:?}");
        }
        for tag in [
            "java:8.al2-arm64",
            "provided:al2023.2026.01.08.16",
            "python:latest",
            "python",
            "python@sha256:00",
        ] {
            assert!(on(&format!("public.ecr.aws/lambda/{tag}"), "2026-11-21").is_empty(), "{tag}");
        }
    }

    #[test]
    fn other_bases_are_ignored_and_unknown_ones_found() {
        assert!(on("docker.io/library/python:3.8", "2026-11-21").is_empty());
        for name in ["python:3.99", "java:17.al2099", "nodejs:98-arm64"] {
            let unknown = format!("lbuild does not know the base {name} or how long AWS maintains it");
            let found = on(&format!("public.ecr.aws/lambda/{name}"), "2026-11-21");
            assert_eq!(found, [(Severity::Warning, unknown)]);
        }
    }
}
