//! Finds the imports between the files of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::paths::{File, NamedPath, child};

/// A path in a file that names a module of the same crate.
#[derive(Debug)]
pub struct Import {
    pub from: PathBuf,
    /// The file of the named module, or of the module that contains the named item.
    pub to: PathBuf,
    /// The path from the crate's root.
    pub path: Vec<String>,
}

/// The sources of the crate, without tests.
pub struct Sources {
    files: Vec<(PathBuf, File)>,
    modules: BTreeMap<Vec<String>, PathBuf>,
}

impl Sources {
    /// Parses files, each with its path below `src`.
    pub fn read(texts: &[(PathBuf, String)]) -> Sources {
        let is_test = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
        let read = texts.iter().filter(|(path, _)| !is_test(path) && path != Path::new("main.rs"));
        let mut files: Vec<_> =
            read.map(|(path, text)| (path.clone(), module(path), File::read(&module(path), text))).collect();
        let tests: Vec<_> = files.iter().flat_map(|(.., file)| file.for_tests.clone()).collect();
        files.retain(|(_, module, _)| !tests.iter().any(|test| module.starts_with(test)));
        let mut modules = BTreeMap::new();
        for (path, module, file) in &files {
            modules.insert(module.clone(), path.clone());
            modules.extend(file.inline.iter().map(|inline| (inline.clone(), path.clone())));
        }
        Sources { files: files.into_iter().map(|(path, _, file)| (path, file)).collect(), modules }
    }

    /// Every import of one file by another.
    pub fn imports(&self) -> Vec<Import> {
        let all = self.files.iter().flat_map(|(from, file)| {
            file.paths.iter().filter_map(|path| {
                let (path, to) = self.resolve(path)?;
                Some(Import { from: from.clone(), to, path })
            })
        });
        all.filter(|import| import.from != import.to).collect()
    }

    /// The names after `krate::` in each file.
    pub fn named_of(&self, krate: &str) -> Vec<(&Path, &str)> {
        let all = self.files.iter().flat_map(|(from, file)| {
            file.paths.iter().filter_map(|path| match &path.segments[..] {
                [first, second, ..] if first == krate => Some((from.as_path(), second.as_str())),
                _ => None,
            })
        });
        all.collect()
    }

    /// The path from the root, and the file of the deepest module in it.
    fn resolve(&self, path: &NamedPath) -> Option<(Vec<String>, PathBuf)> {
        let mut full = path.module.clone();
        let mut rest = path.segments.iter().map(String::as_str).peekable();
        match *rest.peek()? {
            "crate" => {
                full.clear();
                rest.next();
            }
            "self" => drop(rest.next()),
            "super" => {
                while rest.next_if_eq(&"super").is_some() {
                    full.pop();
                }
            }
            name if self.modules.contains_key(&child(&full, name)) => {}
            // A path of another crate, or one that begins with an imported name.
            _ => return None,
        }
        full.extend(rest.map(str::to_owned));
        let file = (0..=full.len()).rev().find_map(|length| self.modules.get(&full[..length]))?;
        Some((full, file.clone()))
    }
}

/// The module of a file: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` is the root.
fn module(path: &Path) -> Vec<String> {
    let mut module: Vec<_> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

/// The groups of files that import each other in cycles.
pub fn cycles<'a>(imports: impl Iterator<Item = &'a Import> + Clone) -> Vec<BTreeSet<&'a Path>> {
    let mut reached: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for import in imports.clone() {
        reached.entry(&import.from).or_default().insert(&import.to);
    }
    loop {
        let further: Vec<(&Path, BTreeSet<&Path>)> = reached
            .iter()
            .map(|(from, to)| {
                (*from, to.iter().filter_map(|to| reached.get(to)).flatten().copied().collect())
            })
            .collect();
        let before: usize = reached.values().map(BTreeSet::len).sum();
        further.into_iter().for_each(|(from, to)| reached.entry(from).or_default().extend(to));
        if before == reached.values().map(BTreeSet::len).sum::<usize>() {
            break;
        }
    }
    let back = |from: &Path, to: &Path| reached.get(to).is_some_and(|reached| reached.contains(from));
    let groups = reached.iter().map(|(from, to)| to.iter().copied().filter(|to| back(from, to)).collect());
    let groups: BTreeSet<BTreeSet<&Path>> = groups.collect();
    groups.into_iter().filter(|group| group.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `from > to` for each import between these files.
    fn edges(files: &[(&str, &str)]) -> BTreeSet<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect();
        let imports = Sources::read(&files).imports();
        imports.iter().map(|import| format!("{} > {}", import.from.display(), import.to.display())).collect()
    }

    #[test]
    fn every_form_of_path_resolves_to_the_modules_file() {
        let others = [
            ("room/mod.rs", "mod a; mod b; mod deep;"),
            ("room/b.rs", ""),
            ("room/deep/mod.rs", "mod c;"),
            ("room/deep/c.rs", ""),
        ];
        for (text, found) in [
            ("use super::b::B;", "b.rs"),
            ("use super::b;", "b.rs"),
            ("use super::b::*;", "b.rs"),
            ("use super::{b::B};", "b.rs"),
            ("use crate::room::b::B;", "b.rs"),
            ("use crate::{room::{b as other}};", "b.rs"),
            ("pub(super) use super::b::B;", "b.rs"),
            ("fn f() { super::b::f() }", "b.rs"),
            ("fn f(x: &[crate::room::b::B]) {}", "b.rs"),
            ("mod inner { use super::super::b; }", "b.rs"),
            ("use super::B;", "mod.rs"),
            ("use super::*;", "mod.rs"),
            ("use super::{B};", "mod.rs"),
            ("use crate::room::B;", "mod.rs"),
            ("fn f() { super::f() }", "mod.rs"),
            ("use super::deep::D;", "deep/mod.rs"),
            ("use super::deep::c::C;", "deep/c.rs"),
            ("mod own; use self::own::X;", "a/own.rs"),
            ("mod own; use own::X;", "a/own.rs"),
            ("mod own; pub use own::X;", "a/own.rs"),
            ("mod own; fn f() { own::x() }", "a/own.rs"),
        ] {
            let files = [&others[..], &[("room/a.rs", text), ("room/a/own.rs", "")]].concat();
            assert_eq!(edges(&files), BTreeSet::from([format!("room/a.rs > room/{found}")]), "{text}");
        }
    }

    #[test]
    fn other_words_are_not_imports() {
        for text in [
            "mod own;",
            "use std::b::B; use b::B;",
            "// use super::b;\nconst X: &str = \"super::b::B\";",
            "#[cfg(test)] use super::b;",
            "#[cfg(test)] mod tests { use super::super::b; }",
            "fn f(b: B) { b.super_b(); Self::b(); B::b() }",
            "mod inner { use super::x; } use self::inner::y;",
        ] {
            let files = [("room/a.rs", text), ("room/b.rs", ""), ("room/a/own.rs", ""), ("room/mod.rs", "")];
            assert_eq!(edges(&files), BTreeSet::new(), "{text}");
        }
        let tests = [
            ("room/mod.rs", "#[cfg(test)] mod sample; mod a;"),
            ("room/sample.rs", "use super::a;"),
            ("room/a.rs", ""),
            ("room/a/tests.rs", "use super::super::X;"),
            ("room/a/tests/deep.rs", "use crate::room::X;"),
        ];
        assert_eq!(edges(&tests), BTreeSet::new());
    }

    #[test]
    fn cycles_are_found() {
        let cycles_of = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
            let files: Vec<_> = files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect();
            let imports = Sources::read(&files).imports();
            let cycles = cycles(imports.iter());
            cycles.iter().map(|files| files.iter().map(|file| file.display().to_string()).collect()).collect()
        };
        let chain = [
            ("r/mod.rs", "pub use a::A;"),
            ("r/a.rs", "use super::b::B;"),
            ("r/b.rs", "use crate::r::c;"),
            ("r/c.rs", ""),
        ];
        assert!(cycles_of(&chain).is_empty());
        let mut long = chain;
        long[3].1 = "use super::X;";
        assert_eq!(cycles_of(&long), [["r/a.rs", "r/b.rs", "r/c.rs", "r/mod.rs"]]);
        let mut two = chain;
        (two[0].1, two[1].1) = ("use self::a::A; use self::c::C;", "use super::A;");
        (two[2].1, two[3].1) = ("use super::c;", "use super::b::B;");
        assert_eq!(cycles_of(&two), [["r/a.rs", "r/mod.rs"], ["r/b.rs", "r/c.rs"]]);
    }
}
