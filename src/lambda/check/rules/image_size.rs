//! The image is not larger than Lambda's limit.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "image-size",
    severity: Severity::Error,
    what: "The uncompressed layers together have at most 10 GiB.",
    why: "That is Lambda's quota for an uncompressed image, which cannot be raised: `InvalidImage: SizeLimitExceeded: \
          Uncompressed container image size exceeds 10 GiB limit`.",
    example: "An image with a GPU toolchain and the weights of a large model.",
    help: "exclude files that the function does not need, and read large data from S3 or EFS at run time",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
    check,
};

const GIB: u64 = 1 << 30;

/// Lambda's limit in bytes. AWS documents 10 GB; the error message for a larger image uses GiB.
const LIMIT: u64 = 10 * GIB;

/// The threshold for a warning, in bytes.
const NEAR: u64 = 9 * GIB;

fn check(case: &Case<'_>, findings: &mut Findings) {
    let total = case.layers.iter().enumerate().fold(0_u64, |total, (number, layer)| {
        let scan = case.scans.get(number).and_then(Option::as_ref);
        // The stored size is practically a lower bound for an unknown layer.
        total.saturating_add(scan.map_or(layer.size, |scan| scan.uncompressed))
    });
    if total <= NEAR {
        return;
    }
    // A manifest may claim any size: the multiplication must not overflow.
    let tenths = (u128::from(total) * 10).div_ceil(u128::from(GIB));
    let at_least = if case.scans.iter().all(Option::is_some) { "" } else { "at least " };
    let size = format!("the layers are {at_least}{}.{} GiB uncompressed", tenths / 10, tenths % 10);
    if total > LIMIT {
        findings.add(format!("{size}; Lambda's limit is 10 GiB")).in_field("layers");
    } else {
        let message = format!("{size}, close to Lambda's limit of 10 GiB");
        findings.add(message).in_field("layers").as_severe(Severity::Warning);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::{LIMIT, NEAR, RULE};

    fn sample(sizes: [u64; 2]) -> Sample {
        let mut sample = Sample::empty(2);
        for (scan, size) in sample.scans.iter_mut().flatten().zip(sizes) {
            scan.uncompressed = size;
        }
        sample
    }

    #[test]
    fn an_image_that_is_too_large_is_found() {
        assert_eq!(sample([1, NEAR - 1]).says(&RULE), [""; 0]);
        let large = sample([1, LIMIT]);
        let expected = ["the layers are 10.1 GiB uncompressed; Lambda's limit is 10 GiB"];
        assert_eq!(large.says(&RULE), expected);
        assert_eq!(large.check(&RULE)[0].severity, Severity::Error);
    }

    #[test]
    fn an_image_close_to_the_limit_is_a_warning() {
        let near = sample([5_000_000_000, 5_000_000_000]);
        let expected = ["the layers are 9.4 GiB uncompressed, close to Lambda's limit of 10 GiB"];
        assert_eq!(near.says(&RULE), expected);
        assert_eq!(near.check(&RULE)[0].severity, Severity::Warning);
        assert_eq!(sample([1, LIMIT - 1]).check(&RULE)[0].severity, Severity::Warning, "it just fits");
    }

    #[test]
    fn an_unknown_layer_counts_with_its_stored_size() {
        let mut sample = sample([1_000_000_000, 1_000_000_000]).unknown(1);
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.manifest["layers"][1]["size"] = json!(10 * LIMIT);
        let expected = ["the layers are at least 101.0 GiB uncompressed; Lambda's limit is 10 GiB"];
        assert_eq!(sample.says(&RULE), expected);
        sample.manifest["layers"][1]["size"] = json!(u64::MAX);
        assert_eq!(sample.check(&RULE).len(), 1, "the sum saturates");
    }
}
