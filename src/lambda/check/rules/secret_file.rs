//! No layer contains a file with credentials.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::super::case::{Case, Hidden, Member};
use super::super::facts::Fact;
use super::super::finding::Severity;
use super::super::rule::{Findings, Rule};
use super::super::secrets::{self, Kind};

pub(super) const RULE: Rule = Rule {
    name: "secret-file",
    severity: Severity::Error,
    what: "No layer contains a file with credentials, even if a later layer deletes it.",
    why: "Everyone who can pull the image can read all of its layers. Deleting a file in a later layer hides it only \
          from the function. The rule examines the files in which tools store credentials, and small settings of the \
          function itself; credentials in an installed package, and files that only may contain some, are warnings.",
    example: "`COPY . .` with an .env file or a .git directory in the build context; `COPY .npmrc .`, followed by `RUN \
              rm .npmrc`.",
    help: "revoke the credentials, and exclude the file with .dockerignore; for the build, mount it with RUN \
           --mount=type=secret",
    source: "https://docs.docker.com/build/building/secrets/",
    check,
};

/// Upper bound on the packages that are distinguished from the function's files; a hostile image can have a million.
const MOST: usize = 50_000;

/// Upper bound on the secrets of a file that its message lists.
const LISTED: usize = 3;

fn check(case: &Case<'_>, findings: &mut Findings) {
    // Lazy, as most images need neither.
    let hidden = LazyCell::new(|| hidden(case));
    let installed = LazyCell::new(|| Installed::of(case));
    for (number, scan) in case.known() {
        let files = scan.members.iter().filter(|member| member.size() > 0 && !member.is_outside());
        for member in files {
            let Some(Fault { severity, path, message }) = fault(case, member) else { continue };
            if is_of_others(&member.path, &installed) {
                continue;
            }
            let place = (number, member.path.as_str());
            let end = hidden.partition_point(|hidden| place_of(hidden) <= place);
            let fate = hidden[..end].last().filter(|hidden| place_of(hidden) == place);
            let fate = fate.map_or("", |hidden| fate_of(hidden));
            findings.add(format!("{message}{fate}")).as_severe(severity).in_layer(case, number).at(path);
        }
    }
}

/// The severity, path and message of a finding about a file.
struct Fault<'a> {
    severity: Severity,
    path: &'a str,
    message: String,
}

fn fault<'a>(case: &Case<'_>, member: &'a Member) -> Option<Fault<'a>> {
    let path = member.path.as_str();
    let packaged = || secrets::is_packaged(path);
    if let Some(path) = repository(case, path).filter(|_| !packaged()) {
        let message = "a git repository: its whole history, and perhaps credentials".to_owned();
        return Some(Fault { severity: Severity::Warning, path, message });
    }
    let kind = Kind::of(path)?;
    let packaged = packaged();
    // The environment files of published packages are not secret.
    if packaged && kind == Kind::Environment {
        return None;
    }
    let facts = member.facts();
    let secret = |fact: &'a Fact| match fact {
        Fact::Secret(secret) => Some(secret.as_str()),
        _ => None,
    };
    let found: Vec<&str> = facts.iter().filter_map(secret).collect();
    if !found.is_empty() {
        let severity = if packaged { Severity::Warning } else { Severity::Error };
        return Some(Fault { severity, path, message: holding(&found) });
    }
    let is_likely = match facts {
        [] => kind.is_for_secrets(),
        facts => facts.contains(&Fact::MayHoldLogin),
    };
    (is_likely && !packaged).then(|| {
        let message = format!("a file that may hold credentials: {}", kind.name());
        Fault { severity: Severity::Warning, path, message }
    })
}

fn holding(found: &[&str]) -> String {
    let listed = found[..found.len().min(LISTED)].join(", ");
    match found.len() {
        1 => format!("it holds a secret: {listed}"),
        all if all <= LISTED => format!("it holds {all} secrets: {listed}"),
        all => format!("it holds {all} secrets: {listed} and others"),
    }
}

/// The function's git repository, if the path is that of its HEAD. Repositories of cloned tools are public.
fn repository<'a>(case: &Case<'_>, path: &'a str) -> Option<&'a str> {
    let repository = path.strip_suffix("/HEAD").filter(|dir| *dir == ".git" || dir.ends_with("/.git"))?;
    let root = case.task_root();
    let below_root = path.strip_prefix(root).is_some_and(|inside| inside.starts_with('/'));
    (below_root || secrets::in_function(path).is_some()).then_some(repository)
}

/// The files that a higher layer hides, by layer and path.
fn hidden<'c, 'a>(case: &'c Case<'a>) -> Vec<&'c Hidden<'a>> {
    let mut hidden: Vec<_> = case.files.hidden().iter().collect();
    // The sort is stable: the last of several with the same path stays last.
    hidden.sort_by_key(|hidden| place_of(hidden));
    hidden
}

/// The layer and the path of a hidden file.
fn place_of<'a>(hidden: &Hidden<'a>) -> (usize, &'a str) {
    (hidden.file.layer, &hidden.file.member.path)
}

/// The end of the message for a file that a higher layer hides.
fn fate_of(hidden: &Hidden<'_>) -> &'static str {
    match hidden.replaced {
        true => "; a later layer replaces it, and anyone who can pull the image can still read it",
        false => "; a later layer deletes it, and anyone who can pull the image can still read it",
    }
}

/// Whether a file is documentation, belongs to the tests of a package or of the system, or came with a package: such
/// keys are public.
fn is_of_others(path: &str, installed: &LazyCell<Installed, impl FnOnce() -> Installed>) -> bool {
    let is_of_tests = secrets::has_tests(path)
        && (secrets::in_function(path).is_none() || secrets::is_packaged(path) || installed.beside(path));
    let is_documented = path.starts_with("usr/share/doc/");
    is_documented || is_of_tests || (Kind::of(path) == Some(Kind::Own) && installed.brought(path))
}

/// The Python packages in the layers, which may be installed among the function's own modules.
struct Installed {
    /// The directories in which packages are installed.
    places: BTreeSet<String>,
    /// The packages' own directories, in lower case.
    packages: BTreeSet<String>,
}

impl Installed {
    fn of(case: &Case<'_>) -> Installed {
        let mut installed = Installed { places: BTreeSet::new(), packages: BTreeSet::new() };
        for member in case.known().flat_map(|(_, scan)| &scan.members) {
            let Some((start, _)) = member.path.split_once(".dist-info") else { continue };
            let (place, name) = start.rsplit_once('/').unwrap_or(("", start));
            let package = name.split('-').next().unwrap_or(name);
            if installed.packages.len() >= MOST {
                break;
            }
            installed.places.insert(place.to_owned());
            let dir = if place.is_empty() { package.to_owned() } else { format!("{place}/{package}") };
            installed.packages.insert(dir.to_ascii_lowercase());
        }
        installed
    }

    /// Whether packages are installed in one of a file's parent directories.
    fn beside(&self, path: &str) -> bool {
        self.places.contains("") || secrets::parents(path).any(|parent| self.places.contains(parent))
    }

    /// Whether a file is in the directory of a package.
    fn brought(&self, path: &str) -> bool {
        secrets::parents(&path.to_ascii_lowercase()).any(|parent| self.packages.contains(parent))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::{Finding, Severity};
    use super::super::super::sample::Sample;
    use super::{Fact, RULE};

    /// An image with a file that has these facts.
    fn sample(path: &str, facts: &[Fact]) -> Sample {
        Sample::python().file(1, path, 0o600).facts(1, path, facts.iter().cloned())
    }

    fn with(path: &str, facts: &[Fact]) -> Vec<Finding> {
        sample(path, facts).check(&RULE)
    }

    fn secret(text: &str) -> Fact {
        Fact::Secret(text.to_owned())
    }

    #[test]
    fn credentials_are_found_in_every_layer() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let found = with("var/task/.env", &[secret("password in DB_PASSWORD")]);
        assert_eq!(found[0].message, "it holds a secret: password in DB_PASSWORD");
        assert_eq!((found[0].severity, found[0].layer_number), (Severity::Error, Some(1)));
        let token = secret("npm token npm_…");
        let sample = Sample::empty(2).file(0, "a/.npmrc", 0o644).facts(0, "a/.npmrc", [token]);
        assert_eq!(
            sample.clone().file(1, "a/.wh..npmrc", 0).says(&RULE),
            [
                "a/.npmrc: it holds a secret: npm token npm_…; a later layer deletes it, and anyone who can pull \
                 the image can still read it"
            ]
        );
        let replaced = sample.file(1, "a/.npmrc", 0o644).facts(1, "a/.npmrc", [Fact::NoLogin]).says(&RULE);
        assert_eq!(replaced.len(), 1);
        assert!(replaced[0].contains("a later layer replaces it"), "{replaced:?}");
        let many = with(".env", &["a", "b", "c", "d"].map(secret));
        assert_eq!(many[0].message, "it holds 4 secrets: a, b, c and others");
    }

    #[test]
    fn files_that_may_hold_credentials_are_a_warning() {
        for (path, facts) in
            [("var/task/.env", &[Fact::MayHoldLogin][..]), ("root/.ssh/id_rsa", &[]), ("root/.netrc", &[])]
        {
            let found = with(path, facts);
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(found[0].severity, Severity::Warning, "{path}");
        }
        for (path, facts) in [
            ("var/task/.npmrc", &[Fact::NoLogin][..]),
            ("var/task/.npmrc", &[]),
            ("var/task/.env", &[Fact::NoLogin]),
            ("var/task/config.json", &[]),
            ("a/credentials.json", &[]),
        ] {
            assert!(with(path, facts).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_functions_repository_is_found_once() {
        let sample = Sample::python()
            .file(1, "var/task/.git/HEAD", 0o644)
            .file(1, "var/task/.git/config", 0o644)
            .facts(1, "var/task/.git/config", [Fact::NoLogin])
            .file(1, "var/task/.git/refs/remotes/origin/HEAD", 0o644);
        let found = sample.check(&RULE);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].path.as_deref(), found[0].severity), (Some("var/task/.git"), Severity::Warning));
        for path in [".git/HEAD", "app/.git/HEAD"] {
            assert_eq!(with(path, &[]).len(), 1, "{path}");
        }
        for path in ["root/.pyenv/.git/HEAD", "opt/nvm/.git/HEAD", "var/task/node_modules/a/.git/HEAD"] {
            assert!(with(path, &[]).is_empty(), "{path}");
        }
        let elsewhere = Sample::python().file(1, "opt/app/.git/HEAD", 0o644);
        assert_eq!(
            elsewhere.process("Env", serde_json::json!(["LAMBDA_TASK_ROOT=/opt/app"])).says(&RULE).len(),
            1
        );
    }

    #[test]
    fn files_of_packages_are_ignored_or_a_warning() {
        let key = [secret("private key in line 1")];
        for path in [
            "var/task/node_modules/ssh2/test/fixtures/id_rsa",
            "usr/lib/python3/dist-packages/a/tests/.netrc",
            "usr/lib/python3.11/test/id_rsa",
            "usr/local/go/src/crypto/testdata/id_rsa",
            "usr/share/doc/a/.env",
            "var/task/node_modules/a/.env",
        ] {
            assert!(with(path, &key).is_empty(), "{path}");
        }
        let packaged = with("var/task/node_modules/a/.npmrc", &[secret("npm token npm_…")]);
        assert_eq!(packaged[0].severity, Severity::Warning);
        assert_eq!(with("var/task/tests/id_rsa", &key).len(), 1, "the function's own tests");
    }

    #[test]
    fn packages_may_be_among_the_functions_own_modules() {
        let key = [secret("private key in line 1")];
        for path in ["var/task/moto/moto_proxy/ca.key", "var/task/Moto/a.pem", "var/task/tornado/test/id_rsa"]
        {
            assert_eq!(with(path, &key).len(), 1, "{path}");
            let installed = sample(path, &key).file(1, "var/task/moto-5.1.0.dist-info/METADATA", 0o644);
            assert_eq!(installed.says(&RULE), [""; 0], "{path}");
        }
        let own =
            sample("var/task/certs/ca.key", &key).file(1, "var/task/moto-5.1.0.dist-info/RECORD", 0o644);
        assert_eq!(own.says(&RULE), ["var/task/certs/ca.key: it holds a secret: private key in line 1"]);
    }
}
