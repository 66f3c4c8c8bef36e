//! What the rules want to know of the content of files: the names that a handler's module binds, the classes that an
//! archive has, what a program speaks with, and secrets.

use std::collections::BTreeSet;

use super::case::{handler, join, python_path, roots, within};
use super::{module, secrets};
use crate::image::Config;
use crate::layer::survey::{Annotate, ReadSeek, SHOWN, Wanted};

/// Changes with anything that is noted.
const VERSION: &str = "notes-3";

/// Linux takes no longer path, and no one has a longer list of them.
pub(super) const MAX_PATH: usize = 4096;

/// The most files that are looked into for one handler or command line.
const MAX_FILES: usize = 100;

/// What is looked at of a file that may hold secrets: no tool keeps its logins in a longer one.
const LOGINS: usize = 256 << 10;

/// More names than this tell nobody more.
const MAX_NAMES: usize = 500;

/// The note of a module that was read, and binds no name.
pub(super) const NO_NAMES: &str = "no names";

/// The note of a program's text that names what speaks with Lambda, or does it itself.
pub(super) const CLIENT: &str = "may be a runtime interface client";

/// What stands in the text of a client of Lambda's runtime API, or of what starts one.
const SIGNS: [&str; 5] =
    ["AWS_LAMBDA_RUNTIME_API", "runtime/invocation", "awslambdaric", "aws-lambda-ric", "aws_lambda_ric"];

/// Notes what the rules want to know of the files of one image.
#[derive(Debug)]
pub struct Annotator {
    /// The paths at which the handler's module may be.
    modules: BTreeSet<String>,
    /// The file of the class that the handler may name, and the directories with archives that may have it.
    class: Option<(String, Vec<String>)>,
    /// The paths of what is started, where that is no entry script of AWS's.
    programs: BTreeSet<String>,
}

/// The endings of programs that an interpreter runs.
const TEXTS: [&str; 6] = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb"];

impl Annotator {
    /// For the image of this config.
    pub fn of(config: &Config) -> Annotator {
        // Which runtime it is will only be known when the layers are.
        let is_sound = |handler: &&str| handler.len() <= MAX_PATH && !is_overlong(config);
        let Some(handler) = handler(config).filter(is_sound) else {
            let programs = programs(config);
            return Annotator { modules: BTreeSet::new(), class: None, programs };
        };
        let modules = python_files(config, handler).into_iter().chain(node_files(config, handler));
        let modules = modules.take(MAX_FILES).collect();
        let class = module::class_file(handler).map(|class| (class, archive_dirs(config)));
        Annotator { modules, class, programs: BTreeSet::new() }
    }

    /// The class that an archive at this path may have for the handler.
    fn class_in(&self, path: &str) -> Option<&str> {
        let (class, dirs) = self.class.as_ref()?;
        let dir = path.strip_suffix(".jar").map(|path| path.rsplit_once('/').map_or("", |(dir, _)| dir))?;
        dirs.iter().any(|of| of == dir).then_some(class.as_str())
    }
}

/// Whether the directories of a handler's module are named by more than anyone writes.
pub(super) fn is_overlong(config: &Config) -> bool {
    let named = [config.workdir(), config.var("LAMBDA_TASK_ROOT"), config.var("PYTHONPATH")];
    named.into_iter().flatten().any(|text| text.len() > MAX_PATH)
}

fn python_files(config: &Config, handler: &str) -> Vec<String> {
    let Some((module, _)) = handler.rsplit_once('.') else { return Vec::new() };
    let module = module.replace('.', "/");
    let mut dirs = python_path(config);
    dirs.push("var/runtime".to_owned());
    let files = dirs
        .iter()
        .flat_map(|dir| [".py", "/__init__.py"].map(|ending| join(dir, &format!("{module}{ending}"))));
    files.collect()
}

fn node_files(config: &Config, handler: &str) -> Vec<String> {
    let file = handler.rfind('/').map_or(0, |slash| slash + 1);
    let Some(dot) = handler[file..].find('.') else { return Vec::new() };
    let module = &handler[..file + dot];
    let roots = roots(config);
    let files = roots
        .iter()
        .flat_map(|root| ["js", "mjs", "cjs"].map(|ending| within(root, &format!("{module}.{ending}"))));
    files.collect()
}

/// Where Java's runtime looks for archives, and where they are put by mistake.
fn archive_dirs(config: &Config) -> Vec<String> {
    let roots = roots(config).into_iter().flat_map(|root| [root.to_owned(), join(root, "lib")]);
    roots.chain(["opt/java/lib".to_owned()]).collect()
}

/// The paths of what an interpreter may be told to run by the command line.
fn programs(config: &Config) -> BTreeSet<String> {
    let start = config.workdir().unwrap_or("/");
    let words = config.entrypoint().into_iter().chain(config.cmd()).skip(1);
    let words = words.filter(|word| TEXTS.iter().any(|ending| word.ends_with(ending)));
    let words = words.filter(|word| start.len() + word.len() < MAX_PATH).take(MAX_FILES);
    words.map(|word| within(start, word)).collect()
}

impl Annotate for Annotator {
    fn name(&self) -> String {
        // The names of files may hold anything that separates them.
        format!("{VERSION} {self:?}")
    }

    fn wants(&self, path: &str) -> Wanted {
        if self.class_in(path).is_some() {
            return Wanted::Whole;
        }
        let is_wanted = self.modules.contains(path)
            || self.programs.contains(path)
            || secrets::is_secret_file(path).is_some();
        if is_wanted { Wanted::Beginning } else { Wanted::Nothing }
    }

    fn notes(&self, path: &str, content: &[u8]) -> Vec<String> {
        let mut notes = secret_notes(path, content);
        // Of a file that was not shown to its end, nobody knows the rest.
        let is_whole = (content.len() as u64) < SHOWN;
        let has = |sign: &str| content.windows(sign.len()).any(|window| window == sign.as_bytes());
        if self.programs.contains(path) && (!is_whole || SIGNS.into_iter().any(has)) {
            notes.push(CLIENT.to_owned());
        }
        if self.modules.contains(path) {
            notes.extend(name_notes(path, content, is_whole));
        }
        notes
    }

    fn notes_of_whole(&self, path: &str, file: &mut dyn ReadSeek) -> Vec<String> {
        let class = self.class_in(path);
        let found = class.and_then(|class| Some(class_note(class, module::has_class(file, class)?)));
        found.into_iter().collect()
    }
}

fn secret_notes(path: &str, content: &[u8]) -> Vec<String> {
    let beginning = &content[..content.len().min(LOGINS)];
    let mut notes = secrets::notes(path, beginning);
    // That there are none can be told of a whole file alone.
    let is_whole = beginning.len() == content.len();
    notes.retain(|note| is_whole || note != "no login");
    notes
}

fn name_notes(path: &str, content: &[u8], is_whole: bool) -> Vec<String> {
    let names = match path.ends_with(".py") {
        _ if !is_whole => BTreeSet::from(["*".to_owned()]),
        true => module::python(content),
        false => module::javascript(content),
    };
    match names.len() {
        0 => vec![NO_NAMES.to_owned()],
        1..=MAX_NAMES => names.into_iter().map(|name| format!("defines {name}")).collect(),
        _ => vec!["defines *".to_owned()],
    }
}

/// The note of an archive that was read to its end: whether it has the class.
pub(super) fn class_note(class: &str, has: bool) -> String {
    format!("{} {class}", if has { "has" } else { "lacks" })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn annotator(process: &str) -> Annotator {
        let text = format!(
            r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":[]}},"config":{process}}}"#
        );
        Annotator::of(&Config::parse("test", text.as_bytes()).unwrap())
    }

    /// Of an image with AWS's entry script.
    fn of_aws(handler: &str, more: &str) -> Annotator {
        annotator(&format!(r#"{{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["{handler}"]{more}}}"#))
    }

    #[test]
    fn modules_are_looked_for_by_each_languages_rules() {
        let of_app = of_aws("./src/app.api.handler", r#","WorkingDir":"/f""#);
        for path in ["f/src/app.js", "f/src/app.cjs", "f/.env"] {
            assert_eq!(of_app.wants(path), Wanted::Beginning, "{path}");
        }
        for path in ["f/src/api.js", "f/other.js"] {
            assert_eq!(of_app.wants(path), Wanted::Nothing, "{path}");
        }
        assert_eq!(of_app.notes("f/src/app.js", b"exports.api = { handler() {} };"), ["defines api"]);
        assert_eq!(of_app.notes("f/src/app.js", b"const api = 1;"), [NO_NAMES]);
        let long = [&b"exports.api = 1; //"[..], &vec![b'x'; SHOWN as usize]].concat();
        assert_eq!(of_app.notes("f/src/app.js", &long[..SHOWN as usize]), ["defines *"]);
        assert!(of_app.name().contains("f/src/app.mjs"));
        let of_src = of_aws("app.handler", r#","WorkingDir":"/var/task","Env":["PYTHONPATH=src:/opt/x"]"#);
        for path in ["var/task/app.py", "var/task/src/app/__init__.py", "opt/x/app.py", "opt/python/app.py"] {
            assert_eq!(of_src.wants(path), Wanted::Beginning, "{path}");
        }
        assert_eq!(of_src.notes("opt/x/app.py", b"def handler(e, c): pass\n"), ["defines handler"]);
        let absolute = of_aws("/code/index.handler", r#","WorkingDir":"/var/task""#);
        assert_eq!(absolute.wants("code/index.js"), Wanted::Beginning);
    }

    #[test]
    fn the_root_of_the_image_is_a_directory_as_any() {
        let of_root = of_aws("app.handler", r#","WorkingDir":"/""#);
        for path in ["app.py", "app/__init__.py", "app.mjs"] {
            assert_eq!(of_root.wants(path), Wanted::Beginning, "{path}");
        }
        assert_eq!([of_root.wants("lib/x.jar"), of_root.wants("x.jar")], [Wanted::Whole; 2]);
    }

    #[test]
    fn archives_are_asked_for_the_handlers_class() {
        let of_main = of_aws("a.b.Main::run", r#","WorkingDir":"/var/task""#);
        for path in ["var/task/lib/all.jar", "var/task/all.jar", "opt/java/lib/all.jar"] {
            assert_eq!(of_main.wants(path), Wanted::Whole, "{path}");
            let note = |bytes: &[u8]| of_main.notes_of_whole(path, &mut Cursor::new(bytes));
            assert_eq!(note(&module::jar(&["a/b/Main.class"])), ["has a/b/Main.class"]);
            assert_eq!(note(&module::jar(&["a/b/Other.class"])), ["lacks a/b/Main.class"]);
            assert_eq!(note(b"no archive"), [""; 0]);
        }
        for path in ["var/task/lib/deep/all.jar", "usr/share/java/all.jar", "var/task/lib/all.zip"] {
            assert_eq!(of_main.wants(path), Wanted::Nothing, "{path}");
        }
        assert_eq!(of_aws("src/app.handler", "").wants("var/task/lib/all.jar"), Wanted::Nothing);
        assert_ne!(of_main.name(), of_aws("a.b.Other::run", r#","WorkingDir":"/var/task""#).name());
    }

    #[test]
    fn what_is_started_may_speak_with_lambda_itself() {
        let of_run = annotator(r#"{"Entrypoint":["python","-u"],"Cmd":["./run.py"],"WorkingDir":"/app"}"#);
        assert_eq!(of_run.wants("app/run.py"), Wanted::Beginning);
        assert_eq!(of_run.wants("app/other.py"), Wanted::Nothing);
        let client = b"api = os.environ['AWS_LAMBDA_RUNTIME_API']\n";
        assert_eq!(of_run.notes("app/run.py", client), [CLIENT]);
        assert_eq!(of_run.notes("app/run.py", b"print('hello')\n"), [""; 0]);
        assert_eq!(of_run.notes("app/run.py", &vec![b' '; SHOWN as usize]), [CLIENT], "the rest may tell");
    }

    #[test]
    fn secrets_are_looked_for_in_the_beginning_of_a_file() {
        let (any, filler) = (annotator("{}"), b"#".repeat(LOGINS));
        let setting = &b"\nDB_PASSWORD=hunter2hunter2\n"[..];
        let found = ["secret password in DB_PASSWORD"];
        assert_eq!(any.notes(".env", setting), found);
        assert_eq!(any.notes(".env", &[setting, &filler[..]].concat()), found);
        assert_eq!(any.notes(".env", &[&filler[..], setting].concat()), [""; 0], "nobody looked");
        assert_eq!(any.notes(".env", &filler), ["no login"]);
    }

    #[test]
    fn nothing_longer_than_any_path_is_looked_for() {
        let long = "a".repeat(MAX_PATH);
        let wants = |handler: &str, more: &str| of_aws(handler, more).wants("opt/python/app.py");
        assert_eq!(wants("app.handler", ""), Wanted::Beginning);
        assert_eq!(wants("app.handler", &format!(r#","WorkingDir":"/{long}""#)), Wanted::Nothing);
        assert_eq!(wants("app.handler", &format!(r#","Env":["PYTHONPATH=/{long}"]"#)), Wanted::Nothing);
        let of_long = of_aws(&format!("{long}.handler"), "");
        assert_eq!(of_long.wants(&format!("opt/python/{long}.py")), Wanted::Nothing);
        let path = (0..MAX_FILES).map(|number| format!("/{number}:")).collect::<String>();
        let of_many = of_aws("app.handler", &format!(r#","Env":["PYTHONPATH={path}"]"#));
        assert_eq!(
            [of_many.wants("0/app.py"), of_many.wants("99/app.py")],
            [Wanted::Beginning, Wanted::Nothing]
        );
        let run = |workdir: &str, words: &str| {
            let process = format!(r#"{{"Entrypoint":["python"],"Cmd":[{words}],"WorkingDir":"{workdir}"}}"#);
            annotator(&process).programs.len()
        };
        let words =
            |count: usize| (0..count).map(|number| format!(r#""{number}.py""#)).collect::<Vec<_>>().join(",");
        assert_eq!([run("/app", &words(3)), run("/app", &words(MAX_FILES + 1))], [3, MAX_FILES]);
        assert_eq!(run(&format!("/{long}"), &words(3)), 0);
    }

    #[test]
    fn a_function_is_told_from_names_that_end_like_it() {
        let of_app = of_aws("app.handler", r#","WorkingDir":"/f""#);
        for (change, expected) in [
            ("suf.x = 1", NO_NAMES),
            ("f.x = 1", "defines *"),
            ("f['x'] = 1", "defines *"),
            ("set(f, 1)", "defines *"),
            ("set(1, f)", NO_NAMES),
        ] {
            let text = format!("function f() {{}}\n{change};\nmodule.exports = f;\n");
            assert_eq!(of_app.notes("f/app.js", text.as_bytes()), [expected], "{change}");
        }
    }

    #[test]
    fn the_depth_of_a_module_is_no_danger() {
        let of_app = of_aws("app.handler", r#","WorkingDir":"/f""#);
        for (open, within, close) in [
            ("(", "1", ")"),
            ("[", "", "]"),
            ("{b:", "1", "}"),
            ("", "b", ".b"),
            ("", "b", "()"),
            ("", "b", "[0]"),
            ("!", "1", ""),
            ("b=>", "1", ""),
            ("b=exports.a=", "1", ""),
        ] {
            let (before, behind) = (open.repeat(50_000), close.repeat(50_000));
            let text = format!("exports.a = {before}{within}{behind};");
            assert_eq!(of_app.notes("f/app.js", text.as_bytes()), ["defines a"], "{open}{within}{close}");
        }
        let text = format!("{}{}", "{".repeat(50_000), "}".repeat(50_000));
        assert_eq!(of_app.notes("f/app.js", text.as_bytes()), [NO_NAMES]);
        let text = "exports = b = ".repeat(30_000) + "1";
        assert_eq!(of_app.notes("f/app.js", text.as_bytes()), ["defines *"]);
        let open = "[".repeat(50_000);
        for path in ["f/app.js", "f/app.py"] {
            assert_eq!(of_app.notes(path, open.as_bytes()), ["defines *"], "it is nothing that is known");
        }
    }
}
