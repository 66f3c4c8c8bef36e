//! What the handler names is there, in Java, .NET and Ruby.

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};
use super::cmd_count::has_aws_entry;
use super::python_handler::{is_file, join};
use crate::lambda::handler_files;

pub(super) const RULE: Rule = Rule {
    name: "other-handler",
    severity: Severity::Error,
    what: "The handler of a function in Java, .NET or Ruby names a class, an assembly or a file that is in the image.",
    why: "The runtime loads it when it starts; without it, every invocation fails.",
    example: "CMD `Orders::Orders.Function::Handle`, and /var/task/bin/Release/Orders.dll.",
    way_out: "put what the build published into the function's directory itself, or correct the handler",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/csharp-handler.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (Some(runtime), Some(handler)) = (case.runtime(), case.handler()) else { return };
    if !has_aws_entry(case) {
        return;
    }
    let fault = match runtime {
        "java" => java(case, handler),
        "dotnet" => dotnet(case, handler),
        "ruby" => ruby(case, handler),
        _ => return,
    };
    if let Some(fault) = fault {
        findings.add(format!("the handler {handler:?} {fault}")).in_field("config.Cmd");
    }
}

/// `pkg.Class::method` or `pkg.Class`, in the function's directory or in any jar that the runtime has on its way.
fn java(case: &Case<'_>, handler: &str) -> Option<String> {
    let class = handler.split("::").next().unwrap_or(handler);
    let file = format!("{}.class", class.replace('.', "/"));
    let root = case.task_root();
    let mut on_the_way = case.files.below(root).chain(case.files.below("opt/java/lib"));
    let any_jar = on_the_way.any(|file| file.member.path.ends_with(".jar"));
    let found = any_jar || is_file(case, &join(root, &file));
    missing(case, found, || format!("has no class: there is no {file} in /{root}, and no jar"))
}

/// `Assembly::Namespace.Type::Method`, or `Assembly` alone for one that can be started.
fn dotnet(case: &Case<'_>, handler: &str) -> Option<String> {
    let root = case.task_root();
    let parts: Vec<&str> = handler.split("::").collect();
    let assembly = parts[0];
    if parts.len() != 1 && parts.len() != 3 {
        return Some("is not of the form `Assembly::Namespace.Type::Method`".to_owned());
    }
    let library = format!("{}.dll", assembly.strip_suffix(".dll").unwrap_or(assembly));
    let program = parts.len() == 1 && is_file(case, &join(root, assembly));
    let found = program || is_file(case, &join(root, &library));
    missing(case, found, || format!("has no assembly: there is no {library} in /{root}"))
}

/// `file.method` or `file.Class.method`; the file may be a gem's as well.
fn ruby(case: &Case<'_>, handler: &str) -> Option<String> {
    let Some(files) = handler_files("ruby", handler) else {
        return Some("names no method: it has to be `file.method`".to_owned());
    };
    let file = files[0].trim_start_matches("./");
    let root = if file.starts_with('/') { "" } else { case.task_root() };
    let in_a_gem = format!("/lib/{file}");
    let found = is_file(case, &join(root, file.trim_start_matches('/')))
        || case.config.var("RUBYLIB").is_some()
        || case.files.iter().any(|other| other.member.path.ends_with(&in_a_gem));
    missing(case, found, || format!("has no file: there is no {file} in /{}", case.task_root()))
}

/// What is missing, when nothing is unknown.
fn missing(case: &Case<'_>, found: bool, fault: impl FnOnce() -> String) -> Option<String> {
    (!found && case.files.complete).then(fault)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// An image on this base of AWS's, with one file.
    fn sample(runtime: &str, handler: &str, path: &str) -> Sample {
        Sample::empty(2)
            .file(0, "var/runtime/bootstrap", 0o755)
            .file(1, path, 0o644)
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!([handler]))
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
            .process(
                "Labels",
                json!({ "org.opencontainers.image.base.name": format!("public.ecr.aws/lambda/{runtime}:1") }),
            )
    }

    #[test]
    fn what_is_there_is_found() {
        for (runtime, handler, path) in [
            ("java", "a.b.Main::run", "var/task/a/b/Main.class"),
            ("java", "a.b.Main", "var/task/a/b/Main.class"),
            ("java", "a.b.Main::run", "var/task/lib/all.jar"),
            ("java", "a.b.Main::run", "opt/java/lib/all.jar"),
            ("dotnet", "Orders::Orders.Function::Handle", "var/task/Orders.dll"),
            ("dotnet", "Orders", "var/task/Orders.dll"),
            ("dotnet", "Orders", "var/task/Orders"),
            ("ruby", "app.run", "var/task/app.rb"),
            ("ruby", "./app.Handler.run", "var/task/app.rb"),
            ("ruby", "app.run", "var/task/vendor/bundle/ruby/3.4.0/gems/app-1/lib/app.rb"),
            ("python", "app.run", "var/task/other.py"),
        ] {
            assert_eq!(sample(runtime, handler, path).says(&RULE), [""; 0], "{handler} {path}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        for (runtime, handler, path, fault) in [
            (
                "java",
                "a.b.Main::run",
                "var/task/b/Main.class",
                "has no class: there is no a/b/Main.class in /var/task, and no jar",
            ),
            (
                "dotnet",
                "Orders::F::H",
                "var/task/bin/Orders.dll",
                "has no assembly: there is no Orders.dll in /var/task",
            ),
            (
                "dotnet",
                "Orders",
                "var/task/bin/Orders.dll",
                "has no assembly: there is no Orders.dll in /var/task",
            ),
            (
                "dotnet",
                "Orders::Handle",
                "var/task/Orders.dll",
                "is not of the form `Assembly::Namespace.Type::Method`",
            ),
            ("ruby", "app.run", "var/task/src/app.rb", "has no file: there is no app.rb in /var/task"),
            ("ruby", "app", "var/task/app.rb", "names no method: it has to be `file.method`"),
        ] {
            let sample = sample(runtime, handler, path);
            assert_eq!(sample.says(&RULE), [format!("the handler {handler:?} {fault}")]);
        }
        assert_eq!(sample("ruby", "app.run", "var/task/src/app.rb").unknown(0).says(&RULE), [""; 0]);
    }
}
