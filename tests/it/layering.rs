//! The architecture: which top-level module may import which, and no cycles between the files of a module.

mod exceptions;
mod imports;
mod paths;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::exceptions::EXCEPTIONS;
use self::imports::{Import, Sources, cycles};

/// The allowed dependencies between modules. A module may import itself, `error`, `event`, the modules in its row, and
/// all that these may import. A row may be for a module that does not exist yet.
const DESIGN: [(&str, &[&str]); 19] = [
    ("cli", &["engine", "frontend", "lambda", "aws"]),
    ("aws", &["store", "source"]),
    ("engine", &["source", "operations", "rootfs", "store", "scan", "recipe"]),
    ("lambda", &["rootfs", "scan", "image"]),
    ("source", &["store", "layer", "recipe", "threads"]),
    ("operations", &["recipe", "tree"]),
    ("scan", &["layer", "threads"]),
    ("rootfs", &["layer"]),
    ("frontend", &["recipe"]),
    ("layer", &["tree", "image"]),
    ("store", &["tree", "image", "programs", "rootfs"]),
    ("recipe", &["image"]),
    ("tree", &["image"]),
    ("image", &[]),
    // Both only use types of `image`: a digest, a platform.
    ("error", &["image"]),
    ("event", &["image"]),
    ("threads", &[]),
    ("programs", &[]),
    // Exists only for `tests/fuzz`.
    ("fuzzing", &["frontend", "source", "scan"]),
];

/// The maximum number of lines of a file.
const LINES: usize = 450;

fn files(below: &str) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.into_iter().map(|(path, text)| (path.strip_prefix(&root).unwrap().to_owned(), text)).collect()
}

fn module(path: &Path) -> String {
    Path::new(path.components().next().unwrap().as_os_str()).with_extension("").display().to_string()
}

/// Code without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules that a module may import, besides itself.
fn allowed(module: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::from(["error", "event"]);
    let mut next = vec![module.to_owned()];
    while let Some(module) = next.pop() {
        let row = DESIGN.iter().find(|(name, _)| *name == module);
        let new = row.into_iter().flat_map(|(_, allowed)| *allowed).filter(|name| found.insert(name));
        next.extend(new.map(|name| (*name).to_owned()));
    }
    found
}

/// The imports that the design does not allow: the importing file and the imported path.
fn wrong(imports: &[Import]) -> Vec<String> {
    let is_wrong = |import: &&Import| {
        let (from, to) = (module(&import.from), import.path.first().cloned().unwrap_or_default());
        from != "lib" && from != to && !allowed(&from).contains(to.as_str())
    };
    let wrong = imports.iter().filter(is_wrong);
    wrong.map(|import| format!("{}: crate::{}", import.from.display(), import.path.join("::"))).collect()
}

#[test]
fn imports_follow_the_design() {
    let imports = Sources::read(&files("src")).imports();
    // A smaller number means that the resolver missed imports.
    assert!(imports.len() > 300, "{}", imports.len());
    let modules: BTreeSet<_> = imports.iter().map(|import| module(&import.from)).collect();
    assert!(modules.len() >= 9, "{modules:?}");
    let wrong = wrong(&imports);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_design_has_no_cycle() {
    for (module, _) in DESIGN.iter().filter(|(module, _)| !["error", "event"].contains(module)) {
        assert!(!allowed(module).contains(module), "{module}");
    }
}

#[test]
fn a_wrong_import_is_found() {
    let wrong_of = |text: &str| {
        let files = ["image/mod.rs", "store/mod.rs", "lib.rs"].map(|path| (path.into(), String::new()));
        let layer = ("layer/mod.rs".into(), text.to_owned());
        wrong(&Sources::read(&[&files[..], &[layer]].concat()).imports())
    };
    let found =
        |names: &[&str]| names.iter().map(|name| format!("layer/mod.rs: crate::{name}")).collect::<Vec<_>>();
    assert_eq!(wrong_of("use crate::store::Cache;"), found(&["store::Cache"]));
    assert_eq!(wrong_of("use crate::{store::X, image};"), found(&["store::X"]));
    assert_eq!(wrong_of("fn f() -> crate::image::X { crate::store::y() }"), found(&["store::y"]));
    assert_eq!(wrong_of("use super::store::{self, X};"), found(&["store", "store::X"]));
    assert_eq!(wrong_of("use crate::Image;"), found(&["Image"]));
    assert!(wrong_of("// use crate::store;\n").is_empty());
}

#[test]
fn the_files_of_a_module_do_not_import_each_other_in_cycles() {
    let imports = Sources::read(&files("src")).imports();
    let inside = imports.iter().filter(|import| module(&import.from) == module(&import.to));
    let found: BTreeSet<_> = cycles(inside.clone()).into_iter().collect();
    let excepted: BTreeSet<BTreeSet<_>> = EXCEPTIONS
        .iter()
        .map(|(module, files, _)| files.iter().map(|file| Path::new(module).join(file)).collect())
        .collect();
    let owned =
        |files: &BTreeSet<&Path>| files.iter().map(|file| file.to_path_buf()).collect::<BTreeSet<_>>();
    let new: Vec<_> = found.iter().filter(|files| !excepted.contains(&owned(files))).collect();
    // The imports of the cycle show how to break it.
    let edges = new.iter().map(|files| {
        let edges =
            inside.clone().filter(|import| files.contains(&*import.from) && files.contains(&*import.to));
        let line = |import: &Import| format!("{} > {}", import.from.display(), import.to.display());
        edges.map(|import| (line(import), import.path.join("::"))).collect::<BTreeMap<_, _>>()
    });
    let edges: Vec<_> = edges.collect();
    assert!(new.is_empty(), "{new:#?}\n{edges:#?}");
    let found: BTreeSet<_> = found.iter().map(owned).collect();
    let fixed: Vec<_> = excepted.difference(&found).collect();
    assert!(fixed.is_empty(), "these cycles no longer exist: remove their exceptions: {fixed:#?}");
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for below in ["src", "tests/it"] {
        let files = files(below)
            .into_iter()
            .filter(|(path, _)| path.extension().is_some_and(|ending| ending == "rs"));
        let counted = files.map(|(path, text)| (text.lines().count(), Path::new(below).join(path)));
        long.extend(counted.filter(|(lines, _)| *lines > LINES));
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_pure_modules_have_no_io_and_no_async() {
    for (path, text) in files("src") {
        let module = module(&path);
        let code = code(&text);
        let refused: &[&str] = match module.as_str() {
            "image" | "recipe" | "frontend" | "operations" => {
                &["std::fs", "std::net", "std::process", "tokio", "async ", "env::var"]
            }
            "tree" | "layer" | "scan" | "rootfs" => &["tokio", "async "],
            _ => &[],
        };
        for word in refused {
            assert!(!code.contains(word), "{} has `{word}`", path.display());
        }
    }
}

#[test]
fn the_library_never_prints_and_never_exits() {
    for (path, text) in files("src") {
        let test = path.iter().any(|part| part == "tests");
        if test || ["main", "cli"].contains(&module(&path).as_str()) {
            continue;
        }
        let code = code(&text);
        for word in ["println!", "eprintln!", "print!(", "dbg!", "process::exit"] {
            assert!(!code.contains(word), "{} has `{word}`", path.display());
        }
    }
}

/// What is printed is filtered: names of others may have characters that control a terminal.
#[test]
fn the_command_prints_in_one_place() {
    for (path, text) in files("src/cli") {
        let code = code(&text);
        let lines =
            code.lines().filter(|line| ["print!(", "println!("].iter().any(|word| line.contains(word)));
        let to_standard_output = lines.clone().find(|line| !line.contains("eprint"));
        assert_eq!(to_standard_output, None, "{}: use output::report", path.display());
        let is_output = path.starts_with("output") || path == Path::new("mod.rs");
        assert!(is_output || lines.count() == 0, "{}: use Report", path.display());
    }
}

/// Programs get a directory for temporary files that is removed even if lbuild is killed. A credential helper may start
/// an agent that goes on, so it has the caller's.
#[test]
fn programs_are_started_with_a_place_for_temporary_files() {
    let start = ["programs::command(", "Command::new("];
    let starts = |(_, text): &(PathBuf, String)| start.iter().any(|word| code(text).contains(word));
    let found: BTreeSet<_> = files("src").into_iter().filter(starts).map(|(path, _)| path).collect();
    // newuidmap and newgidmap write no files. The command of `lbuild with` is the user's own.
    let known = [
        "cli/commands/with/mod.rs",
        "programs.rs",
        "rootfs/run/ids.rs",
        "source/program.rs",
        "store/docker_config/helper.rs",
    ];
    let found: BTreeSet<_> =
        found.iter().filter(|path| !path.iter().any(|part| part == "tests" || part == "tests.rs")).collect();
    assert_eq!(found, known.map(PathBuf::from).iter().collect());
}

#[test]
fn only_one_module_uses_the_sdk() {
    for (path, text) in files("src") {
        let sdk = code(&text).split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| {
            ["aws_config", "aws_credential_types"].contains(&word) || word.starts_with("aws_sdk_")
        });
        assert!(!sdk || module(&path) == "aws", "{}", path.display());
    }
}

/// The library without features needs no crate of AWS except aws-lc, the cryptography of rustls.
#[test]
fn without_the_feature_aws_no_crate_of_the_sdk_is_built() {
    let crates = |features: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p}"]);
        let tree = cargo.args(features).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        let of_aws = names.filter(|name| name.starts_with("aws-") && !name.starts_with("aws-lc-"));
        of_aws.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(crates(&["--no-default-features"]), BTreeSet::new());
    assert!(crates(&[]).contains("aws-sdk-ecr"));
}

#[test]
fn the_command_uses_the_public_surface_only() {
    let sources = Sources::read(&files("src"));
    let cli = |path: &Path| module(path) == "cli";
    let imports = sources.imports();
    let foreign: Vec<_> = imports.iter().filter(|import| cli(&import.from) && !cli(&import.to)).collect();
    assert!(foreign.is_empty(), "{foreign:#?}");
    let exports: BTreeMap<&str, &str> = imports
        .iter()
        .filter(|import| import.from == Path::new("lib.rs"))
        .filter_map(|import| Some((import.path.last()?.as_str(), import.path.first()?.as_str())))
        .collect();
    let named: Vec<_> = sources.named_of("lbuild").into_iter().filter(|(path, _)| cli(path)).collect();
    assert!(named.len() > 100, "{}", named.len());
    let allowed = allowed("cli");
    for (path, name) in named {
        let module = exports.get(name).unwrap_or(&name);
        assert!(allowed.contains(module), "{}: lbuild::{name}", path.display());
    }
}
