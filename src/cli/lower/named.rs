//! The argument that is the name of an image or a path.

use std::path::Path;

use lbuild::image::Reference;

use crate::cli::output::exit::Failure;

/// The schemes of images that are not in a registry.
const SCHEMES: [&str; 3] = ["oci:", "docker-archive:", "local:"];

/// The name of a finished image to push; `None` if the argument is the source of an image to build. A mistyped path is not
/// looked for in Docker's registry: a name without a scheme must tell its registry.
pub fn finished_image(argument: &Path, making: Option<&str>) -> Result<Option<String>, Failure> {
    let text = argument.display().to_string();
    let host = text.split_once('/').map_or("", |(host, _)| host);
    let is_named = host == "localhost" || host.contains(['.', ':']);
    let is_image = SCHEMES.iter().any(|scheme| text.starts_with(scheme))
        || (is_named && text.parse::<Reference>().is_ok());
    let is_archive = text.ends_with(".tar") && argument.is_file();
    if is_image || is_archive { named_image(argument, making) } else { Ok(None) }
}

/// The name of an image; `None` if the argument is the source of an image to build. `making` is a flag that describes such
/// an image.
pub fn named_image(argument: &Path, making: Option<&str>) -> Result<Option<String>, Failure> {
    let text = argument.display().to_string();
    let scheme = SCHEMES.iter().any(|scheme| text.starts_with(scheme));
    if !scheme && (argument.exists() || text.starts_with(['.', '/'])) {
        return match argument.extension().is_some_and(|ending| ending == "tar") {
            true => Err(Failure::Usage {
                message: format!("{text} is a file, not the name of an image"),
                hint: Some(format!("name it as docker-archive:{text}")),
            }),
            false => Ok(None),
        };
    }
    if let Some(flag) = making {
        let message = format!("{flag} describes an image to build, but {text} is a finished image");
        let hint = Some(format!("leave {flag} out, or name an existing directory: {text} does not exist"));
        return Err(Failure::Usage { message, hint });
    }
    Ok(Some(text))
}
