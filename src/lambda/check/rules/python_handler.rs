//! The function of a Python handler is in the image.

use std::collections::BTreeSet;

use super::super::case::{Case, Member, Seen};
use super::super::facts::{MAX_PATH, is_overlong};
use super::super::finding::Severity;
use super::super::function::{join, python_path};
use super::super::handler::{fault, handled, is_file};
use super::super::rule::{Findings, Rule};
use crate::lambda::handler_files;

pub(super) const RULE: Rule = Rule {
    name: "python-handler",
    severity: Severity::Error,
    what: "The handler of a Python function names a module that is in the image, and a name that it defines.",
    why: "The runtime imports the module and takes the function from it. Without them, every invocation fails with \
          `Runtime.ImportModuleError` or `Runtime.HandlerNotFound`.",
    example: "CMD `app.handler`, with the code in /var/task/src/app.py.",
    help: "set the handler to `module.function`, with the module relative to the function's directory",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(("python", handler)) = handled(case) else { return };
    let (Some((_, function)), Some(files)) = (handler.rsplit_once('.'), handler_files("python", handler))
    else {
        let message = format!("the handler {handler:?} has no dot: it must be `module.function`");
        findings.add(message).in_field("config.Cmd");
        return;
    };
    let module = files[0].strip_suffix(".py").unwrap_or(&files[0]);
    if module.starts_with('/') {
        let message = format!(
            "the handler {handler:?} begins like a path: Python takes it for a module relative to a package"
        );
        findings.add(message).in_field("config.Cmd");
        return;
    }
    match find(case, module) {
        Found::Source(file) => {
            let Some(fault) = fault(file.member, function) else { return };
            let message = format!("the handler {handler:?} cannot be loaded: {fault}");
            findings.add(message).in_layer(case, file.layer).at(&file.member.path);
        }
        Found::Nothing => {
            let candidates = files.join(", ");
            let message = format!(
                "the handler {handler:?} has no module: none of {candidates} is in /{}, in /opt/python or among the \
                 installed packages",
                case.task_root()
            );
            findings.add(message).in_field("config.Cmd");
        }
        Found::Uncertain => {}
    }
}

/// Upper bound on the directories of packages that are searched for a module.
const MOST: usize = 10_000;

enum Found<'a> {
    Source(Seen<'a>),
    Nothing,
    /// The module exists without its source, or may exist.
    Uncertain,
}

/// The file that Python would import, in its search order: packages, machine code, source, bytecode.
fn find<'a>(case: &Case<'a>, module: &str) -> Found<'a> {
    if module.len() > MAX_PATH {
        return Found::Nothing;
    }
    // Searching that many directories takes too long.
    if is_overlong(case.config) {
        return Found::Uncertain;
    }
    let compiled = compiled(case);
    let Some(dirs) = search_path(case, module) else { return Found::Uncertain };
    for dir in &dirs {
        let at = join(dir, module);
        if let Some(file) = case.files.file(format!("{at}/__init__.py")) {
            return Found::Source(file);
        }
        if compiled.contains(at.as_str()) {
            return Found::Uncertain;
        }
        if let Some(file) = case.files.file(format!("{at}.py")) {
            return Found::Source(file);
        }
        let others = ["/__init__.py", ".py", "/__init__.pyc", ".pyc"];
        if others.iter().any(|ending| is_file(case, &format!("{at}{ending}"))) {
            return Found::Uncertain;
        }
    }
    // An archive in the search path may contain the module, and a `.pth` file can add any directory; the one that
    // setuptools always installs adds none.
    let archive = dirs.iter().any(|dir| is_file(case, dir));
    let adds = |member: &Member| member.path.ends_with(".pth") && member.name() != "distutils-precedence.pth";
    let more = archive || case.files.iter().any(|file| adds(file.member));
    if more || !case.is_certain() { Found::Uncertain } else { Found::Nothing }
}

/// The modules that exist as machine code, as paths without extensions. One pass over the files serves any number of
/// directories.
fn compiled<'a>(case: &Case<'a>) -> BTreeSet<&'a str> {
    let mut modules = BTreeSet::new();
    for file in case.files.iter() {
        let path = file.member.path.as_str();
        let name = path.len() - file.member.name().len();
        if path.ends_with(".so")
            && let Some(dot) = path[name..].find('.')
        {
            let module = &path[..name + dot];
            modules.insert(module);
            // A package is imported by its directory.
            modules.extend(module.strip_suffix("/__init__"));
        }
    }
    modules
}

/// The search path of Python for a module. There may be as many directories of packages as files, so only those are
/// included that have an entry with the first component of the module's path; `None` if even these are too many.
fn search_path(case: &Case<'_>, module: &str) -> Option<Vec<String>> {
    let mut dirs = python_path(case.config);
    let first = module.split('/').next().unwrap_or(module);
    let begins = |inside: &str| {
        inside.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
    };
    let mut installed = BTreeSet::new();
    for file in case.files.iter() {
        let path = file.member.path.as_str();
        for name in ["/site-packages/", "/dist-packages/"] {
            if let Some(at) = path.find(name)
                && begins(&path[at + name.len()..])
            {
                installed.insert(&path[..at + name.len() - 1]);
                if installed.len() > MOST {
                    return None;
                }
            }
        }
    }
    dirs.extend(installed.into_iter().map(str::to_owned));
    dirs.push("var/runtime".to_owned());
    Some(dirs)
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{Fact, Names};
    use super::super::super::sample::Sample;
    use super::{MAX_PATH, RULE};
    use serde_json::json;

    fn with_handler(handler: &str) -> Sample {
        Sample::python().process("Cmd", json!([handler]))
    }

    #[test]
    fn the_module_must_be_in_the_image() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            with_handler("src.app.handler").says(&RULE),
            [
                "the handler \"src.app.handler\" has no module: none of src/app.py, src/app/__init__.py, src/app.pyc \
                 is in /var/task, in /opt/python or among the installed packages"
            ]
        );
        assert_eq!(with_handler("src.app.handler").unknown(0).says(&RULE), [""; 0]);
        assert_eq!(
            with_handler("app").says(&RULE),
            ["the handler \"app\" has no dot: it must be `module.function`"]
        );
        for handler in ["./app.handler", "/var/task/app.handler", ".app.handler"] {
            let says = with_handler(handler).says(&RULE);
            assert!(says.len() == 1 && says[0].contains("begins like a path"), "{says:?}");
        }
    }

    #[test]
    fn a_module_is_found_in_each_form_and_directory() {
        for path in [
            "var/task/src/app.py",
            "var/task/src/app/__init__.py",
            "var/task/src/app/__init__.pyc",
            "var/task/src/app.pyc",
            "var/task/src/app.cpython-312-x86_64-linux-gnu.so",
            "var/task/src/app/__init__.cpython-312-x86_64-linux-gnu.so",
            "opt/python/src/app.py",
            "opt/python/lib/python3.12/site-packages/src/app.py",
            "var/lang/lib/python3.12/site-packages/src/app.so",
            "var/lang/lib/python3.12/site-packages/elsewhere.pth",
        ] {
            assert_eq!(with_handler("src.app.handler").file(1, path, 0o644).says(&RULE), [""; 0], "{path}");
        }
        for path in [
            "code/src/app.py",
            "var/task/src/__pycache__/app.cpython-312.pyc",
            "var/task/src/app/x.py",
            "var/task/src/app/x.so",
            "var/task/src/app.libs/x.so",
            "var/task/src/apps.so",
            "var/lang/lib/python3.12/site-packages/srcs/app.py",
        ] {
            assert_eq!(with_handler("src.app.handler").file(1, path, 0o644).says(&RULE).len(), 1, "{path}");
        }
        let by_path = with_handler("src/app.handler").file(1, "var/task/src/app.py", 0o644);
        assert_eq!(by_path.says(&RULE), [""; 0]);
        let wrapped = with_handler("datadog_lambda.handler.handler");
        let path = "opt/python/lib/python3.12/site-packages/datadog_lambda/handler.py";
        assert_eq!(wrapped.says(&RULE).len(), 1);
        assert_eq!(wrapped.file(1, path, 0o644).says(&RULE), [""; 0]);
    }

    #[test]
    fn the_search_path_includes_the_settings_of_the_image() {
        let found = |env: &str, workdir: &str, path: &str| {
            let env = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", "LAMBDA_TASK_ROOT=/var/task", env]);
            let sample = with_handler("src.app.handler").process("Env", env);
            sample.process("WorkingDir", workdir.into()).file(1, path, 0o644).says(&RULE).len()
        };
        assert_eq!(found("PYTHONPATH=/code", "/var/task", "code/src/app.py"), 0);
        assert_eq!(found("PYTHONPATH=.", "/code", "code/src/app.py"), 0);
        assert_eq!(found("PYTHONPATH=lib:", "/", "src/app.py"), 0);
        assert_eq!(
            found("A=B", "/code", "code/src/app.py"),
            1,
            "the working directory is not in the search path"
        );
        assert_eq!(found("LAMBDA_TASK_ROOT=/", "/var/task", "src/app.py"), 0);
    }

    #[test]
    fn paths_beyond_the_limit_are_uncertain() {
        let (long, env) =
            ("a".repeat(MAX_PATH + 1), |path: &str| json!([path, "LAMBDA_RUNTIME_DIR=/var/runtime"]));
        assert_eq!(with_handler(&format!("{long}.handler")).says(&RULE).len(), 1);
        let missing = with_handler("src.app.handler");
        let by_path =
            |path: &str| missing.clone().process("Env", env(&format!("PYTHONPATH={path}"))).says(&RULE);
        assert_eq!([by_path("/code").len(), by_path(&long).len()], [1, 0], "uncertain");
        assert_eq!(
            missing.process("WorkingDir", format!("/{long}").into()).says(&RULE),
            [""; 0],
            "uncertain"
        );
    }

    #[test]
    fn a_wrapper_or_another_bootstrap_may_change_the_handler() {
        let missing = || with_handler("src.app.handler");
        assert_eq!(missing().says(&RULE).len(), 1);
        let env = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", "AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper"]);
        assert_eq!(missing().process("Env", env).says(&RULE), [""; 0]);
        assert_eq!(missing().file(1, "var/runtime/bootstrap", 0o755).says(&RULE), [""; 0]);
        let os_only =
            json!({ "org.opencontainers.image.base.name": "public.ecr.aws/lambda/provided:al2023" });
        assert_eq!(missing().process("Labels", os_only).says(&RULE), [""; 0]);
        assert_eq!(missing().process("Entrypoint", json!(["/entry.sh"])).says(&RULE), [""; 0]);
    }

    #[test]
    fn the_module_must_define_the_function() {
        let noted = |facts: Option<Fact>| Sample::python().facts(1, "var/task/app.py", facts).says(&RULE);
        let defining = |names: &[&str]| noted(Some(Fact::defines(names.iter().copied())));
        assert_eq!(
            defining(&["main", "run"]),
            [
                "var/task/app.py: the handler \"app.handler\" cannot be loaded: this module has no \"handler\"; it \
              defines main, run"
            ]
        );
        assert_eq!(
            defining(&[]),
            [
                "var/task/app.py: the handler \"app.handler\" cannot be loaded: this module has no \"handler\" \
                 and defines no other names"
            ]
        );
        let many = defining(&["a", "b", "c", "d", "e", "f", "g"]);
        assert!(many[0].ends_with("it defines a, b, c, d, e and 2 more"));
        assert_eq!(noted(Some(Fact::Defines(Names::Any))), [""; 0]);
        assert_eq!(noted(None), [""; 0], "the names are unknown");
    }
}
