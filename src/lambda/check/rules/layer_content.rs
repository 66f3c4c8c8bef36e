//! Each layer is there, has its digest, and is a complete tar.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use crate::error::Error;

pub(super) const RULE: Rule = Rule {
    name: "layer-content",
    severity: Severity::Error,
    what: "Each layer exists, has the digest in the manifest, and is a complete tar archive.",
    why: "Lambda and every engine verify a layer when they unpack it, and refuse the image when it is missing or \
          damaged.",
    example: "A layer that a registry's clean-up removed, or a layout that was copied incompletely.",
    help: "build the image again; if a base has the fault, pull or copy the base again",
    source: "https://github.com/opencontainers/image-spec/blob/main/descriptor.md#verification",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    for fault in case.faults {
        findings.add(message(&fault.error)).in_layer(case, fault.layer);
    }
}

/// The fault in words that do not depend on where the layer is stored.
fn message(error: &Error) -> String {
    match error {
        Error::LostBlob { .. } | Error::Registry { .. } => "the layer is missing".to_owned(),
        Error::Corrupt { got, .. } | Error::CorruptFile { got, .. } => {
            format!("the layer is damaged: its bytes have the digest {got}")
        }
        Error::Scan { source, .. } => match &**source {
            Error::BlobRead { .. } => "the layer is missing".to_owned(),
            source => source.with_causes(),
        },
        error => error.with_causes(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::error::Error;
    use crate::image::Digest;

    #[test]
    fn a_fault_of_a_layer_is_found_where_it_is() {
        let digest = Digest::of(b"layer");
        let scan = |source: Error| Error::Scan { image: "i".into(), digest, source: source.into() };
        let io = |kind: io::ErrorKind| io::Error::new(kind, "the end is missing");
        let path = std::path::PathBuf::from("/x");
        for (error, expected) in [
            (Error::LostBlob { image: "i".into(), digest }, "the layer is missing".to_owned()),
            (
                scan(Error::BlobRead { path: path.clone(), source: io(io::ErrorKind::NotFound) }),
                "the layer is missing".to_owned(),
            ),
            (
                scan(Error::LayerRead { source: io(io::ErrorKind::InvalidData) }),
                "cannot read the layer: the end is missing".to_owned(),
            ),
            (
                Error::CorruptFile { path, expected: Digest::of(b"a"), got: digest },
                format!("the layer is damaged: its bytes have the digest {digest}"),
            ),
        ] {
            assert!(error.is_of_layer(), "{error}");
            let found = Sample::empty(3).check_with_fault(1, error, &RULE);
            assert_eq!((found.len(), &found[0].message, found[0].layer_number), (1, &expected, Some(1)));
        }
        assert_eq!(Sample::empty(3).unknown(1).says(&RULE), [""; 0], "a layer that was not read");
    }
}
