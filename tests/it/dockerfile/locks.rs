//! Installs and exports from the locks of uv, Poetry and Pipenv without a process: what they leave in the image, beside
//! the real programs.

mod pipenv;
mod poetry;
mod uv;

use super::installs::{arguments, build, user};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::image_tree::{self, ImageTree};
use crate::support::index::Index;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::python::Clients;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, part, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lbuild leaves out of what the real programs leave, and what it spells differently: a path or its end, and why.
const DIFFERENCES: &str = include_str!("../../../testdata/dockerfile/locks/differences.txt");

/// A project of a tool, in a directory of this machine.
struct Project {
    clients: Clients,
    index: Index,
}

impl Project {
    fn new(file: &str, text: &str) -> Project {
        let project = Project { clients: Clients::new(), index: Index::start() };
        fs::create_dir(project.dir()).unwrap();
        fs::write(project.dir().join(file), text.replace("INDEX", &project.index.url())).unwrap();
        project
    }

    fn dir(&self) -> PathBuf {
        self.clients.path("project")
    }

    fn uv(&self, arguments: &[&str]) -> String {
        let index = self.index.url();
        let mut command = self.clients.uv(arguments);
        let quiet = command.current_dir(self.dir()).env("UV_DEFAULT_INDEX", index).env("UV_NO_PROGRESS", "1");
        run(quiet).unwrap()
    }

    /// Poetry or Pipenv.
    fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(part("lock-tools").join("bin").join(name));
        command.args(arguments).current_dir(self.dir()).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("HOME", self.clients.path("")).env("POETRY_VIRTUALENVS_IN_PROJECT", "true");
        command.env("PIPENV_VENV_IN_PROJECT", "1").env("LANG", "C.UTF-8").env("PIPENV_NOSPIN", "1");
        command
            .env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
            .env("SOURCE_DATE_EPOCH", "315532800");
        run(&mut command).unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}"))
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir().join(name)).unwrap()
    }

    /// Builds a Dockerfile with these lines after a `COPY` of these files.
    fn build(&self, files: &[&str], lines: &str, arch: &str) -> (Lbuild, RunOutput) {
        let lbuild = user(&self.index);
        let texts: Vec<(&str, String)> = files.iter().map(|name| (*name, self.text(name))).collect();
        let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, &**text)).collect();
        let dockerfile = format!("WORKDIR /app\nCOPY {} ./\n{lines}", files.join(" "));
        let done = build(&lbuild, &dockerfile, &texts, arch);
        (lbuild, done)
    }
}

/// The content of a file of the image.
fn content(lbuild: &Lbuild, path: &str) -> String {
    let blobs = crate::support::layers::blobs(&lbuild.path("out"), "amd64", "amd64");
    let members = blobs.iter().rev().flat_map(|blob| crate::support::layers::members(blob));
    let found = members.into_iter().find(|member| member.path == path);
    String::from_utf8(found.unwrap_or_else(|| panic!("no {path}")).content).unwrap()
}

/// The files of a virtual environment, as an image has them.
fn environment(dir: &Path) -> ImageTree {
    fn walk(root: &Path, dir: &Path, tree: &mut ImageTree) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_symlink() {
                tree.insert(name, format!("0:0 -> {}", fs::read_link(&path).unwrap().display()));
            } else if metadata.is_dir() {
                tree.insert(name, format!("{mode:04o} 0:0 directory"));
                walk(root, &path, tree);
            } else {
                let content = fs::read(&path).unwrap();
                let content: String = String::from_utf8_lossy(&content).chars().take(60).collect();
                tree.insert(name, format!("{mode:04o} 0:0 {content:?}"));
            }
        }
    }
    let mut tree = ImageTree::new();
    walk(dir, dir, &mut tree);
    tree
}

/// Without what the list of differences has for the tool.
fn compared(tree: ImageTree, tool: &str) -> ImageTree {
    let lines = DIFFERENCES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let rows: Vec<(&str, &str, &str)> = lines
        .filter_map(|line| {
            let (of, rest) = line.split_once(' ')?;
            let (what, path) = rest.split_once(' ')?;
            let path = path.split_once(" # ").map_or(path, |(path, _)| path);
            [tool, "all"].contains(&of).then_some((what, path.trim(), of))
        })
        .collect();
    let is = |path: &str, pattern: &str| match pattern.split_once('*') {
        Some((start, end)) => {
            path.starts_with(start) && path.ends_with(end) && path.len() >= start.len() + end.len()
        }
        None => path == pattern,
    };
    let has =
        |wanted: &str, path: &str| rows.iter().any(|(what, pattern, _)| *what == wanted && is(path, pattern));
    let kept = tree.into_iter().filter(|(path, _)| !has("absent", path));
    kept.map(|(path, line)| {
        let line = if has("content", &path) { "differs".to_owned() } else { line };
        (path, line)
    })
    .collect()
}

fn assert_same(ours: ImageTree, theirs: ImageTree, tool: &str) {
    assert!(theirs.len() > 20, "{theirs:?}");
    let difference = image_tree::difference(&compared(ours, tool), &compared(theirs, tool));
    assert!(difference.is_empty(), "{tool}:\n{difference}");
}

#[test]
fn a_lock_that_does_not_fit_is_an_error() {
    let uv = Project::new("pyproject.toml", uv::PROJECT);
    uv.uv(&["lock", "--quiet"]);
    let poetry = Project::new("pyproject.toml", poetry::PROJECT);
    poetry.tool("poetry", &["lock", "--no-interaction"]);
    let poetry_line = "ENV POETRY_VIRTUALENVS_CREATE=0\nRUN poetry install --no-root\n";
    for (project, files, change, lines, expected) in [
        (
            &uv,
            &["pyproject.toml"][..],
            "",
            "RUN uv sync --frozen\n",
            "`/app/uv.lock` does not exist in the image",
        ),
        (
            &uv,
            &["pyproject.toml", "uv.lock"],
            "requests",
            "RUN uv sync\n",
            "uv.lock: it does not fit pyproject.toml, where packaging is new",
        ),
        (&uv, &["pyproject.toml", "uv.lock"], "requests", "RUN uv export --locked\n", "packaging is new"),
        (
            &uv,
            &["pyproject.toml", "uv.lock"],
            "",
            "RUN uv sync --frozen --group none\n",
            "the project has no group `none`",
        ),
        (
            &uv,
            &["pyproject.toml", "uv.lock"],
            "",
            "RUN uv sync --frozen -p 3.9\n",
            "the image has no python3.9 in its PATH",
        ),
        (
            &uv,
            &["pyproject.toml", "uv.lock"],
            "",
            "RUN mkdir .venv && touch .venv/x && uv sync --frozen\n",
            "/app/.venv exists, and is not a virtual environment",
        ),
        (
            &uv,
            &["pyproject.toml", "uv.lock"],
            "",
            "RUN echo 3.9 > .python-version && uv sync --frozen\n",
            ".python-version asks for Python 3.9",
        ),
        (
            &poetry,
            &["pyproject.toml", "poetry.lock"],
            "requests",
            poetry_line,
            "pyproject.toml has changed since it was written: run `poetry lock`",
        ),
    ] {
        let before = project.text("pyproject.toml");
        if !change.is_empty() {
            let changed =
                before.replacen(&format!("\"{change}\""), &format!("\"{change}\", \"packaging\""), 1);
            fs::write(project.dir().join("pyproject.toml"), changed).unwrap();
        }
        let (_, said) = project.build(files, lines, "amd64");
        fs::write(project.dir().join("pyproject.toml"), before).unwrap();
        assert!(said.code != Some(0) && said.stderr.contains("Dockerfile:"), "{lines}: {}", said.stderr);
        assert!(
            said.stderr.contains(expected) && !said.stderr.contains("/cache/work/"),
            "{lines}: {}",
            said.stderr
        );
    }
}

/// An unchanged build on a fresh machine asks for no package, no list of packages and no layer of the base.
#[test]
fn an_unchanged_lock_asks_for_nothing() {
    let project = Project::new("pyproject.toml", uv::PROJECT);
    project.uv(&["lock", "--quiet"]);
    let registry = Registry::start(Mode::Plain);
    let from = format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let lines = "FROM base\nWORKDIR /app\nCOPY pyproject.toml uv.lock ./\nRUN pip install uv\n\
                 RUN uv export --frozen --no-dev -o r.txt && uv sync --frozen --no-dev\n";
    let [file, lock] = ["pyproject.toml", "uv.lock"].map(|name| project.text(name));
    let context = function(&[("Dockerfile", lines), ("pyproject.toml", &file), ("uv.lock", &lock)]);
    let base = format!("base=docker-image://{}/base:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    let push = || {
        let (mark, before) = (registry.mark(), project.index.log().len());
        let mut all = arguments(&context, "amd64", &base, &to);
        all[0] = "push";
        let done = user(&project.index).ok(&all);
        let sent = registry.log_since(mark).iter().filter(|entry| entry.is_blob_upload()).count();
        let read: u64 = registry.log_since(mark).iter().map(|entry| entry.bytes_sent).sum();
        (done.digest(), project.index.log().len() - before, sent, read)
    };
    let (first, asked, ..) = push();
    assert!(asked > 0);
    let (again, asked, sent, read) = push();
    assert_eq!((again, asked, sent), (first, 0, 0));
    assert!(read < 100_000, "{read} bytes were read");
}
