//! The function that the handler names is there, in Node.js.

use super::super::case::Case;
use super::super::{Findings, Rule, Severity};
use super::cmd_count::has_aws_entry;
use super::python_handler::{fault, is_file, join};
use crate::lambda::handler_files;

pub(super) const RULE: Rule = Rule {
    name: "node-handler",
    severity: Severity::Error,
    what: "The handler of a Node.js function names a module that is in the image, and something that it exports.",
    why: "The runtime loads the module and takes the function from what it exports. Without them, every invocation \
          fails with `Runtime.ImportModuleError` or `Runtime.HandlerNotFound`.",
    example: "CMD `index.handler`, and the compiled code is in /var/task/dist/index.js.",
    way_out: "set the handler to `file.export` as it is below the function's directory, as dist/index.handler",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html",
    check,
};

/// What else the runtime loads by its path, since Node.js 24 among it TypeScript.
const OTHER_ENDINGS: [&str; 3] = [".ts", ".mts", ".cts"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let (Some("nodejs"), Some(handler)) = (case.runtime(), case.handler()) else { return };
    if !has_aws_entry(case) {
        return;
    }
    let name = handler.rsplit('/').next().unwrap_or(handler);
    let (Some((module, export)), Some(files)) = (name.split_once('.'), handler_files("nodejs", handler))
    else {
        let message = format!("the handler {handler:?} names no export: it has to be `file.export`");
        findings.add(message).in_field("config.Cmd");
        return;
    };
    if handler.contains("..") {
        let message = format!("the handler {handler:?} has two dots in a row, which the runtime refuses");
        findings.add(message).in_field("config.Cmd");
        return;
    }
    let root = if handler.starts_with('/') { "" } else { case.task_root() };
    let paths: Vec<String> = files.iter().map(|file| join(root, file.trim_start_matches('/'))).collect();
    let stem = paths[0].strip_suffix(".js").unwrap_or(&paths[0]);
    if is_file(case, stem) {
        return;
    }
    if let Some(path) = paths.iter().find(|path| is_file(case, path)) {
        let Some(file) = case.files.file(path) else { return };
        // `index.api.handler` is a function in an object.
        let export = export.split('.').next().unwrap_or(export);
        let Some(fault) = fault(file.member, export) else { return };
        let message = format!("the handler {handler:?} cannot be loaded: {fault}");
        findings.add(message).in_layer(case, file.layer).at(&file.member.path);
        return;
    }
    let other = OTHER_ENDINGS.iter().any(|ending| is_file(case, &format!("{stem}{ending}")));
    if other || !case.files.complete || is_package(case, module) {
        return;
    }
    let looked_for = files.join(", ");
    let message = format!("the handler {handler:?} has no module: none of {looked_for} is in /{root}");
    findings.add(message).in_field("config.Cmd");
}

/// Whether Node may find the module by its name alone, as it finds packages: the runtime's last attempt, which goes
/// by `NODE_PATH` as well, and that has the function's directory in it.
fn is_package(case: &Case<'_>, module: &str) -> bool {
    let named = case.config.var("NODE_PATH").unwrap_or_default().split(':').map(|dir| dir.trim_matches('/'));
    let mut places = named.filter(|dir| !dir.is_empty()).chain([case.task_root()]);
    let starts = |path: &str, at: &str| {
        path.strip_prefix(at)
            .is_some_and(|rest| rest.starts_with('/') || ["", ".js", ".json", ".node"].contains(&rest))
    };
    let among_packages = format!("node_modules/{module}");
    let is_one =
        |path: &str| path.rfind(&among_packages).is_some_and(|at| starts(&path[at..], &among_packages));
    let by_place = places.any(|dir| {
        let at = join(dir, module);
        case.files.iter().any(|file| starts(&file.member.path, &at))
    });
    by_place || case.files.iter().any(|file| is_one(&file.member.path))
}

#[cfg(test)]
mod tests {
    use super::super::super::sample::Sample;
    use super::RULE;
    use serde_json::json;

    /// What AWS's Node.js base has, with a function whose module is at this path.
    fn sample(handler: &str, path: &str) -> Sample {
        Sample::empty(2)
            .directories(0, "var/runtime")
            .file(0, "var/runtime/index.mjs", 0o644)
            .file(0, "var/runtime/bootstrap", 0o755)
            .directories(1, "var/task")
            .file(1, path, 0o644)
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!([handler]))
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
    }

    #[test]
    fn the_module_must_be_there() {
        for (handler, path) in [
            ("index.handler", "var/task/index.js"),
            ("./dist/index.api.handler", "var/task/dist/index.mjs"),
            ("dist.v2/index.handler", "var/task/dist.v2/index.cjs"),
            ("/code/index.handler", "code/index.js"),
            ("index.handler", "var/task/index.ts"),
            ("wrapper.handler", "opt/nodejs/node_modules/wrapper/index.js"),
            ("index.handler", "var/task/index/package.json"),
        ] {
            assert_eq!(sample(handler, path).says(&RULE), [""; 0], "{handler} {path}");
        }
        let missing = sample("index.handler", "var/task/dist/index.js");
        assert_eq!(
            missing.says(&RULE),
            [
                "the handler \"index.handler\" has no module: none of index.js, index.mjs, index.cjs is in /var/task"
            ]
        );
        assert_eq!(missing.unknown(0).says(&RULE), [""; 0]);
    }

    #[test]
    fn the_form_is_the_runtimes() {
        for handler in ["index", "dist.v2/index", "../index.handler"] {
            assert_eq!(sample(handler, "var/task/index.js").says(&RULE).len(), 1, "{handler}");
        }
    }

    #[test]
    fn the_export_must_be_in_it() {
        let noted = |handler: &str, notes: &[&str]| {
            sample(handler, "var/task/index.js").notes(1, "var/task/index.js", notes).says(&RULE)
        };
        assert_eq!(
            noted("index.handler", &["defines main"]),
            [
                "var/task/index.js: the handler \"index.handler\" cannot be loaded: this module has no \"handler\"; it \
              defines main"
            ]
        );
        assert_eq!(noted("index.api.handler", &["defines api"]), [""; 0]);
        assert_eq!(noted("index.handler", &["defines *"]), [""; 0]);
        assert_eq!(noted("index.handler", &["broken 3"]).len(), 1);
    }
}
