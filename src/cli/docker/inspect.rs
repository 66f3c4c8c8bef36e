//! `docker inspect`: an image of the local store as Docker describes it.

use lbuild::LocalImage;
use serde_json::{Value, json};

use super::args::Inspect;
use super::names::{familiar, familiar_repository};
use super::run::{binfmt, is_binfmt};
use super::{bundling, engine, template};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print_exact;

/// Prints the images, and fails if one is not there: tools ask so whether an image exists.
pub fn run(args: &Inspect, context: &Context) -> Result<(), Failure> {
    if let Some(kind) = args.kind.as_deref().filter(|kind| *kind != "image") {
        let message = format!("lbuild has no objects of the type `{kind}`");
        return Err(Failure::docker(1, message, "it has images only"));
    }
    let images = engine(context)?.images();
    let (mut found, mut missing) = (Vec::new(), None);
    for name in &args.names {
        match images.find(name)? {
            Some(image) => found.push(document(&image)),
            None if is_binfmt(name) => found.push(binfmt(name)),
            None => match bundling::recorded(name) {
                Some(recorded) => found.push(recorded.document(name)),
                None => missing = missing.or(Some(name)),
            },
        }
    }
    match args.format.as_deref() {
        Some("json") => print_exact(&format!("{}\n", Value::Array(found)))?,
        Some(template) => {
            for image in &found {
                print_exact(&format!("{}\n", template::filled(template, image)?))?;
            }
        }
        None => print_exact(&format!("{:#}\n", Value::Array(found)))?,
    }
    match missing {
        Some(name) => Err(Failure::docker(1, format!("No such object: {name}"), None)),
        None => Ok(()),
    }
}

/// The process of an image, with all fields that Docker prints.
fn process(config: Option<&Value>) -> Value {
    let mut process = json!({
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false,
        "AttachStderr": false, "Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": null, "Cmd": null,
        "Image": "", "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": null,
    });
    for (name, value) in config.and_then(Value::as_object).into_iter().flatten() {
        process[name] = value.clone();
    }
    process
}

/// What `docker inspect` prints of an image. Its size is that of the compressed layers, for only they are known.
fn document(image: &LocalImage) -> Value {
    let config = image.image().config();
    let json = config.as_json();
    let size: u64 = image.image().layers().iter().map(|layer| layer.blob.size).sum();
    let digest = |name: &lbuild::image::Reference| {
        let digest = name.digest().map(|digest| digest.to_string()).unwrap_or_default();
        format!("{}@{digest}", familiar_repository(name))
    };
    let platform = config.platform();
    let mut document = json!({
        "Id": image.id(),
        "RepoTags": image.names.iter().map(familiar).collect::<Vec<_>>(),
        "RepoDigests": image.digests.iter().map(digest).collect::<Vec<_>>(),
        "Comment": "",
        "Created": config.created(),
        "Author": json.get("author").cloned().unwrap_or_else(|| json!("")),
        "Config": process(json.get("config")),
        "Architecture": platform.architecture,
        "Os": platform.os,
        "Size": size,
        "RootFS": { "Type": "layers", "Layers": config.diff_ids() },
        "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
    });
    if let Some(variant) = platform.variant {
        document["Variant"] = json!(variant);
    }
    document
}
