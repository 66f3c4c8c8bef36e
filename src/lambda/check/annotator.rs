//! What the rules want to know of the content of files: the names that a handler's module binds, and secrets.

use std::collections::BTreeSet;

use super::{module, secrets};
use crate::image::Config;
use crate::layer::survey::{Annotate, SHOWN};

/// Changes with anything that is noted.
const VERSION: &str = "notes-1";

/// More names than this tell nobody more.
const MAX_NAMES: usize = 500;

/// Notes what the rules want to know of the files of one image.
#[derive(Debug)]
pub struct Annotator {
    /// The paths at which the handler's module may be.
    modules: BTreeSet<String>,
}

impl Annotator {
    /// For the image of this config.
    pub fn of(config: &Config) -> Annotator {
        let root = config
            .var("LAMBDA_TASK_ROOT")
            .or_else(|| config.workdir())
            .unwrap_or("/var/task")
            .trim_matches('/');
        // Which runtime it is will only be known when the layers are.
        let modules = match config.cmd()[..] {
            [handler] => python_files(root, handler).chain(node_files(root, handler)).collect(),
            _ => BTreeSet::new(),
        };
        Annotator { modules }
    }
}

fn python_files(root: &str, handler: &str) -> impl Iterator<Item = String> {
    let module = handler.rsplit_once('.').map(|(module, _)| module.replace('.', "/"));
    let dirs = [root.to_owned(), "opt/python".to_owned(), "var/runtime".to_owned()];
    module.into_iter().flat_map(move |module| {
        dirs.clone()
            .into_iter()
            .flat_map(move |dir| [format!("{dir}/{module}.py"), format!("{dir}/{module}/__init__.py")])
    })
}

fn node_files(root: &str, handler: &str) -> impl Iterator<Item = String> {
    let file = handler.rfind('/').map_or(0, |slash| slash + 1);
    let module = handler[file..].find('.').map(|dot| handler[..file + dot].trim_start_matches("./"));
    module
        .into_iter()
        .flat_map(move |module| ["js", "mjs", "cjs"].map(|ending| format!("{root}/{module}.{ending}")))
}

impl Annotate for Annotator {
    fn name(&self) -> String {
        let modules: Vec<&str> = self.modules.iter().map(String::as_str).collect();
        format!("{VERSION} {}", modules.join(" "))
    }

    fn wants(&self, path: &str) -> bool {
        self.modules.contains(path) || secrets::is_secret_file(path).is_some()
    }

    fn notes(&self, path: &str, content: &[u8]) -> Vec<String> {
        if !self.modules.contains(path) {
            return secrets::notes(path, content);
        }
        let mut names = match path.ends_with(".py") {
            true => module::python(content),
            false => module::javascript(content),
        };
        // Of a file that was not shown to its end, nobody knows the rest.
        if content.len() as u64 >= SHOWN || names.len() > MAX_NAMES {
            names = BTreeSet::from(["*".to_owned()]);
        }
        names.into_iter().map(|name| format!("defines {name}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_looked_for_by_each_languages_rules() {
        let config = r#"{"os":"linux","architecture":"arm64","config":{"Cmd":["./src/app.api.handler"],"WorkingDir":"/f"},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        let annotator = Annotator::of(&Config::parse("test", config.as_bytes()).unwrap());
        for path in ["f/src/app.js", "f/src/app.cjs", "f/.env"] {
            assert!(annotator.wants(path), "{path}");
        }
        assert!(!annotator.wants("f/src/api.js") && !annotator.wants("f/other.js"));
        let notes = annotator.notes("f/src/app.js", b"exports.api = { handler() {} };");
        assert_eq!(notes, ["defines api"]);
        assert!(annotator.name().contains("f/src/app.mjs"));
    }
}
