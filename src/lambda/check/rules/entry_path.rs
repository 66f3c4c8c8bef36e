//! Layers hold what can be unpacked: paths inside of the image that are not too long, and no devices.

use std::collections::BTreeMap;

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};
use crate::layer::survey::{Member, MemberKind};

pub(super) const RULE: Rule = Rule {
    name: "entry-path",
    severity: Severity::Error,
    what: "The paths in a layer do not lead out of the image and are not longer than Linux takes, and none is a device.",
    why: "No reader may follow a path out of the image, and Linux opens none of more than 4096 bytes or with a part of \
          more than 255. A device needs rights that a function does not have.",
    example: "A tar with `../../etc/cron.d/x`, or with the `/dev/null` of the system that it was made on.",
    way_out: "find what puts the entry into the layer, and leave it out",
    source: "https://man7.org/linux/man-pages/man7/path_resolution.7.html",
    check,
};

/// The longest path, and the longest name between two slashes, in bytes.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

fn check(case: &Case<'_>, findings: &mut Findings) {
    for (number, survey) in case.known() {
        let mut found: BTreeMap<(&str, &str), Vec<&Member>> = BTreeMap::new();
        for member in &survey.members {
            if let Some(fault) = fault(member) {
                let dir = member.path.rsplit_once('/').map_or("", |(dir, _)| dir);
                found.entry((fault, dir)).or_default().push(member);
            }
        }
        for ((fault, _), members) in found {
            let Some(first) = members.first() else { continue };
            let others = match members.len() - 1 {
                0 => String::new(),
                others => format!(" (and {others} more in its directory)"),
            };
            let finding =
                findings.add(format!("{fault}{others}")).in_layer(case, number).at(first.path.as_str());
            if first.kind == MemberKind::Special {
                finding.as_severe(Severity::Warning);
            }
        }
    }
}

fn fault(member: &Member) -> Option<&'static str> {
    if member.kind == MemberKind::Outside {
        Some("this path leads out of the image")
    } else if bytes(&member.path) > MAX_PATH {
        Some("this path is longer than 4096 bytes")
    } else if member.path.split('/').any(|part| bytes(part) > MAX_NAME) {
        Some("a part of this path is longer than 255 bytes")
    } else if member.kind == MemberKind::Special {
        Some("this is a device, a pipe or the like")
    } else {
        None
    }
}

/// How many bytes it was: what is no UTF-8 is written as `\xNN`, four for one.
fn bytes(path: &str) -> usize {
    path.len().saturating_sub(3 * path.matches("\\x").count())
}

#[cfg(test)]
mod tests {
    use super::super::super::Severity;
    use super::super::super::sample::Sample;
    use super::{MemberKind, RULE};

    #[test]
    fn a_path_out_of_the_image_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = Sample::empty(1).file(0, "x", 0o644).with(0, "x", |member| {
            member.path = "a/../../x".to_owned();
            member.kind = MemberKind::Outside;
        });
        assert_eq!(sample.says(&RULE), ["a/../../x: this path leads out of the image"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
    }

    #[test]
    fn a_path_that_is_too_long_is_found() {
        let (name, part) = ("n".repeat(255), "d/".repeat(2047));
        let fits = Sample::empty(1).file(0, &name, 0o644).file(0, &format!("{part}xx"), 0o644);
        assert_eq!(fits.says(&RULE), [""; 0]);
        let escaped = "\\xff".repeat(255);
        assert_eq!(Sample::empty(1).file(0, &escaped, 0o644).says(&RULE), [""; 0], "it is 255 bytes");
        let long =
            Sample::empty(1).file(0, &format!("{name}n/a"), 0o644).file(0, &format!("{part}xxx"), 0o644);
        let messages: Vec<_> = long.check(&RULE).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            messages,
            ["this path is longer than 4096 bytes", "a part of this path is longer than 255 bytes"]
        );
    }

    #[test]
    fn devices_of_a_directory_are_one_warning() {
        let sample = Sample::empty(1).special(0, "dev/null").special(0, "dev/zero");
        assert_eq!(
            sample.says(&RULE),
            ["dev/null: this is a device, a pipe or the like (and 1 more in its directory)"]
        );
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
    }
}
