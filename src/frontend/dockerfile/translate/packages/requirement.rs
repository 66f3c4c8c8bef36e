//! The packages that a command names.

use super::super::refusal::Attempt;
use super::super::shell::expand::Field;

/// Packages that only install others. An image with nothing but translated lines does not need newer ones.
const OF_PIP: [&str; 3] = ["pip", "setuptools", "wheel"];

/// A package as the command names it: a name with a version, a URL of a wheel or an archive, a path in the image.
pub fn package(field: &Field) -> Attempt<String> {
    let text = if is_extra(field) { &*field.text } else { field.plain()? };
    let is_of_vcs = ["git+", "hg+", "svn+", "bzr+"].iter().any(|scheme| text.contains(scheme));
    if is_of_vcs {
        return Err(field.refuse("is in a version control system"));
    }
    if text.contains("://") && !text.contains("https://") && !text.contains("http://") {
        return Err(field.refuse("is not the address of a package that is translated"));
    }
    match text.is_empty() || text.contains(['\n', '\0', '\\']) || text.starts_with('#') {
        true => Err(field.refuse("is not the name of a package")),
        false => Ok(text.to_owned()),
    }
}

/// Whether a pattern is a name with an extra: `name[extra]`.
fn is_extra(field: &Field) -> bool {
    let Some((name, rest)) = field.text.split_once('[').filter(|_| field.pattern.is_some()) else {
        return false;
    };
    let Some((extra, rest)) = rest.split_once(']') else { return false };
    let is_name =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_name(name) && is_name(extra) && !extra.contains('-') && !rest.contains(['*', '?', '['])
}

/// Whether all of these are tools that only install packages.
pub fn are_of_pip(packages: &[String]) -> bool {
    let name = |package: &str| {
        let end = package.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(package.len());
        package[..end].to_ascii_lowercase()
    };
    !packages.is_empty() && packages.iter().all(|package| OF_PIP.contains(&&*name(package)))
}
