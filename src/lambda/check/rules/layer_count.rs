//! An image has not too many layers.

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "layer-count",
    severity: Severity::Error,
    what: "The image has 127 layers at most.",
    why: "Container engines stop there: Docker says `max depth exceeded`. Neither Lambda nor ECR documents a limit of \
          its own.",
    example: "An image that is built on top of itself again and again, a layer more each time.",
    way_out: "build the image from its base again, or put several steps into one layer",
    source: "https://github.com/moby/buildkit/pull/4815",
    check,
};

/// As many as the engines take.
const LIMIT: usize = 127;

fn check(case: &Case<'_>, findings: &mut Findings) {
    let count = case.layers.len();
    if count > LIMIT {
        findings.add(format!("the image has {count} layers, and {LIMIT} are the most")).in_field("layers");
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn too_many_layers_are_found() {
        assert_eq!(Sample::empty(127).says(&RULE), [""; 0]);
        assert_eq!(Sample::empty(128).says(&RULE), ["the image has 128 layers, and 127 are the most"]);
    }
}
