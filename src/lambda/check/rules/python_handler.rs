//! The function that the handler names is there, in Python.

use std::collections::BTreeSet;

use super::super::case::Case;
use super::super::files::{Leads, Seen};
use super::super::{Findings, Rule, Severity};
use super::cmd_count::has_aws_entry;
use crate::lambda::handler_files;
use crate::layer::survey::{Member, MemberKind};

pub(super) const RULE: Rule = Rule {
    name: "python-handler",
    severity: Severity::Error,
    what: "The handler of a Python function names a module that is in the image, and something that it defines.",
    why: "The runtime imports the module and takes the function from it. Without them, every invocation fails with \
          `Runtime.ImportModuleError` or `Runtime.HandlerNotFound`.",
    example: "CMD `app.handler`, and the code is in /var/task/src/app.py.",
    way_out: "set the handler to `module.function` as it is below the function's directory",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/python-handler.html",
    check,
};

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (Some("python"), Some(handler)) = (case.runtime(), case.handler()) else { return };
    if !has_aws_entry(case) {
        return;
    }
    let (Some((_, function)), Some(files)) = (handler.rsplit_once('.'), handler_files("python", handler))
    else {
        let message = format!("the handler {handler:?} has no dot: it has to be `module.function`");
        findings.add(message).in_field("config.Cmd");
        return;
    };
    let module = files[0].strip_suffix(".py").unwrap_or(&files[0]);
    match find(case, module) {
        Found::Source(file) => {
            let Some(fault) = fault(file.member, function) else { return };
            let message = format!("the handler {handler:?} cannot be loaded: {fault}");
            findings.add(message).in_layer(case, file.layer).at(&file.member.path);
        }
        Found::Nothing => {
            let looked_for = files.join(", ");
            let message = format!(
                "the handler {handler:?} has no module: none of {looked_for} is in /{}, in /opt/python or among the \
                 installed packages",
                case.task_root()
            );
            findings.add(message).in_field("config.Cmd");
        }
        Found::Untold => {}
    }
}

enum Found<'a> {
    Source(Seen<'a>),
    Nothing,
    /// It is there without its source, or may be.
    Untold,
}

/// What Python would import, looking where it looks, in its order: packages, machine code, source, bytecode.
fn find<'a>(case: &Case<'a>, module: &str) -> Found<'a> {
    let compiled: Vec<Seen<'a>> =
        case.files.iter().filter(|file| file.member.path.ends_with(".so")).collect();
    let dirs = search_path(case);
    for dir in &dirs {
        let at = join(dir, module);
        let is_this = |path: &str| {
            path.strip_prefix(&at).is_some_and(|rest| rest.starts_with('.') || rest.starts_with("/__init__."))
        };
        if let Some(file) = case.files.file(&format!("{at}/__init__.py")) {
            return Found::Source(file);
        }
        if compiled.iter().any(|file| is_this(&file.member.path)) {
            return Found::Untold;
        }
        if let Some(file) = case.files.file(&format!("{at}.py")) {
            return Found::Source(file);
        }
        let others = ["/__init__.py", ".py", "/__init__.pyc", ".pyc"];
        if others.iter().any(|ending| is_file(case, &format!("{at}{ending}"))) {
            return Found::Untold;
        }
    }
    // An archive in the search path may have it; and a `.pth` file can add any directory, but for the one that
    // setuptools always brings.
    let archive = dirs.iter().any(|dir| is_file(case, dir));
    let adds = |member: &Member| member.path.ends_with(".pth") && member.name() != "distutils-precedence.pth";
    let more = archive || case.files.iter().any(|file| adds(file.member));
    if more || !case.files.complete { Found::Untold } else { Found::Nothing }
}

/// Where Python looks for modules in Lambda, as far as they can be the function's.
fn search_path(case: &Case<'_>) -> Vec<String> {
    let mut dirs = vec![case.task_root().to_owned(), "opt/python".to_owned()];
    let more = case.config.var("PYTHONPATH").unwrap_or_default().split(':').map(|dir| dir.trim_matches('/'));
    dirs.extend(more.filter(|dir| !dir.is_empty()).map(str::to_owned));
    let mut installed = BTreeSet::new();
    for file in case.files.iter() {
        let path = file.member.path.as_str();
        for name in ["/site-packages/", "/dist-packages/"] {
            if let Some(at) = path.find(name) {
                installed.insert(path[..at + name.len() - 1].to_owned());
            }
        }
    }
    dirs.extend(installed);
    dirs.push("var/runtime".to_owned());
    dirs
}

/// A path in a directory, which may be the root.
pub(super) fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

/// Whether a program that opens this path may find a file there.
pub(super) fn is_file(case: &Case<'_>, path: &str) -> bool {
    match case.files.resolve(path) {
        Leads::To(found) => matches!(found.member.kind, MemberKind::File | MemberKind::HardLink(_)),
        // The kernel makes of it what this image does not tell.
        Leads::Astray => true,
        Leads::Directory | Leads::Nowhere => false,
    }
}

/// What keeps `name` from being taken out of a module, by what was noted of it. Without notes, nobody looked.
pub(super) fn fault(module: &Member, name: &str) -> Option<String> {
    let notes = module.notes();
    if let Some(line) = notes.iter().find_map(|note| note.strip_prefix("broken ")) {
        return Some(format!("this module has a syntax error in line {line}"));
    }
    let names: Vec<&str> = notes.iter().filter_map(|note| note.strip_prefix("defines ")).collect();
    if names.is_empty() || names.iter().any(|defined| [name, "*", "__getattr__"].contains(defined)) {
        return None;
    }
    let first = names[..names.len().min(5)].join(", ");
    let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
    Some(format!("this module has no {name:?}; it defines {first}{more}"))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    fn with_handler(handler: &str) -> Sample {
        Sample::python().process("Cmd", json!([handler]))
    }

    #[test]
    fn the_module_must_be_there() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        assert_eq!(
            with_handler("src.app.handler").says(&RULE),
            [
                "the handler \"src.app.handler\" has no module: none of src/app.py, src/app/__init__.py, src/app.pyc is \
              in /var/task, in /opt/python or among the installed packages"
            ]
        );
        assert_eq!(with_handler("src.app.handler").unknown(0).says(&RULE), [""; 0]);
        assert_eq!(
            with_handler("app").says(&RULE),
            ["the handler \"app\" has no dot: it has to be `module.function`"]
        );
    }

    #[test]
    fn a_module_has_many_forms_and_places() {
        for path in [
            "var/task/src/app/__init__.py",
            "var/task/src/app.pyc",
            "var/task/src/app.cpython-312-x86_64-linux-gnu.so",
            "opt/python/src/app.py",
            "opt/python/lib/python3.12/site-packages/src/app.py",
            "var/lang/lib/python3.12/site-packages/src/app.so",
            "var/lang/lib/python3.12/site-packages/elsewhere.pth",
        ] {
            assert_eq!(with_handler("src.app.handler").file(1, path, 0o644).says(&RULE), [""; 0], "{path}");
        }
        let elsewhere = with_handler("src.app.handler").file(1, "code/src/app.py", 0o644);
        assert_eq!(elsewhere.says(&RULE).len(), 1);
    }

    #[test]
    fn the_function_must_be_in_it() {
        let noted = |notes: &[&str]| Sample::python().notes(1, "var/task/app.py", notes).says(&RULE);
        assert_eq!(
            noted(&["defines main", "defines run"]),
            [
                "var/task/app.py: the handler \"app.handler\" cannot be loaded: this module has no \"handler\"; it \
              defines main, run"
            ]
        );
        assert_eq!(
            noted(&["broken 7"]),
            [
                "var/task/app.py: the handler \"app.handler\" cannot be loaded: this module has a syntax error in line 7"
            ]
        );
        let many = ["a", "b", "c", "d", "e", "f", "g"].map(|name| format!("defines {name}"));
        assert!(
            noted(&many.each_ref().map(String::as_str))[0].ends_with("it defines a, b, c, d, e and 2 more")
        );
        assert_eq!(noted(&["defines main", "defines *"]), [""; 0]);
        assert_eq!(noted(&[]), [""; 0], "nobody looked");
    }
}
