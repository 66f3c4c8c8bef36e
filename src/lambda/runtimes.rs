//! Lambda's runtimes, by the identifiers that functions name them with.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html>; the dates are the deprecation dates
//! that the page gives.

/// A managed runtime and the base image that is its equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The identifier, as `python3.12`.
    pub name: &'static str,
    /// The base image's repository and tag below `public.ecr.aws/lambda/`.
    pub image: &'static str,
    /// The day from which Lambda no longer maintains it, as `2028-10-31`, where one is announced.
    pub deprecated: Option<&'static str>,
}

/// The base image for a runtime's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeBase {
    /// The full name of the image.
    pub image: String,
    /// The runtime, when it is one that this version knows.
    pub runtime: Option<&'static Runtime>,
    name: String,
}

/// The base image of a runtime. Tags of the base images (`nodejs:22`, `nodejs22`) are understood too, and a name
/// that is newer than this version of lbuild is taken at its word.
pub fn runtime_base(name: &str) -> RuntimeBase {
    let runtime = RUNTIMES.iter().find(|runtime| {
        runtime.name == name || runtime.image == name || runtime.name.strip_suffix(".x") == Some(name)
    });
    let image = runtime.map_or_else(|| image_like(name), |runtime| runtime.image.to_owned());
    RuntimeBase { image: format!("public.ecr.aws/lambda/{image}"), runtime, name: name.to_owned() }
}

/// The pattern that all names follow so far: `python3.15` is `python:3.15`, `nodejs26.x` is `nodejs:26`.
fn image_like(name: &str) -> String {
    let name = name.strip_suffix(".x").unwrap_or(name);
    match name.find(|c: char| c.is_ascii_digit() || c == '.' || c == ':') {
        Some(at) if at > 0 => format!("{}:{}", &name[..at], name[at..].trim_start_matches(['.', ':'])),
        _ => name.to_owned(),
    }
}

impl RuntimeBase {
    /// What a user should know of the runtime on a day (as `2026-11-21`): each a message and its way out.
    pub fn warnings(&self, today: &str) -> Vec<(String, &'static str)> {
        match self.runtime {
            None => vec![(
                format!("lbuild does not know the runtime {}; taking {} as its base", self.name, self.image),
                "check the name, or give --base",
            )],
            Some(Runtime { deprecated: Some(day), .. }) if *day <= today => {
                vec![(
                    format!("the runtime {} is deprecated since {day}", self.name),
                    "move the function to a newer runtime",
                )]
            }
            Some(_) => Vec::new(),
        }
    }
}

/// Those that are known, newest last within a language.
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
    fn a_runtime_is_known_by_each_of_its_names() {
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
        }
    }

    #[test]
    fn an_unknown_runtime_is_taken_at_its_word_with_a_warning() {
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
    fn a_deprecated_runtime_is_warned_of_from_its_day_on() {
        let base = runtime_base("nodejs20.x");
        assert!(base.warnings("2026-04-29").is_empty());
        assert_eq!(base.warnings("2026-04-30").len(), 1);
    }
}
