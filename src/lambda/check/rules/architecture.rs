//! The config names the architecture that the function shall have.

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};

pub(super) const RULE: Rule = Rule {
    name: "architecture",
    severity: Severity::Error,
    what: "The config's architecture is the function's.",
    why: "Lambda starts the image on machines of the function's architecture, and refuses one that says it is for another.",
    example: "A config with `\"architecture\": \"amd64\"` for a function of arm64.",
    way_out: "build the image with --arch of the function, or set the function's architecture to the image's",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let named = case.config.platform().architecture;
    let fault = match case.asked.arch {
        Some(asked) if asked.as_str() != named => {
            format!("the image is for {named:?}, and the function for {asked}")
        }
        None if case.arch().is_none() => {
            format!("the image is for {named:?}, which Lambda has no machines of")
        }
        _ => return,
    };
    findings.add(fault).in_field("architecture");
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::image::Arch;

    #[test]
    fn another_architecture_is_found() {
        let mut sample = Sample::python();
        assert_eq!(sample.says(&RULE), [""; 0]);
        sample.asked.arch = Some(Arch::Arm64);
        assert_eq!(sample.says(&RULE), ["the image is for \"amd64\", and the function for arm64"]);
        sample.asked.arch = None;
        assert_eq!(sample.says(&RULE), [""; 0], "nobody asked for another");
        sample.config["architecture"] = "s390x".into();
        assert_eq!(sample.says(&RULE), ["the image is for \"s390x\", which Lambda has no machines of"]);
    }
}
