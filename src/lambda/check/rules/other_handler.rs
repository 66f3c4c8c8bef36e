//! The assembly or file of a .NET or Ruby handler is in the image.

use super::super::case::Case;
use super::super::finding::Severity;
use super::super::function::{join, within};
use super::super::handler::{handled, is_file};
use super::super::rule::{Findings, Rule};
use crate::lambda::handler_files;

pub(super) const RULE: Rule = Rule {
    name: "other-handler",
    severity: Severity::Error,
    what: "The handler of a function in .NET or Ruby names an assembly or a file that is in the image.",
    why: "The runtime loads it at the start; for an assembly, it also reads the two files that are published beside \
          it. Without them, every invocation fails.",
    example: "CMD `Orders::Orders.Function::Handle`, with the assembly at /var/task/bin/Release/Orders.dll.",
    help: "put the published files directly into the function's directory, or correct the handler",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/csharp-handler.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some((runtime, handler)) = handled(case) else { return };
    let fault = match runtime {
        "dotnet" => dotnet(case, handler),
        "ruby" => ruby(case, handler),
        _ => return,
    };
    if let Some(fault) = fault {
        findings.add(format!("the handler {handler:?} {fault}")).in_field("config.Cmd");
    }
}

/// The fault of a handler `Assembly::Namespace.Type::Method`, or `Assembly` for an executable assembly.
///
/// See `bootstrap-al2023.sh` and `HandlerInfo.cs` of aws-lambda-dotnet.
fn dotnet(case: &Case<'_>, handler: &str) -> Option<String> {
    let root = case.task_root();
    if !handler.contains(':') {
        let library = format!("{}.dll", handler.strip_suffix(".dll").unwrap_or(handler));
        let found = [library.as_str(), handler].into_iter().any(|name| is_file(case, &join(root, name)));
        return missing(case, found, || format!("has no assembly: /{root} does not contain {library}"));
    }
    let parts: Vec<&str> = handler.splitn(3, "::").map(str::trim).collect();
    if parts.len() != 3 || parts.contains(&"") {
        return Some("is not of the form `Assembly::Namespace.Type::Method`".to_owned());
    }
    // A version may follow the name of the assembly.
    let assembly = parts[0].split(',').next().unwrap_or(parts[0]).trim_end();
    let assembly = assembly.strip_suffix(".dll").unwrap_or(assembly);
    let library = format!("{assembly}.dll");
    let found = is_file(case, &join(root, &library)) || case.config.var("DOTNET_SHARED_STORE").is_some();
    missing(case, found, || format!("has no assembly: /{root} does not contain {library}")).or_else(|| {
        let main = case.config.var("LAMBDA_DOTNET_MAIN_ASSEMBLY").filter(|main| !main.is_empty());
        let main = main.map_or(assembly, |main| main.strip_suffix(".dll").unwrap_or(main));
        let absent =
            ["deps.json", "runtimeconfig.json"].into_iter().find(|kind| !has_settings(case, main, kind))?;
        missing(case, false, || {
            format!(
                "cannot be loaded: /{root} does not contain {main}.{absent}, which `dotnet publish` writes"
            )
        })
    })
}

/// Whether the function's directory has a file that .NET needs beside an assembly: by its name, or as the only one.
fn has_settings(case: &Case<'_>, main: &str, kind: &str) -> bool {
    let root = case.task_root();
    let start = if root.is_empty() { 0 } else { root.len() + 1 };
    let is_one = |path: &str| {
        let name = path.get(start..).unwrap_or_default();
        !name.contains('/') && name.ends_with(&format!(".{kind}"))
    };
    is_file(case, &join(root, &format!("{main}.{kind}")))
        || case.files.below(root).filter(|file| is_one(&file.member.path)).count() == 1
}

/// The fault of a handler `file.method` or `file.Class.method`; the file may also belong to a gem.
fn ruby(case: &Case<'_>, handler: &str) -> Option<String> {
    let Some(files) = handler_files("ruby", handler) else {
        return Some("names no method: it must be `file.method`".to_owned());
    };
    let file = files[0].trim_start_matches("./");
    let in_a_gem = format!("/lib/{file}");
    let found = case.roots().into_iter().any(|root| is_file(case, &within(root, file)))
        || ["RUBYLIB", "RUBYOPT"].into_iter().any(|name| case.config.var(name).is_some())
        || case.files.iter().any(|other| other.member.path.ends_with(&in_a_gem));
    missing(case, found, || format!("has no file: /{} does not contain {file}", case.task_root()))
}

/// The fault, if the file was not found and no layer is unknown.
fn missing(case: &Case<'_>, found: bool, fault: impl FnOnce() -> String) -> Option<String> {
    (!found && case.is_certain()).then(fault)
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// An image on AWS's base for this runtime, with this handler and these files.
    fn sample(runtime: &str, handler: &str, paths: &[&str]) -> Sample {
        let sample = Sample::empty(2)
            .file(0, "var/runtime/bootstrap", 0o755)
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!([handler]))
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
            .process(
                "Labels",
                json!({ "org.opencontainers.image.base.name": format!("public.ecr.aws/lambda/{runtime}:1") }),
            );
        paths.iter().fold(sample, |sample, path| sample.file(1, path, 0o644))
    }

    const DLL: &str = "var/task/Orders.dll";
    const DEPS: &str = "var/task/Orders.deps.json";
    const CONFIG: &str = "var/task/Orders.runtimeconfig.json";
    const LIBRARY: &str = "Orders::Orders.Function::Handle";

    #[test]
    fn existing_assemblies_and_files_are_accepted() {
        for (runtime, handler, paths) in [
            ("dotnet", LIBRARY, &[DLL, DEPS, CONFIG][..]),
            ("dotnet", "Orders, Version=1.0::Orders.Function::System.Int32 Handle()", &[DLL, DEPS, CONFIG]),
            ("dotnet", LIBRARY, &[DLL, "var/task/Host.deps.json", CONFIG, "var/task/bin/a.deps.json"]),
            ("dotnet", "Orders", &[DLL]),
            ("dotnet", "Orders.dll", &[DLL]),
            ("dotnet", "Orders", &["var/task/Orders"]),
            ("ruby", "app.run", &["var/task/app.rb"]),
            ("ruby", "./app.Handler.run", &["var/task/app.rb"]),
            ("ruby", "app.run", &["var/task/vendor/bundle/ruby/3.4.0/gems/app-1/lib/app.rb"]),
            ("ruby", "/code/app.run", &["code/app.rb"]),
            ("python", "app.run", &["var/task/other.py"]),
            ("java", "a.b.Main", &[]),
        ] {
            assert_eq!(sample(runtime, handler, paths).says(&RULE), [""; 0], "{handler} {paths:?}");
        }
        let main = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", "LAMBDA_DOTNET_MAIN_ASSEMBLY=Host.dll"]);
        let of_host =
            ["var/task/Host.deps.json", "var/task/Host.runtimeconfig.json", "var/task/Other.deps.json"];
        let hosted = sample("dotnet", LIBRARY, &[&[DLL][..], &of_host].concat()).process("Env", main);
        assert_eq!(hosted.says(&RULE), [""; 0]);
    }

    #[test]
    fn missing_assemblies_and_files_are_found() {
        let form = "is not of the form `Assembly::Namespace.Type::Method`";
        let absent = |file: &str| {
            format!("cannot be loaded: /var/task does not contain {file}, which `dotnet publish` writes")
        };
        let (no_deps, no_config) = (absent("Orders.deps.json"), absent("Orders.runtimeconfig.json"));
        for (runtime, handler, paths, fault) in [
            (
                "dotnet",
                LIBRARY,
                &["var/task/bin/Orders.dll"][..],
                "has no assembly: /var/task does not contain Orders.dll",
            ),
            (
                "dotnet",
                "Orders",
                &["var/task/bin/Orders.dll"],
                "has no assembly: /var/task does not contain Orders.dll",
            ),
            ("dotnet", "Orders::Handle", &[DLL], form),
            ("dotnet", "Orders::::Handle", &[DLL], form),
            ("dotnet", "Orders:Handle", &[DLL], form),
            ("dotnet", LIBRARY, &[DLL, CONFIG], no_deps.as_str()),
            (
                "dotnet",
                LIBRARY,
                &[DLL, DEPS, "var/task/a.runtimeconfig.json", "var/task/b.runtimeconfig.json"],
                no_config.as_str(),
            ),
            ("ruby", "app.run", &["var/task/src/app.rb"], "has no file: /var/task does not contain app.rb"),
            ("ruby", "app", &["var/task/app.rb"], "names no method: it must be `file.method`"),
        ] {
            let sample = sample(runtime, handler, paths);
            assert_eq!(sample.says(&RULE), [format!("the handler {handler:?} {fault}")]);
        }
        for (runtime, handler) in [("ruby", "app.run"), ("dotnet", LIBRARY)] {
            assert_eq!(sample(runtime, handler, &[DLL]).unknown(0).says(&RULE), [""; 0]);
        }
    }
}
