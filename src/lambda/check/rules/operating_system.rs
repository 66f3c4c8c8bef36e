//! The image is for Linux.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::image_index::is_unknown;

pub(super) const RULE: Rule = Rule {
    name: "operating-system",
    severity: Severity::Error,
    what: "The config's operating system is linux.",
    why: "Lambda runs only images for Linux.",
    example: "An image that was built on a Windows host without --platform.",
    help: "build the image for linux/amd64 or linux/arm64",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let os = case.config.platform().os;
    // The rule `image-index` reports an attestation, whose platform is unknown.
    if os != "linux" && !is_unknown(case) {
        findings.add(format!("the image is for {os:?}, but Lambda runs only linux")).in_field("os");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn an_image_for_another_operating_system_is_found() {
        let mut sample = Sample::python();
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.config["os"] = "windows".into();
        assert_eq!(sample.says(&RULE), ["the image is for \"windows\", but Lambda runs only linux"]);
        assert_eq!(sample.check(&RULE)[0].field.as_deref(), Some("os"));
        sample.config["os"] = "unknown".into();
        sample.config["architecture"] = "unknown".into();
        assert_eq!(sample.says(&RULE), [""; 0], "an attestation");
    }
}
