//! The config lists exactly the layers of the manifest.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::image::Digest;

pub(super) const RULE: Rule = Rule {
    name: "layer-descriptors",
    severity: Severity::Error,
    what: "The config has a diff id for each layer of the manifest, equal to the digest of the layer's tar; its \
           history, if any, has an entry for each layer.",
    why: "Engines compare a layer with its diff id, and refuse the image when they differ. Docker refuses a history of \
          more layers than the manifest has, and Podman does not build on an image whose history has fewer.",
    example: "A layer that was recompressed or replaced without a change of the config.",
    help: "build the image again; a tool that changes a layer must also change rootfs.diff_ids and history in the \
           config",
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
        for (number, said) in diff_ids.into_iter().enumerate() {
            let Some(message) = fault(said, case.scans[number].as_ref().map(|scan| scan.diff_id)) else {
                continue;
            };
            findings.add(message).in_layer(case, number).in_field(format!("rootfs.diff_ids[{number}]"));
        }
    }
    let history = case.config.history();
    let listed = history.iter().filter(|entry| !entry.empty_layer).count();
    if !history.is_empty() && listed != layers {
        let message = format!("the history has entries for {}, but the manifest has {layers}", count(listed));
        // Some of AWS's bases have no history, so the history of an image on top lists only its own layers; rules_oci
        // does not write history for the layers that it adds. Lambda runs both.
        let severity = if listed > layers { Severity::Warning } else { Severity::Note };
        findings.add(message).in_field("history").as_severe(severity);
    }
}

/// The fault of a diff id; `real` is the digest of the layer's tar, if the layer is known.
fn fault(said: &str, real: Option<Digest>) -> Option<String> {
    let real = real.map(|real| real.to_string());
    if let Some(real) = &real
        && (real == said || is_foreign(said))
    {
        // A diff id of another algorithm cannot be compared.
        return None;
    }
    let is_digest = said.parse::<Digest>().is_ok() || is_foreign(said);
    match real {
        _ if !is_digest => Some(format!("the config says {said:?}, which is not a digest")),
        Some(real) => Some(format!("the digest of the layer's tar is {real}, but the config says {said}")),
        None => None,
    }
}

/// Whether a diff id is a digest of another algorithm:
/// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>.
fn is_foreign(said: &str) -> bool {
    let Some((algorithm, hex)) = said.split_once(':') else { return false };
    let length = match algorithm {
        "sha512" => 128,
        "blake3" => 64,
        _ => return false,
    };
    hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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
    fn a_diff_id_of_another_layer_is_found() {
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
    fn a_diff_id_that_is_not_a_digest_is_found() {
        let real = Digest::of(b"tar 1").to_string();
        for said in ["xx", "", "sha256:00", &real.replace("sha256", "SHA256"), "sha512:00", "md5:00"] {
            let mut sample = Sample::empty(2);
            sample.config["rootfs"]["diff_ids"][1] = json!(said);
            let expected = [format!("the config says {said:?}, which is not a digest")];
            assert_eq!(sample.says(&RULE), expected);
            assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
            assert_eq!(sample.unknown(1).says(&RULE), expected, "it needs no layer");
        }
        let mut sample = Sample::empty(2);
        sample.config["rootfs"]["diff_ids"][1] = json!(format!("sha512:{}", "0".repeat(128)));
        assert_eq!(sample.says(&RULE), [""; 0]);
    }

    #[test]
    fn a_wrong_number_of_diff_ids_is_found() {
        let mut sample = Sample::empty(2);
        sample.config["rootfs"]["diff_ids"] = json!([Digest::of(b"tar 1")]);
        assert_eq!(sample.says(&RULE), ["the config names 1 layer, but the manifest has 2"]);
    }

    #[test]
    fn a_history_with_a_wrong_number_of_layers_is_found() {
        let mut sample = Sample::empty(2);
        let (made, empty) = (json!({ "created_by": "x" }), json!({ "created_by": "y", "empty_layer": true }));
        sample.config["history"] = json!([made, empty, made]);
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.config["history"] = json!([]);
        assert_eq!(sample.says(&RULE), [""; 0], "without history");
        sample.config["history"] = json!([made, empty]);
        assert_eq!(sample.says(&RULE), ["the history has entries for 1 layer, but the manifest has 2"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Note, "it runs");
        sample.config["history"] = json!([made, made, empty, made]);
        assert_eq!(sample.says(&RULE), ["the history has entries for 3 layers, but the manifest has 2"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning, "Docker refuses it");
    }
}
