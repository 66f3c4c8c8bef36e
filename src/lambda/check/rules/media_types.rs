//! The media types of manifest, config and layers belong to one family, and Lambda accepts them.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::image_index::IN_TOTO;
use crate::image::{Compression, DOCKER_MANIFEST, Format, OCI_MANIFEST};

pub(super) const RULE: Rule = Rule {
    name: "media-types",
    severity: Severity::Error,
    what: "Manifest, config and layers all have Docker's media types (V2 Schema 2), or all have OCI's.",
    why: "Lambda accepts images in one of the two formats. It refuses others with `The image manifest, config or layer \
          media type for the source image … is not supported`. Some registries and engines refuse a mix, for example \
          Quay, Podman and CRI-O.",
    example: "A layer with OCI's type on top of a base with Docker's types.",
    help: "push the image with lbuild, which uses one family throughout (--format docker or oci)",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-types",
    check,
};

const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn check(case: &Case<'_>, findings: &mut Findings) {
    let manifest = match case.media_type {
        DOCKER_MANIFEST => Some(Format::Docker),
        OCI_MANIFEST => Some(Format::Oci),
        other => {
            findings
                .add(format!("the manifest has the media type {other:?}, which is not that of an image"))
                .in_field("mediaType");
            None
        }
    };
    let config = case.manifest["config"]["mediaType"].as_str().unwrap_or_default();
    let is_config = [DOCKER_CONFIG, OCI_CONFIG].contains(&config);
    if let Some((fault, severity)) = fault("config", config, is_config, manifest) {
        findings.add(fault).in_field("config.mediaType").as_severe(severity);
    }
    for (number, layer) in case.layers.iter().enumerate() {
        // The rule `layer-compression` checks the compression.
        let is_layer = Compression::of(&layer.media_type).is_some();
        if let Some((fault, severity)) = fault("layer", &layer.media_type, is_layer, manifest) {
            let finding = findings.add(fault).in_layer(case, number).as_severe(severity);
            finding.in_field(format!("layers[{number}].mediaType"));
        }
    }
}

fn fault(
    what: &str,
    media_type: &str,
    is_known: bool,
    manifest: Option<Format>,
) -> Option<(String, Severity)> {
    // The rule `image-index` reports attestations.
    if media_type == IN_TOTO {
        return None;
    }
    let is = format!("the {what} has the media type {media_type:?}");
    if media_type.contains("nondistributable") || media_type.contains(".foreign.") {
        return Some((format!("{is}: it is not distributed with the image"), Severity::Error));
    }
    if !is_known {
        return Some((format!("{is}, which Lambda does not accept"), Severity::Error));
    }
    let is_docker = media_type.starts_with("application/vnd.docker.");
    let family = if is_docker { Format::Docker } else { Format::Oci };
    let other = match manifest? {
        manifest if manifest == family => return None,
        Format::Docker => "Docker's",
        Format::Oci => "OCI's",
    };
    // Docker and containerd accept a mix, which kaniko has written for years; Lambda's behaviour is not documented.
    Some((format!("{is}, but the manifest has {other}"), Severity::Warning))
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::{OCI_CONFIG, RULE};
    use crate::image::OCI_MANIFEST;

    const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn oci() -> Sample {
        let mut sample = Sample::python();
        sample.manifest["mediaType"] = OCI_MANIFEST.into();
        sample.manifest["config"]["mediaType"] = OCI_CONFIG.into();
        for number in 0..2_usize {
            sample.manifest["layers"][number]["mediaType"] = OCI_LAYER.into();
        }
        sample
    }

    fn fields(sample: &Sample) -> Vec<String> {
        sample.check(&RULE).into_iter().filter_map(|finding| finding.field).collect()
    }

    #[test]
    fn both_families_are_accepted() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(oci().says(&RULE), [""; 0]);
    }

    #[test]
    fn a_mix_is_found_with_its_fields() {
        let mut sample = Sample::python();
        sample.manifest["layers"][1]["mediaType"] = OCI_LAYER.into();
        assert_eq!(fields(&sample), ["layers[1].mediaType"]);
        let message = format!("the layer has the media type {OCI_LAYER:?}, but the manifest has Docker's");
        assert_eq!(sample.says(&RULE), [message]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning, "some engines accept it");

        let mut sample = oci();
        sample.manifest["mediaType"] = crate::image::DOCKER_MANIFEST.into();
        assert_eq!(fields(&sample), ["config.mediaType", "layers[0].mediaType", "layers[1].mediaType"]);
    }

    #[test]
    fn other_media_types_and_foreign_layers_are_found() {
        let mut sample = oci();
        sample.manifest["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into();
        sample.manifest["layers"][0]["mediaType"] =
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
        sample.manifest["layers"][1]["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd".into();
        let says = sample.says(&RULE);
        assert_eq!(
            fields(&sample),
            ["config.mediaType", "layers[0].mediaType"],
            "another rule reports zstd: {says:?}"
        );
        assert!(says[0].ends_with("which Lambda does not accept"), "{says:?}");
        assert!(says[1].ends_with("it is not distributed with the image"), "{says:?}");
        assert!(sample.check(&RULE).iter().all(|finding| finding.severity == Severity::Error));
        sample.manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v1+json".into();
        assert_eq!(fields(&sample)[0], "mediaType");
    }
}
