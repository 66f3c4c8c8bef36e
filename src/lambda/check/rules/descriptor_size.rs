//! The manifest gives the real sizes of its blobs.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "descriptor-size",
    severity: Severity::Error,
    what: "The manifest gives the size of the config and of each layer as the number of their bytes.",
    why: "Engines compare a blob with the size in its descriptor, and refuse the image when they differ: containerd \
          reports `failed size validation`.",
    example: "A manifest edited by hand, or by a tool that replaced a layer without its size.",
    help: "push the image with `lbuild push IMAGE`, which writes the real sizes, or build it again; a tool that \
           changes a blob must also change its descriptor in the manifest",
    source: "https://github.com/opencontainers/image-spec/blob/main/descriptor.md#properties",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let said = case.manifest["config"]["size"].as_u64();
    if let Some(said) = said.filter(|said| *said != case.config_size) {
        findings.add(fault("config", case.config_size, said)).in_field("config.size");
    }
    for (number, scan) in case.known() {
        let Some(layer) = case.layers.get(number).filter(|layer| layer.size != scan.stored) else { continue };
        let message = fault("layer", scan.stored, layer.size);
        findings.add(message).in_layer(case, number).in_field(format!("layers[{number}].size"));
    }
}

fn fault(what: &str, real: u64, said: u64) -> String {
    let bytes = if real == 1 { "1 byte".to_owned() } else { format!("{real} bytes") };
    format!("the {what} has {bytes}, but the manifest gives the size {said}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn a_wrong_size_of_a_layer_is_found() {
        let mut sample = Sample::empty(3);
        assert_eq!(sample.says(&RULE), [""; 0]);
        for wrong in [json!(99), json!(101), json!(0)] {
            sample.manifest["layers"][1]["size"] = wrong.clone();
            let expected = [format!("the layer has 100 bytes, but the manifest gives the size {wrong}")];
            assert_eq!(sample.says(&RULE), expected);
            let found = &sample.check(&RULE)[0];
            assert_eq!((found.layer_number, found.field.as_deref()), (Some(1), Some("layers[1].size")));
        }
        assert_eq!(sample.unknown(1).says(&RULE), [""; 0], "its real size is not known");
    }

    #[test]
    fn a_wrong_size_of_the_config_is_found() {
        let mut sample = Sample::empty(1);
        sample.config_size = 1;
        assert_eq!(sample.says(&RULE), ["the config has 1 byte, but the manifest gives the size 2"]);
        assert_eq!(sample.check(&RULE)[0].field.as_deref(), Some("config.size"));
    }
}
