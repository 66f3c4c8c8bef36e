//! The image does not have too many layers, or a manifest that is so large that it slows Lambda down.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "layer-count",
    severity: Severity::Warning,
    what: "The image has at most 125 layers, and a manifest of less than 25,400 bytes.",
    why: "Docker refuses more layers: `max depth exceeded`. Lambda does not document a limit, but recommends a \
          manifest of less than 25,400 bytes for the best performance; layers and annotations make it larger.",
    example: "An image that is repeatedly built on top of itself, each time with one more layer.",
    help: "rebuild the image from its base, or combine several steps into one layer",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-types",
    check,
};

/// Docker's limit: its storage drivers allow 127 layers, and a container needs two of them.
///
/// <https://github.com/moby/moby/blob/master/daemon/internal/layer/layer_store.go>
const LIMIT: usize = 125;

/// The size of the manifest, in bytes, below which Lambda is fastest.
const MANIFEST: usize = 25_400;

fn check(case: &Case<'_>, findings: &mut Findings) {
    let count = case.layers.len();
    if count > LIMIT {
        findings.add(format!("the image has {count} layers; Docker's limit is {LIMIT}")).in_field("layers");
    }
    // The stored manifest may have additional white space.
    let bytes = case.manifest.to_string().len();
    if bytes >= MANIFEST {
        let message =
            format!("the manifest has at least {bytes} bytes; Lambda is fastest with less than {MANIFEST}");
        findings.add(message).as_severe(Severity::Note);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn too_many_layers_are_found() {
        assert_eq!(Sample::empty(125).says(&RULE), [""; 0]);
        let sample = Sample::empty(126);
        assert_eq!(sample.says(&RULE), ["the image has 126 layers; Docker's limit is 125"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning, "Lambda may accept them");
    }

    #[test]
    fn a_large_manifest_is_a_note() {
        let mut sample = Sample::empty(2);
        sample.manifest["annotations"] = json!({ "text": "x".repeat(20_000) });
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.manifest["annotations"]["more"] = "x".repeat(5_400).into();
        let found = sample.check(&RULE);
        assert!(found[0].message.ends_with("Lambda is fastest with less than 25400"), "{found:?}");
        assert_eq!((found.len(), found[0].severity), (1, Severity::Note));
    }
}
