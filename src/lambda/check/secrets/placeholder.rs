//! Values that are not secrets although their names suggest it: examples, variables, references to a secret store.

use std::collections::BTreeSet;

/// The length of the shortest value that counts as a secret because of its name.
const SHORT: usize = 8;

/// From this length on, the characters of a value show whether it is machine-generated.
const LONG: usize = 16;

/// Whether a text is not empty and all of its bytes satisfy a condition.
pub fn is_made_of(text: &str, of: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(of)
}

/// Whether a value may be a secret, given that its name is that of a secret.
pub fn may_be_secret(value: &str) -> bool {
    // A path is in lower case; base64 also has upper case.
    let is_small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/_.-".contains(&byte);
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start))
        || value.contains("://")
        || (value.contains('/') && is_made_of(value, is_small));
    let is_constant = is_made_of(value, |byte| byte.is_ascii_uppercase() || byte == b'_');
    value.chars().count() >= SHORT
        && !value.contains(char::is_whitespace)
        && value.parse::<f64>().is_err()
        && !(is_path || is_constant || is_elsewhere(value) || is_placeholder(value))
}

/// Whether a value refers to a secret that is stored elsewhere, is encrypted, or is public.
///
/// Base64 of KMS ciphertext begins with `AQICAH` or `AQECAH`; names of secrets that RDS manages begin with `rds!`.
fn is_elsewhere(value: &str) -> bool {
    const STARTS: [&str; 19] = [
        "arn:",
        "file:",
        "ssm:",
        "aws-ssm:",
        "secretsmanager:",
        "vault:",
        "rds!",
        "sha1:",
        "sha256:",
        "sha512:",
        "AQICAH",
        "AQECAH",
        "ENC(",
        "ENC[",
        "{cipher}",
        "pk_live_",
        "pk_test_",
        "sk_test_",
        "rk_test_",
    ];
    STARTS.iter().any(|start| value.starts_with(start))
}

/// Whether a value is a variable, an example, or the default of a tool.
pub fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 29] = [
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
        "testing",
        "default",
        "disabled",
        "required",
        "optional",
        "guest",
        "admin",
        "postgres",
        "minioadmin",
        "localstack",
        // The default of Java's certificate store.
        "changeit",
        // These accompany the token in URLs of GitHub.
        "x-oauth-basic",
        "x-access-token",
        "fixme",
        "todo",
    ];
    const PARTS: [&str; 20] = [
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
        "foobar",
        "insecure",
        "mypassword",
        "mysecret",
        "supersecret",
        "secretpassword",
        "notasecret",
        "not-a-",
        "your-",
        "your_",
    ];
    const PAIRS: [(&str, &str); 6] =
        [("<", ">"), ("[", "]"), ("{", "}"), ("%", "%"), ("@", "@"), ("__", "__")];
    const CODE: [&str; 3] = ["process.env", "os.environ", "env."];
    let lower = value.to_ascii_lowercase();
    let is_variable = value.starts_with(['$', '`'])
        || ["${", "$(", "{{", "#{", "%(", "%{"].iter().any(|mark| value.contains(mark))
        || CODE.iter().any(|code| value.starts_with(code));
    let first = value.bytes().next();
    is_variable
        || PAIRS.iter().any(|&(open, close)| value.starts_with(open) && value.ends_with(close))
        || is_made_of(value, |byte| Some(byte) == first)
        || is_made_of(value, |byte| b"xX*.-_#?".contains(&byte))
        || lower.starts_with("your")
        || PARTS.iter().any(|part| lower.contains(part))
        || WORDS.contains(&lower.as_str())
}

/// Whether a person typed a value that imitates a machine-generated one.
pub fn is_made_up(value: &str) -> bool {
    const RUNS: [&str; 5] = ["12345678", "01234567", "abcdefgh", "qwertyui", "deadbeef"];
    let lower = value.to_ascii_lowercase();
    let different: BTreeSet<u8> = lower.bytes().collect();
    RUNS.iter().any(|run| lower.contains(run)) || (value.len() >= LONG && different.len() < 6)
}

/// Whether a value consists of words and numbers, as names do: `prod-database-1`, `MyAppSecret`.
pub fn is_words(value: &str) -> bool {
    let is_word = |part: &str| {
        let letters = part.trim_end_matches(|letter: char| letter.is_ascii_digit());
        letters.is_empty()
            || (part.len() - letters.len() <= 3 && letters.bytes().all(|byte| byte.is_ascii_alphabetic()))
    };
    value.split(['-', '_', '.', '/', ':']).all(is_word)
}

/// Whether a value has only characters of secrets, and both letters and digits. In a command, other values may be code.
pub fn is_literal(value: &str) -> bool {
    is_made_of(value, |byte| byte.is_ascii_alphanumeric() || b"+/=_.~!@%^*-".contains(&byte))
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether a value looks machine-generated and is not an identifier or host name.
pub fn is_random(value: &str) -> bool {
    let is_uuid = value.len() == 36 && is_made_of(value, |byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-@".contains(&byte);
    let is_host = value.contains('.') && is_made_of(value, is_of_host);
    value.len() >= LONG
        && may_be_secret(value)
        && is_literal(value)
        && !(is_words(value) || is_uuid || is_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_not_secrets() {
        for value in [
            "${TOKEN}",
            "$TOKEN",
            "prefix-$(cat token)",
            "{{resolve:secretsmanager:db:SecretString:password}}",
            "#{token}#",
            "<token>",
            "__TOKEN__",
            "%TOKEN%",
            "process.env.TOKEN",
            "xxx",
            "********",
            "000000000000",
            "changeme",
            "CHANGE_ME_NOW",
            "your-token-here",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "changeit",
            "Password",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        assert!(!is_placeholder("hunter2hunter2"));
    }

    #[test]
    fn references_and_encrypted_or_public_values_are_not_secrets() {
        for value in [
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-a1B2c3",
            "ssm:/prod/db/password",
            "https://i.example/token",
            "/run/secrets/db",
            "prod/db-1/password",
            "AQICAHh4a1B2c3D4a1B2c3D4",
            "pk_live_a1B2c3D4a1B2c3D4",
            "sk_test_a1B2c3D4a1B2c3D4",
            "NEW_RELIC_LICENSE_KEY",
            "3600.00001",
            "two words",
            "short",
        ] {
            assert!(!may_be_secret(value), "{value}");
        }
        for value in ["hunter2hunter2", "a1B2/c3D4+e5F6", "0d9f1e0c-6a57-4f6e-9d0e-0a4a4b8b1c11"] {
            assert!(may_be_secret(value), "{value}");
        }
    }

    #[test]
    fn values_with_runs_or_few_characters_are_made_up() {
        for value in ["ABCDEFGHIJKLMNOP", "1234567890abcdef", "abababababababab"] {
            assert!(is_made_up(value), "{value}");
        }
        for value in ["Z3MHBFVX7KPLQRST", "7169605F62C751356D054A26A821E680E5FA6305", "aabb"] {
            assert!(!is_made_up(value), "{value}");
        }
    }

    #[test]
    fn names_consist_of_words() {
        for value in ["prod-database-1", "MyAppSecret", "db2", "my-bucket-123456789012", "v1.2/x"] {
            assert!(is_words(value), "{value}");
        }
        for value in ["hunter2hunter2", "abcdefgh12345678", "a1B2c3D4"] {
            assert!(!is_words(value), "{value}");
        }
    }

    #[test]
    fn random_values_are_not_identifiers_or_hosts() {
        assert!(is_random("a1B2c3D4a1B2c3D4") && is_random("7169605f62c751356d054a26a821e680"));
        for value in [
            "production",
            "eu-west-1",
            "my-bucket-123456789012",
            "db.cluster-c3x2abc1.eu-west-1.rds.amazonaws.com",
            "0d9f1e0c-6a57-4f6e-9d0e-0a4a4b8b1c11",
            "2026-11-21T00:00:00Z",
            "https://i.example/a1B2c3D4",
        ] {
            assert!(!is_random(value), "{value}");
        }
        assert!(is_literal("a1B2+/=") && !is_literal("os.environ['T1']") && !is_literal("settings.PASSWORD"));
    }
}
