//! Lambda's managed runtimes by identifier, with their base images.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>; the dates are that page's
//! deprecation dates.

/// A managed runtime and the corresponding base image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The identifier, such as `python3.12`.
    pub name: &'static str,
    /// The base image's repository and tag below `public.ecr.aws/lambda/`.
    pub image: &'static str,
    /// The deprecation date (ISO 8601, such as `2028-10-31`), if AWS has announced one.
    pub deprecated: Option<&'static str>,
}

/// The base image for a runtime's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeBase {
    /// The full name of the image.
    pub image: String,
    /// The runtime, if this version of lbuild has an entry for it.
    pub runtime: Option<&'static Runtime>,
    name: String,
}

/// The base image of a runtime. Tags of the base images (`nodejs:22`, `nodejs22`) are accepted too. A name without
/// an entry may be newer than this version of lbuild; its base is derived from the pattern of the other names.
pub fn runtime_base(name: &str) -> RuntimeBase {
    let runtime = RUNTIMES.iter().find(|runtime| {
        runtime.name == name || runtime.image == name || runtime.name.strip_suffix(".x") == Some(name)
    });
    let image = runtime.map_or_else(|| image_like(name), |runtime| runtime.image.to_owned());
    RuntimeBase { image: format!("public.ecr.aws/lambda/{image}"), runtime, name: name.to_owned() }
}

/// The identifier of a runtime, by any of its names or by that of AWS's base image for it.
pub fn runtime_of(name: &str) -> Option<&'static str> {
    let image = name.strip_prefix("public.ecr.aws/lambda/").unwrap_or(name);
    let image = image.split('@').next().unwrap_or(image);
    if let Some(runtime) = runtime_base(image).runtime {
        return Some(runtime.name);
    }
    // Tags of single builds begin with the runtime's: python:3.12.2026.01.02.12, nodejs:22.2026.01.02, java:21-arm64
    let begins = |runtime: &&Runtime| {
        image.strip_prefix(runtime.image).is_some_and(|rest| rest.starts_with(['.', '-']))
    };
    RUNTIMES.iter().filter(begins).max_by_key(|runtime| runtime.image.len()).map(|runtime| runtime.name)
}

/// Applies the pattern of all names so far: `python3.15` has `python:3.15`, `nodejs26.x` has `nodejs:26`.
fn image_like(name: &str) -> String {
    let name = name.strip_suffix(".x").unwrap_or(name);
    match name.find(|c: char| c.is_ascii_digit() || c == '.' || c == ':') {
        Some(at) if at > 0 => format!("{}:{}", &name[..at], name[at..].trim_start_matches(['.', ':'])),
        _ => name.to_owned(),
    }
}

impl RuntimeBase {
    /// Warnings about the runtime on a given day (ISO 8601), each a message and its hint.
    pub fn warnings(&self, today: &str) -> Vec<(String, &'static str)> {
        match self.runtime {
            None => vec![(
                format!("lbuild does not know the runtime {}; taking {} as its base", self.name, self.image),
                "check the name, or give --base",
            )],
            Some(Runtime { deprecated: Some(day), .. }) if *day <= today => {
                vec![(
                    format!("the runtime {} has been deprecated since {day}", self.name),
                    "move the function to a newer runtime",
                )]
            }
            Some(_) => Vec::new(),
        }
    }
}

/// The known runtimes, newest last within a language.
const RUNTIMES: &[Runtime] = &[
    entry("python3.9", "python:3.9", Some("2025-12-15")),
    entry("python3.10", "python:3.10", Some("2026-10-31")),
    entry("python3.11", "python:3.11", Some("2027-06-30")),
    entry("python3.12", "python:3.12", Some("2028-10-31")),
    entry("python3.13", "python:3.13", Some("2029-06-30")),
    entry("python3.14", "python:3.14", Some("2029-06-30")),
    entry("nodejs18.x", "nodejs:18", Some("2025-09-01")),
    entry("nodejs20.x", "nodejs:20", Some("2026-04-30")),
    entry("nodejs22.x", "nodejs:22", Some("2027-04-30")),
    entry("nodejs24.x", "nodejs:24", Some("2028-04-30")),
    entry("java8.al2", "java:8.al2", Some("2027-06-30")),
    entry("java11", "java:11", Some("2027-06-30")),
    entry("java17", "java:17", Some("2027-06-30")),
    entry("java21", "java:21", Some("2029-06-30")),
    entry("java25", "java:25", Some("2029-06-30")),
    entry("dotnet8", "dotnet:8", Some("2026-11-10")),
    entry("dotnet9", "dotnet:9", Some("2026-11-10")),
    entry("dotnet10", "dotnet:10", Some("2028-11-14")),
    entry("ruby3.2", "ruby:3.2", Some("2026-03-31")),
    entry("ruby3.3", "ruby:3.3", Some("2027-03-31")),
    entry("ruby3.4", "ruby:3.4", Some("2028-03-31")),
    entry("ruby4.0", "ruby:4.0", Some("2029-03-31")),
    entry("provided.al2", "provided:al2", Some("2026-07-31")),
    entry("provided.al2023", "provided:al2023", Some("2029-06-30")),
];

const fn entry(name: &'static str, image: &'static str, deprecated: Option<&'static str>) -> Runtime {
    Runtime { name, image, deprecated }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_is_found_by_each_of_its_names() {
        for (name, image) in [
            ("python3.12", "python:3.12"),
            ("nodejs22.x", "nodejs:22"),
            ("nodejs22", "nodejs:22"),
            ("nodejs:22", "nodejs:22"),
            ("provided.al2023", "provided:al2023"),
            ("java8.al2", "java:8.al2"),
        ] {
            let base = runtime_base(name);
            assert_eq!(base.image, format!("public.ecr.aws/lambda/{image}"));
            assert!(base.runtime.is_some() && base.warnings("2025-01-01").is_empty());
            assert_eq!(runtime_of(&base.image), base.runtime.map(|runtime| runtime.name));
        }
        assert_eq!(runtime_of("public.ecr.aws/lambda/python:3.12@sha256:00"), Some("python3.12"));
        assert_eq!(runtime_of("public.ecr.aws/lambda/python:3.12.2026.01.02.12"), Some("python3.12"));
        assert_eq!(runtime_of("public.ecr.aws/lambda/java:8.al2.2026.01.02"), Some("java8.al2"));
        assert_eq!(runtime_of("public.ecr.aws/lambda/nodejs:20-arm64"), Some("nodejs20.x"));
        assert_eq!(runtime_of("oci:layout:python3.12"), None);
    }

    #[test]
    fn the_base_of_an_unknown_runtime_follows_the_pattern_with_a_warning() {
        for (name, image) in [
            ("python3.99", "python:3.99"),
            ("nodejs98.x", "nodejs:98"),
            ("provided.al2099", "provided:al2099"),
        ] {
            let base = runtime_base(name);
            assert_eq!(base.image, format!("public.ecr.aws/lambda/{image}"));
            assert_eq!(base.warnings("2025-01-01").len(), 1);
        }
    }

    #[test]
    fn a_runtime_has_a_warning_from_its_deprecation_date_on() {
        let base = runtime_base("nodejs20.x");
        assert!(base.warnings("2026-04-29").is_empty());
        assert_eq!(base.warnings("2026-04-30").len(), 1);
    }
}
