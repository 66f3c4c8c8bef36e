//! Paths in an image, cleaned without looking at any file: each `..` removes the name before it, even one of a link.

/// The path with `.`, `..` and repeated slashes resolved, without a slash at either end.
pub(crate) fn relative(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The same path, with a slash at its beginning.
pub(crate) fn clean(path: &str) -> String {
    format!("/{}", relative(path))
}

/// `path` relative to the directory `from`, not cleaned.
pub(crate) fn joined(from: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", from.trim_end_matches('/')),
    }
}

/// `path` relative to the directory `from`.
pub(crate) fn resolve(from: &str, path: &str) -> String {
    clean(&joined(from, path))
}

/// Whether a clean path is the directory `dir` or below it.
pub(crate) fn is_within(path: &str, dir: &str) -> bool {
    dir == "/" || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_texts() {
        for (from, path, expected) in [
            ("/a", "b/./c//", "/a/b/c"),
            ("/a/", "../../../x", "/x"),
            ("/a", "/b//c/./../d", "/b/d"),
            ("/", "", "/"),
            ("", "x", "/x"),
        ] {
            assert_eq!(resolve(from, path), expected, "{from} {path}");
        }
        assert_eq!(relative("/a/../b/"), "b");
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a") && !is_within("/", "/a"));
    }
}
