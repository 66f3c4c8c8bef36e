//! The image does not rely on its own user.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};

pub(super) const RULE: Rule = Rule {
    name: "user-set",
    severity: Severity::Warning,
    what: "The config does not set a user.",
    why: "Lambda runs every image as its own user with least privileges, whatever the config says. That user cannot \
          read or write files that are restricted to the image's user, and programs see another home directory.",
    example: "USER app, with `COPY --chown=app --chmod=600`.",
    help: "remove USER, and give others read permission for the files that the function needs",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(user) = case.config.user() else { return };
    // Bases set these: root, which is also the default, and the user of distroless and similar images, which owns only
    // an empty home directory.
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
    fn a_user_in_the_config_is_found() {
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
