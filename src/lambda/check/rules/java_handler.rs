//! The class of a Java handler is in the image.

use super::super::case::{Case, Seen};
use super::super::facts::Fact;
use super::super::finding::Severity;
use super::super::function::join;
use super::super::handler::{handled, is_file};
use super::super::rule::{Findings, Rule};
use crate::lambda::class_file;

pub(super) const RULE: Rule = Rule {
    name: "java-handler",
    severity: Severity::Error,
    what: "The handler of a Java function names a class in the function's directory or in a jar of its directory lib.",
    why: "The runtime looks for the class in /var/task, and in the jars of /var/task/lib and /opt/java/lib. It ignores \
          jars elsewhere. Without the class, every invocation fails with `java.lang.ClassNotFoundException`.",
    example: "CMD `example.Handler::handleRequest`, with `COPY target/app.jar ${LAMBDA_TASK_ROOT}`.",
    help: "put the jar into the subdirectory lib of the function's directory, or the classes into the function's \
           directory itself; or correct the handler",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/java-image.html",
    check,
};

const LAYERS: &str = "opt/java/lib";

/// Variables that can add directories to Java's class path.
const OPTIONS: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(("java", handler)) = handled(case) else { return };
    let is_empty = handler.is_empty() || handler.starts_with("::") || handler.ends_with("::");
    let Some(class) = class_file(handler).filter(|_| !is_empty) else {
        if is_empty {
            let message = format!(
                "the handler {handler:?} is not of the form `package.Class::method` or `package.Class`"
            );
            findings.add(message).in_field("config.Cmd");
        }
        return;
    };
    if has_other_class_path(case) || has_class(case, &class) != Some(false) {
        return;
    }
    let root = case.task_root();
    let lib = join(root, "lib");
    let message = format!(
        "the handler {handler:?} has no class: {class} is neither in /{root} nor in a jar of /{lib} or /{LAYERS}{}",
        instead(case, &class)
    );
    findings.add(message).in_field("config.Cmd");
}

/// Whether a variable changes the class path.
fn has_other_class_path(case: &Case<'_>) -> bool {
    let options = OPTIONS.iter().filter_map(|name| case.config.var(name));
    options.flat_map(str::split_whitespace).any(|option| {
        ["classpath", "class.path", "class.loader", "-cp"].iter().any(|part| option.contains(part))
    })
}

/// Whether the runtime finds the class; `None` when an unknown jar or layer may contain it.
fn has_class(case: &Case<'_>, class: &str) -> Option<bool> {
    let roots = case.roots();
    if roots.iter().any(|root| is_file(case, &join(root, class))) {
        return Some(true);
    }
    let mut is_known = true;
    for dir in roots.iter().map(|root| join(root, "lib")).chain([LAYERS.to_owned()]) {
        for jar in jars(case, &dir) {
            match in_jar(case, jar, class) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_known = false,
            }
        }
    }
    (is_known && case.is_certain()).then_some(false)
}

/// The jars directly in a directory.
fn jars<'a>(case: &Case<'a>, dir: &str) -> Vec<Seen<'a>> {
    let dir = case.files.resolve(dir).path;
    let start = if dir.is_empty() { 0 } else { dir.len() + 1 };
    let is_jar = |file: &Seen<'a>| {
        let name = file.member.path.get(start..).unwrap_or_default();
        name.ends_with(".jar") && !name.contains('/') && !file.member.is_directory()
    };
    case.files.below(&dir).filter(is_jar).collect()
}

/// Whether a jar contains the class, according to its facts; `None` without facts.
fn in_jar(case: &Case<'_>, jar: Seen<'_>, class: &str) -> Option<bool> {
    let facts = case.files.file(&jar.member.path)?.member.facts();
    facts.iter().find_map(|fact| match fact {
        Fact::Class { file, present } if file == class => Some(*present),
        _ => None,
    })
}

/// The end of the message: a path of the class outside of the search path; empty if there is none.
fn instead(case: &Case<'_>, class: &str) -> String {
    let mut in_root = case.roots().into_iter().flat_map(|root| jars(case, root));
    if let Some(jar) = in_root.find(|jar| in_jar(case, *jar, class) == Some(true)) {
        return format!("; it is in /{}, where the runtime does not look", jar.member.path);
    }
    let end = format!("/{class}");
    match case.files.iter().find(|file| file.member.path.ends_with(&end)) {
        Some(file) => format!("; it is at /{}", file.member.path),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::Fact;
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    const CLASS: &str = "a/b/Main.class";

    /// The relevant files and settings of AWS's Java base.
    fn base(handler: &str) -> Sample {
        Sample::empty(2)
            .file(0, "var/runtime/bootstrap", 0o755)
            .file(0, "var/runtime/lib/aws-lambda-java-runtime-interface-client-2.6.0-linux-x86_64.jar", 0o644)
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!([handler]))
            .process("WorkingDir", "/var/task".into())
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
    }

    /// An image with a jar; `has`: whether the jar contains the class.
    fn with_jar(sample: Sample, path: &str, has: bool) -> Sample {
        let fact = Fact::Class { file: CLASS.to_owned(), present: has };
        sample.file(1, path, 0o644).facts(1, path, [fact])
    }

    fn fault(more: &str) -> [String; 1] {
        let places = "/var/task nor in a jar of /var/task/lib or /opt/java/lib";
        [format!("the handler \"a.b.Main::run\" has no class: {CLASS} is neither in {places}{more}")]
    }

    #[test]
    fn the_class_is_found_in_the_directories_of_the_runtime() {
        for handler in ["a.b.Main::run", "a.b.Main"] {
            assert_eq!(base(handler).file(1, "var/task/a/b/Main.class", 0o644).says(&RULE), [""; 0]);
            for path in ["var/task/lib/app.jar", "opt/java/lib/layer.jar"] {
                let others = with_jar(base(handler), "var/task/lib/0.jar", false);
                assert_eq!(with_jar(others, path, true).says(&RULE), [""; 0], "{handler} {path}");
            }
        }
        let inner = base("a.b.Outer$Inner::run").file(1, "var/task/a/b/Outer$Inner.class", 0o644);
        assert_eq!(inner.says(&RULE), [""; 0]);
        let started = base("a.b.Main::run").process("WorkingDir", "/app".into());
        assert_eq!(with_jar(started, "app/lib/app.jar", true).says(&RULE), [""; 0]);
        let linked = with_jar(base("a.b.Main::run"), "app/app.jar", true);
        assert_eq!(linked.link(1, "var/task/lib", "/app").says(&RULE), [""; 0]);
    }

    #[test]
    fn a_missing_class_is_found() {
        let base = || base("a.b.Main::run");
        assert_eq!(base().says(&RULE), fault(""));
        assert_eq!(with_jar(base(), "var/task/lib/app.jar", false).says(&RULE), fault(""));
        assert_eq!(
            with_jar(base(), "var/task/app.jar", true).says(&RULE),
            fault("; it is in /var/task/app.jar, where the runtime does not look")
        );
        assert_eq!(
            base().file(1, "var/task/classes/a/b/Main.class", 0o644).says(&RULE),
            fault("; it is at /var/task/classes/a/b/Main.class")
        );
        assert_eq!(with_jar(base(), "var/task/lib/deep/app.jar", true).says(&RULE), fault(""));
        let root = base()
            .process("Env", json!(["LAMBDA_RUNTIME_DIR=/var/runtime"]))
            .process("WorkingDir", "/".into());
        assert_eq!(with_jar(root.clone(), "lib/app.jar", true).says(&RULE), [""; 0]);
        assert_eq!(root.file(1, CLASS, 0o644).says(&RULE), [""; 0]);
    }

    #[test]
    fn unknown_layers_jars_and_paths_may_have_the_class() {
        let base = || base("a.b.Main::run");
        assert_eq!(base().unknown(1).says(&RULE), [""; 0]);
        assert_eq!(base().file(1, "var/task/lib/broken.jar", 0o644).says(&RULE), [""; 0]);
        assert_eq!(base().link(1, "var/task/lib/app.jar", "/app/app.jar").says(&RULE), [""; 0]);
        for options in ["JAVA_TOOL_OPTIONS=-Xbootclasspath/a:/app/app.jar", "JDK_JAVA_OPTIONS=-cp /app/*"] {
            let env = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", options]);
            assert_eq!(base().process("Env", env).says(&RULE), [""; 0], "{options}");
        }
        let env = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", "JAVA_TOOL_OPTIONS=-XX:+UseSerialGC"]);
        assert_eq!(base().process("Env", env).says(&RULE).len(), 1);
        let python = base().process("Cmd", json!(["app.handler"])).file(0, "var/runtime/bootstrap.py", 0o644);
        assert_eq!(python.says(&RULE), [""; 0]);
    }

    #[test]
    fn a_handler_without_class_or_method_is_found() {
        for handler in ["a.b.Main::", "::run"] {
            let says = base(handler).says(&RULE);
            assert!(says.len() == 1 && says[0].contains("is not of the form"), "{says:?}");
        }
    }
}
