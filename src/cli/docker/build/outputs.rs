//! Where a build puts its image.

use std::path::PathBuf;

use lbuild::Destination;
use lbuild::image::{Format, Reference};

use super::args::Build;
use crate::cli::docker::refused::asked;
use crate::cli::output::exit::Failure;

/// The destinations of a build, and whether one of them is a registry.
pub struct Outputs {
    pub to: Vec<(Destination, Format)>,
    pub pushes: bool,
}

/// An output, as `--output` describes it.
#[derive(PartialEq, Eq)]
enum Output {
    Store,
    Registry,
    Archive(PathBuf),
    Layout(PathBuf),
}

/// The destinations of `--load`, `--push` and `--output`; without one, the local store.
pub fn of(args: &Build, names: &[Reference]) -> Result<Outputs, Failure> {
    let mut outputs = Vec::new();
    let mut add = |output| {
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    };
    if args.load {
        add(Output::Store);
    }
    if args.push {
        add(Output::Registry);
    }
    for text in &args.output {
        parsed(text)?.into_iter().for_each(&mut add);
    }
    if outputs.is_empty() {
        outputs.push(Output::Store);
    }
    let pushes = outputs.contains(&Output::Registry);
    if pushes && names.is_empty() {
        return Err(asked("a name is needed to push the image", "add --tag REGISTRY/REPO:TAG"));
    }
    let mut to = Vec::new();
    for output in outputs {
        match output {
            Output::Store => to.push((Destination::Local { names: names.to_vec() }, Format::Docker)),
            Output::Registry => to.extend(registries(names).into_iter().map(|to| (to, Format::Docker))),
            Output::Archive(path) => {
                to.push((Destination::Archive { path, names: names.to_vec() }, Format::Docker));
            }
            Output::Layout(path) => {
                let tags = names.iter().filter_map(Reference::tag).map(str::to_owned).collect();
                to.push((Destination::Layout { path, tags }, Format::Oci));
            }
        }
    }
    Ok(Outputs { to, pushes })
}

/// A destination for each repository of the names.
fn registries(names: &[Reference]) -> Vec<Destination> {
    let mut all: Vec<(Reference, Vec<String>)> = Vec::new();
    for name in names {
        let tag = name.tag().unwrap_or("latest").to_owned();
        match all.iter_mut().find(|(other, _)| other.repository_name() == name.repository_name()) {
            Some((_, tags)) => tags.push(tag),
            None => all.push((name.clone(), vec![tag])),
        }
    }
    all.into_iter().map(|(repository, tags)| Destination::Registry { repository, tags }).collect()
}

/// The outputs of one `--output`: <https://docs.docker.com/build/exporters/>. Keys that change nothing here are accepted.
fn parsed(text: &str) -> Result<Vec<Output>, Failure> {
    let unserved = |what: &str| {
        let hint = "lbuild writes type=docker[,dest=FILE], type=image,push=true, type=registry, and type=oci,dest=DIR,tar=false";
        asked(format!("lbuild does not serve `--output {text}`: {what}"), hint)
    };
    let (mut kind, mut dest, mut push, mut tar) = (None, None, false, true);
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("type", value)) => kind = Some(value),
            Some(("dest", value)) => dest = Some(PathBuf::from(value)),
            Some(("push", value)) => push = value == "true",
            Some(("tar", value)) => tar = value != "false",
            Some(("compression", value)) if value != "gzip" => {
                return Err(unserved(&format!("Lambda takes layers in gzip, not in {value}")));
            }
            Some(("name", "")) => {}
            Some(("name", _)) => return Err(unserved("name the image with --tag")),
            Some(_) => {}
            None => return Err(unserved("it is the form for files of an image")),
        }
    }
    Ok(match (kind, dest) {
        (Some("docker"), None) => vec![Output::Store],
        (Some("docker"), Some(dest)) if dest.as_os_str() == "-" => return Err(unserved("use `docker save`")),
        (Some("docker"), Some(dest)) => vec![Output::Archive(dest)],
        (Some("image"), None) if push => vec![Output::Registry],
        (Some("image"), None) => vec![Output::Store],
        (Some("registry"), None) => vec![Output::Registry],
        (Some("oci"), Some(dest)) if !tar => vec![Output::Layout(dest)],
        (Some("oci"), Some(_)) => {
            return Err(unserved("it writes an OCI layout as a directory, not as a tar"));
        }
        (Some("cacheonly"), None) => vec![Output::Store],
        _ => return Err(unserved("it is not an image")),
    })
}
