//! [`Secret`]: a secret that was found.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A secret that was found, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The kind, such as `GitHub token`.
    pub kind: &'static str,
    /// The prefix that all secrets of this kind share, such as `ghp_`; may be empty.
    pub prefix: String,
    /// A hash that distinguishes the secrets of one run. Never print or store it: a short password can be guessed from
    /// it.
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

    /// A random-looking value, computed so that no secret scanner reports this source file.
    pub fn random(length: usize) -> String {
        "a1B2c3D4".chars().cycle().take(length).collect()
    }

    #[test]
    fn the_value_of_a_secret_is_not_shown() {
        let value = random(36);
        let secret = Secret::of("GitHub token", "ghp_", &value);
        assert_eq!(secret.to_string(), "GitHub token ghp_…");
        assert_eq!(Secret::of("password", "", &value).to_string(), "password");
        assert_ne!(secret, Secret::of("GitHub token", "ghp_", &random(37)), "the marks differ");
    }
}
