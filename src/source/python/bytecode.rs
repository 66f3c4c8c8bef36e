//! Modules compiled in advance: `.pyc` files that are valid without a check of their sources (PEP 552). An interpreter
//! of the image's version compiles them on this machine.
//!
//! Bytecode does not depend on the architecture, but may depend on the interpreter's release, which is part of the key.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use flate2::Crc;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{Error, Result};
use crate::image::Digest;
use crate::programs::{Program, Running};
use crate::recipe::{Bytecode, Python};
use crate::source::part::Context;
use crate::source::program::{self, on_path};
use crate::source::zip;
use crate::store::{Cache, Workplace};
use crate::tree::{Content, Entry, EntryKind, FileTree, SourceFile, Stat, ZipContent};

/// Part of the identity. Increase it with any change of the code that changes the bytes.
const VERSION: &str = "bytecode-1";

const SCRIPT: &str = include_str!("bytecode.py");

/// Prints the fields of [`Interpreter`] as JSON.
const DESCRIBE: &str = "import json, sys, importlib.util
print(json.dumps({'name': sys.implementation.name, 'version': list(sys.version_info[:3]),
 'full': '.'.join(map(str, sys.version_info)), 'magic': importlib.util.MAGIC_NUMBER.hex(),
 'tag': sys.implementation.cache_tag}))";

/// Upper bound on the size of a module that is compiled, in bytes: larger modules are data, not code.
const LARGEST: u64 = 8 << 20;

/// An interpreter of the image's version.
#[derive(Clone, Debug)]
pub(super) struct Compiler {
    program: PathBuf,
    interpreter: Interpreter,
}

/// Name and versions of an interpreter, as it reports them.
#[derive(Clone, Debug, Deserialize)]
struct Interpreter {
    name: String,
    version: (u32, u32, u32),
    full: String,
    magic: String,
    tag: String,
}

impl Compiler {
    /// The first interpreter of the version on this machine: on `PATH`, or one that uv manages.
    async fn find(minor: u32, place: &Workplace) -> Result<Option<Compiler>> {
        for name in [format!("python3.{minor}"), "python3".to_owned(), "python".to_owned()] {
            if let Some(program) = on_path(&name)
                && let Some(compiler) = Compiler::ask(program, minor, place).await?
            {
                return Ok(Some(compiler));
            }
        }
        let Some(uv) = on_path("uv") else { return Ok(None) };
        let mut uv = program::command(uv, place)?;
        uv.args([
            "python",
            "find",
            "--no-project",
            "--offline",
            "--no-python-downloads",
            &format!("3.{minor}"),
        ]);
        let said = uv.output().await.ok();
        let Some(path) = said.and_then(|said| String::from_utf8(said.stdout).ok()) else { return Ok(None) };
        Compiler::ask(path.trim().into(), minor, place).await
    }

    /// The compiler, if the recipe asks for bytecode.
    pub(super) async fn wanted(python: &Python, minor: u32, context: &Context) -> Result<Option<Compiler>> {
        if python.bytecode == Bytecode::Never {
            return Ok(None);
        }
        let found = Compiler::find(minor, &context.cache.workplace()?).await?;
        let version = &python.version;
        match (&found, python.bytecode) {
            (None, Bytecode::Always) => return Err(Error::NoInterpreter { version: version.clone() }),
            (None, _) => {
                let message =
                    format!("no bytecode is compiled: this machine has no Python {version} interpreter");
                context
                    .events
                    .warn(message, Some(&format!("install one, as with `uv python install {version}`")));
            }
            _ => {}
        }
        Ok(found)
    }

    async fn ask(program: PathBuf, minor: u32, place: &Workplace) -> Result<Option<Compiler>> {
        let mut command = python(&program, place)?;
        command.args(["-c", DESCRIBE]);
        let said = command.output().await.ok().filter(|output| output.status.success());
        let interpreter = said.and_then(|said| serde_json::from_slice::<Interpreter>(&said.stdout).ok());
        let fits =
            |known: &Interpreter| known.name == "cpython" && (known.version.0, known.version.1) == (3, minor);
        Ok(interpreter.filter(fits).map(|interpreter| Compiler { program, interpreter }))
    }

    /// A text that differs whenever the bytecode may differ.
    pub(super) fn identity(&self) -> String {
        format!("{VERSION} {} {} {}", self.interpreter.name, self.interpreter.full, self.interpreter.magic)
    }

    /// Only the compiled modules of a tree whose files go to `to`.
    pub(super) async fn compiled(&self, tree: &FileTree, to: &str, cache: &Cache) -> Result<FileTree> {
        let place = cache.workplace()?;
        let mut run = Run::start(self, &place)?;
        let mut staged = cache.stage()?;
        let (mut made, mut hash, mut end) = (Vec::new(), Sha256::new(), 0);
        for (path, entry) in tree.iter() {
            let Some((path, pyc)) = self.place(path) else { continue };
            let EntryKind::File(content) = &entry.kind else { continue };
            if content.size() > LARGEST {
                continue;
            }
            let source = match content {
                Content::Zip(member) => zip::read(member)?,
                Content::Bytes(bytes) => bytes.to_vec(),
                Content::File(_) => continue,
            };
            let bytes = run.compile(&format!("{}/{path}", to.trim_end_matches('/')), &source).await?;
            if bytes.is_empty() {
                continue;
            }
            staged.write_all(&bytes).map_err(|source| staged.failure(source))?;
            hash.update(&bytes);
            let mut crc = Crc::new();
            crc.update(&bytes);
            made.push((pyc, end, bytes.len() as u64, crc.sum()));
            end += bytes.len() as u64;
        }
        run.end().await?;
        let digest = Digest::from_bytes(hash.finalize().into());
        // All modules go to one file, so that they are not in memory while the layer is written.
        let path = cache.keep_file(staged, digest, end)?.path;
        let metadata =
            std::fs::metadata(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let archive =
            Arc::new(SourceFile { path, stat: Stat::from(&metadata), sha256: Some(digest), lasting: true });
        let mut tree = FileTree::new();
        for (pyc, offset, length, crc32) in made {
            let name = pyc.as_bytes().into();
            let archive = archive.clone();
            let member = ZipContent { archive, name, deflated: false, offset, length, size: length, crc32 };
            tree.insert(pyc, Entry::file(Content::Zip(member), false))?;
        }
        Ok(tree)
    }

    /// A module's path as a string, and the path of its bytecode.
    fn place<'p>(&self, path: &'p [u8]) -> Option<(&'p str, String)> {
        let path = std::str::from_utf8(path).ok()?;
        let module = path.strip_suffix(".py")?;
        let (dir, name) =
            module.rsplit_once('/').map_or((String::new(), module), |(dir, name)| (format!("{dir}/"), name));
        Some((path, format!("{dir}__pycache__/{name}.{}.pyc", self.interpreter.tag)))
    }
}

/// A command that starts the interpreter without the user's environment and with a constant hash seed.
fn python(program: &PathBuf, place: &Workplace) -> Result<Program> {
    let mut command = program::command(program, place)?;
    // Version managers on PATH need the other variables.
    let kept = ["PATH", "HOME", "PYENV_ROOT", "PYENV_VERSION"];
    let kept = kept.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.args(["-s", "-S", "-B"]).env_clear().envs(kept).env("TMPDIR", place.absolute()?);
    command.env("PYTHONHASHSEED", "0").env("LC_ALL", "C.UTF-8").current_dir("/");
    Ok(command)
}

/// A running interpreter that compiles modules.
struct Run {
    running: Running,
    program: PathBuf,
}

impl Run {
    fn start(compiler: &Compiler, place: &Workplace) -> Result<Run> {
        let program = compiler.program.clone();
        let mut command = python(&program, place)?;
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        match command.start() {
            Ok(running) => Ok(Run { running, program }),
            Err(error) => Err(Error::Bytecode { program, reason: format!("it does not start: {error}") }),
        }
    }

    /// A module's bytecode; empty if the module cannot be compiled.
    async fn compile(&mut self, path: &str, source: &[u8]) -> Result<Vec<u8>> {
        self.exchange(path, source).await.map_err(|error| Error::Bytecode {
            program: self.program.clone(),
            reason: format!("it stops at {path}: {error}"),
        })
    }

    async fn exchange(&mut self, path: &str, source: &[u8]) -> std::io::Result<Vec<u8>> {
        let missing = || std::io::ErrorKind::BrokenPipe;
        let input = self.running.child.stdin.as_mut().ok_or_else(missing)?;
        for part in [path.as_bytes(), source] {
            let length = u32::try_from(part.len()).map_err(std::io::Error::other)?;
            input.write_all(&length.to_be_bytes()).await?;
            input.write_all(part).await?;
        }
        input.flush().await?;
        let output = self.running.child.stdout.as_mut().ok_or_else(missing)?;
        let mut bytes = vec![0; output.read_u32().await? as usize];
        output.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    async fn end(mut self) -> Result<()> {
        drop(self.running.child.stdin.take());
        let fail = |reason: String| Error::Bytecode { program: self.program.clone(), reason };
        match self.running.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(fail(status.to_string())),
            Err(error) => Err(fail(error.to_string())),
        }
    }
}
