//! Maps the name of a handler to the files that can define it.

/// The program that AWS's `provided` bases start for any handler: their entrypoint executes this path of the image, and
/// nothing copies a file of the function's directory there.
///
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html>, and `/lambda-entrypoint.sh` in the bases.
pub const BOOTSTRAP: &str = "/var/runtime/bootstrap";

/// The files that can define `handler`, relative to the function's directory: the image needs one of them. `None` when
/// the name does not determine the files: the runtime has other rules, or none.
///
/// `image` is the name of a base or of a runtime, such as `public.ecr.aws/lambda/python:3.12` or `nodejs22.x`.
pub fn handler_files(image: &str, handler: &str) -> Option<Vec<String>> {
    // The repository's name or the tag names the language.
    let language = |name: &str| image.split(['/', ':', '@']).any(|part| part.starts_with(name));
    if language("provided") {
        return Some(vec![BOOTSTRAP.into()]);
    }
    if language("python") {
        // Lambda's Python runtime treats `pkg.mod.func` and `pkg/mod.func` alike.
        let (module, _) = handler.rsplit_once('.')?;
        let path = module.replace('.', "/");
        return Some(vec![format!("{path}.py"), format!("{path}/__init__.py"), format!("{path}.pyc")]);
    }
    if language("nodejs") {
        let module = before_first_dot(handler)?;
        return Some(["js", "mjs", "cjs"].map(|ending| format!("{module}.{ending}")).into());
    }
    if language("ruby") {
        return before_first_dot(handler).map(|module| vec![format!("{module}.rb")]);
    }
    None
}

/// The class file of a Java handler (`package.Class::method` or `package.Class`), relative to the function's directory
/// or to the root of a jar in its directory `lib`.
pub fn class_file(handler: &str) -> Option<String> {
    let class = handler.rsplit_once("::").map_or(handler, |(class, _)| class);
    let is_name = |part: &str| {
        !part.starts_with(|c: char| c.is_ascii_digit())
            && !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
    };
    class.split('.').all(is_name).then(|| format!("{}.class", class.replace('.', "/")))
}

/// The module of a handler whose function may be nested: Node's `index.api.handler` is a function in an object, Ruby's
/// `app.Module::Class.method` is a method of a class.
///
/// See `UserFunction.js` of aws-lambda-nodejs-runtime-interface-client, and `lambda_handler.rb` of the Ruby one.
fn before_first_dot(handler: &str) -> Option<&str> {
    let file = handler.rfind('/').map_or(0, |slash| slash + 1);
    handler[file..].find('.').map(|dot| &handler[..file + dot])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_maps_to_the_files_of_its_language() {
        for (image, handler, first) in [
            ("python3.12", "app.handler", "app.py"),
            ("public.ecr.aws/lambda/python:3.12", "src.app.handler", "src/app.py"),
            ("oci:images/base:python3.12", "src/app.handler", "src/app.py"),
            ("nodejs:22", "src/index.handler", "src/index.js"),
            ("nodejs22.x", "index.api.handler", "index.js"),
            ("nodejs22.x", "./dist.v2/index.api.handler", "./dist.v2/index.js"),
            ("ruby3.4", "app.run", "app.rb"),
            ("ruby3.4", "app.LambdaFunctions::Handler.process", "app.rb"),
            ("ruby3.4", "lib/app.Handler.process", "lib/app.rb"),
            ("provided:al2023", "any", "/var/runtime/bootstrap"),
        ] {
            let files = handler_files(image, handler).unwrap_or_default();
            assert_eq!(files.first().map(String::as_str), Some(first), "{image} {handler}");
        }
        assert_eq!(handler_files("nodejs:22", "a.b").unwrap()[1..], ["a.mjs", "a.cjs"]);
        assert_eq!(handler_files("provided.al2023", "bootstrap").unwrap(), [BOOTSTRAP]);
        for (image, handler) in [
            ("java21", "pkg.Class::run"),
            ("debian:12", "app.handler"),
            ("python3.12", "handler"),
            ("nodejs22.x", "dist.v2/handler"),
            ("ruby3.4", "handler"),
        ] {
            assert_eq!(handler_files(image, handler), None, "{image} {handler}");
        }
    }

    #[test]
    fn a_java_handler_maps_to_a_class_file() {
        for (handler, file) in [
            ("a.b.Main::run", "a/b/Main.class"),
            ("a.b.Main", "a/b/Main.class"),
            ("Main", "Main.class"),
            ("a.b.Outer$Inner::run", "a/b/Outer$Inner.class"),
        ] {
            assert_eq!(class_file(handler).as_deref(), Some(file), "{handler}");
        }
        for handler in ["", "::run", "a..B", "src/app.handler", "a.1b", "Orders::Orders.Function::Handle"] {
            assert_eq!(class_file(handler), None, "{handler}");
        }
    }
}
