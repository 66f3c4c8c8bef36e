//! Virtual environments: a directory with an interpreter's programs and packages of its own (PEP 405).
//!
//! <https://docs.python.org/3/library/venv.html>

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use super::interpreter::ImagePython;
use super::wheel::{Directories, Scheme};
use crate::error::Result;
use crate::image::Digest;
use crate::source::part::{Context, Fetched, Part};
use crate::tree::{Content, Entry, EntryKind, FileTree, Target, View};

/// Part of the identity. Increase it with any change of the files.
const VERSION: &str = "environment-1";

/// The directory of an install. Paths in the image are without a slash at either end.
#[derive(Clone, Debug)]
pub(super) struct VirtualEnvironment {
    /// Its absolute path, as the command names it: scripts have it.
    named: String,
    /// Its path in the image.
    path: String,
    /// What the image has there.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing, or an empty directory.
    Missing,
    /// A virtual environment that uv or lbuild made, rather than another tool.
    Made(bool),
    /// The directory of an interpreter, such as `/usr/local`.
    Interpreter,
}

impl VirtualEnvironment {
    /// Finds what the image has in the place of an environment for this interpreter.
    pub(super) fn find<C>(
        view: &View<'_, C>,
        named: &str,
        python: &ImagePython,
    ) -> std::result::Result<VirtualEnvironment, String> {
        let path = String::from_utf8_lossy(view.resolve(named).path.as_bytes()).into_owned();
        let has = |name: &str| {
            !matches!(view.resolve(format!("{path}/{name}")).target, Target::Nothing | Target::Loop)
        };
        let is_empty = view.below(&path).next().is_none();
        let state = match is_empty
            && !matches!(view.resolve(named).target, Target::Entry(file) if file.member.is_file())
        {
            true => State::Missing,
            false if has("pyvenv.cfg") => State::Made(has("CACHEDIR.TAG")),
            false if python.is_in(&path) => State::Interpreter,
            false => {
                return Err(format!("{named} exists, and is not a virtual environment of /{}", python.real));
            }
        };
        let found = VirtualEnvironment { named: named.to_owned(), path: path.clone(), state };
        let own = format!("lib/python3.{}/site-packages", python.minor);
        match matches!(found.state, State::Made(_)) && !has(&own) {
            true => Err(format!("{named} has no packages for Python 3.{}", python.minor)),
            false => Ok(found),
        }
    }

    /// Whether an installer keeps pip and its like, although the lock does not have them.
    pub(super) fn keeps_seeds(&self) -> bool {
        matches!(self.state, State::Interpreter | State::Made(false))
    }

    /// The directory of the packages.
    pub(super) fn packages(&self, python: &ImagePython) -> String {
        match self.state {
            State::Interpreter => python.packages.first().cloned().unwrap_or_default(),
            State::Missing | State::Made(_) => {
                format!("{}/lib/python3.{}/site-packages", self.path, python.minor)
            }
        }
    }

    /// Where the files of packages go.
    pub(super) fn scheme(&self, python: &ImagePython, installer: Option<&'static str>) -> Scheme {
        if self.state == State::Interpreter {
            return python.scheme(installer);
        }
        let path = &self.path;
        Scheme {
            interpreter: format!("{}/bin/python", self.named.trim_end_matches('/')),
            installer,
            directories: Some(Directories {
                packages: self.packages(python),
                scripts: format!("{path}/bin"),
                data: path.clone(),
                headers: format!("{path}/include/site/python3.{}", python.minor),
            }),
        }
    }

    /// The files of a new environment; `None` if it exists. `prompt` is its name in an interactive shell.
    pub(super) fn skeleton(&self, python: &ImagePython, prompt: &str) -> Result<Option<Skeleton>> {
        if self.state != State::Missing {
            return Ok(None);
        }
        let minor = python.minor;
        let home = python.program.rsplit_once('/').map_or("/", |(dir, _)| dir);
        let config = format!(
            "home = {home}\nimplementation = CPython\nversion_info = 3.{minor}\n\
             include-system-site-packages = false\nprompt = {prompt}\n"
        );
        let text = |text: String| Entry::file(Content::Bytes(Arc::from(text.into_bytes())), false);
        let mut tree = FileTree::new();
        let mut add = |name: &str, entry: Entry| tree.insert(format!("{}/{name}", self.path), entry);
        add(".gitignore", text("*".to_owned()))?;
        // Tools that make backups leave out a directory with this file: <https://bford.info/cachedir/>.
        add("CACHEDIR.TAG", text("Signature: 8a477f597d28d172789f06886806bc55".to_owned()))?;
        add("pyvenv.cfg", text(config))?;
        add("bin/activate", text(activate(&self.named)))?;
        add("bin/python", Entry::symlink(&*python.program))?;
        add("bin/python3", Entry::symlink("python"))?;
        add(&format!("bin/python3.{minor}"), Entry::symlink("python"))?;
        add("lib64", Entry::symlink("lib"))?;
        add(&format!("lib/python3.{minor}/site-packages"), Entry::directory())?;
        Ok(Some(Skeleton { tree, named: self.named.clone() }))
    }
}

/// A script for `.` of a POSIX shell that puts the environment first in `PATH`, and a function that undoes it.
fn activate(named: &str) -> String {
    let quoted = named.replace('\'', "'\\''");
    format!(
        "# Use it as `. bin/activate`: a shell must read it.
VIRTUAL_ENV='{quoted}'
export VIRTUAL_ENV
_PATH_WITHOUT_ENVIRONMENT=\"$PATH\"
PATH=\"$VIRTUAL_ENV/bin:$PATH\"
export PATH
unset PYTHONHOME
deactivate() {{
    PATH=\"$_PATH_WITHOUT_ENVIRONMENT\"
    export PATH
    unset VIRTUAL_ENV _PATH_WITHOUT_ENVIRONMENT
    unset -f deactivate
}}
hash -r 2>/dev/null
"
    )
}

/// The files of a new environment: a layer below those of its packages.
pub(super) struct Skeleton {
    tree: FileTree,
    named: String,
}

impl Part for Skeleton {
    fn name(&self) -> Option<String> {
        Some(format!("virtual environment {}", self.named))
    }

    fn identities(&self) -> Vec<Digest> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(VERSION.as_bytes());
        for (path, entry) in self.tree.iter() {
            part(path);
            match &entry.kind {
                EntryKind::File(Content::Bytes(bytes)) => part(bytes),
                EntryKind::Symlink(target) => part(target),
                _ => part(b""),
            }
        }
        vec![Digest::from_bytes(hash.finalize().into())]
    }

    fn fetch<'a>(self: Box<Self>, _: &'a str, _: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move { Ok(Fetched::of(self.tree)) }.boxed()
    }
}
