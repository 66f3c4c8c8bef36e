//! Which package a file belongs to, by where installers put it.

/// The directory of the package, of its innermost: one of `node_modules`, or the first where Python looks for modules.
pub(super) fn package_dir(path: &str) -> Option<&str> {
    let inside = |start: usize, parts: usize| {
        let rest = &path[start..];
        let end = rest.match_indices('/').nth(parts - 1).map_or(rest.len(), |(at, _)| at);
        (start, start + end)
    };
    const NODE: &str = "node_modules/";
    if let Some(at) = path.rfind(NODE) {
        let start = at + NODE.len();
        let scoped = path[start..].starts_with('@');
        return Some(&path[..inside(start, if scoped { 2 } else { 1 }).1]);
    }
    let places = ["site-packages/", "dist-packages/", "opt/python/", "var/task/"];
    let start = places.iter().find_map(|place| Some(path.rfind(place)? + place.len()))?;
    let (_, end) = inside(start, 1);
    // A file of the place itself is of no package.
    (end < path.len()).then(|| &path[..end])
}

/// The name of the package.
pub(super) fn package(path: &str) -> Option<&str> {
    let dir = package_dir(path)?;
    if let Some((_, name)) = dir.rsplit_once("node_modules/") {
        return Some(name);
    }
    let name = dir.rsplit('/').next()?;
    // What auditwheel puts beside a package.
    Some(name.strip_suffix(".libs").unwrap_or(name))
}

/// What findings about a file are put together by: its package, or else its directory.
pub(super) fn place(path: &str) -> &str {
    package(path).unwrap_or_else(|| dir(path))
}

/// How many more there are of the same place, to end a message with.
pub(super) fn and_more(path: &str, others: usize) -> String {
    match package(path) {
        _ if others == 0 => String::new(),
        Some(package) => format!(" (and {others} more of the package {package})"),
        None => format!(" (and {others} more in its directory)"),
    }
}

/// The directory that a file is in.
pub(super) fn dir(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

#[cfg(test)]
mod tests {
    use super::{package, package_dir};

    #[test]
    fn a_path_tells_the_package() {
        for (path, name, dir) in [
            ("var/task/node_modules/@img/sharp/lib/a.node", "@img/sharp", "var/task/node_modules/@img/sharp"),
            ("var/task/node_modules/a/node_modules/b/c.js", "b", "var/task/node_modules/a/node_modules/b"),
            ("usr/lib/python3/site-packages/numpy/core/x.so", "numpy", "usr/lib/python3/site-packages/numpy"),
            ("var/task/numpy.libs/libopenblas.so", "numpy", "var/task/numpy.libs"),
            ("opt/python/yaml/_yaml.so", "yaml", "opt/python/yaml"),
        ] {
            assert_eq!((package(path), package_dir(path)), (Some(name), Some(dir)), "{path}");
        }
        for path in ["var/task/app.py", "usr/bin/env"] {
            assert_eq!(package(path), None, "{path}");
        }
    }
}
