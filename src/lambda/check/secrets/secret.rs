//! [`Secret`]: a secret that was found.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A secret that was found, and nothing of it that opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What it is, as `GitHub token`.
    pub kind: &'static str,
    /// What all of its kind begin with, as `ghp_`; it may be nothing.
    pub prefix: String,
    /// Tells it from the others of a run. It is not to be shown or kept: a short password can be guessed from it.
    pub mark: u64,
}

impl Secret {
    pub(super) fn of(kind: &'static str, prefix: &str, value: &str) -> Secret {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Secret { kind, prefix: prefix.to_owned(), mark: hasher.finish() }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => f.write_str(self.kind),
            prefix => write!(f, "{} {prefix}…", self.kind),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Secret;

    /// Random enough, and made here: nobody's scanner shall take a test for a leak.
    pub fn random(length: usize) -> String {
        "a1B2c3D4".chars().cycle().take(length).collect()
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        let value = random(36);
        let secret = Secret::of("GitHub token", "ghp_", &value);
        assert_eq!(secret.to_string(), "GitHub token ghp_…");
        assert_eq!(Secret::of("password", "", &value).to_string(), "password");
        assert_ne!(secret, Secret::of("GitHub token", "ghp_", &random(37)), "they are told from each other");
    }
}
