//! Secrets in text, known by their form or by the name that they have, and the files that hold logins.
//!
//! Nothing of a secret leaves this file but its kind, the prefix that all of its kind have, and four characters at
//! most of a long one.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// A secret that was found, and nothing of it that opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    /// What it is, as `GitHub token`.
    pub kind: &'static str,
    /// What may be shown of it; it may be nothing.
    pub shown: String,
}

impl Secret {
    fn of(kind: &'static str, prefix: &str, rest: &str) -> Secret {
        let length = rest.chars().count();
        let end: String = rest.chars().skip(length.saturating_sub(4)).collect();
        let shown = if length >= LONG && end.bytes().all(|byte| byte.is_ascii_graphic()) {
            format!("{prefix}…{end}")
        } else if prefix.is_empty() {
            String::new()
        } else {
            format!("{prefix}…")
        };
        Secret { kind, shown }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown.as_str() {
            "" => f.write_str(self.kind),
            shown => write!(f, "{} {shown}", self.kind),
        }
    }
}

/// As many characters as a secret has whose last four help nobody to guess the others.
const LONG: usize = 16;

/// The shortest value that is taken for a secret on the word of its name.
const SHORT: usize = 8;

/// More are not told one by one, in a text or of a file.
const MOST: usize = 20;

/// Kinds of secrets, and how each looks. The first group is what may be shown, the second what may not; either may be
/// empty.
///
/// * AWS: the characters behind the prefix are those of base32.
///   <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
/// * GitHub: <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github>
///
/// The password in an address comes last: it may be one of the others. A word's edge is that of ASCII, as nothing
/// else is compiled in.
const FORMS: [(&str, &str); 12] = [
    (
        "private key",
        concat!(
            r"()-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            // Line ends, which may be written out, and the heads that old formats have.
            r"(?:[ \t\r\n]|\\[nr]|[A-Z][A-Za-z-]{3,20}: [ -\[\]-~]*)*()[A-Za-z0-9+/]{16}",
        ),
    ),
    ("AWS access key", r"(?-u:\b)(AKIA|ASIA)([A-Z2-7]{16})(?-u:\b)"),
    (
        "AWS secret access key",
        concat!(
            r#"()(?i-u:secret_?access_?key)["']?(?:[ \t]*[:=][ \t]*|[ \t]+)["']?"#,
            r"([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        ),
    ),
    ("GitHub token", r"(?-u:\b)(gh[opru]_)([A-Za-z0-9]{36,})"),
    ("GitHub token", r"(?-u:\b)(ghs_)([A-Za-z0-9._-]{36,})"),
    ("GitHub token", r"(?-u:\b)(github_pat_)([A-Za-z0-9_]{60,})"),
    ("npm token", r"(?-u:\b)(npm_)([A-Za-z0-9]{36})(?-u:\b)"),
    ("PyPI token", r"(?-u:\b)(pypi-)(AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{40,})"),
    ("Slack token", r"(?-u:\b)(xox[abprs]-)((?:[0-9]-)?[0-9]{6,}-[A-Za-z0-9-]{10,})"),
    ("Stripe key", r"(?-u:\b)([rs]k_live_)([A-Za-z0-9]{16,})"),
    ("Google API key", r"(?-u:\b)(AIza)([A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)"),
    (
        "password in a URL",
        concat!(
            r#"(?-u:\b)()[A-Za-z][A-Za-z0-9+.-]*://[^ \t\r\n/:@"'<>?#]*:([^ \t\r\n/@"'?#]+)"#,
            r"@([A-Za-z0-9.\[-]+)",
        ),
    ),
];

static COMPILED: LazyLock<Vec<(&'static str, Regex)>> =
    LazyLock::new(|| FORMS.iter().map(|&(kind, pattern)| (kind, compiled(pattern))).collect());

/// A text of a JSON object, with its name.
static JSON: LazyLock<Regex> = LazyLock::new(|| compiled(r#""([A-Za-z_]+)"[ \t\r\n]*:[ \t\r\n]*"([^"]+)""#));

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is right"))
}

/// The secrets in a text that can be told by their form.
pub(super) fn find(text: &str) -> Vec<Secret> {
    let mut found: Vec<Secret> = Vec::new();
    let mut places: Vec<Range<usize>> = Vec::new();
    for (kind, form) in COMPILED.iter() {
        for parts in form.captures_iter(text) {
            let (Some(prefix), Some(rest)) = (parts.get(1), parts.get(2)) else { continue };
            if places.len() >= MOST {
                return found;
            }
            let is_known = places.iter().any(|place| place.start < rest.end() && rest.start() < place.end);
            // `docker://name:tag@sha256:…` is an image's name.
            let is_digest = parts.get(3).is_some_and(|host| ["sha256", "sha512"].contains(&host.as_str()));
            if is_known || is_digest || is_placeholder(rest.as_str()) {
                continue;
            }
            places.push(rest.range());
            let secret = Secret::of(kind, prefix.as_str(), rest.as_str());
            if !found.contains(&secret) {
                found.push(secret);
            }
        }
    }
    found
}

/// The secret that a variable, label or argument of this name holds, if its name says so.
pub(super) fn named(name: &str, value: &str) -> Option<Secret> {
    let kind = kind_of_name(name)?;
    let value = unquoted(value);
    // The name of a secret that is kept elsewhere is made of words.
    let is_name =
        kind == "secret" && is_made_of(value, |byte| byte.is_ascii_lowercase() || b"-_.".contains(&byte));
    (is_secret(value) && !is_name).then(|| Secret::of(kind, "", value))
}

/// The two sides of a `NAME=VALUE`, as it stands in shells, Dockerfiles and commands' options.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.trim_start_matches(['-', '"', '\'']);
    let is_name = is_made_of(name, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    (is_name && name.len() <= 100).then_some((name, unquoted(value)))
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_end_matches([';', ',', ')']).trim_matches(['"', '\''])
}

fn is_made_of(text: &str, of: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(of)
}

fn kind_of_name(name: &str) -> Option<&'static str> {
    const ENDS: [(&str, &str); 9] = [
        ("PASSWORD", "password"),
        ("PASSWD", "password"),
        ("PASSPHRASE", "password"),
        ("TOKEN", "token"),
        ("APIKEY", "API key"),
        ("ACCESSKEY", "access key"),
        ("PRIVATEKEY", "private key"),
        ("SECRETKEY", "secret"),
        ("SECRET", "secret"),
    ];
    // Limits, what everybody may see, and what is ciphertext.
    const NOT: [&str; 9] =
        ["MAX", "MIN", "TOKENIZERS", "PUBLIC", "PUBLISHABLE", "ENCRYPTED", "HASHED", "EXAMPLE", "KMS"];
    // What else a name that begins with SECRET may be about.
    const ABOUT: [&str; 18] = [
        "FILE",
        "ARN",
        "ARNS",
        "NAME",
        "NAMES",
        "ID",
        "IDS",
        "PATH",
        "DIR",
        "URL",
        "URI",
        "ENDPOINT",
        "PARAMETER",
        "TTL",
        "VERSION",
        "PREFIX",
        "REGION",
        "TYPE",
    ];
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split(['_', '-', '.', '/', ':']).filter(|word| !word.is_empty()).collect();
    let (first, last) = (words.first()?, words.last()?);
    if words.iter().any(|word| NOT.contains(word)) {
        return None;
    }
    let whole = words.concat();
    let by_end = ENDS.iter().find(|(end, _)| whole.ends_with(end)).map(|(_, kind)| *kind);
    by_end.or_else(|| (*first == "SECRET" && !ABOUT.contains(last)).then_some("secret"))
}

fn is_secret(value: &str) -> bool {
    let is_elsewhere =
        ["arn:", "file:", "ssm:", "secretsmanager:", "vault:"].iter().any(|at| value.starts_with(at));
    // Base64 has capitals too.
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/_.-".contains(&byte);
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start))
        || value.contains("://")
        || (value.contains('/') && is_made_of(value, is_small));
    let is_constant = is_made_of(value, |byte| byte.is_ascii_uppercase() || byte == b'_');
    value.chars().count() >= SHORT
        && !value.contains(char::is_whitespace)
        && value.parse::<f64>().is_err()
        && !(is_elsewhere || is_path || is_constant || is_placeholder(value))
}

/// Whether it stands for a value that is put there later, or shows where one would be.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 18] = [
        "password",
        "passwd",
        "passphrase",
        "pass",
        "pwd",
        "secret",
        "token",
        "key",
        "apikey",
        "none",
        "null",
        "undefined",
        "unset",
        "test",
        "default",
        "disabled",
        "required",
        "optional",
    ];
    const PARTS: [&str; 10] = [
        "example",
        "placeholder",
        "changeme",
        "change-me",
        "change_me",
        "redacted",
        "replace",
        "dummy",
        "xxxx",
        "****",
    ];
    const PAIRS: [(&str, &str); 6] =
        [("<", ">"), ("[", "]"), ("{", "}"), ("%", "%"), ("@", "@"), ("__", "__")];
    let lower = value.to_ascii_lowercase();
    let is_variable =
        value.starts_with(['$', '`']) || ["${", "$(", "{{"].iter().any(|mark| value.contains(mark));
    let first = value.bytes().next();
    is_variable
        || PAIRS.iter().any(|&(open, close)| value.starts_with(open) && value.ends_with(close))
        || is_made_of(value, |byte| Some(byte) == first)
        || is_made_of(value, |byte| b"xX*.-_#?".contains(&byte))
        || lower.starts_with("your")
        || PARTS.iter().any(|part| lower.contains(part))
        || WORDS.contains(&lower.as_str())
}

const ENVIRONMENT: &str = "environment file";
const AWS: &str = "AWS credentials";
const NPM: &str = "npm's configuration";
const PYPI: &str = "PyPI's configuration";
const PIP: &str = "pip's configuration";
const NETRC: &str = "netrc";
const GIT: &str = "git's credentials";
const GIT_CONFIG: &str = "git's configuration";
const DOCKER: &str = "Docker's configuration";
const SSH: &str = "SSH key";
const GOOGLE: &str = "Google Cloud credentials";
const KEY_FILE: &str = "service account's key";

/// What kind of logins a file at this path is there for.
pub(super) fn is_secret_file(path: &str) -> Option<&'static str> {
    // What only shows how such a file looks, or is no list of variables.
    const OTHER: [&str; 17] = [
        "example", "examples", "sample", "template", "tmpl", "tpl", "dist", "default", "defaults", "schema",
        "vault", "md", "js", "cjs", "mjs", "ts", "py",
    ];
    const KEYS: [&str; 6] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk"];
    const PLACES: [(&str, &str); 10] = [
        (".aws/credentials", AWS),
        (".npmrc", NPM),
        (".pypirc", PYPI),
        ("pip.conf", PIP),
        (".netrc", NETRC),
        (".git-credentials", GIT),
        (".git/config", GIT_CONFIG),
        (".docker/config.json", DOCKER),
        (".config/gcloud/application_default_credentials.json", GOOGLE),
        ("credentials.json", KEY_FILE),
    ];
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_other = |end: &str| end.split('.').any(|part| OTHER.contains(&part));
    if name == ".env" || name.strip_prefix(".env.").is_some_and(|end| !is_other(end)) {
        return Some(ENVIRONMENT);
    }
    let in_ssh = dir == ".ssh" || dir.ends_with("/.ssh");
    if KEYS.contains(&name) || (in_ssh && name.starts_with("id_") && !name.ends_with(".pub")) {
        return Some(SSH);
    }
    let is_at =
        |place: &str| path.strip_suffix(place).is_some_and(|dir| dir.is_empty() || dir.ends_with('/'));
    PLACES.iter().find(|(place, _)| is_at(place)).map(|(_, kind)| *kind)
}

/// Whether files of this kind often hold no login, and are so plain that one would have been found.
pub(super) fn is_plain(kind: &str) -> bool {
    [NPM, PYPI, PIP, GIT_CONFIG, DOCKER, KEY_FILE].contains(&kind)
}

/// What is to be kept of the content of a file of logins: `secret …` for each that it holds, `login …` when it should
/// hold some and none was found, `no login` when it holds none.
pub(super) fn notes(path: &str, content: &[u8]) -> Vec<String> {
    let Some(kind) = is_secret_file(path).filter(|_| !content.is_empty()) else { return Vec::new() };
    let text = String::from_utf8_lossy(content);
    let mut notes: Vec<String> = find(&text).iter().map(|secret| format!("secret {secret}")).collect();
    for (name, value) in settings(kind, &text) {
        let Some((name, secret)) = setting(kind, name, value) else { continue };
        // What can be told by its form is among them already.
        if find(&format!("{name}={value}")).is_empty() {
            notes.push(format!("secret {secret} in {name}"));
        }
        if notes.len() >= MOST {
            break;
        }
    }
    if notes.is_empty() {
        let is_empty = text.lines().all(|line| line.trim().is_empty() || is_comment(line));
        notes.push(if is_empty || is_plain(kind) { "no login".to_owned() } else { format!("login {kind}") });
    }
    notes
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

/// What a file of this kind sets, by name.
fn settings<'a>(kind: &str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    match kind {
        NETRC => {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.windows(2).map(|pair| (pair[0], pair[1])).filter(|(name, _)| *name == "password").collect()
        }
        DOCKER | GOOGLE | KEY_FILE => {
            let texts = JSON.captures_iter(text);
            texts.filter_map(|parts| Some((parts.get(1)?.as_str(), parts.get(2)?.as_str()))).collect()
        }
        _ => {
            // npm's names have colons in them.
            let separators: &[char] = if kind == NPM { &['='] } else { &['=', ':'] };
            let lines = text.lines().filter(|line| !is_comment(line));
            let pairs = lines.filter_map(|line| {
                let (name, value) = line.split_once(separators)?;
                let name = name.trim();
                let value = value.split(" #").next().unwrap_or(value);
                Some((name.strip_prefix("export ").unwrap_or(name).trim(), unquoted(value)))
            });
            pairs.collect()
        }
    }
}

/// The secret that such a file sets by this, and the name to call it by.
fn setting<'a>(file: &str, name: &'a str, value: &str) -> Option<(&'a str, Secret)> {
    const SECRETS: [(&str, &str, &str); 14] = [
        (NPM, "_authToken", "token"),
        (NPM, "_auth", "login"),
        (NPM, "_password", "password"),
        (PYPI, "password", "password"),
        (NETRC, "password", "password"),
        (GIT_CONFIG, "extraheader", "login"),
        (DOCKER, "auth", "login"),
        (DOCKER, "identitytoken", "token"),
        (DOCKER, "registrytoken", "token"),
        (DOCKER, "password", "password"),
        (GOOGLE, "private_key", "private key"),
        (GOOGLE, "refresh_token", "token"),
        (GOOGLE, "client_secret", "secret"),
        (KEY_FILE, "private_key", "private key"),
    ];
    if file == ENVIRONMENT {
        let is_name = is_made_of(name, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        return named(name, value).filter(|_| is_name && name.len() <= 100).map(|secret| (name, secret));
    }
    let &(_, name, kind) = SECRETS.iter().find(|(of, end, _)| *of == file && name.ends_with(end))?;
    // A header has its scheme in front of the login.
    let value = value.rsplit([' ', '\t']).next().unwrap_or(value);
    (!value.is_empty() && !is_placeholder(value)).then(|| (name, Secret::of(kind, "", value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        find(text).iter().map(ToString::to_string).collect()
    }

    /// Random enough, and put together here so that nobody's scanner takes this file for a leak.
    fn random(length: usize) -> String {
        "a1B2c3D4".chars().cycle().take(length).collect()
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        for (text, expected) in [
            (format!("id=AKIA{}", "Z3MHBFVX7KPLQRST"), "AWS access key AKIA…QRST"),
            (format!("aws_secret_access_key = {}", random(40)), "AWS secret access key …c3D4"),
            (format!("\"SecretAccessKey\": \"{}\"", random(40)), "AWS secret access key …c3D4"),
            (format!("-----BEGIN {} KEY-----\n{}", "PRIVATE", random(40)), "private key"),
            (format!("-----BEGIN RSA {} KEY-----\\n{}", "PRIVATE", random(40)), "private key"),
            (format!("'ghp_{}'", random(36)), "GitHub token ghp_…a1B2"),
            (format!("github_pat_{}", random(80)), "GitHub token github_pat_…c3D4"),
            (format!("npm_{} ", random(36)), "npm token npm_…a1B2"),
            (format!("pypi-AgEIcHlwaS5vcmc{}", random(48)), "PyPI token pypi-…c3D4"),
            (format!("xoxb-123456789012-{}", random(24)), "Slack token xoxb-…c3D4"),
            (format!("sk_live_{}", random(24)), "Stripe key sk_live_…c3D4"),
            (format!("AIza{};", random(35)), "Google API key AIza…4a1B"),
            ("postgres://me:hunter2@db/x".to_owned(), "password in a URL"),
            (format!("https://me:{}@i.example/", random(16)), "password in a URL …c3D4"),
        ] {
            assert_eq!(found(&text), [expected], "{text}");
        }
    }

    #[test]
    fn what_only_looks_so_is_none() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "TODAYINASIAASACKOFRICEFELLOVER",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "-----BEGIN PRIVATE KEY----- is how it begins",
            "npm_config_registry npm_package_json",
            "https://me:${PASSWORD}@i.example/",
            "https://me:$PASSWORD@i.example/",
            "https://<user>:<password>@i.example/",
            "https://me:xxx@i.example/ https://me:***@i.example/ https://me:@i.example/",
            "https://i.example:8080/@scope/a",
            "docker://alpine:3.20@sha256:00",
            "git+ssh://git@i.example/a",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_token_in_a_url_is_told_once() {
        let text = format!("https://x-access-token:ghs_{}@github.com/a/b", random(40));
        assert_eq!(found(&text), ["GitHub token ghs_…c3D4"]);
    }

    #[test]
    fn names_tell_secrets() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2hunter2", Some("password")),
            ("PGPASSWORD", "'hunter2hunter2'", Some("password")),
            ("npm-token", "0123456789abcdef", Some("token …cdef")),
            ("SECRET_KEY_BASE", "0123456789abcdef", Some("secret …cdef")),
            ("OPENAI_API_KEY", "sk-12345678", Some("API key")),
            ("AWS_SECRET_ACCESS_KEY", "abcd/EFGH/12", Some("access key")),
            ("DB_PASSWORD", "short", None),
            ("DB_PASSWORD", "${DB_PASSWORD}", None),
            ("DB_PASSWORD", "<put it here>", None),
            ("DB_PASSWORD", "changeme-please", None),
            ("DB_PASSWORD", "12345678", None),
            ("DB_PASSWORD_FILE", "hunter2hunter2", None),
            ("DB_PASSWORD", "/run/secrets/db", None),
            ("DB_PASSWORD", "arn:aws:secretsmanager:eu-west-1:1:secret:db", None),
            ("DB_PASSWORD", "prod/db-1/password", None),
            ("DB_SECRET", "prod-database", None),
            ("SECRET_NAME", "hunter2hunter2", None),
            ("LICENSE_KEY_SECRET", "NEW_RELIC_LICENSE_KEY", None),
            ("TOKENIZERS_PARALLELISM", "falsefalse", None),
            ("MAX_TOKENS", "123456789", None),
            ("EOS_TOKEN", "<|endoftext|>", None),
            ("NEXT_PUBLIC_API_KEY", "hunter2hunter2", None),
            ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305", None),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "hunter2hunter2", None),
        ] {
            let secret = named(name, value).map(|secret| secret.to_string());
            assert_eq!(secret.as_deref(), expected, "{name}={value}");
        }
    }

    #[test]
    fn assignments_have_names() {
        assert_eq!(assignment("TOKEN=\"a=b\";"), Some(("TOKEN", "a=b")));
        assert_eq!(assignment("--db-password=x"), Some(("db-password", "x")));
        for none in ["=", "\"$TOKEN\"=x", "s/password=.*/x/=", "${A:=b}", "https://h/?token=x"] {
            assert_eq!(assignment(none), None, "{none}");
        }
    }

    #[test]
    fn files_of_logins_are_known_by_their_paths() {
        for (path, expected) in [
            ("var/task/.env", Some(ENVIRONMENT)),
            (".env.production", Some(ENVIRONMENT)),
            ("root/.aws/credentials", Some(AWS)),
            (".npmrc", Some(NPM)),
            ("root/.docker/config.json", Some(DOCKER)),
            ("root/.ssh/id_work", Some(SSH)),
            ("var/task/id_rsa", Some(SSH)),
            ("var/task/.git/config", Some(GIT_CONFIG)),
            ("root/.config/gcloud/application_default_credentials.json", Some(GOOGLE)),
            ("var/task/.env.example", None),
            ("var/task/.env.production.sample", None),
            ("root/.aws/config", None),
            ("root/.ssh/id_rsa.pub", None),
            ("root/.ssh/known_hosts", None),
            ("var/task/.wh..env", None),
            ("etc/my.npmrc", None),
            ("var/task/config.json", None),
        ] {
            assert_eq!(is_secret_file(path), expected, "{path}");
        }
    }

    #[test]
    fn notes_say_what_a_file_holds_and_nothing_secret() {
        for (path, content, expected) in [
            (".npmrc", "//r.example/:_authToken=0123456789abcdef\n", "secret token …cdef in _authToken"),
            (".npmrc", "//r.example/:_authToken=${NPM_TOKEN}\nfund=false", "no login"),
            (".netrc", "machine m login me password hunter2", "secret password in password"),
            (".pypirc", "[pypi]\nusername: me\npassword: hunter2\n", "secret password in password"),
            (".pypirc", "[distutils]\nindex-servers = pypi\n", "no login"),
            (".docker/config.json", "{\"auths\": {\"r\": {\"auth\": \"bWU6eA==\"}}}", "secret login in auth"),
            (".docker/config.json", "{\"credsStore\": \"ecr-login\"}", "no login"),
            (
                ".git/config",
                "[http]\n\textraheader = AUTHORIZATION: basic bWU6eA==",
                "secret login in extraheader",
            ),
            (".git/config", "[remote \"origin\"]\n\turl = https://github.com/a/b", "no login"),
            (".git-credentials", "https://me:hunter2@github.com", "secret password in a URL"),
            (
                ".env",
                "# mine\nexport DB_PASSWORD='hunter2hunter2' # x\nPORT=80",
                "secret password in DB_PASSWORD",
            ),
            (".env", "PORT=80", "login environment file"),
            (".env", "# nothing\n\n", "no login"),
            (".aws/credentials", "[default]\ncredential_process = x", "login AWS credentials"),
            ("credentials.json", "{\"a\": \"b\"}", "no login"),
            ("credentials.json", "{\"private_key\": \"hunter2\"}", "secret private key in private_key"),
        ] {
            assert_eq!(notes(path, content.as_bytes()), [expected], "{path}: {content}");
        }
        let both = format!("AWS_SECRET_ACCESS_KEY={}\n", random(40));
        assert_eq!(notes(".env", both.as_bytes()), ["secret AWS secret access key …c3D4"]);
        assert_eq!(notes("app.py", b"PASSWORD=hunter2hunter2"), [""; 0]);
        assert_eq!(notes(".env", b""), [""; 0]);
    }
}
