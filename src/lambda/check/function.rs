//! The directories and the handler of an image's function, derived from its config only.

use crate::image::Config;

/// The directory of the function, without leading or trailing slashes; empty for the root.
pub(super) fn task_root(config: &Config) -> &str {
    let named = config.var("LAMBDA_TASK_ROOT").filter(|dir| !dir.is_empty());
    named.or_else(|| config.workdir()).unwrap_or("/var/task").trim_matches('/')
}

/// The possible directories of the function: some runtimes use `LAMBDA_TASK_ROOT`, others the working directory.
pub(super) fn roots(config: &Config) -> Vec<&str> {
    let root = task_root(config);
    let started = config.workdir().map(|dir| dir.trim_matches('/')).filter(|dir| *dir != root);
    [root].into_iter().chain(started).collect()
}

/// The handler, if the entrypoint is the script of AWS's bases, which takes the handler as its argument.
pub(super) fn handler(config: &Config) -> Option<&str> {
    match config.entrypoint().into_iter().chain(config.cmd()).collect::<Vec<_>>()[..] {
        [entry, handler] if entry.ends_with("lambda-entrypoint.sh") => Some(handler),
        _ => None,
    }
}

/// The first directories of Python's search path, as set in the image's config.
pub(super) fn python_path(config: &Config) -> Vec<String> {
    let named = config.var("PYTHONPATH").filter(|path| !path.is_empty());
    let named = named.into_iter().flat_map(|path| path.split(':'));
    // A relative or empty directory is relative to the working directory.
    let named = named.map(|dir| within(config.workdir().unwrap_or("/"), dir));
    [task_root(config).to_owned(), "opt/python".to_owned()].into_iter().chain(named).collect()
}

/// Joins a directory, which may be the root (empty), and a path in it.
pub(super) fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

/// Normalises a path that is absolute or relative to `dir`: without empty parts and `.`.
pub(super) fn within(dir: &str, path: &str) -> String {
    let dir = if path.starts_with('/') { "" } else { dir };
    let parts = dir.split('/').chain(path.split('/')).filter(|part| !part.is_empty() && *part != ".");
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(process: &str) -> Config {
        let text = format!(
            r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":[]}},"config":{process}}}"#
        );
        Config::parse("test", text.as_bytes()).unwrap()
    }

    #[test]
    fn the_root_of_the_image_may_be_the_functions_directory() {
        for (process, expected) in [
            ("{}", &["var/task"][..]),
            (r#"{"WorkingDir":"/app/"}"#, &["app"]),
            (r#"{"WorkingDir":"/"}"#, &[""]),
            (r#"{"WorkingDir":"/","Env":["LAMBDA_TASK_ROOT=/var/task"]}"#, &["var/task", ""]),
            (r#"{"WorkingDir":"/var/task","Env":["LAMBDA_TASK_ROOT=/var/task/"]}"#, &["var/task"]),
            (r#"{"WorkingDir":"/app","Env":["LAMBDA_TASK_ROOT="]}"#, &["app"]),
        ] {
            assert_eq!(roots(&config(process)), expected, "{process}");
        }
        assert_eq!(join("", "lib/x"), "lib/x");
        assert_eq!(join("a", "x"), "a/x");
        for (dir, path, plain) in
            [("", "x", "x"), ("/a/", "./b//c.js", "a/b/c.js"), ("a", "/b", "b"), ("a", "", "a")]
        {
            assert_eq!(within(dir, path), plain);
        }
    }

    #[test]
    fn the_handler_is_the_only_argument_of_the_entry_script() {
        for (process, expected) in [
            (r#"{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["a.b"]}"#, Some("a.b")),
            (r#"{"Entrypoint":["/lambda-entrypoint.sh","a.b"]}"#, Some("a.b")),
            (r#"{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["a.b","c"]}"#, None),
            (r#"{"Entrypoint":["/app"],"Cmd":["a.b"]}"#, None),
            (r#"{"Cmd":["a.b"]}"#, None),
        ] {
            assert_eq!(handler(&config(process)), expected, "{process}");
        }
    }

    #[test]
    fn the_python_search_path_follows_from_the_config() {
        let path = |process: &str| python_path(&config(process));
        assert_eq!(path("{}"), ["var/task", "opt/python"]);
        let named = r#"{"WorkingDir":"/var/task","Env":["PYTHONPATH=/var/task/src:.:lib:"]}"#;
        assert_eq!(
            path(named),
            ["var/task", "opt/python", "var/task/src", "var/task", "var/task/lib", "var/task"]
        );
    }
}
