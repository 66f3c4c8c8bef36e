//! The interpreter that an image has, found in its files: its version, its directories, and the C library that wheels
//! must fit.

use super::wheel::{Directories, Scheme};
use crate::tree::{Resolved, Target, View};

/// An interpreter of an image. Paths are without a slash at either end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImagePython {
    /// The minor version of Python 3.
    pub(super) minor: u32,
    pub(super) libc: ImageLibc,
    /// The path by which programs start it.
    pub(super) program: String,
    /// The path of its file in the image.
    pub(super) real: String,
    /// The directory that has `bin` and `lib`.
    pub(super) prefix: String,
    /// Where packages are looked for; the first is where installers put them.
    pub(super) packages: Vec<String>,
}

/// The C library of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageLibc {
    /// glibc of this version.
    Glibc(u32, u32),
    /// musl, as on Alpine.
    Musl,
}

impl ImagePython {
    /// The interpreter that a command starts: `python3.12`, `python3`, or the one beside `pip3`. `path` is the value of
    /// `PATH`.
    pub(crate) fn find<C>(
        view: &View<'_, C>,
        path: &str,
        program: &str,
        libc: ImageLibc,
    ) -> Result<ImagePython, String> {
        let found = programs(program).find_map(|name| {
            let dirs = || path.split(':').filter(|dir| dir.starts_with('/'));
            // The interpreter of pip is beside it; of a name that no directory has, the next is tried.
            let first = || dirs().find(|dir| is_file(view, &format!("{dir}/{program}")));
            let beside = first().filter(|dir| is_file(view, &format!("{dir}/{name}")));
            beside
                .or_else(|| dirs().find(|dir| is_file(view, &format!("{dir}/{name}"))))
                .map(|dir| format!("{dir}/{name}"))
        });
        let found = found.ok_or_else(|| format!("the image has no {program} in its PATH"))?;
        let Resolved { path: real, .. } = view.resolve(&found);
        let real = String::from_utf8_lossy(real.as_bytes()).into_owned();
        let prefix = real.rsplit_once("/bin/").map_or("", |(prefix, _)| prefix).to_owned();
        let minor = minor(view, &real, &prefix)
            .ok_or_else(|| format!("the version of /{real} cannot be told from the image"))?;
        let program = precise(view, &found, minor);
        Ok(ImagePython { minor, libc, packages: packages(view, &prefix, minor), program, real, prefix })
    }

    /// Whether the directory is the one that has its `bin` and `lib`.
    pub(super) fn is_in(&self, directory: &str) -> bool {
        self.prefix == directory
    }

    /// The paths of the interpreter and of what it reads.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        let program = self.program.trim_start_matches('/').to_owned();
        [program, join(&self.prefix, "lib")].into_iter().chain(self.packages.iter().cloned())
    }

    /// Where this interpreter has packages, and what an installer writes there.
    pub(super) fn scheme(&self, installer: Option<&'static str>) -> Scheme {
        let packages = self.packages.first().cloned().unwrap_or_default();
        // Debian's interpreter installs below /usr/local.
        let prefix = packages.rsplit_once("/lib/").map_or(&*self.prefix, |(prefix, _)| prefix);
        self.scheme_below(installer, prefix, packages.clone())
    }

    /// The same for packages in a user's directory.
    pub(super) fn user_scheme(&self, installer: Option<&'static str>, base: &str) -> Scheme {
        self.scheme_below(installer, base, self.user_packages(base))
    }

    /// Where the interpreter looks for the packages of the user with this directory.
    pub(super) fn user_packages(&self, base: &str) -> String {
        join(base, &format!("lib/python3.{}/site-packages", self.minor))
    }

    /// For packages that are all in one directory, with what belongs to them.
    pub(super) fn flat_scheme(&self, installer: Option<&'static str>) -> Scheme {
        Scheme { interpreter: self.program.clone(), installer, directories: None }
    }

    fn scheme_below(&self, installer: Option<&'static str>, prefix: &str, packages: String) -> Scheme {
        let directories = Directories {
            scripts: join(prefix, "bin"),
            data: prefix.to_owned(),
            headers: join(prefix, &format!("include/python3.{}", self.minor)),
            packages,
        };
        Scheme { interpreter: self.program.clone(), installer, directories: Some(directories) }
    }
}

/// The names to try for the program of a command.
fn programs(program: &str) -> impl Iterator<Item = String> {
    let version = program.strip_prefix("pip").filter(|version| !version.is_empty());
    let named = match program.strip_prefix("pip") {
        Some(_) => version.map(|version| format!("python{version}")),
        None => Some(program.to_owned()),
    };
    let is_pip = program.starts_with("pip") || program == "uv";
    let others = ["python3", "python"].into_iter().filter(move |_| is_pip).map(str::to_owned);
    named.into_iter().filter(|name| name != "uv").chain(others)
}

fn is_file<C>(view: &View<'_, C>, path: &str) -> bool {
    matches!(view.resolve(path).target, Target::Entry(file) if !file.member.is_directory())
}

fn is_directory<C>(view: &View<'_, C>, path: &str) -> bool {
    match view.resolve(path).target {
        Target::Entry(found) => found.member.is_directory(),
        Target::Directory => true,
        Target::Nothing | Target::Loop => false,
    }
}

/// The minor version, from the name of the file itself, or else from the one `lib/python3.N` of the prefix.
fn minor<C>(view: &View<'_, C>, real: &str, prefix: &str) -> Option<u32> {
    let named = real.rsplit('/').next()?.strip_prefix("python3.").and_then(|minor| minor.parse().ok());
    if named.is_some() {
        return named;
    }
    let lib = join(prefix, "lib");
    let start = lib.len() + 1;
    let mut found = view.below(&lib).filter_map(|file| {
        let name = String::from_utf8_lossy(&file.member.path.as_bytes()[start..]).into_owned();
        name.split('/').next()?.strip_prefix("python3.")?.parse::<u32>().ok()
    });
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// The path with the version in its name, which installers write into scripts, if the image has it.
fn precise<C>(view: &View<'_, C>, found: &str, minor: u32) -> String {
    let versioned = match found.rsplit_once('/') {
        Some((dir, _)) => format!("{dir}/python3.{minor}"),
        None => return found.to_owned(),
    };
    if is_file(view, &versioned) { versioned } else { found.to_owned() }
}

/// `site-packages`, and on Debian the two directories of `dist-packages`.
fn packages<C>(view: &View<'_, C>, prefix: &str, minor: u32) -> Vec<String> {
    let own = join(prefix, &format!("lib/python3.{minor}/site-packages"));
    let of_debian = join(prefix, "lib/python3/dist-packages");
    let is_of_debian = is_file(view, &format!("usr/lib/python3.{minor}/_distutils_system_mod.py"));
    if prefix == "usr" && (is_of_debian || is_directory(view, &of_debian)) {
        return vec![format!("usr/local/lib/python3.{minor}/dist-packages"), of_debian];
    }
    vec![own]
}

fn join(dir: &str, path: &str) -> String {
    if dir.is_empty() { path.to_owned() } else { format!("{dir}/{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, EntryKind, ImagePath, Member, ViewLayer};

    fn layer(paths: &[&str]) -> Vec<Member<u64>> {
        let member = |path: &&str| {
            let (path, entry) = match (path.strip_suffix('/'), path.split_once(" -> ")) {
                (Some(dir), _) => (dir, Entry::directory()),
                (_, Some((path, target))) => (path, Entry::symlink(target)),
                _ => (*path, Entry::new(EntryKind::File(1), 0o755)),
            };
            Member { path: ImagePath::from(path), entry, mtime: 0 }
        };
        paths.iter().map(member).collect()
    }

    fn found(paths: &[&str], program: &str) -> Result<ImagePython, String> {
        let members = layer(paths);
        let view = View::of([Some(ViewLayer { members: &members, from_tree: false })]);
        let path = "/var/lang/bin:/usr/local/bin:/usr/bin:/opt/py/bin";
        ImagePython::find(&view, path, program, ImageLibc::Musl)
    }

    #[test]
    fn the_interpreter_and_its_directories_are_found_in_the_image() {
        let aws = &["var/lang/bin/pip", "var/lang/bin/python3 -> python3.12", "var/lang/bin/python3.12"][..];
        let official =
            &["usr/local/bin/python3 -> python3.13", "usr/local/bin/python3.13", "usr/local/bin/pip3"];
        let debian =
            &["usr/bin/python3 -> python3.11", "usr/bin/python3.11", "usr/lib/python3/dist-packages/"];
        let unnamed = &["opt/py/bin/python3", "opt/py/lib/python3.9/os.py"];
        for (files, program, minor, packages, interpreter) in [
            (aws, "pip", 12, "var/lang/lib/python3.12/site-packages", "/var/lang/bin/python3.12"),
            (aws, "python3.12", 12, "var/lang/lib/python3.12/site-packages", "/var/lang/bin/python3.12"),
            (official, "pip3", 13, "usr/local/lib/python3.13/site-packages", "/usr/local/bin/python3.13"),
            (debian, "pip", 11, "usr/local/lib/python3.11/dist-packages", "/usr/bin/python3.11"),
            (unnamed, "python3", 9, "opt/py/lib/python3.9/site-packages", "/opt/py/bin/python3"),
        ] {
            let found = found(files, program).unwrap();
            let scheme = found.scheme(Some("pip\n"));
            assert_eq!((found.minor, &*scheme.directories.unwrap().packages), (minor, packages), "{files:?}");
            assert_eq!(scheme.interpreter, interpreter);
        }
        let none = found(unnamed, "python3.12").unwrap_err();
        assert_eq!(none, "the image has no python3.12 in its PATH");
    }
}
