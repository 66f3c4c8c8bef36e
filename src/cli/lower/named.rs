//! The argument that is the name of an image or a path.

use std::path::Path;

use lbuild::image::{Index, Reference};

use crate::cli::output::exit::Failure;

/// The schemes of images that are not in a registry.
const SCHEMES: [&str; 3] = ["oci:", "docker-archive:", "local:"];

/// Forms of names that other tools take, and what lbuild takes in their place.
const OTHERS: [(&str, &str); 5] = [
    ("docker://", "write the name alone"),
    ("oci-archive:", "unpack it, and name the directory as oci:DIR"),
    ("docker-daemon:", "write it by `docker save`, and name the file as docker-archive:FILE"),
    ("containers-storage:", "write it by `podman save`, and name the file as docker-archive:FILE"),
    ("dir:", "copy it by `skopeo copy dir:DIR oci:DIR`"),
];

/// The name of a finished image to push; `None` if the argument is the source of an image to build. A mistyped path is not
/// looked for in a registry: a name without a scheme must tell its registry.
pub fn finished_image(argument: &Path, making: Option<&str>) -> Result<Option<String>, Failure> {
    let text = argument.display().to_string();
    if let Some((form, hint)) = OTHERS.iter().find(|(form, _)| text.starts_with(form) && !argument.exists()) {
        return Err(Failure::usage(
            format!("`{form}` is not a form of names that lbuild takes: {text}"),
            *hint,
        ));
    }
    let is_registry = text.split_once('/').is_some_and(|(host, _)| is_host(host));
    let is_image = SCHEMES.iter().any(|scheme| text.starts_with(scheme))
        || (is_registry && text.parse::<Reference>().is_ok());
    if is_image || (is_archive(argument) && argument.is_file()) {
        return named_image(argument, making);
    }
    // A colon is hardly ever part of a path.
    if text.contains(':') && !argument.exists() && text.parse::<Reference>().is_ok() {
        return Err(Failure::usage(
            format!("there is no file or directory {text}, and the name has no registry"),
            "name a finished image with its registry, as docker.io/library/hello:v1, or as local:hello:v1",
        ));
    }
    Ok(None)
}

/// The failure for a name of several images.
pub fn several_images(name: &str, index: &Index, hint: &str) -> Failure {
    let offered: Vec<String> = index.platforms().iter().map(ToString::to_string).collect();
    let message = match offered.is_empty() {
        true => format!("{name} is an index of images without platforms"),
        false => format!("{name} is an index of images for {}", offered.join(", ")),
    };
    Failure::Usage { message, hint: Some(format!("{hint}; Lambda accepts only an image, not an index")) }
}

/// Whether the first part of a name is a registry, and not a directory with a dot in its name, such as `app.v2`.
fn is_host(host: &str) -> bool {
    let top = host.rsplit('.').next().unwrap_or_default();
    let is_domain = host.contains('.') && top.len() > 1 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
    host == "localhost" || host.contains(':') || is_domain || host.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a path has the ending of an archive.
fn is_archive(path: &Path) -> bool {
    let text = path.display().to_string();
    [".tar", ".tar.gz", ".tgz"].iter().any(|ending| text.ends_with(ending))
}

/// The name of an image; `None` if the argument is the source of an image to build. `making` is a flag that describes such
/// an image.
pub fn named_image(argument: &Path, making: Option<&str>) -> Result<Option<String>, Failure> {
    let text = argument.display().to_string();
    let scheme = SCHEMES.iter().any(|scheme| text.starts_with(scheme));
    if !scheme && (argument.exists() || text.starts_with(['.', '/'])) {
        return match is_archive(argument) && !argument.is_dir() {
            true => Err(Failure::Usage {
                message: format!("{text} is a file, not the name of an image"),
                hint: Some(format!("name it as docker-archive:{text}")),
            }),
            false => Ok(None),
        };
    }
    if let Some(flag) = making {
        let message = format!("{flag} describes an image to build, but {text} is a finished image");
        let hint = Some(match scheme {
            true => format!("leave {flag} out; `--base {text}` builds on the image"),
            false => format!("leave {flag} out, or name an existing directory: {text} does not exist"),
        });
        return Err(Failure::Usage { message, hint });
    }
    Ok(Some(text))
}
