//! Names of images as Docker prints them.

use lbuild::image::Reference;

/// The name with its tag or digest, without the registry and the namespace of Docker's official images.
pub fn familiar(name: &Reference) -> String {
    short(&name.to_string())
}

/// The repository's name, as [`familiar`].
pub fn familiar_repository(name: &Reference) -> String {
    short(&name.repository_name())
}

fn short(name: &str) -> String {
    let name =
        name.strip_prefix("docker.io/").map_or(name, |rest| rest.strip_prefix("library/").unwrap_or(rest));
    name.to_owned()
}

/// Whether a name fits a pattern of `--filter reference=`: `*` and `?` fit anything but a slash.
pub fn fits(pattern: &str, name: &Reference) -> bool {
    matches(pattern.as_bytes(), familiar(name).as_bytes())
        || matches(pattern.as_bytes(), familiar_repository(name).as_bytes())
}

/// Whether a pattern fits a text.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, text)
                || matches!(text, [first, more @ ..] if *first != b'/' && matches(pattern, more))
        }
        ([b'?', rest @ ..], [first, more @ ..]) => *first != b'/' && matches(rest, more),
        ([wanted, rest @ ..], [first, more @ ..]) => wanted == first && matches(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printed_as_docker_prints_it() {
        for (name, expected) in [
            ("hello", "hello:latest"),
            ("me/hello:v1", "me/hello:v1"),
            ("docker.io/library/python:3.12", "python:3.12"),
            ("r.example/hello", "r.example/hello:latest"),
        ] {
            assert_eq!(familiar(&name.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_pattern_fits_the_name_with_or_without_the_tag() {
        let name: Reference = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/assets:0ab".parse().unwrap();
        for (pattern, fitting) in [
            ("*/*:0ab", true),
            ("*/*", true),
            ("*:0ab", false),
            ("*/*:0a", false),
            ("*/asset?", true),
            ("*/*/*", false),
        ] {
            assert_eq!(fits(pattern, &name), fitting, "{pattern}");
        }
    }
}
