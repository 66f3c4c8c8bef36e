//! Which file a handler's name stands for.

/// The files of which one must be there for `handler` to be found, relative to the function's directory, or
/// `None` when it cannot be told from the name: the runtime has other rules, or none.
///
/// `image` is the base's name or a runtime's, as `public.ecr.aws/lambda/python:3.12` or `nodejs22.x`.
pub fn handler_files(image: &str, handler: &str) -> Option<Vec<String>> {
    // The language stands in the repository's name or in the tag.
    let language = |name: &str| image.split(['/', ':', '@']).any(|part| part.starts_with(name));
    if language("provided") {
        return Some(vec!["bootstrap".into(), "/var/runtime/bootstrap".into()]);
    }
    let (module, _) = handler.rsplit_once('.')?;
    if language("python") {
        // `pkg.mod.func` and `pkg/mod.func` are the same to Lambda's Python.
        let path = module.replace('.', "/");
        return Some(vec![format!("{path}.py"), format!("{path}/__init__.py"), format!("{path}.pyc")]);
    }
    if language("nodejs") {
        return Some(["js", "mjs", "cjs"].map(|ending| format!("{module}.{ending}")).into());
    }
    if language("ruby") {
        return Some(vec![format!("{module}.rb")]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_its_files() {
        let files = |image, handler| handler_files(image, handler).unwrap_or_default();
        assert_eq!(files("python3.12", "app.handler")[0], "app.py");
        assert_eq!(files("public.ecr.aws/lambda/python:3.12", "src.app.handler")[0], "src/app.py");
        assert_eq!(files("nodejs:22", "src/index.handler")[1], "src/index.mjs");
        assert_eq!(files("ruby3.4", "app.run"), ["app.rb"]);
        assert_eq!(files("provided:al2023", "any")[0], "bootstrap");
        assert!(files("java21", "pkg.Class::run").is_empty());
        assert_eq!(files("oci:images/base:python3.12", "app.handler")[0], "app.py");
        assert!(files("debian:12", "app.handler").is_empty());
        assert!(files("python3.12", "handler").is_empty());
    }
}
