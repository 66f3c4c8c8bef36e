//! Derives an image's version of Python, and its C library, from the image's name.

use super::base::is_named_after_lambda;

/// Facts about the Python of a base image that the image's name shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PythonBase {
    /// The version, such as `3.12`.
    pub version: Option<String>,
    /// Whether the image is one of Lambda's own, or named like one.
    pub is_lambda: bool,
    /// Whether the image is Alpine, whose C library is musl.
    pub is_alpine: bool,
}

impl PythonBase {
    /// Parses the name of a runtime (`python3.12`) or of an image (`registry/lambda/python:3.12-arm64`).
    pub fn named(name: &str) -> PythonBase {
        let version = name.rfind("python").and_then(|at| {
            let rest = name[at + "python".len()..].trim_start_matches([':', '-']);
            let minor = rest.strip_prefix("3.")?;
            let end = minor.find(|c: char| !c.is_ascii_digit()).unwrap_or(minor.len());
            (end > 0).then(|| format!("3.{}", &minor[..end]))
        });
        let is_lambda = is_named_after_lambda(name);
        // Only the last part counts: a directory or a registry may have any name.
        let is_alpine = name.rsplit('/').next().is_some_and(|last| last.contains("alpine"));
        PythonBase { version, is_lambda, is_alpine }
    }

    /// The glibc version (major, minor) that programs in the image can rely on: that of Amazon Linux 2 or 2023 in
    /// Lambda's own images; in other images an older one that nearly all wheels still support.
    ///
    /// <https://docs.aws.amazon.com/lambda/latest/dg/python-image.html>
    pub fn glibc(version: &str, is_lambda: bool) -> (u32, u32) {
        if !is_lambda {
            return (2, 28);
        }
        // The version may include a patch number.
        let minor: Option<u32> = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        match minor {
            Some(..12) => (2, 26),
            _ => (2, 34),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_part_of_the_name() {
        for (name, version, is_lambda) in [
            ("python3.12", Some("3.12"), true),
            ("python3.9", Some("3.9"), true),
            ("public.ecr.aws/lambda/python:3.13-arm64", Some("3.13"), true),
            ("r.example/python:3.11-slim", Some("3.11"), false),
            ("oci:bases/python3.12", Some("3.12"), false),
            ("oci:base:python3.12", Some("3.12"), false),
            ("r.example/app:1", None, false),
            ("r.example/python:latest", None, false),
            ("nodejs22.x", None, true),
        ] {
            let expected = PythonBase { version: version.map(str::to_owned), is_lambda, is_alpine: false };
            assert_eq!(PythonBase::named(name), expected, "{name}");
        }
    }

    #[test]
    fn alpine_is_part_of_the_last_component() {
        for (name, is_alpine) in [
            ("r.example/python:3.12-alpine", true),
            ("r.example/python:3.12-alpine3.20@sha256:00", true),
            ("r.example/alpine:3.20", true),
            ("r.example/alpine/python:3.12-slim", false),
            ("python3.12", false),
        ] {
            assert_eq!(PythonBase::named(name).is_alpine, is_alpine, "{name}");
        }
    }

    #[test]
    fn the_glibc_is_that_of_the_distribution() {
        assert_eq!(PythonBase::glibc("3.11", true), (2, 26));
        assert_eq!(PythonBase::glibc("3.11.9", true), (2, 26));
        assert_eq!(PythonBase::glibc("3.12", true), (2, 34));
        assert_eq!(PythonBase::glibc("3.12", false), (2, 28));
        assert_eq!(PythonBase::glibc("3.11", false), (2, 28));
    }
}
