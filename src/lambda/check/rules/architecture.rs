//! The config names the architecture of the function.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::image_index::is_unknown;
use crate::image::Arch;

pub(super) const RULE: Rule = Rule {
    name: "architecture",
    severity: Severity::Error,
    what: "The config names the architecture of the function.",
    why: "Lambda starts the image on machines of the function's architecture, and refuses an image for another one.",
    example: "A config with `\"architecture\": \"amd64\"` for a function on arm64.",
    help: "build the image with --arch set to the function's architecture, or change the function's architecture",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    // The rule `image-index` reports an attestation, whose platform is unknown.
    if is_unknown(case) {
        return;
    }
    let named = case.config.platform().architecture;
    match (case.asked.arch, named.parse::<Arch>().ok()) {
        (Some(asked), found) if found != Some(asked) => {
            let message = format!("the image is for {named:?}, but the function is for {asked}");
            findings.add(message).in_field("architecture");
        }
        (None, None) => {
            let message = format!("the image is for {named:?}, which Lambda does not support");
            findings.add(message).in_field("architecture");
        }
        (_, Some(found)) if found.as_str() != named => {
            let message = format!("the config says {named:?}; the image specification calls it {found}");
            findings.add(message).in_field("architecture").as_severe(Severity::Warning);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Arch;

    #[test]
    fn another_architecture_is_found() {
        let mut sample = Sample::python();
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.asked.arch = Some(Arch::Arm64);
        assert_eq!(sample.says(&RULE), ["the image is for \"amd64\", but the function is for arm64"]);
        sample.asked.arch = None;
        assert_eq!(sample.says(&RULE), [""; 0], "no other one is requested");
        sample.config["architecture"] = "s390x".into();
        assert_eq!(sample.says(&RULE), ["the image is for \"s390x\", which Lambda does not support"]);
        sample.config["architecture"] = "unknown".into();
        assert_eq!(sample.says(&RULE).len(), 1);
        sample.config["os"] = "unknown".into();
        assert_eq!(sample.says(&RULE), [""; 0], "an attestation");
    }

    #[test]
    fn the_kernels_name_of_an_architecture_is_a_warning() {
        let mut sample = Sample::python();
        sample.config["architecture"] = "x86_64".into();
        let expected = ["the config says \"x86_64\"; the image specification calls it amd64"];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
        sample.asked.arch = None;
        assert_eq!(sample.says(&RULE), expected);
        sample.asked.arch = Some(Arch::Arm64);
        assert_eq!(sample.says(&RULE), ["the image is for \"x86_64\", but the function is for arm64"]);
    }
}
