//! The argument that is the name of an image or a path.
#![cfg(any(feature = "check", target_os = "linux"))]

use std::path::Path;

use crate::cli::output::exit::Failure;

/// The name of an image; `None` if the argument is the source of an image to build. `making` is a flag that describes such
/// an image.
pub fn named_image(argument: &Path, making: Option<&str>) -> Result<Option<String>, Failure> {
    let text = argument.display().to_string();
    let scheme = ["oci:", "docker-archive:"].iter().any(|scheme| text.starts_with(scheme));
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
