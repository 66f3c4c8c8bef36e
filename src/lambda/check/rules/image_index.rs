//! The name refers to one image, not to an index or an attestation.

use serde_json::Value;

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "image-index",
    severity: Severity::Error,
    what: "The name refers to the manifest of one image, not to an index or an attestation.",
    why: "Lambda refuses both: `The image manifest, config or layer media type for the source image … is not \
          supported`.",
    example: "The default result of `docker buildx build --push`: an index of the image and its provenance.",
    help: "push only the image, with lbuild or with `docker buildx build --provenance=false --sbom=false` for one \
           platform; or use the digest of the image instead of that of the index",
    source: "https://github.com/aws/aws-lambda-roadmap/issues/82",
    check,
};

/// The media type of attestations.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";

fn check(case: &Case<'_>, findings: &mut Findings) {
    match (case.asked.in_index, attestation(case)) {
        (false, None) => {}
        (true, None) => {
            findings.add("the name refers to an index; this image is one of its entries");
        }
        (false, Some(field)) => {
            findings.add("this is an attestation, not an image").in_field(field);
        }
        (true, Some(field)) => {
            findings.add("the name refers to an index; this entry is an attestation").in_field(field);
        }
    }
}

/// The field that shows that the image is an attestation, if it is one.
fn attestation(case: &Case<'_>) -> Option<String> {
    let is_statement = |descriptor: &Value| descriptor["mediaType"] == IN_TOTO;
    if is_statement(&case.manifest["config"]) {
        return Some("config.mediaType".to_owned());
    }
    if let Some(number) = case.layers.iter().position(|layer| layer.media_type == IN_TOTO) {
        return Some(format!("layers[{number}].mediaType"));
    }
    is_unknown(case).then(|| "os".to_owned())
}

/// Whether the platform is `unknown/unknown`, that of attestations.
pub(super) fn is_unknown(case: &Case<'_>) -> bool {
    let platform = case.config.platform();
    platform.os == "unknown" && platform.architecture == "unknown"
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::{IN_TOTO, RULE};

    #[test]
    fn an_index_is_found() {
        let mut sample = Sample::python();
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.asked.in_index = true;
        assert_eq!(sample.says(&RULE), ["the name refers to an index; this image is one of its entries"]);
    }

    #[test]
    fn an_attestation_is_found_by_its_layers_or_by_its_platform() {
        let expected = ["this is an attestation, not an image"];
        let mut sample = Sample::python();
        sample.manifest["layers"][1]["mediaType"] = IN_TOTO.into();
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].field.as_deref(), Some("layers[1].mediaType"));

        let mut sample = Sample::python();
        sample.config["os"] = "unknown".into();
        assert_eq!(sample.says(&RULE), [""; 0], "the architecture of an attestation is unknown, too");
        sample.config["architecture"] = "unknown".into();
        assert_eq!(sample.says(&RULE), expected);
        sample.asked.in_index = true;
        let both = ["the name refers to an index; this entry is an attestation"];
        assert_eq!(sample.says(&RULE), both, "one finding");
    }

    #[test]
    fn an_attestation_is_found_by_its_config() {
        let mut sample = Sample::python();
        sample.manifest["config"]["mediaType"] = IN_TOTO.into();
        assert_eq!(sample.check(&RULE)[0].field.as_deref(), Some("config.mediaType"));
    }
}
