//! Names of variables, labels, arguments and options that hold secrets.

use super::placeholder::{is_literal, is_made_of, is_words, may_be_secret};
use super::secret::Secret;

/// Upper bound on the length of a name.
const LONGEST: usize = 100;

/// The minimum length of an option's value: a shorter next word may be a separate argument.
const OPTION: usize = 10;

const PASSWORD: &str = "password";

/// The secret that a variable, label or argument holds, by its name.
pub fn named(name: &str, value: &str) -> Option<Secret> {
    let kind = kind_of(name)?;
    let value = unquoted(value);
    // Names of secrets in a store consist of words, but so do weak passwords.
    let is_name = is_words(value) && (kind != PASSWORD || is_about_secrets(value));
    (may_be_secret(value) && !is_name).then(|| Secret::of(kind, "", value))
}

/// Like [`named`], for a line of shell code, where the value may be an expression that reads the secret.
pub fn in_shell(name: &str, value: &str) -> Option<Secret> {
    named(name, value).filter(|_| is_literal(unquoted(value)))
}

/// The name and the value of a `NAME=VALUE` in a shell, a Dockerfile or an option of a command.
pub fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.trim_start_matches(['-', '"', '\'']);
    // npm prefixes the names of its credentials with the URL of a registry.
    let name = name.rsplit_once("/:").map_or(name, |(_, name)| name);
    // `name==1.2` is a comparison or a requirement.
    (is_name(name) && !value.starts_with('=')).then_some((name, unquoted(value)))
}

/// The name and value of an option whose value is the next word: `--token`, `abc`.
pub fn option<'a>(word: &'a str, next: &'a str) -> Option<(&'a str, &'a str)> {
    let (name, value) = (word.strip_prefix("--")?, unquoted(next));
    let is_value = value.len() >= OPTION && !value.starts_with('-') && !value.contains('=');
    (is_name(name) && is_value).then_some((name, value))
}

/// Whether a text has the form of a name; such a text may be shown.
pub fn is_name(name: &str) -> bool {
    name.len() <= LONGEST && is_made_of(name, |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// Whether the value with this name is public: bundlers put such variables into web pages, and the client keys of
/// Firebase and Supabase only identify a project.
pub fn is_public(name: &str) -> bool {
    const WORDS: [&str; 6] = ["PUBLIC", "PUBLISHABLE", "ANON", "FIREBASE", "VITE", "GATSBY"];
    let name = name.to_ascii_uppercase();
    name.starts_with("REACT_APP_") || words(&name).any(|word| WORDS.contains(&word))
}

/// Whether the value with this name identifies a resource or is an address.
pub fn is_of_thing(name: &str) -> bool {
    const ENDS: [&str; 22] = [
        "ID", "IDS", "ARN", "NAME", "BUCKET", "TABLE", "QUEUE", "TOPIC", "HOST", "HOSTNAME", "DOMAIN",
        "ENDPOINT", "URL", "URI", "POOL", "IMAGE", "TAG", "VERSION", "COMMIT", "SHA", "SHA256", "HASH",
    ];
    words(&name.to_ascii_uppercase()).last().is_some_and(|word| ENDS.contains(&word))
}

/// A value without its quotes and trailing punctuation.
pub fn unquoted(value: &str) -> &str {
    value.trim().trim_end_matches([';', ',', ')']).trim_matches(['"', '\''])
}

fn words(name: &str) -> impl Iterator<Item = &str> + Clone {
    name.split(['_', '-', '.', '/', ':']).filter(|word| !word.is_empty())
}

/// The kind of secret that a name stands for.
fn kind_of(name: &str) -> Option<&'static str> {
    const ENDS: [(&str, &str); 11] = [
        ("PASSWORD", PASSWORD),
        ("PASSWD", PASSWORD),
        ("PASSPHRASE", PASSWORD),
        ("TOKEN", "token"),
        ("APIKEY", "API key"),
        ("ACCESSKEY", "access key"),
        ("PRIVATEKEY", "private key"),
        ("SECRETKEY", "secret"),
        ("SECRETKEYBASE", "secret"),
        ("RAILSMASTERKEY", "secret"),
        ("SECRET", "secret"),
    ];
    // Words of names for limits, switches and ciphertext.
    const NOT: [&str; 17] = [
        "MAX",
        "MIN",
        "TOKENIZERS",
        "ENCRYPTED",
        "HASHED",
        "EXAMPLE",
        "DUMMY",
        "KMS",
        "NO",
        "WITHOUT",
        "DISABLE",
        "DISABLED",
        "ENABLE",
        "ENABLED",
        "REQUIRE",
        "ALLOW",
        "USE",
    ];
    if is_public(name) {
        return None;
    }
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = words(&name).collect();
    if words.iter().any(|word| NOT.contains(word)) {
        return None;
    }
    let whole = words.concat();
    let by_end = ENDS.iter().find(|(end, _)| whole.ends_with(end)).map(|(_, kind)| *kind);
    // PWD alone is the working directory.
    let is_short = words.len() > 1 && matches!(words.last(), Some(&("PASS" | "PWD")));
    by_end.or(is_short.then_some(PASSWORD))
}

/// Whether words describe a secret: `my-secret-pw`, `prod_db_password`.
fn is_about_secrets(value: &str) -> bool {
    const WORDS: [&str; 8] = ["password", "passwd", "pass", "pwd", "pw", "secret", "token", "credentials"];
    let value = value.to_ascii_lowercase();
    let mut words = words(&value);
    words.clone().count() > 1 && words.any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised_by_their_names() {
        for (name, value, expected) in [
            ("DB_PASSWORD", "hunter2hunter2", Some("password")),
            ("DB_PASSWORD", "correcthorse", Some("password")),
            ("PGPASSWORD", "'hunter2hunter2'", Some("password")),
            ("SMTP_PASS", "hunter2hunter2", Some("password")),
            ("dbPassword", "hunter2hunter2", Some("password")),
            ("npm-token", "0123456789abcdef", Some("token")),
            ("CLIENT_SECRET", "0d9f1e0c-6a57-4f6e-9d0e-0a4a4b8b1c11", Some("secret")),
            ("SECRET_KEY_BASE", "0123456789abcdef", Some("secret")),
            ("DATADOG_API_KEY", "7169605f62c751356d054a26a821e680", Some("API key")),
            ("AWS_SECRET_ACCESS_KEY", "abcd/EFGH/12x/3y", Some("access key")),
            ("RAILS_MASTER_KEY", "7169605f62c751356d054a26a821e680", Some("secret")),
        ] {
            let secret = named(name, value).map(|secret| secret.to_string());
            assert_eq!(secret.as_deref(), expected, "{name}={value}");
        }
    }

    #[test]
    fn other_names_do_not_stand_for_secrets() {
        for name in [
            "TOKEN_URL",
            "TOKEN_TTL_SECONDS",
            "SECRET_ARN",
            "SECRET_NAME",
            "SECRET_MANAGER_PROJECT",
            "DB_PASSWORD_PARAMETER",
            "DB_PASSWORD_FILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_SECRET_ID",
            "AWS_ACCESS_KEY_ID",
            "KEY_ID",
            "PUBLIC_KEY",
            "NEXT_PUBLIC_API_KEY",
            "VITE_MAPS_API_KEY",
            "REACT_APP_API_KEY",
            "FIREBASE_API_KEY",
            "SUPABASE_ANON_KEY",
            "ENCRYPTED_PASSWORD",
            "MAX_TOKENS",
            "TOKENIZERS_PARALLELISM",
            "disabled-password",
            "GPG_KEY",
            "GPG_KEYS",
            "PYTHON_SHA256",
            "RUBY_DOWNLOAD_SHA256",
            "NODE_VERSION",
            "JAVA_HOME",
            "PWD",
            "OLDPWD",
            "PATH",
        ] {
            assert_eq!(named(name, "7169605F62c751356d054a26a821e680"), None, "{name}");
        }
    }

    #[test]
    fn other_values_are_not_secrets() {
        for (name, value) in [
            ("DB_PASSWORD", "short"),
            ("DB_PASSWORD", "${DB_PASSWORD}"),
            ("DB_PASSWORD", "<put it here>"),
            ("DB_PASSWORD", "changeme-please"),
            ("DB_PASSWORD", "12345678"),
            ("DB_PASSWORD", "/run/secrets/db"),
            ("DB_PASSWORD", "prod/db-1/password"),
            ("DB_PASSWORD", "prod-db-password"),
            ("DB_PASSWORD", "arn:aws:secretsmanager:eu-west-1:1:secret:db"),
            ("DB_PASSWORD", "{{resolve:secretsmanager:db:SecretString:password}}"),
            ("MYSQL_ROOT_PASSWORD", "my-secret-pw"),
            ("TRUSTSTORE_PASSWORD", "changeit"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("DB_SECRET", "prod-database-1"),
            ("API_KEY", "MyApiKeyParameter"),
            ("LICENSE_KEY_SECRET", "NEW_RELIC_LICENSE_KEY"),
            ("EOS_TOKEN", "<|endoftext|>"),
        ] {
            assert_eq!(named(name, value), None, "{name}={value}");
        }
    }

    #[test]
    fn an_assignment_has_a_name() {
        assert_eq!(assignment("TOKEN=\"a=b\";"), Some(("TOKEN", "a=b")));
        assert_eq!(assignment("--db-password=x"), Some(("db-password", "x")));
        assert_eq!(assignment("\"//r.example/:_authToken=x\""), Some(("_authToken", "x")));
        for none in [
            "=",
            "\"$TOKEN\"=x",
            "s/password=.*/x/=",
            "${A:=b}",
            "https://h/?token=x",
            "(token=x",
            "token==1.2",
        ] {
            assert_eq!(assignment(none), None, "{none}");
        }
    }

    #[test]
    fn an_option_has_a_value() {
        assert_eq!(option("--api-token", "a1B2c3D4a1B2"), Some(("api-token", "a1B2c3D4a1B2")));
        for (word, next) in [
            ("--disabled-password", "--gecos"),
            ("--token", "short"),
            ("--secret", "id=npm,src=.npmrc"),
            ("-p", "a1B2c3D4a1B2"),
            ("token", "a1B2c3D4a1B2"),
        ] {
            assert_eq!(option(word, next), None, "{word} {next}");
        }
    }

    #[test]
    fn code_that_reads_a_secret_is_not_one() {
        assert!(in_shell("TOKEN", "a1B2c3D4a1B2").is_some());
        for code in ["os.environ['TOKEN1']", "settings.PASSWORD", "getenv(\"T1\")", "data[0].token"] {
            assert_eq!(in_shell("password", code), None, "{code}");
        }
    }

    #[test]
    fn resources_are_recognised_by_their_names() {
        assert!(is_of_thing("USER_POOL_ID") && is_of_thing("table-name") && !is_of_thing("SALT"));
    }
}
