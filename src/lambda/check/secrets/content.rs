//! Finds the secrets in the content of a file.

use std::sync::LazyLock;

use regex::Regex;

use super::file::Kind;
use super::form;
use super::name::{is_name, is_of_thing, is_public, named, unquoted};
use super::placeholder::{is_placeholder, is_random};
use super::secret::Secret;

/// Upper bound on the size of a function's own settings, in bytes: larger files are data.
const SMALL: usize = 64 << 10;

/// A string member of a JSON object, with its name.
static JSON: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#""([A-Za-z_]+)"[ \t\r\n]*:[ \t\r\n]*"([^"]+)""#;
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is right"))
});

/// The result of the search for logins in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Logins {
    /// These secrets, by kind and place, such as `password in DB_PASSWORD`.
    Secrets(Vec<String>),
    /// No secret was found, but the file may hold one.
    Possible,
    /// The file holds none.
    Absent,
}

/// The logins in the content of a file that may hold some; `None` for other files and for empty ones. A function's own
/// settings usually hold none: they give `None` unless a secret is found.
pub fn logins(path: &str, content: &[u8]) -> Option<Logins> {
    let kind = Kind::of(path).filter(|_| !content.is_empty())?;
    if kind == Kind::Own && (content.len() > SMALL || content.contains(&0)) {
        return None;
    }
    let text = String::from_utf8_lossy(content);
    let mut secrets = by_form(kind, &text);
    if kind == Kind::Own {
        return (!secrets.is_empty()).then_some(Logins::Secrets(secrets));
    }
    let settings = settings(kind, &text);
    for &(name, value) in &settings {
        if secrets.len() >= form::MOST {
            break;
        }
        let Some((name, secret)) = setting(kind, name, value) else { continue };
        let secret = format!("{secret} in {name}");
        // The list already has the secrets that are recognised by their form.
        if !secrets.contains(&secret) && form::find(&format!("{name}={value}")).is_empty() {
            secrets.push(secret);
        }
    }
    Some(if !secrets.is_empty() {
        Logins::Secrets(secrets)
    } else if may_hold_more(kind, &settings) {
        Logins::Possible
    } else {
        Logins::Absent
    })
}

/// The secrets that are recognised by their form, with their lines; in settings, only unambiguous forms.
fn by_form(kind: Kind, text: &str) -> Vec<String> {
    let secrets = form::places(text).into_iter().filter_map(|place| {
        let start = text[..place.at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        let is_for_all = kind == Kind::Environment
            && line.split_once('=').is_some_and(|(name, _)| is_public(exported(name)));
        if is_for_all || (kind == Kind::Own && !place.is_sure) {
            return None;
        }
        Some(format!("{} in line {}", place.secret, text[..start].matches('\n').count() + 1))
    });
    secrets.collect()
}

/// Whether a file without recognised secrets may hold one: if a variable's value looks like one, or in the state of
/// Terraform, which stores the passwords of resources under any name.
fn may_hold_more(kind: Kind, settings: &[(&str, &str)]) -> bool {
    let is_likely =
        |&(name, value): &(&str, &str)| !is_public(name) && !is_of_thing(name) && is_random(value);
    match kind {
        Kind::Environment => settings.iter().any(is_likely),
        Kind::Terraform => true,
        _ => false,
    }
}

/// The name that a line of a shell script sets.
fn exported(name: &str) -> &str {
    let name = name.trim();
    name.strip_prefix("export ").unwrap_or(name).trim()
}

/// The names and values that a file of this kind sets.
fn settings(kind: Kind, text: &str) -> Vec<(&str, &str)> {
    match kind {
        Kind::Netrc => {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.windows(2).map(|pair| (pair[0], pair[1])).filter(|(name, _)| *name == "password").collect()
        }
        Kind::AwsCache | Kind::Docker | Kind::Google | Kind::Azure | Kind::Terraform => {
            let texts = JSON.captures_iter(text);
            texts.filter_map(|parts| Some((parts.get(1)?.as_str(), parts.get(2)?.as_str()))).collect()
        }
        _ => {
            // Names in npm's configuration contain colons.
            let separators: &[char] = if kind == Kind::Npm { &['='] } else { &['=', ':'] };
            let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
            let pairs = lines.filter_map(|line| {
                let (name, value) = line.split_once(separators)?;
                let value = value.split(" #").next().unwrap_or(value);
                Some((exported(name), unquoted(value)))
            });
            pairs.collect()
        }
    }
}

/// The secret in a setting of a file, and the name to report it by.
fn setting<'a>(file: Kind, name: &'a str, value: &str) -> Option<(&'a str, Secret)> {
    const SECRETS: [(Kind, &str, &str); 22] = [
        (Kind::AwsCache, "accessToken", "token"),
        (Kind::AwsCache, "refreshToken", "token"),
        (Kind::AwsCache, "clientSecret", "secret"),
        (Kind::Npm, "_authToken", "token"),
        (Kind::Npm, "_auth", "login"),
        (Kind::Npm, "_password", "password"),
        (Kind::Yarn, "npmAuthToken", "token"),
        (Kind::Yarn, "npmAuthIdent", "login"),
        (Kind::Pypi, "password", "password"),
        (Kind::Netrc, "password", "password"),
        (Kind::GitConfig, "extraheader", "login"),
        (Kind::Docker, "auth", "login"),
        (Kind::Docker, "identitytoken", "token"),
        (Kind::Docker, "registrytoken", "token"),
        (Kind::Docker, "password", "password"),
        (Kind::Google, "refresh_token", "token"),
        (Kind::Azure, "client_secret", "secret"),
        (Kind::Azure, "secret", "token"),
        (Kind::Azure, "refreshToken", "token"),
        (Kind::Tool, "password", "password"),
        (Kind::Tool, "token", "token"),
        (Kind::Tool, "client-key-data", "private key"),
    ];
    if matches!(file, Kind::Environment | Kind::Terraform) {
        return named(name, value).filter(|_| is_name(name)).map(|secret| (name, secret));
    }
    let &(_, name, kind) = SECRETS.iter().find(|(of, end, _)| *of == file && ends_with(name, end))?;
    // A header begins with the scheme of the login.
    let value = value.rsplit([' ', '\t']).next().unwrap_or(value);
    (!value.is_empty() && !is_placeholder(value)).then(|| (name, Secret::of(kind, "", value)))
}

/// Whether a name ends with `end`, ignoring case, as git does.
fn ends_with(name: &str, end: &str) -> bool {
    let start = name.len().checked_sub(end.len());
    start.and_then(|start| name.get(start..)).is_some_and(|own| own.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    use super::super::secret::tests::random;
    use super::*;

    /// The secrets in a file.
    fn secrets(path: &str, content: &[u8]) -> Vec<String> {
        match logins(path, content) {
            Some(Logins::Secrets(secrets)) => secrets,
            _ => Vec::new(),
        }
    }

    #[test]
    fn each_secret_has_its_kind_and_place() {
        for (path, content, expected) in [
            (".npmrc", "//r.example/:_authToken=0123456789abcdef\n", "token in _authToken"),
            (".yarnrc.yml", "npmRegistries:\n  a:\n    npmAuthToken: \"0123abcd\"", "token in npmAuthToken"),
            (".netrc", "machine m login me\npassword hunter2", "password in password"),
            (".pypirc", "[pypi]\nusername: me\npassword: hunter2\n", "password in password"),
            ("pip.conf", "[global]\nindex-url = https://me:hunter2@r/", "password in a URL in line 2"),
            (".docker/config.json", r#"{"auths": {"r": {"auth": "bWU6eA=="}}}"#, "login in auth"),
            (".git/config", "[http]\n\textraHeader = AUTHORIZATION: basic bWU6eA==", "login in extraheader"),
            (".git/config", "\turl = https://me:hunter2@r/a", "password in a URL in line 1"),
            (".git-credentials", "https://me:hunter2@github.com", "password in a URL in line 1"),
            (".env", "# mine\nexport DB_PASSWORD='hunter2hunter2' # x\nPORT=80", "password in DB_PASSWORD"),
            (".config/gcloud/credentials.db", "\0{\"refresh_token\": \"1//a1B2\"}", "token in refresh_token"),
            (".azure/msal_token_cache.json", r#"{"secret": "0.AX4a1B2"}"#, "token in secret"),
            (".aws/sso/cache/1.json", r#"{"accessToken": "aoaAAAAa1B2"}"#, "token in accessToken"),
            ("terraform.tfstate", r#"{"password": "hunter2hunter2"}"#, "password in password"),
            (".cargo/credentials.toml", "[registry]\ntoken = \"cio1B2c3D4\"", "token in token"),
        ] {
            assert_eq!(secrets(path, content.as_bytes()), [expected], "{path}: {content}");
        }
    }

    #[test]
    fn a_file_without_logins_is_recognised() {
        for (path, content) in [
            (".npmrc", "//r.example/:_authToken=${NPM_TOKEN}\nfund=false"),
            (".npmrc", "registry=https://r.example/\nalways-auth=true"),
            (".yarnrc.yml", "npmAuthToken: \"${NPM_TOKEN-}\""),
            (".pypirc", "[distutils]\nindex-servers = pypi\n"),
            (".pypirc", "[pypi]\nusername = __token__\n# password = hunter2\n"),
            (".netrc", "machine m login me"),
            (".docker/config.json", r#"{"credHelpers": {"r": "ecr-login"}, "auths": {"q": {}}}"#),
            (".git/config", "[remote \"origin\"]\n\turl = https://github.com/a/b"),
            (".git/config", "\textraheader = AUTHORIZATION: basic ***"),
            (".aws/config", "[default]\nregion = eu-west-1"),
            (".aws/credentials", "[default]\ncredential_process = x"),
            (".aws/credentials", "aws_access_key_id = testing\naws_secret_access_key = testing"),
            (".ssh/id_rsa", "not a key"),
            ("credentials.json", r#"{"a": "b"}"#),
            (".env", "# nothing\n\n"),
            (
                ".env",
                "PORT=80\nTABLE=orders-prod\nAWS_REGION=eu-west-1\nAPI=https://i.example/a1B2c3D4a1B2c3D4",
            ),
            (".env", "USER_POOL_ID=eu-west-1_a1B2c3D4a1B2\nDB_PASSWORD=${DB_PASSWORD}"),
        ] {
            assert_eq!(logins(path, content.as_bytes()), Some(Logins::Absent), "{path}: {content}");
        }
        assert_eq!(logins(".env", b""), None);
    }

    #[test]
    fn a_random_value_under_another_name_may_be_a_login() {
        let content = format!("PORT=80\nSALT={}", random(32));
        assert_eq!(logins(".env", content.as_bytes()), Some(Logins::Possible));
        assert_eq!(logins("terraform.tfstate", b"{\"version\": 4}"), Some(Logins::Possible));
    }

    #[test]
    fn secrets_by_form_are_reported_once_with_their_lines() {
        let content = format!("A=1\nAWS_SECRET_ACCESS_KEY={}\n# ghp_{}\n", random(40), random(36));
        let expected = ["AWS secret access key in line 2", "GitHub token ghp_… in line 3"];
        assert_eq!(secrets(".env", content.as_bytes()), expected);
        let public = format!("export NEXT_PUBLIC_MAPS=AIza{}\nKEY=AIza{}x", random(35), random(34));
        assert_eq!(secrets(".env", public.as_bytes()), ["Google API key AIza… in line 2"]);
    }

    #[test]
    fn settings_have_only_secrets_of_unambiguous_forms() {
        let key = format!("{{\"private_key\": \"-----BEGIN {} KEY-----\\n{}\"}}", "PRIVATE", random(64));
        assert_eq!(secrets("var/task/config/a.json", key.as_bytes()), ["private key in line 1"]);
        let aws = format!("a: 1\nid: AKIAZ3MHBFVX7KPLQRST\nkey: {}\n", random(40));
        let found = secrets("var/task/a.yml", aws.as_bytes());
        assert_eq!(found, ["AWS secret access key in line 3"], "the access key alone is not a secret");
        for content in [
            "id: AKIAZ3MHBFVX7KPLQRST".to_owned(),
            "url: amqp://me:hunter2@queue\npassword: hunter2hunter2".to_owned(),
            format!("\0ghp_{}", random(36)),
            format!("ghp_{}{}", random(36), " ".repeat(SMALL)),
        ] {
            assert_eq!(logins("var/task/a.yml", content.as_bytes()), None, "{content}");
        }
        assert_eq!(logins("app.py", b"PASSWORD=hunter2hunter2"), None);
    }

    #[test]
    fn no_part_of_a_secret_is_stored() {
        let secret = random(40);
        for (path, content) in [
            (".env", format!("DB_PASSWORD={secret}\nSALT={secret}\nX=ghp_{secret}")),
            (".npmrc", format!("//r.example/:_authToken={secret}\n{secret}_auth={secret}")),
            (".netrc", format!("machine m password {secret}")),
            (".docker/config.json", format!("{{\"auth\": \"{secret}\"}}")),
            ("var/task/a.json", format!("{{\"ghp_{secret}\": 1}}")),
            ("var/task/terraform.tfstate", format!("{{\"token\": \"{secret}\"}}")),
        ] {
            let kept = secrets(path, content.as_bytes()).join("\n");
            assert!(!kept.is_empty(), "{path}");
            assert!(
                !secret.as_bytes().windows(4).any(|part| kept.as_bytes().windows(4).any(|own| own == part))
            );
        }
    }
}
