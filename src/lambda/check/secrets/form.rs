//! Secrets that are recognised by their form.

use std::ops::Range;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::{Captures, Regex};

use self::Signs::{AnyCase, Exact};
use super::placeholder::{is_made_up, is_placeholder};
use super::secret::Secret;

/// Upper bound on the secrets that are reported for one text.
pub const MOST: usize = 20;

/// The number of bytes before and after one half of an AWS key that are searched for the other half.
const NEAR: usize = 200;

/// The minimum length of a reported password in a URL, in bytes.
const SHORT: usize = 6;

/// The number of leading bytes of a secret that are searched for signs of a placeholder.
const SAMPLE: usize = 64;

/// A secret in a text, and its offset.
pub struct Place {
    /// The offset of the match.
    pub at: usize,
    /// Whether the form is unambiguous in any text.
    pub is_sure: bool,
    /// The secret.
    pub secret: Secret,
}

/// The form of a kind of secret.
struct Form {
    kind: &'static str,
    /// Whether the form is unambiguous.
    is_sure: bool,
    /// Every text with such a secret contains one of these strings. Few texts do, so few patterns are compiled:
    /// compiling one takes longer than checking a config.
    signs: Signs,
    /// The first group is the prefix that may be shown (possibly empty), the second the secret.
    pattern: &'static str,
    /// Compiled when a text has one of the signs.
    compiled: OnceLock<Regex>,
    /// Decides whether a match is a secret, given the text and the match.
    is_one: fn(&str, &Captures<'_>) -> bool,
}

impl Form {
    fn compiled(&self) -> &Regex {
        let compile = || Regex::new(self.pattern).unwrap_or_else(|_| unreachable!("the pattern is right"));
        self.compiled.get_or_init(compile)
    }
}

/// Strings that show that a text may contain a form.
enum Signs {
    Exact(&'static [&'static str]),
    /// In lower or upper case.
    AnyCase(&'static str),
}

impl Signs {
    fn are_in(&self, text: &str) -> bool {
        match self {
            Signs::Exact(signs) => signs.iter().any(|sign| text.contains(sign)),
            Signs::AnyCase(sign) => {
                let mut windows = text.as_bytes().windows(sign.len());
                windows.any(|window| window.eq_ignore_ascii_case(sign.as_bytes()))
            }
        }
    }
}

const fn sure(kind: &'static str, signs: Signs, pattern: &'static str) -> Form {
    Form { kind, is_sure: true, signs, pattern, compiled: OnceLock::new(), is_one: |_, _| true }
}

const fn likely(
    kind: &'static str,
    signs: Signs,
    pattern: &'static str,
    is_one: fn(&str, &Captures<'_>) -> bool,
) -> Form {
    Form { kind, is_sure: false, signs, pattern, compiled: OnceLock::new(), is_one }
}

const AWS_KEY: &str = "AWS access key";
const AWS_SECRET: &str = "AWS secret access key";

/// * AWS: the characters after the prefix are base32.
///   <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
/// * GitHub: <https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github>
/// * Google: keys of Firebase look the same, and are public.
///   <https://firebase.google.com/docs/projects/api-keys>
///
/// Headers and URLs come last, as their secrets may have one of the other forms. Word boundaries are ASCII: the regex
/// crate is compiled without Unicode tables.
static FORMS: [Form; 15] = [
    Form {
        kind: "private key",
        is_sure: true,
        signs: Exact(&["PRIVATE KEY"]),
        pattern: concat!(
            r"()-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            // Line ends, possibly escaped, and the headers of old formats.
            r"(?:[ \t\r\n]|\\[nr]|[A-Z][A-Za-z-]{3,20}: [ -\[\]-~]*)*",
            r"([A-Za-z0-9+/]{16}[A-Za-z0-9+/=\\ \t\r\n]{44,})",
        ),
        compiled: OnceLock::new(),
        is_one: is_open,
    },
    likely(AWS_KEY, Exact(&["AKIA", "ASIA"]), r"(?-u:\b)(AKIA|ASIA)([A-Z2-7]{16})(?-u:\b)", is_of_no_link),
    sure(
        AWS_SECRET,
        AnyCase("access"),
        concat!(
            r#"()(?i-u:secret_?access_?key)["']?(?:[ \t]*[:=][ \t]*|[ \t]+)["']?"#,
            r"([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)",
        ),
    ),
    sure("GitHub token", Exact(&["gho_", "ghp_", "ghr_", "ghu_"]), r"(?-u:\b)(gh[opru]_)([A-Za-z0-9]{36,})"),
    sure("GitHub token", Exact(&["ghs_"]), r"(?-u:\b)(ghs_)([A-Za-z0-9._-]{36,})"),
    sure("GitHub token", Exact(&["github_pat_"]), r"(?-u:\b)(github_pat_)([A-Za-z0-9_]{60,})"),
    sure("GitLab token", Exact(&["glpat-"]), r"(?-u:\b)(glpat-)([A-Za-z0-9_.-]{20,})"),
    sure("npm token", Exact(&["npm_"]), r"(?-u:\b)(npm_)([A-Za-z0-9]{36})(?-u:\b)"),
    sure(
        "PyPI token",
        Exact(&["pypi-AgE"]),
        r"(?-u:\b)(pypi-AgE)((?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{40,})",
    ),
    sure("Slack token", Exact(&["xox"]), r"(?-u:\b)(xox[abprs]-)((?:[0-9]-)?[0-9]{6,}-[A-Za-z0-9-]{10,})"),
    sure("Stripe key", Exact(&["k_live_"]), r"(?-u:\b)([rs]k_live_)([A-Za-z0-9]{16,})"),
    likely(
        "Google API key",
        Exact(&["AIza"]),
        r"(?-u:\b)(AIza)([A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)",
        |_, _| true,
    ),
    likely(
        "JSON web token",
        Exact(&["eyJ"]),
        r"(?-u:\b)(eyJ)([A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{16,})",
        is_of_somebody,
    ),
    likely(
        "login in a header",
        AnyCase("authorization"),
        concat!(
            r#"()(?i-u:authorization)["']?[ \t]*[:=][ \t]*["']?(?i-u:bearer|basic|token)[ \t]+"#,
            r"([A-Za-z0-9._~+/=-]{16,})",
        ),
        |_, _| true,
    ),
    likely(
        "password in a URL",
        Exact(&["://"]),
        concat!(
            r#"(?-u:\b)()[A-Za-z][A-Za-z0-9+.-]*://[^ \t\r\n/:@"'<>?#]*:([^ \t\r\n/@"'?#]+)"#,
            r"@([A-Za-z0-9.\[-]+)",
        ),
        is_login,
    ),
];

/// The secrets in a text that are recognised by their form, each once.
pub fn find(text: &str) -> Vec<Secret> {
    places(text).into_iter().map(|place| place.secret).collect()
}

/// The secrets in a text that are recognised by their form: the first occurrence of each, ordered by form.
pub fn places(text: &str) -> Vec<Place> {
    let mut search = Search { text, known: Vec::new(), found: Vec::new() };
    for form in FORMS.iter().filter(|form| form.signs.are_in(text)) {
        for parts in form.compiled().captures_iter(text) {
            let (Some(whole), Some(prefix), Some(rest)) = (parts.get(0), parts.get(1), parts.get(2)) else {
                continue;
            };
            if search.known.len() >= MOST {
                return search.found;
            }
            if !is_real(rest.as_str()) || !(form.is_one)(text, &parts) {
                continue;
            }
            let at = whole.start();
            search.take(form.kind, form.is_sure, prefix.as_str(), at, rest.range());
            if form.kind == AWS_KEY
                && let Some(secret) = other_half(text, &rest.range())
            {
                search.take(AWS_SECRET, true, "", secret.start, secret);
            }
        }
    }
    search.found
}

/// The secrets found in a text so far, and their ranges.
struct Search<'t> {
    text: &'t str,
    known: Vec<Range<usize>>,
    found: Vec<Place>,
}

impl Search<'_> {
    fn take(&mut self, kind: &'static str, is_sure: bool, prefix: &str, at: usize, range: Range<usize>) {
        if self.known.iter().any(|known| known.start < range.end && range.start < known.end) {
            return;
        }
        let secret = Secret::of(kind, prefix, &self.text[range.clone()]);
        self.known.push(range);
        if self.found.iter().all(|place| place.secret != secret) {
            self.found.push(Place { at, is_sure, secret });
        }
    }
}

fn is_real(secret: &str) -> bool {
    // A long value may contain a short word by chance.
    let sample = secret.get(..SAMPLE).unwrap_or(secret);
    !is_placeholder(sample) && !is_made_up(sample)
}

/// Whether a private key has no passphrase. With one, OpenSSH's format contains `bcrypt` in base64.
fn is_open(_: &str, parts: &Captures<'_>) -> bool {
    parts.get(0).is_some_and(|key| !["ENCRYPTED", "YmNyeXB0"].iter().any(|sign| key.as_str().contains(sign)))
}

/// Whether the key is not part of a presigned URL, which does not contain the secret half.
fn is_of_no_link(text: &str, parts: &Captures<'_>) -> bool {
    parts.get(0).is_some_and(|key| !text[..key.start()].ends_with("Credential="))
}

/// Whether a token has claims about a user. Tokens for anonymous access to a database and the well-known example are
/// excluded.
fn is_of_somebody(_: &str, parts: &Captures<'_>) -> bool {
    let claims = parts.get(2).and_then(|token| token.as_str().split('.').nth(1));
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.map(|claims| String::from_utf8_lossy(&claims).replace(' ', ""));
    claims.is_some_and(|claims| {
        claims.starts_with('{')
            && !claims.contains(r#""role":"anon""#)
            && !claims.contains(r#""sub":"1234567890""#)
    })
}

/// Whether a URL has a login for another machine, not a default one. `docker://name:tag@sha256:…` names an image.
fn is_login(_: &str, parts: &Captures<'_>) -> bool {
    const OTHER: [&str; 6] = ["localhost", "127.0.0.1", "0.0.0.0", "[", "sha256", "sha512"];
    const EXAMPLES: [&str; 3] = ["example.com", "example.org", "example.net"];
    let (Some(whole), Some(password), Some(host)) = (parts.get(0), parts.get(2), parts.get(3)) else {
        return false;
    };
    let user = whole.as_str().split_once("://").and_then(|(_, login)| login.split_once(':'));
    let is_default = user.is_some_and(|(user, _)| user == password.as_str());
    password.len() >= SHORT
        && !is_default
        && !OTHER.contains(&host.as_str())
        && !EXAMPLES.iter().any(|example| host.as_str().ends_with(example))
}

/// The secret half of an AWS key, near the other half: forty characters of base64. Paths and commit hashes do not have
/// all of lower case, upper case and digits.
fn other_half(text: &str, key: &Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let (start, end) = (key.start.saturating_sub(NEAR), bytes.len().min(key.end + NEAR));
    let mut next = start;
    bytes[start..end].split(|byte| !is_base64(byte)).find_map(|run| {
        let range = next..next + run.len();
        next = range.end + 1;
        // The window may end within a longer run of base64.
        let is_whole = (range.start == 0 || !is_base64(&bytes[range.start - 1]))
            && bytes.get(range.end).is_none_or(|byte| !is_base64(byte));
        let is_mixed = run.iter().any(u8::is_ascii_lowercase)
            && run.iter().any(u8::is_ascii_uppercase)
            && run.iter().any(u8::is_ascii_digit);
        (run.len() == 40 && is_whole && is_mixed && is_real(&text[range.clone()])).then_some(range)
    })
}

#[cfg(test)]
mod tests;
