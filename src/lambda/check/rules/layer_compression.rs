//! Layers are compressed with gzip, and their media types match.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::image::{Compression, OCI_MANIFEST};

pub(super) const RULE: Rule = Rule {
    name: "layer-compression",
    severity: Severity::Error,
    what: "Every layer is compressed with gzip, and its media type says so.",
    why: "Lambda refuses other layers with `ImageLayerFailure: UnsupportedImageLayerDetected`.",
    example: "A layer built with `compression=zstd`, or an uncompressed tar on top of one of AWS's bases.",
    help: "push the image with lbuild, which compresses every layer with gzip, or build it with \
           `compression=gzip,force-compression=true`",
    source: "https://github.com/aspect-build/rules_aws/pull/145",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    if case.asked.in_archive {
        return;
    }
    for (number, layer) in case.layers.iter().enumerate() {
        // The rule `media-types` reports other types.
        let Some(said) = Compression::of(&layer.media_type) else { continue };
        let scan = case.scans.get(number).and_then(Option::as_ref);
        let real = scan.map_or(said, |scan| scan.compression);
        let message = match (said, real) {
            (Compression::Gzip, Compression::Gzip) => continue,
            (said, real) if said != real => {
                format!("the layer is {}, but its media type says that it is {}", name(real), name(said))
            }
            (_, real) => format!("the layer is {}", name(real)),
        };
        let field = format!("layers[{number}].mediaType");
        let finding = findings.add(message).in_layer(case, number).in_field(field);
        // OCI has a media type for it, and Lambda has accepted such images.
        if (said, real) == (Compression::None, Compression::None) && case.media_type == OCI_MANIFEST {
            finding.as_severe(Severity::Warning);
        }
    }
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "not compressed",
        Compression::Gzip => "compressed with gzip",
        Compression::Zstd => "compressed with zstd",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::{Compression, OCI_MANIFEST};

    fn sample(media_type: &str, real: Compression) -> Sample {
        let mut sample = Sample::empty(2);
        sample.manifest["layers"][1]["mediaType"] = media_type.into();
        sample.scans[1].as_mut().expect("a known layer").compression = real;
        sample
    }

    #[test]
    fn another_compression_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let zstd = sample("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd);
        assert_eq!(zstd.says(&RULE), ["the layer is compressed with zstd"]);
        assert_eq!(
            zstd.clone().unknown(1).says(&RULE),
            ["the layer is compressed with zstd"],
            "by its media type"
        );
        assert_eq!(zstd.check(&RULE)[0].layer_number, Some(1));
    }

    #[test]
    fn bytes_that_differ_from_their_media_type_are_found() {
        let plain = sample("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::None);
        let expected =
            ["the layer is not compressed, but its media type says that it is compressed with gzip"];
        assert_eq!(plain.says(&RULE), expected);
        assert_eq!(plain.unknown(1).says(&RULE), [""; 0]);
    }

    #[test]
    fn layers_in_an_archive_are_ignored() {
        let mut plain = sample("application/vnd.docker.image.rootfs.diff.tar", Compression::None);
        plain.asked.in_archive = true;
        assert_eq!(plain.says(&RULE), [""; 0]);
    }

    #[test]
    fn an_uncompressed_tar_is_a_warning_with_the_types_of_oci() {
        let docker = sample("application/vnd.docker.image.rootfs.diff.tar", Compression::None);
        assert_eq!(docker.check(&RULE)[0].severity, Severity::Error);
        let mut oci = sample("application/vnd.oci.image.layer.v1.tar", Compression::None);
        oci.manifest["mediaType"] = OCI_MANIFEST.into();
        assert_eq!(oci.check(&RULE)[0].severity, Severity::Warning);
        assert_eq!(oci.says(&RULE), ["the layer is not compressed"]);
    }
}
