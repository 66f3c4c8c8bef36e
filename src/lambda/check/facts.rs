//! The facts about the content of files that the rules use: names that a handler's module defines, classes in archives,
//! programs that are runtime interface clients, and secrets.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::function::{handler, join, python_path, roots, within};
use super::modules;
use super::secrets::{self, Logins};
use crate::image::Config;
use crate::lambda::{class_file, handler_files};
use crate::scan::{Annotate, BEGINNING_LIMIT, ReadSeek, Wanted};
use crate::tree::{EntryKind, Member, is_library};

/// Changes whenever the facts about the same files change.
const VERSION: &str = "facts-4";

/// The longest path that Linux allows, in bytes; also the limit for lists of paths, which are shorter in practice.
pub(super) const MAX_PATH: usize = 4096;

/// Upper bound on the files that are examined for one handler or command line.
const MAX_FILES: usize = 100;

/// Upper bound on the bytes that are searched for secrets in one file: no tool's file of credentials is longer.
const LOGINS: usize = 256 << 10;

/// Upper bound on the names that are stored for one module.
const MAX_NAMES: usize = 500;

/// Strings that mark the source of a runtime interface client, or of a program that starts one.
const SIGNS: [&str; 5] =
    ["AWS_LAMBDA_RUNTIME_API", "runtime/invocation", "awslambdaric", "aws-lambda-ric", "aws_lambda_ric"];

/// The file extensions of programs that an interpreter runs.
const TEXTS: [&str; 6] = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb"];

/// The memory in bytes that a rule takes for each member, with the view of all layers and the index by path.
pub(super) const BESIDE: usize = 88;

/// The memory in bytes that rules take besides for members that they collect in groups, if each is in a group of its
/// own: links, code, and what others may not read.
const BESIDE_LINK: usize = 176;
const BESIDE_CODE: usize = 256;
const BESIDE_PRIVATE: usize = 200;

/// A fact about the content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The file holds a secret. The text gives its kind and location, as in `password in DB_PASSWORD`, not its value.
    Secret(String),
    /// No secret was found, but the file may hold a login.
    MayHoldLogin,
    /// The file is meant for logins, but holds none.
    NoLogin,
    /// The file is a module that defines these names.
    Defines(Names),
    /// The file is a program that is, starts, or may be a runtime interface client.
    RuntimeClient,
    /// The file is an archive that was searched for a class.
    Class {
        /// The path of the class file.
        file: String,
        /// Whether the archive contains it.
        present: bool,
    },
}

/// The names that a module defines for importers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// The module may define any name.
    Any,
    /// Exactly these names, sorted.
    These(Vec<String>),
}

#[cfg(test)]
impl Fact {
    /// The fact that a module defines exactly these names.
    pub(super) fn defines<'n>(names: impl IntoIterator<Item = &'n str>) -> Fact {
        Fact::Defines(Names::These(names.into_iter().map(str::to_owned).collect()))
    }
}

/// Derives the facts for the rules from the files of one image.
#[derive(Debug)]
pub struct Annotator {
    /// The possible paths of the handler's module.
    modules: BTreeSet<String>,
    /// The class file that the handler may name, and the directories of the archives that may contain it.
    class: Option<(String, Vec<String>)>,
    /// The paths of programs on the command line, if the image does not start with the entry script of AWS's bases.
    programs: BTreeSet<String>,
}

impl Annotator {
    /// Creates an annotator for the image with this config.
    pub fn of(config: &Config) -> Annotator {
        // The runtime depends on the layers, which are not read yet: the annotator covers every runtime.
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

    /// The class file to look for in an archive at this path.
    fn class_in(&self, path: &str) -> Option<&str> {
        let (class, dirs) = self.class.as_ref()?;
        let dir = path.strip_suffix(".jar").map(|path| path.rsplit_once('/').map_or("", |(dir, _)| dir))?;
        dirs.iter().any(|of| of == dir).then_some(class.as_str())
    }
}

/// Whether a setting for the directories of the handler's module is longer than [`MAX_PATH`].
pub(super) fn is_overlong(config: &Config) -> bool {
    let named = [config.workdir(), config.var("LAMBDA_TASK_ROOT"), config.var("PYTHONPATH")];
    named.into_iter().flatten().any(|text| text.len() > MAX_PATH)
}

/// The source files in which Python may find the handler's module.
fn python_files(config: &Config, handler: &str) -> Vec<String> {
    let mut files = handler_files("python", handler).unwrap_or_default();
    files.retain(|file| file.ends_with(".py"));
    let mut dirs = python_path(config);
    dirs.push("var/runtime".to_owned());
    dirs.iter().flat_map(|dir| files.iter().map(|file| join(dir, file))).collect()
}

/// The source files in which Node.js may find the handler's module.
fn node_files(config: &Config, handler: &str) -> Vec<String> {
    let files = handler_files("nodejs", handler).unwrap_or_default();
    let roots = roots(config);
    roots.iter().flat_map(|root| files.iter().map(|file| within(root, file))).collect()
}

/// The directories in which Java's runtime looks for archives, and those where users put them by mistake.
fn archive_dirs(config: &Config) -> Vec<String> {
    let roots = roots(config).into_iter().flat_map(|root| [root.to_owned(), join(root, "lib")]);
    roots.chain(["opt/java/lib".to_owned()]).collect()
}

/// The paths of programs on the command line that an interpreter may run.
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
        // Debug output quotes the paths, which may contain any separator.
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

    fn memory_beside<C>(&self, member: &Member<C>, is_code: bool) -> usize {
        let mut beside = BESIDE;
        if matches!(member.entry.kind, EntryKind::Symlink(_) | EntryKind::HardLink(_) | EntryKind::Device(_))
        {
            beside += BESIDE_LINK;
        } else if member.entry.mode & 0o004 == 0 {
            beside += BESIDE_PRIVATE;
        }
        if is_code || is_library(member.path.as_bytes()) {
            beside += BESIDE_CODE;
        }
        beside
    }

    fn facts(&self, path: &str, content: &[u8]) -> Vec<Fact> {
        let mut facts = logins(path, content);
        // The scan passes only the beginning of a long file; the rest is unknown.
        let is_whole = (content.len() as u64) < BEGINNING_LIMIT;
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
        // Only a search of the whole file proves that it holds no login.
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

    /// The annotator of an image with AWS's entry script.
    fn of_aws(handler: &str, more: &str) -> Annotator {
        annotator(&format!(r#"{{"Entrypoint":["/lambda-entrypoint.sh"],"Cmd":["{handler}"]{more}}}"#))
    }

    #[test]
    fn modules_are_searched_by_the_rules_of_each_language() {
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
        let long = [&b"exports.api = 1; //"[..], &vec![b'x'; BEGINNING_LIMIT as usize]].concat();
        assert_eq!(
            of_app.facts("f/src/app.js", &long[..BEGINNING_LIMIT as usize]),
            [Fact::Defines(Names::Any)]
        );
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
    fn the_root_of_the_image_can_be_the_functions_directory() {
        let of_root = of_aws("app.handler", r#","WorkingDir":"/""#);
        for path in ["app.py", "app/__init__.py", "app.mjs"] {
            assert_eq!(of_root.wants(path), Wanted::Beginning, "{path}");
        }
        assert_eq!([of_root.wants("lib/x.jar"), of_root.wants("x.jar")], [Wanted::Whole; 2]);
    }

    #[test]
    fn archives_are_searched_for_the_class_of_the_handler() {
        let of_main = of_aws("a.b.Main::run", r#","WorkingDir":"/var/task""#);
        for path in ["var/task/lib/all.jar", "var/task/all.jar", "opt/java/lib/all.jar"] {
            assert_eq!(of_main.wants(path), Wanted::Whole, "{path}");
            let facts = |bytes: &[u8]| of_main.facts_of_whole(path, &mut Cursor::new(bytes));
            let class = |present: bool| [Fact::Class { file: "a/b/Main.class".to_owned(), present }];
            assert_eq!(facts(&modules::jar(&["a/b/Main.class"])), class(true));
            assert_eq!(facts(&modules::jar(&["a/b/Other.class"])), class(false));
            assert_eq!(facts(b"not an archive"), []);
        }
        for path in ["var/task/lib/deep/all.jar", "usr/share/java/all.jar", "var/task/lib/all.zip"] {
            assert_eq!(of_main.wants(path), Wanted::Nothing, "{path}");
        }
        assert_eq!(of_aws("src/app.handler", "").wants("var/task/lib/all.jar"), Wanted::Nothing);
        assert_ne!(of_main.name(), of_aws("a.b.Other::run", r#","WorkingDir":"/var/task""#).name());
    }

    #[test]
    fn a_program_on_the_command_line_may_be_a_runtime_client() {
        let of_run = annotator(r#"{"Entrypoint":["python","-u"],"Cmd":["./run.py"],"WorkingDir":"/app"}"#);
        assert_eq!(of_run.wants("app/run.py"), Wanted::Beginning);
        assert_eq!(of_run.wants("app/other.py"), Wanted::Nothing);
        let client = b"api = os.environ['AWS_LAMBDA_RUNTIME_API']\n";
        assert_eq!(of_run.facts("app/run.py", client), [Fact::RuntimeClient]);
        assert_eq!(of_run.facts("app/run.py", b"print('hello')\n"), []);
        assert_eq!(
            of_run.facts("app/run.py", &vec![b' '; BEGINNING_LIMIT as usize]),
            [Fact::RuntimeClient],
            "the unseen rest may be a client"
        );
    }

    #[test]
    fn secrets_are_searched_in_the_beginning_of_a_file() {
        let (any, filler) = (annotator("{}"), b"#".repeat(LOGINS));
        let setting = &b"\nDB_PASSWORD=hunter2hunter2\n"[..];
        let found = [Fact::Secret("password in DB_PASSWORD".to_owned())];
        assert_eq!(any.facts(".env", setting), found);
        assert_eq!(any.facts(".env", &[setting, &filler[..]].concat()), found);
        assert_eq!(any.facts(".env", &[&filler[..], setting].concat()), [], "beyond the limit");
        assert_eq!(any.facts(".env", &filler), [Fact::NoLogin]);
    }

    #[test]
    fn paths_beyond_the_limit_are_not_searched() {
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
    fn a_function_name_is_matched_as_a_whole_word() {
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
    fn a_deeply_nested_module_does_not_overflow_the_stack() {
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
            assert_eq!(of_app.facts(path, open.as_bytes()), [Fact::Defines(Names::Any)], "a syntax error");
        }
    }
}
