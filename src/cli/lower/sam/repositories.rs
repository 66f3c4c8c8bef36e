//! The repositories of the functions' images.

use std::collections::BTreeMap;

use lbuild::frontend::sam::ImageFunction;
use lbuild::image::Reference;

use super::settings::SamSettings;
use crate::cli::args::sam::SamArgs;
use crate::cli::output::exit::Failure;

/// The repositories that the flags name, else SAM's settings.
#[derive(Debug, Default)]
pub struct Repositories {
    of_function: BTreeMap<String, String>,
    of_all: Option<String>,
    /// Whether each function has a repository that is named after stack and function.
    pub by_stack: bool,
    /// Whether they are of SAM's settings, which name all functions of the template.
    is_of_settings: bool,
}

impl Repositories {
    pub fn of(args: &SamArgs, settings: &SamSettings) -> Result<Repositories, Failure> {
        let mut found = Repositories {
            of_function: by_function(&args.image_repositories)?,
            of_all: args.image_repository.clone(),
            #[cfg(feature = "aws")]
            by_stack: args.resolve_image_repos,
            #[cfg(not(feature = "aws"))]
            by_stack: false,
            is_of_settings: false,
        };
        if found.of_function.is_empty() && found.of_all.is_none() && !found.by_stack {
            found.is_of_settings = true;
            found.of_function = by_function(&settings.list("image_repositories")?)?;
            found.of_all = settings.text("image_repository")?;
            #[cfg(feature = "aws")]
            {
                found.by_stack = settings.flag("resolve_image_repos")?
                    && found.of_function.is_empty()
                    && found.of_all.is_none();
            }
        }
        for uri in found.of_function.values().chain(&found.of_all) {
            validate(uri)?;
        }
        Ok(found)
    }

    /// Refuses a flag for a function that the template does not have.
    pub fn check(&self, functions: &[ImageFunction]) -> Result<(), Failure> {
        let is_known = |id: &&String| functions.iter().any(|function| function.logical_id == **id);
        match self.of_function.keys().find(|id| !is_known(id)) {
            Some(id) if !self.is_of_settings => {
                let names: Vec<_> = functions.iter().map(|function| &*function.logical_id).collect();
                let hint = Some(format!("the functions with images are {}", names.join(", ")));
                Err(Failure::Usage {
                    message: format!("--image-repositories names `{id}`, which has no image to be built"),
                    hint,
                })
            }
            _ => Ok(()),
        }
    }

    /// The repository of a function: that of the flags or settings, else the one that its `ImageUri` names.
    pub fn get(&self, function: &ImageFunction) -> Option<String> {
        let given = self.of_function.get(&function.logical_id).or(self.of_all.as_ref()).cloned();
        given.or_else(|| repository_of(&function.image_uri.as_ref()?.value))
    }
}

fn by_function(flags: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let split = |flag: &String| match flag.split_once('=') {
        Some((id, uri)) if !id.is_empty() && !uri.is_empty() => Ok((id.to_owned(), uri.to_owned())),
        _ => {
            let message = format!("`--image-repositories {flag}` is not of the form FUNCTION=URI");
            Err(Failure::usage(
                message,
                "for example Function=123456789012.dkr.ecr.eu-west-1.amazonaws.com/name",
            ))
        }
    };
    flags.iter().map(split).collect()
}

fn validate(uri: &str) -> Result<(), Failure> {
    if repository_of(uri).is_some_and(|repository| repository == uri) {
        return Ok(());
    }
    let message = format!("`{uri}` is not a repository");
    Err(Failure::usage(
        message,
        "write REGISTRY/NAME without a tag: lbuild makes the tag as `sam package` does",
    ))
}

/// The repository of an image in a registry that its name names.
fn repository_of(uri: &str) -> Option<String> {
    let (host, rest) = uri.split_once('/')?;
    if !(host.contains('.') || host.contains(':') || host == "localhost") || rest.is_empty() {
        return None;
    }
    let name: Reference = uri.parse().ok()?;
    Some(format!("{}/{}", name.registry(), name.repository()))
}

/// The name of a repository after stack and function. SAM keeps repositories in a companion stack, whose names have hashes;
/// lbuild creates them itself.
#[cfg(feature = "aws")]
pub fn name_after(stack: &str, function: &str) -> String {
    let part = |text: &str| {
        let lower = text.to_lowercase();
        let kept = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        kept.collect::<String>().split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    };
    format!("{}/{}", part(stack), part(function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_no_tag() {
        for uri in ["localhost:5000/a", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b", "127.0.0.1:1/x"] {
            validate(uri).unwrap();
            assert_eq!(repository_of(&format!("{uri}:tag")).as_deref(), Some(uri));
        }
        for uri in ["a", "a/b", "localhost:5000/a:1", "localhost:5000/", "https://localhost/a", "localhost/A"]
        {
            assert!(validate(uri).is_err(), "{uri}");
        }
    }

    #[cfg(feature = "aws")]
    #[test]
    fn names_after_a_stack_are_names_of_repositories() {
        assert_eq!(name_after("name-encoder", "Function"), "name-encoder/function");
        assert_eq!(name_after("-My_Stack--1-", "ApiV2Fn"), "my-stack-1/apiv2fn");
    }
}
