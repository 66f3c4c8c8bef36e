//! Where the image goes, and the files that tell its digest.

use std::path::PathBuf;

use lbuild::Destination;
use lbuild::image::{Digest, Format, Reference};

use super::args::Executor;
use crate::cli::commands::push::results::write_file;
use crate::cli::destination;
use crate::cli::output::exit::Failure;

/// The destinations of a build.
pub struct Outputs {
    /// The first one's digest is that of the image.
    pub to: Vec<(Destination, Format)>,
    /// The names under which the image is pushed.
    pub pushed: Vec<Reference>,
}

/// The destinations of the flags; without one, the layers are made and kept for later builds.
pub fn of(args: &Executor, no_push: bool) -> Result<Outputs, Failure> {
    let names = names(args)?;
    if names.is_empty() {
        if !no_push {
            let hint = "add --destination REGISTRY/REPO:TAG";
            return Err(Failure::usage("you must provide --destination, or use --no-push", hint));
        }
        for (flag, given) in [
            ("image-name-with-digest-file", &args.image_name_with_digest_file),
            ("image-name-tag-with-digest-file", &args.image_name_tag_with_digest_file),
        ] {
            if given.is_some() {
                let message = format!("you must provide --destination if setting --{flag}");
                return Err(Failure::usage(message, "it has the names of the destinations"));
            }
        }
    }
    let files = [&args.digest_file, &args.image_name_with_digest_file, &args.image_name_tag_with_digest_file];
    if let Some(url) = files.into_iter().flatten().find(|path| path.starts_with("https:")) {
        let message = format!("lbuild does not send a digest to {}", url.display());
        return Err(Failure::usage(message, "name a file, and send it in a step after this one"));
    }
    let format = |usual: Format| args.image_format.map_or(usual, Format::from);
    let mut to = Vec::new();
    if !no_push {
        let registries = destination::of_names(&names).into_iter();
        to.extend(registries.map(|registry| (registry, format(Format::Docker))));
    }
    if let Some(path) = args.oci_layout_path.clone() {
        to.push((Destination::Layout { path, tags: Vec::new() }, format(Format::Oci)));
    }
    if let Some(path) = args.tar_path.clone() {
        to.push((Destination::Archive { path, names: names.clone() }, Format::Docker));
    }
    if to.is_empty() {
        to.push((Destination::Local { names: Vec::new() }, format(Format::Docker)));
    }
    Ok(Outputs { to, pushed: if no_push { Vec::new() } else { names } })
}

fn names(args: &Executor) -> Result<Vec<Reference>, Failure> {
    let mut names: Vec<Reference> = Vec::new();
    for text in &args.destination {
        let name: Reference = text.parse()?;
        if name.digest().is_some() {
            let message = format!("--destination {name} has a digest, which follows from the image");
            return Err(Failure::usage(message, "name it by a tag only"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Writes the digest, and each name with it. A file of the digest has no newline at its end.
pub fn write_digests(args: &Executor, digest: Digest) -> Result<(), Failure> {
    let names = names(args)?;
    let lines = |name: &dyn Fn(&Reference) -> String| -> String {
        names.iter().map(|of| format!("{}@{digest}\n", name(of))).collect()
    };
    let write = |path: &Option<PathBuf>, text: String| match path {
        Some(path) => write_file(path, &text),
        None => Ok(()),
    };
    write(&args.digest_file, digest.to_string())?;
    write(&args.image_name_with_digest_file, lines(&repository))?;
    let tagged = |name: &Reference| format!("{}:{}", repository(name), name.tag().unwrap_or("latest"));
    write(&args.image_name_tag_with_digest_file, lines(&tagged))
}

/// The name of a repository as kaniko writes it: it has another name for Docker Hub.
fn repository(name: &Reference) -> String {
    let text = name.repository_name();
    if name.registry() == "docker.io" { format!("index.{text}") } else { text }
}
