//! The facts about the content of files that rules look at: the names that a handler's module binds, the classes that an
//! archive has, whether a program speaks with Lambda, and secrets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::function::{handler, join, python_path, roots, within};
use super::modules;
use super::secrets::{self, Logins};
use crate::image::Config;
use crate::lambda::{class_file, handler_files};
use crate::scan::{Annotate, ReadSeek, SHOWN, Wanted};

/// Changes whenever other facts are stated about the same files.
const VERSION: &str = "facts-4";

/// The longest path that Linux takes, and the longest list of them that anyone has.
pub(super) const MAX_PATH: usize = 4096;

/// The most files that are looked into for one handler or command line.
const MAX_FILES: usize = 100;

/// How many bytes are looked at of a file that may hold secrets: no tool keeps its logins in a longer one.
const LOGINS: usize = 256 << 10;

/// The most names that are kept of a module.
const MAX_NAMES: usize = 500;

/// What the text of a client of Lambda's runtime API contains, or of a program that starts one.
const SIGNS: [&str; 5] =
    ["AWS_LAMBDA_RUNTIME_API", "runtime/invocation", "awslambdaric", "aws-lambda-ric", "aws_lambda_ric"];

/// The endings of programs that an interpreter runs.
const TEXTS: [&str; 6] = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb"];

/// A fact about the content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// It holds a secret: of which kind and where, as `password in DB_PASSWORD`, and nothing that opens anything.
    Secret(String),
    /// No secret was found in it, and it may hold a login all the same.
    MayHoldLogin,
    /// It is a file for logins, and holds none.
    NoLogin,
    /// It is a module that defines these names.
    Defines(Names),
    /// It is a program that is or starts a runtime interface client, or may be one.
    RuntimeClient,
    /// It is an archive that was searched for the file of a class.
    Class {
        /// The path of the class's file.
        file: String,
        /// Whether the archive has it.
        present: bool,
    },
}

/// The names that a module binds for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// It may bind any name.
    Any,
    /// These, in order, and no others.
    These(Vec<String>),
}

#[cfg(test)]
impl Fact {
    /// The module defines these names and no others.
    pub(super) fn defines<'n>(names: impl IntoIterator<Item = &'n str>) -> Fact {
        Fact::Defines(Names::These(names.into_iter().map(str::to_owned).collect()))
    }
}

/// States the facts that rules look at about the files of one image.
#[derive(Debug)]
pub struct Annotator {
    /// The paths at which the handler's module may be.
    modules: BTreeSet<String>,
    /// The file of the class that the handler may name, and the directories with archives that may have it.
    class: Option<(String, Vec<String>)>,
    /// The paths of programs that are started, where that is not an entry script of AWS's.
    programs: BTreeSet<String>,
}

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
        let class = class_file(handler).map(|class| (class, archive_dirs(config)));
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

/// The sources at which Python may find the handler's module.
fn python_files(config: &Config, handler: &str) -> Vec<String> {
    let mut files = handler_files("python", handler).unwrap_or_default();
    files.retain(|file| file.ends_with(".py"));
    let mut dirs = python_path(config);
    dirs.push("var/runtime".to_owned());
    dirs.iter().flat_map(|dir| files.iter().map(|file| join(dir, file))).collect()
}

/// The sources at which Node.js may find the handler's module.
fn node_files(config: &Config, handler: &str) -> Vec<String> {
    let files = handler_files("nodejs", handler).unwrap_or_default();
    let roots = roots(config);
    roots.iter().flat_map(|root| files.iter().map(|file| within(root, file))).collect()
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
    type Fact = Fact;

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

    fn facts(&self, path: &str, content: &[u8]) -> Vec<Fact> {
        let mut facts = logins(path, content);
        // Nothing is known of the rest of a file that was not shown to its end.
        let is_whole = (content.len() as u64) < SHOWN;
        let has = |sign: &str| content.windows(sign.len()).any(|window| window == sign.as_bytes());
        if self.programs.contains(path) && (!is_whole || SIGNS.into_iter().any(has)) {
            facts.push(Fact::RuntimeClient);
        }
        if self.modules.contains(path) {
            facts.push(Fact::Defines(names(path, content, is_whole)));
        }
        facts
    }

    fn facts_of_whole(&self, path: &str, file: &mut dyn ReadSeek) -> Vec<Fact> {
        let fact = self.class_in(path).and_then(|class| {
            let present = modules::has_class(file, class)?;
            Some(Fact::Class { file: class.to_owned(), present })
        });
        fact.into_iter().collect()
    }
}

fn logins(path: &str, content: &[u8]) -> Vec<Fact> {
    let beginning = &content[..content.len().min(LOGINS)];
    match secrets::logins(path, beginning) {
        Some(Logins::Secrets(secrets)) => secrets.into_iter().map(Fact::Secret).collect(),
        Some(Logins::Possible) => vec![Fact::MayHoldLogin],
        // That there are none is only known of a whole file.
        Some(Logins::Absent) if beginning.len() == content.len() => vec![Fact::NoLogin],
        Some(Logins::Absent) | None => Vec::new(),
    }
}

fn names(path: &str, content: &[u8], is_whole: bool) -> Names {
    let names = match path.ends_with(".py") {
        _ if !is_whole => return Names::Any,
        true => modules::python(content),
        false => modules::javascript(content),
    };
    match names.len() > MAX_NAMES || names.contains(modules::ANY) {
        true => Names::Any,
        false => Names::These(names.into_iter().collect()),
    }
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
        assert_eq!(
            of_app.facts("f/src/app.js", b"exports.api = { handler() {} };"),
            [Fact::defines(["api"])]
        );
        assert_eq!(of_app.facts("f/src/app.js", b"const api = 1;"), [Fact::defines([])]);
        let long = [&b"exports.api = 1; //"[..], &vec![b'x'; SHOWN as usize]].concat();
        assert_eq!(of_app.facts("f/src/app.js", &long[..SHOWN as usize]), [Fact::Defines(Names::Any)]);
        assert!(of_app.name().contains("f/src/app.mjs"));
        let of_src = of_aws("app.handler", r#","WorkingDir":"/var/task","Env":["PYTHONPATH=src:/opt/x"]"#);
        for path in ["var/task/app.py", "var/task/src/app/__init__.py", "opt/x/app.py", "opt/python/app.py"] {
            assert_eq!(of_src.wants(path), Wanted::Beginning, "{path}");
        }
        assert_eq!(of_src.facts("opt/x/app.py", b"def handler(e, c): pass\n"), [Fact::defines(["handler"])]);
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
            let facts = |bytes: &[u8]| of_main.facts_of_whole(path, &mut Cursor::new(bytes));
            let class = |present: bool| [Fact::Class { file: "a/b/Main.class".to_owned(), present }];
            assert_eq!(facts(&modules::jar(&["a/b/Main.class"])), class(true));
            assert_eq!(facts(&modules::jar(&["a/b/Other.class"])), class(false));
            assert_eq!(facts(b"no archive"), []);
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
        assert_eq!(of_run.facts("app/run.py", client), [Fact::RuntimeClient]);
        assert_eq!(of_run.facts("app/run.py", b"print('hello')\n"), []);
        assert_eq!(
            of_run.facts("app/run.py", &vec![b' '; SHOWN as usize]),
            [Fact::RuntimeClient],
            "the rest may tell"
        );
    }

    #[test]
    fn secrets_are_looked_for_in_the_beginning_of_a_file() {
        let (any, filler) = (annotator("{}"), b"#".repeat(LOGINS));
        let setting = &b"\nDB_PASSWORD=hunter2hunter2\n"[..];
        let found = [Fact::Secret("password in DB_PASSWORD".to_owned())];
        assert_eq!(any.facts(".env", setting), found);
        assert_eq!(any.facts(".env", &[setting, &filler[..]].concat()), found);
        assert_eq!(any.facts(".env", &[&filler[..], setting].concat()), [], "nobody looked");
        assert_eq!(any.facts(".env", &filler), [Fact::NoLogin]);
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
            ("suf.x = 1", Fact::defines([])),
            ("f.x = 1", Fact::Defines(Names::Any)),
            ("f['x'] = 1", Fact::Defines(Names::Any)),
            ("set(f, 1)", Fact::Defines(Names::Any)),
            ("set(1, f)", Fact::defines([])),
        ] {
            let text = format!("function f() {{}}\n{change};\nmodule.exports = f;\n");
            assert_eq!(of_app.facts("f/app.js", text.as_bytes()), [expected], "{change}");
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
            assert_eq!(
                of_app.facts("f/app.js", text.as_bytes()),
                [Fact::defines(["a"])],
                "{open}{within}{close}"
            );
        }
        let text = format!("{}{}", "{".repeat(50_000), "}".repeat(50_000));
        assert_eq!(of_app.facts("f/app.js", text.as_bytes()), [Fact::defines([])]);
        let text = "exports = b = ".repeat(30_000) + "1";
        assert_eq!(of_app.facts("f/app.js", text.as_bytes()), [Fact::Defines(Names::Any)]);
        let open = "[".repeat(50_000);
        for path in ["f/app.js", "f/app.py"] {
            assert_eq!(
                of_app.facts(path, open.as_bytes()),
                [Fact::Defines(Names::Any)],
                "it is nothing that is known"
            );
        }
    }
}
