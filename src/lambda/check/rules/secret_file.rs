//! No layer holds a file of logins.

use super::super::case::Case;
use super::super::{Findings, Rule, Severity, secrets};
use crate::layer::survey::{Member, MemberKind};

pub(super) const RULE: Rule = Rule {
    name: "secret-file",
    severity: Severity::Error,
    what: "No layer holds a file with logins, even one that a later layer deletes.",
    why: "Whoever may pull the image can read every one of its layers. To delete a file in a later layer hides it from \
          the function, and from nobody else.",
    example: "`COPY . .` with an .env file or a .git directory in the context; `COPY .npmrc .`, and later \
              `RUN rm .npmrc`.",
    way_out: "revoke the login, and keep the file out: name it in .dockerignore, or mount it for the build alone with \
              RUN --mount=type=secret",
    source: "https://docs.docker.com/build/building/secrets/",
    check,
};

/// How many secrets of a file are told one by one.
const TOLD: usize = 3;

/// Where packages are installed to.
const PACKAGES: [&str; 3] = ["site-packages", "dist-packages", "node_modules"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    for (number, survey) in case.known() {
        let files = survey.members.iter().filter(|member| member.kind == MemberKind::File && member.size > 0);
        for member in files.filter(|member| !is_of_tests(&member.path)) {
            let Some((severity, path, message)) = fault(member) else { continue };
            let message = format!("{message}{}", fate(case, number, &member.path));
            findings.add(message).as_severe(severity).in_layer(case, number).at(path);
        }
    }
}

/// How bad a file is, where, and what is wrong with it.
fn fault(member: &Member) -> Option<(Severity, &str, String)> {
    let path = member.path.as_str();
    let repository = path.strip_suffix("/HEAD").filter(|dir| *dir == ".git" || dir.ends_with("/.git"));
    if let Some(repository) = repository {
        let message = "a git repository: all that was ever committed to it, and perhaps logins".to_owned();
        return Some((Severity::Warning, repository, message));
    }
    let kind = secrets::is_secret_file(path)?;
    let notes = member.notes();
    let found: Vec<&str> = notes.iter().filter_map(|note| note.strip_prefix("secret ")).collect();
    if !found.is_empty() {
        let listed = found[..found.len().min(TOLD)].join(", ");
        let message = match found.len() {
            1 => format!("it holds a secret: {listed}"),
            all if all <= TOLD => format!("it holds {all} secrets: {listed}"),
            all => format!("it holds {all} secrets: {listed} and others"),
        };
        return Some((Severity::Error, path, message));
    }
    let is_likely = match notes {
        [] => !secrets::is_plain(kind),
        notes => notes.iter().any(|note| note.starts_with("login ")),
    };
    // What everybody can install has logins that open nothing, or none.
    let is_packaged = path.split('/').any(|part| PACKAGES.contains(&part));
    (is_likely && !is_packaged)
        .then(|| (Severity::Warning, path, format!("a file that may hold logins: {kind}")))
}

/// What becomes of a file in the layers above its own.
fn fate(case: &Case<'_>, layer: usize, path: &str) -> &'static str {
    let mut hidden = case.files.hidden().iter();
    match hidden.find(|hidden| hidden.file.layer == layer && hidden.file.member.path == path) {
        Some(hidden) if hidden.replaced => {
            "; a later layer replaces it, and anyone who can pull the image can still read it"
        }
        Some(_) => "; a later layer deletes it, and anyone who can pull the image can still read it",
        None => "",
    }
}

/// Whether it is of the tests of a package, or of a system's documents.
fn is_of_tests(path: &str) -> bool {
    const TESTS: [&str; 8] =
        ["test", "tests", "testing", "testdata", "__tests__", "fixtures", "example", "examples"];
    let mut parts = path.split('/');
    let is_place = |part: &str| PACKAGES.contains(&part) || part.starts_with("python3.");
    path.starts_with("usr/share/doc/") || (parts.any(is_place) && parts.any(|part| TESTS.contains(&part)))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::super::super::{Finding, Severity};
    use super::RULE;

    /// What is said of a file with these notes, which have commas between them.
    fn with(path: &str, notes: &str) -> Vec<Finding> {
        let sample = Sample::python().file(1, path, 0o600);
        let notes: Vec<&str> = notes.split(',').filter(|note| !note.is_empty()).collect();
        let sample = if notes.is_empty() { sample } else { sample.notes(1, path, &notes) };
        sample.check(&RULE)
    }

    #[test]
    fn logins_are_found_in_every_layer() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let found = with("var/task/.env", "secret password in DB_PASSWORD");
        assert_eq!(found[0].message, "it holds a secret: password in DB_PASSWORD");
        assert_eq!((found[0].severity, found[0].layer_number), (Severity::Error, Some(1)));
        let sample =
            Sample::empty(2).file(0, "a/.npmrc", 0o644).notes(0, "a/.npmrc", &["secret npm token npm_…abcd"]);
        assert_eq!(
            sample.clone().file(1, "a/.wh..npmrc", 0).says(&RULE),
            [
                "a/.npmrc: it holds a secret: npm token npm_…abcd; a later layer deletes it, and anyone who can pull \
                 the image can still read it"
            ]
        );
        let replaced = sample.file(1, "a/.npmrc", 0o644).notes(1, "a/.npmrc", &["no login"]).says(&RULE);
        assert_eq!(replaced.len(), 1);
        assert!(replaced[0].contains("a later layer replaces it"), "{replaced:?}");
        let many = with(".env", "secret a,secret b,secret c,secret d");
        assert_eq!(many[0].message, "it holds 4 secrets: a, b, c and others");
    }

    #[test]
    fn what_may_hold_logins_is_a_warning() {
        for (path, notes) in
            [("var/task/.env", "login environment file"), ("root/.ssh/id_rsa", ""), ("root/.netrc", "")]
        {
            let found = with(path, notes);
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(found[0].severity, Severity::Warning, "{path}");
        }
        for (path, notes) in
            [("var/task/.npmrc", "no login"), ("var/task/.npmrc", ""), ("a/credentials.json", "")]
        {
            assert!(with(path, notes).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_git_repository_is_found_once() {
        let sample = Sample::python()
            .file(1, "var/task/.git/HEAD", 0o644)
            .file(1, "var/task/.git/config", 0o644)
            .notes(1, "var/task/.git/config", &["no login"])
            .file(1, "var/task/.git/refs/remotes/origin/HEAD", 0o644);
        let found = sample.check(&RULE);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].path.as_deref(), found[0].severity), (Some("var/task/.git"), Severity::Warning));
    }

    #[test]
    fn what_packages_bring_is_none() {
        let secret = "secret private key";
        for path in [
            "var/task/node_modules/ssh2/test/fixtures/id_rsa",
            "usr/lib/python3/dist-packages/a/tests/.netrc",
            "usr/lib/python3.11/test/id_rsa",
            "usr/share/doc/a/.env",
        ] {
            assert!(with(path, secret).is_empty(), "{path}");
        }
        assert!(with("var/task/node_modules/a/.env", "login environment file").is_empty());
        assert_eq!(with("var/task/node_modules/a/.npmrc", "secret npm token").len(), 1);
        assert_eq!(with("var/task/tests/id_rsa", secret).len(), 1, "of the function's own");
    }
}
