//! The function of a Node.js handler is in the image.

use super::super::case::{Case, Seen};
use super::super::facts::MAX_PATH;
use super::super::finding::Severity;
use super::super::function::{join, within};
use super::super::handler::{fault, handled, is_file};
use super::super::rule::{Findings, Rule};
use crate::lambda::handler_files;
use crate::tree::Target;

pub(super) const RULE: Rule = Rule {
    name: "node-handler",
    severity: Severity::Error,
    what: "The handler of a Node.js function names a module that is in the image, and one of its exports.",
    why: "The runtime loads the module and takes the function from its exports. Without them, every invocation fails \
          with `Runtime.ImportModuleError` or `Runtime.HandlerNotFound`.",
    example: "CMD `index.handler`, with the compiled code in /var/task/dist/index.js.",
    help: "set the handler to `file.export`, relative to the function's directory, such as dist/index.handler",
    source: "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html",
    check,
};

/// Other file extensions that the runtime loads: TypeScript since Node.js 24.
const OTHER_ENDINGS: [&str; 3] = [".ts", ".mts", ".cts"];

fn check(case: &Case<'_>, findings: &mut Findings) {
    let Some(("nodejs", handler)) = handled(case) else { return };
    let name = handler.rsplit('/').next().unwrap_or(handler);
    let (Some((module, export)), Some(files)) = (name.split_once('.'), handler_files("nodejs", handler))
    else {
        let message = format!("the handler {handler:?} names no export: it must be `file.export`");
        findings.add(message).in_field("config.Cmd");
        return;
    };
    if handler.contains("..") {
        let message = format!("the handler {handler:?} has two dots in a row, which the runtime refuses");
        findings.add(message).in_field("config.Cmd");
        return;
    }
    // `index.api.handler` is a function in an object.
    let export = export.split('.').next().unwrap_or(export);
    let mut wrong = None;
    for root in case.roots() {
        match find(case, root, &files) {
            Found::Source(file) => match fault(file.member, export) {
                Some(fault) => wrong = wrong.or(Some((file, fault))),
                None => return,
            },
            Found::Uncertain => return,
            Found::Nothing => {}
        }
    }
    if let Some((file, fault)) = wrong {
        let message = format!("the handler {handler:?} cannot be loaded: {fault}");
        findings.add(message).in_layer(case, file.layer).at(&file.member.path);
    } else if !is_package(case, module) && case.is_certain() {
        let candidates = files.join(", ");
        let root = if handler.starts_with('/') { "" } else { case.task_root() };
        let message = format!("the handler {handler:?} has no module: none of {candidates} is in /{root}");
        findings.add(message).in_field("config.Cmd");
    }
}

enum Found<'a> {
    Source(Seen<'a>),
    Nothing,
    /// The module exists, or may exist, in a form without known exports.
    Uncertain,
}

/// The file that the runtime would load from a root, in its search order. A handler that begins with a slash is
/// absolute.
fn find<'a>(case: &Case<'a>, root: &str, files: &[String]) -> Found<'a> {
    let paths: Vec<String> = files.iter().map(|file| within(root, file)).collect();
    let stem = paths[0].strip_suffix(".js").unwrap_or(&paths[0]);
    if is_file(case, stem) {
        return Found::Uncertain;
    }
    if let Some(file) = paths.iter().find_map(|path| case.files.file(path)) {
        return Found::Source(file);
    }
    // A directory is loaded through its package.json or index.js.
    let is_other = OTHER_ENDINGS.iter().any(|ending| is_file(case, &format!("{stem}{ending}")));
    if is_other || !matches!(case.files.resolve(stem).target, Target::Nothing) {
        Found::Uncertain
    } else {
        Found::Nothing
    }
}

/// The endings that Node tries for a name.
const ADDED: [&str; 4] = ["", ".js", ".json", ".node"];

/// Whether Node may find the module by name, like a package. The runtime tries this last. Node also searches the
/// directories in `NODE_PATH`, which include the function's directory.
fn is_package(case: &Case<'_>, module: &str) -> bool {
    if module.is_empty() || module.len() > MAX_PATH {
        return false;
    }
    let start = case.config.workdir().unwrap_or("/");
    let named = case.config.var("NODE_PATH").filter(|path| !path.is_empty());
    // Searching that many directories takes too long: assume that the module exists.
    if start.len() > MAX_PATH || named.is_some_and(|path| path.len() > MAX_PATH) {
        return true;
    }
    let named = named.into_iter().flat_map(|path| path.split(':')).map(|dir| within(start, dir));
    let mut places = named.chain(["var/task".to_owned(), case.task_root().to_owned()]);
    let exists = |at: &str| {
        let is_file = ADDED.iter().any(|added| case.files.get(format!("{at}{added}")).is_some());
        is_file || case.files.below(at).next().is_some()
    };
    let among_packages = format!("node_modules/{module}");
    let is_one = |path: &str| {
        let rest = path.rfind(&among_packages).map(|at| &path[at + among_packages.len()..]);
        rest.is_some_and(|rest| rest.starts_with('/') || ADDED.contains(&rest))
    };
    places.any(|dir| exists(&join(&dir, module))) || case.files.iter().any(|file| is_one(&file.member.path))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{Fact, Names};
    use super::super::super::sample::Sample;
    use super::{MAX_PATH, RULE};
    use serde_json::json;

    /// The relevant files and settings of AWS's Node.js base, and a function whose module is at this path.
    fn sample(handler: &str, path: &str) -> Sample {
        Sample::empty(2)
            .directories(0, "var/runtime")
            .file(0, "var/runtime/index.mjs", 0o644)
            .file(0, "var/runtime/bootstrap", 0o755)
            .directories(1, "var/task")
            .file(1, path, 0o644)
            .process("Entrypoint", json!(["/lambda-entrypoint.sh"]))
            .process("Cmd", json!([handler]))
            .process("WorkingDir", "/app".into())
            .process("Env", json!(["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"]))
    }

    #[test]
    fn the_module_must_be_in_the_image() {
        for (handler, path) in [
            ("index.handler", "var/task/index.js"),
            ("./dist/index.api.handler", "var/task/dist/index.mjs"),
            ("dist.v2/index.handler", "var/task/dist.v2/index.cjs"),
            ("/code/index.handler", "code/index.js"),
            ("index.handler", "var/task/index.ts"),
            ("wrapper.handler", "opt/nodejs/node_modules/wrapper/index.js"),
            ("index.handler", "var/task/index/package.json"),
            ("src/api.handler", "var/task/src/api/index.js"),
            ("index.handler", "var/task/index"),
            ("index.handler", "app/index.js"),
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
        let path = |dirs: &str| {
            let path = format!("NODE_PATH={dirs}");
            missing.clone().process("Env", json!(["LAMBDA_RUNTIME_DIR=/var/runtime", path])).says(&RULE)
        };
        assert_eq!([path("/var/task/dist").len(), path("../dist").len(), path("/dist").len()], [0, 1, 1]);
        assert_eq!(path("/dist:/var").len(), 1);
        assert_eq!(path(&"/dist:".repeat(MAX_PATH)), [""; 0], "uncertain");
        assert_eq!(missing.unknown(0).says(&RULE), [""; 0]);
        let root = sample("index.handler", "index.js");
        assert_eq!(root.says(&RULE).len(), 1);
        assert_eq!(root.process("WorkingDir", "/".into()).says(&RULE), [""; 0]);
    }

    #[test]
    fn packages_are_found_by_their_names() {
        let by_path = |path: &str| {
            let env = json!(["LAMBDA_RUNTIME_DIR=/var/runtime", "NODE_PATH=/opt/lib"]);
            sample("wrap.handler", path).process("Env", env).says(&RULE).len()
        };
        for path in [
            "opt/lib/wrap.js",
            "opt/lib/wrap.json",
            "opt/lib/wrap.node",
            "opt/lib/wrap/lib/index.js",
            "opt/lib/wrap",
            "any/node_modules/wrap.js",
        ] {
            assert_eq!(by_path(path), 0, "{path}");
        }
        for path in ["opt/lib/wrap.ts", "opt/lib/wraps/index.js", "opt/wrap.js", "any/node_modules/wrap.ts"] {
            assert_eq!(by_path(path), 1, "{path}");
        }
        let long = "a".repeat(MAX_PATH + 1);
        assert_eq!(sample(&format!("{long}.handler"), "var/task/index.js").says(&RULE).len(), 1);
    }

    #[test]
    fn a_handler_that_the_runtime_refuses_is_found() {
        for handler in ["index", "dist.v2/index", "../index.handler"] {
            assert_eq!(sample(handler, "var/task/index.js").says(&RULE).len(), 1, "{handler}");
        }
    }

    #[test]
    fn the_module_must_have_the_export() {
        let noted = |handler: &str, fact: Fact| {
            sample(handler, "var/task/index.js").facts(1, "var/task/index.js", [fact]).says(&RULE)
        };
        assert_eq!(
            noted("index.handler", Fact::defines(["main"])),
            [
                "var/task/index.js: the handler \"index.handler\" cannot be loaded: this module has no \"handler\"; it \
              defines main"
            ]
        );
        assert_eq!(noted("index.api.handler", Fact::defines(["api"])), [""; 0]);
        assert_eq!(noted("index.handler", Fact::Defines(Names::Any)), [""; 0]);
        assert_eq!(noted("index.handler", Fact::defines([])).len(), 1);
    }
}
