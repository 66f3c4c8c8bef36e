//! The config names exactly the layers that the manifest has.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "layer-descriptors",
    severity: Severity::Error,
    what: "The config has a diff ID for each of the manifest's layers, which is the digest of its tar, and its history, \
           if there is one, an entry for each.",
    why: "Who unpacks a layer checks it against its diff ID, and refuses the image when they differ. Docker refuses a \
          history of more layers than there are, and Podman builds nothing on an image whose history tells of fewer.",
    example: "A layer that was compressed anew or replaced without a change of the config.",
    help: "build the image again; what changes a layer has to change the config's rootfs.diff_ids and history too",
    source: "https://github.com/opencontainers/image-spec/blob/main/config.md",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (diff_ids, layers) = (case.config.diff_ids(), case.layers.len());
    if diff_ids.len() != layers {
        let named = count(diff_ids.len());
        let message = format!("the config names {named}, but the manifest has {layers}");
        findings.add(message).in_field("rootfs.diff_ids");
    } else {
        for (number, scan) in case.known() {
            let Some(said) = diff_ids.get(number) else { continue };
            let real = scan.diff_id.to_string();
            // One of another algorithm cannot be compared.
            if said.starts_with("sha256:") && *said != real {
                let message = format!("the digest of the layer's tar is {real}, but the config says {said}");
                findings.add(message).in_layer(case, number).in_field(format!("rootfs.diff_ids[{number}]"));
            }
        }
    }
    let history = case.config.history();
    let told = history.iter().filter(|entry| !entry.empty_layer).count();
    if !history.is_empty() && told != layers {
        let message = format!("the history has entries for {}, but the manifest has {layers}", count(told));
        // AWS's bases have come without one, so that what is built on them tells of its own layers alone, and rules_oci
        // writes none for the layers that it adds. Lambda runs those.
        let severity = if told > layers { Severity::Warning } else { Severity::Note };
        findings.add(message).in_field("history").as_severe(severity);
    }
}

fn count(layers: usize) -> String {
    if layers == 1 { "1 layer".to_owned() } else { format!("{layers} layers") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Digest;

    #[test]
    fn a_layer_that_the_config_does_not_name_is_found() {
        let mut sample = Sample::empty(2);
        assert_eq!(sample.says(&RULE), [""; 0]);
        let (said, real) = (Digest::of(b"other"), Digest::of(b"tar 1"));
        sample.config["rootfs"]["diff_ids"][1] = json!(said);
        let expected = [format!("the digest of the layer's tar is {real}, but the config says {said}")];
        assert_eq!(sample.says(&RULE), expected);
        assert_eq!(sample.check(&RULE)[0].field.as_deref(), Some("rootfs.diff_ids[1]"));
        assert_eq!(sample.unknown(1).says(&RULE), [""; 0]);
    }

    #[test]
    fn another_number_of_layers_is_found() {
        let mut sample = Sample::empty(2);
        sample.config["rootfs"]["diff_ids"] = json!([Digest::of(b"tar 1")]);
        assert_eq!(sample.says(&RULE), ["the config names 1 layer, but the manifest has 2"]);
    }

    #[test]
    fn a_history_of_other_layers_is_told() {
        let mut sample = Sample::empty(2);
        let (made, empty) = (json!({ "created_by": "x" }), json!({ "created_by": "y", "empty_layer": true }));
        sample.config["history"] = json!([made, empty, made]);
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.config["history"] = json!([]);
        assert_eq!(sample.says(&RULE), [""; 0], "there is none");
        sample.config["history"] = json!([made, empty]);
        assert_eq!(sample.says(&RULE), ["the history has entries for 1 layer, but the manifest has 2"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Note, "nobody runs it less for that");
        sample.config["history"] = json!([made, made, empty, made]);
        assert_eq!(sample.says(&RULE), ["the history has entries for 3 layers, but the manifest has 2"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning, "Docker refuses it");
    }
}
