//! Destinations of instructions.

use crate::image::paths::resolve;

/// The destination of a `COPY`: a slash at its end means that it is a directory.
pub(in crate::frontend) fn destination(from: &str, path: &str) -> String {
    let resolved = resolve(from, path);
    let is_directory = matches!(path, "" | ".") || path.ends_with('/') || path.ends_with("/.");
    if is_directory && resolved != "/" { resolved + "/" } else { resolved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_resolved() {
        for (rule, from, path, expected) in [
            (75, "/var/task", "/x", "/x"),
            (76, "/var/task", ".", "/var/task/"),
            (76, "/var/task", "", "/var/task/"),
            (76, "/var/task", "./", "/var/task/"),
            (76, "/var/task", "d/", "/var/task/d/"),
            (76, "/var/task", "d/.", "/var/task/d/"),
            (86, "/var/task", "../../../x", "/x"),
            (87, "/", "x", "/x"),
            (76, "/", ".", "/"),
            (86, "/a", "/b//c/./../d", "/b/d"),
        ] {
            assert_eq!(destination(from, path), expected, "rule {rule}: {path}");
        }
    }
}
