//! The image does not count on a user of its own.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "user-set",
    severity: Severity::Warning,
    what: "The config names no user.",
    why: "Lambda runs every image as its own user with the least rights, whatever the config says. Files that only the \
          image's user may read or write are out of reach, and its home directory is not the one that programs see.",
    example: "USER app, after `COPY --chown=app --chmod=600`.",
    help: "leave USER out, and give others the right to read what the function needs",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(user) = case.config.user() else { return };
    // Bases say these by themselves: root, which is what an image has that says nothing, and the user of distroless
    // images and their like, which owns an empty home.
    let is_of_base = matches!(user.split(':').next(), Some("0" | "root" | "65532" | "nonroot"));
    let severity = if is_of_base { Severity::Note } else { Severity::Warning };
    let message = format!("the config sets the user {user}, but Lambda runs the image as its own user");
    findings.add(message).in_field("config.User").as_severe(severity);
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;

    #[test]
    fn a_user_is_found() {
        let user = |user: &str| Sample::python().process("User", user.into());
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(user("").says(&RULE), [""; 0]);
        assert_eq!(
            user("app").says(&RULE),
            ["the config sets the user app, but Lambda runs the image as its own user"]
        );
        for (names, severity) in [
            (["1000:1000", "nobody", "rooted", "app:0"], Severity::Warning),
            (["0", "root:root", "65532:65532", "nonroot"], Severity::Note),
        ] {
            for name in names {
                assert_eq!(user(name).check(&RULE)[0].severity, severity, "{name}");
            }
        }
    }
}
