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

/// Whether a package is a path in the image.
pub fn is_local(text: &str) -> bool {
    let path = text.split('[').next().unwrap_or_default();
    !text.contains("://")
        && !text.contains(" @ ")
        && (path.contains('/') || matches!(path, "." | "..") || path.ends_with(".whl"))
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

/// Tools that a build needs, rather than a function.
const TOOLS: [&str; 5] = ["poetry", "poetry-core", "poetry-plugin-export", "uv", "pipenv"];

/// Whether all of these only install packages.
pub fn are_of_pip(packages: &[String]) -> bool {
    !packages.is_empty() && packages.iter().all(|package| OF_PIP.contains(&&*name(package)))
}

/// Whether all of these are tools of a build.
pub fn are_tools(packages: &[String]) -> bool {
    let is_tool = |package: &String| {
        let name = name(package);
        TOOLS.contains(&&*name) || OF_PIP.contains(&&*name)
    };
    !packages.is_empty() && packages.iter().all(is_tool)
}

/// The name of a package that is not a URL or a path, in the normal form; empty for others.
pub fn name(package: &str) -> String {
    let end = package.find(['=', '<', '>', '!', '~', '[', ';', ' ', '@']).unwrap_or(package.len());
    let name = package[..end].to_ascii_lowercase().replace(['_', '.'], "-");
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name { name } else { String::new() }
}
