//! Where a build puts its image.

use std::path::PathBuf;

use lbuild::Destination;
use lbuild::image::{Format, Reference};

use super::args::Build;
use crate::cli::destination;
use crate::cli::docker::refused::asked;
use crate::cli::output::exit::Failure;

/// The destinations of a build, its names, and whether one of them is a registry.
pub struct Outputs {
    pub to: Vec<(Destination, Format)>,
    pub names: Vec<Reference>,
    pub pushes: bool,
}

/// An output, as `--output` describes it.
#[derive(PartialEq, Eq)]
enum Output {
    Store,
    Registry,
    Archive(PathBuf),
    Layout(PathBuf),
    /// The layers only, for later builds.
    Cache,
}

/// The destinations of `--load`, `--push` and `--output`; without one, the local store.
pub fn of(args: &Build) -> Result<Outputs, Failure> {
    let mut names: Vec<Reference> = args.tag.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let mut outputs = Vec::new();
    if args.load {
        outputs.push(Output::Store);
    }
    if args.push {
        outputs.push(Output::Registry);
    }
    for text in &args.output {
        outputs.extend(parsed(text, &mut names)?);
    }
    if let Some(name) = names.iter().find(|name| name.digest().is_some()) {
        return Err(asked(
            format!("{name} has a digest, which follows from the image"),
            "name it by a tag only",
        ));
    }
    let pushes = outputs.contains(&Output::Registry);
    if pushes && names.is_empty() {
        return Err(asked("a name is needed to push the image", "add --tag REGISTRY/REPO:TAG"));
    }
    // As Docker's own builder, which has every image that it pushes.
    if (pushes || outputs.is_empty()) && !outputs.contains(&Output::Store) {
        outputs.push(Output::Store);
    }
    let mut to = Vec::new();
    for output in outputs {
        let added = match output {
            Output::Store => vec![(Destination::Local { names: names.clone() }, Format::Docker)],
            Output::Cache => vec![(Destination::Local { names: Vec::new() }, Format::Docker)],
            Output::Registry => {
                destination::of_names(&names).into_iter().map(|to| (to, Format::Docker)).collect()
            }
            Output::Archive(path) => {
                vec![(Destination::Archive { path, names: names.clone() }, Format::Docker)]
            }
            Output::Layout(path) => {
                let tags = names.iter().filter_map(Reference::tag).map(str::to_owned).collect();
                vec![(Destination::Layout { path, tags }, Format::Oci)]
            }
        };
        to.extend(added.into_iter().filter(|new| !to.contains(new)).collect::<Vec<_>>());
    }
    Ok(Outputs { to, names, pushes })
}

/// The outputs of one `--output`: <https://docs.docker.com/build/exporters/>. Keys that change nothing here are accepted.
fn parsed(text: &str, names: &mut Vec<Reference>) -> Result<Vec<Output>, Failure> {
    let unserved = |what: &str| {
        let hint = "lbuild writes type=docker[,dest=FILE], type=image,push=true, type=registry, and type=oci,dest=DIR,tar=false";
        asked(format!("lbuild does not serve `--output {text}`: {what}"), hint)
    };
    let (mut kind, mut dest, mut push, mut tar) = (None, None, false, true);
    for pair in fields(text) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| unserved("it is the form for files of an image"))?;
        let switch =
            || switch(value).ok_or_else(|| unserved(&format!("`{value}` is neither true nor false")));
        match key {
            "type" => kind = Some(value.to_owned()),
            "dest" => dest = Some(PathBuf::from(value)),
            "push" => push = switch()?,
            "tar" => tar = switch()?,
            "name" => {
                for name in value.split(',').filter(|name| !name.is_empty()) {
                    names.push(name.parse()?);
                }
            }
            "compression" if value != "gzip" => {
                return Err(unserved(&format!("Lambda takes layers in gzip, not in {value}")));
            }
            key if HARMLESS.contains(&key) => {}
            key if key.starts_with("annotation") => {}
            key => return Err(unserved(&format!("it does not know `{key}`"))),
        }
    }
    Ok(match (kind.as_deref(), dest) {
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
        (Some("cacheonly"), None) => vec![Output::Cache],
        _ => return Err(unserved("it is not an image")),
    })
}

/// Keys that change nothing: lbuild names the image by its tags, and its layers are gzip.
const HARMLESS: [&str; 9] = [
    "compression",
    "compression-level",
    "force-compression",
    "name-canonical",
    "oci-mediatypes",
    "rewrite-timestamp",
    "store",
    "unpack",
    "oci-artifact",
];

/// The fields of a line of comma-separated values, of which one with a comma is in quotation marks.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.iter_mut().next_back().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

/// A boolean, as Go reads it: <https://pkg.go.dev/strconv#ParseBool>.
fn switch(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_read_as_buildkit_reads_it() {
        for (text, expected, named) in [
            ("type=docker", Some(Output::Store), 0),
            ("type=image,push=1", Some(Output::Registry), 0),
            (r#"type=image,"name=r.example/a:1,r.example/a:2",push=true"#, Some(Output::Registry), 2),
            ("type=registry,compression=gzip,oci-mediatypes=true", Some(Output::Registry), 0),
            ("type=oci,dest=d,tar=false", Some(Output::Layout("d".into())), 0),
            ("type=image,push-by-digest=true,push=true", None, 0),
            ("type=image,push=yes", None, 0),
            ("type=registry,compression=zstd", None, 0),
            ("type=local,dest=d", None, 0),
            ("d", None, 0),
        ] {
            let mut names = Vec::new();
            let outputs = parsed(text, &mut names).ok().map(|mut outputs| outputs.remove(0));
            assert!(outputs == expected && names.len() == named, "{text}");
        }
    }
}
