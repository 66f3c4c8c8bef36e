//! Packages that come as source only: what is Python alone becomes a wheel through uv, else pip; anything native is
//! refused.
//!
//! The lock has the source's hash and no wheel's. So the source stands for the package in all keys, and a machine that
//! finds the layer in an earlier image builds nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;

use regex::Regex;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::credentials::Indexes;
use super::resolve::{pythons, reason};
use super::tags::{Target, WheelName, normalized};
use super::zip;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Location};
use crate::recipe::Wheel;
use crate::source::address::without_login;
use crate::source::part::Context;
use crate::source::program::on_path;
use crate::store::Download;
use crate::tree::{Content, EntryKind, FileTree};

/// Changes with anything here that changes the wheel.
pub(super) const VERSION: &str = "sdist-1";

/// In the place of compilers: what asks for one is native, and its build ends here.
const NO_COMPILER: &str = "lbuild-compiles-no-native-code";
const COMPILERS: [&str; 9] = ["CC", "CXX", "FC", "F77", "F90", "LD", "LDSHARED", "CARGO", "RUSTC"];

/// Members of a zip are no older.
const EPOCH: &str = "315532800";

/// Versions that a refusal names at most.
const MOST: usize = 5;

/// Whether the file is a source archive, as far as they are in use: <https://peps.python.org/pep-0625/>.
pub(super) fn is_source(file: &str) -> bool {
    file.ends_with(".tar.gz") || file.ends_with(".zip")
}

/// What builds sources; shared by all layers of a lock.
pub(super) struct Builder {
    target: Target,
    wheels: Option<PathBuf>,
    /// One at a time: two layers may want the same.
    turn: Mutex<()>,
}

impl Builder {
    pub(super) fn new(wheels: Option<PathBuf>, target: Target) -> Builder {
        Builder { target, wheels, turn: Mutex::default() }
    }

    /// The wheel of a source that is here already.
    pub(super) async fn wheel(
        &self,
        sdist: &Wheel,
        source: &Blob,
        indexes: &Indexes,
        context: &Context,
    ) -> Result<Blob> {
        let _turn = self.turn.lock().await;
        let key = Digest::of(format!("wheel {VERSION} of {}", source.digest).as_bytes());
        let noted = context.cache.noted(key).and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        if let Some(blob) =
            noted.and_then(|digest| context.cache.bytes(digest).and(context.cache.held(digest)))
        {
            return Ok(blob);
        }
        let dir = context.cache.workplace()?;
        let made = self.build(sdist, source, indexes, dir.path()).await?;
        let name =
            made.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let pure = WheelName::parse(name).is_some_and(|wheel| wheel.is_for_any());
        let Some(path) = made.filter(|_| pure) else {
            return Err(self.native(sdist, indexes, context).await);
        };
        let bytes = std::fs::read(&path).map_err(|source| Error::Read { path, source })?;
        let digest = context.cache.put_bytes(&bytes)?;
        context.cache.note(key, digest.to_string().as_bytes())?;
        context.cache.held(digest).ok_or(Error::Interrupted)
    }

    /// Builds within `dir`; none when it would take a compiler.
    async fn build(
        &self,
        sdist: &Wheel,
        source: &Blob,
        indexes: &Indexes,
        dir: &Path,
    ) -> Result<Option<PathBuf>> {
        let fail = |source| Error::Write { path: dir.to_owned(), source };
        let Location::File(blob) = &source.location else { unreachable!("downloads are files") };
        // The cache may be named by a relative path, and pip runs elsewhere.
        let (blob, dir) =
            (std::path::absolute(blob).map_err(fail)?, &std::path::absolute(dir).map_err(fail)?);
        let (archive, out) = (dir.join(&sdist.file), dir.join("out"));
        // Both programs go by the name.
        std::os::unix::fs::symlink(blob, &archive).map_err(fail)?;
        std::fs::create_dir(&out).map_err(fail)?;
        let failed = |tool, reason| Error::Build { tool, package: sdist.file.clone(), reason };
        let (tool, mut command) = match on_path("uv") {
            Some(uv) => {
                let mut command = Command::new(uv);
                command.args(["build", "--wheel", "--color", "never", "--no-python-downloads", "--out-dir"]);
                ("uv", command)
            }
            None => {
                let none = || failed("lbuild", "neither uv nor pip is at hand".to_owned());
                let python = pythons().await.ok_or_else(none)?;
                let mut command = Command::new(python);
                // With -m, modules where it runs would be taken for pip's own.
                command.current_dir(dir);
                command.args(["-m", "pip", "wheel", "--no-deps", "--use-pep517", "--no-input"]);
                command.args(["--disable-pip-version-check", "--no-cache-dir", "--wheel-dir"]);
                ("pip", command)
            }
        };
        command.arg(&out).arg(&archive).stdin(Stdio::null()).kill_on_drop(true);
        command.env("TMPDIR", dir).env("SOURCE_DATE_EPOCH", EPOCH).env("PYTHONHASHSEED", "0");
        command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH");
        command.envs(COMPILERS.map(|name| (name, NO_COMPILER)));
        self.look_in(&mut command, indexes)?;
        let output =
            command.output().await.map_err(|error| failed(tool, format!("it does not start: {error}")))?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return if said.contains(NO_COMPILER) { Ok(None) } else { Err(failed(tool, reason(&said))) };
        }
        let mut found = std::fs::read_dir(&out).map_err(fail)?.flatten().map(|entry| entry.path());
        let wheel = found.find(|path| path.extension() == Some("whl".as_ref()));
        wheel.map(Some).ok_or_else(|| failed(tool, "it leaves no wheel".to_owned()))
    }

    /// What builds the package comes from where packages come from, unless the user says otherwise.
    fn look_in(&self, command: &mut Command, indexes: &Indexes) -> Result<()> {
        if let Some(wheels) = &self.wheels {
            let dir =
                std::path::absolute(wheels).map_err(|source| Error::Read { path: wheels.clone(), source })?;
            command.arg("--no-index").arg("--find-links").arg(&dir);
            return Ok(());
        }
        let Some(index) = indexes.simple().next() else { return Ok(()) };
        // In variables, as an address may have a login in it, and arguments are for all to see.
        let named = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"]
            .iter()
            .any(|name| std::env::var_os(name).is_some());
        if !named {
            command.env("UV_DEFAULT_INDEX", index);
        }
        if std::env::var_os("PIP_INDEX_URL").is_none() {
            command.env("PIP_INDEX_URL", index);
        }
        Ok(())
    }

    /// That a package is native, and which of its versions would do.
    async fn native(&self, sdist: &Wheel, indexes: &Indexes, context: &Context) -> Error {
        let mut versions = self.versions(sdist, indexes, context).await;
        versions.truncate(MOST);
        let others = match versions[..] {
            [] => String::new(),
            _ => format!("; these versions have one: {}", versions.join(", ")),
        };
        Error::NoWheel {
            package: format!("{} {}", sdist.name, sdist.version),
            target: self.target.to_string(),
            fault: format!("it comes as source that has to be compiled{others}"),
        }
    }

    /// The versions with a wheel that runs on the target, the newest first. It is for a message, so nothing of it fails.
    async fn versions(&self, sdist: &Wheel, indexes: &Indexes, context: &Context) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        if let Some(dir) = &self.wheels {
            let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
            files.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        for index in indexes.simple().filter(|_| self.wheels.is_none()) {
            let url = without_login(&format!("{}/{}/", index.trim_end_matches('/'), sdist.name));
            let list = Download { url: &url, file: &sdist.name, sha256: None, size: None, logins: indexes };
            let Ok(blob) = context.downloads.fetch(&list).await else { continue };
            let text = context.cache.bytes(blob.digest).unwrap_or_default();
            context.cache.evict(blob.digest);
            let names = FILE.find_iter(std::str::from_utf8(&text).unwrap_or_default());
            files.extend(names.map(|name| name.as_str().to_owned()));
        }
        let wheels = files.iter().filter(|file| self.target.best(&[file.as_str()], |file| file).is_some());
        let wheels = wheels.filter_map(|file| WheelName::parse(file));
        let mut versions: Vec<String> =
            wheels.filter(|wheel| normalized(&wheel.name) == sdist.name).map(|wheel| wheel.version).collect();
        let order = |version: &String| -> Vec<u64> {
            version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
        };
        versions.sort_by(|a, b| order(b).cmp(&order(a)).then_with(|| b.cmp(a)));
        versions.dedup();
        versions
    }
}

/// What was compressed on this machine, by whichever zlib its Python has, is compressed as everything else is.
pub(super) fn recompressed(tree: &mut FileTree) -> Result<()> {
    for (_, entry) in tree.iter_mut() {
        if let EntryKind::File(content) = &mut entry.kind
            && let Content::Zip(member) = content
        {
            *content = Content::Bytes(zip::read(member)?.into());
        }
    }
    Ok(())
}

/// A wheel's name, in a list of either form (PEP 503 and 691).
static FILE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"[A-Za-z0-9._]+-[A-Za-z0-9._+!-]+\.whl";
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is right"))
});
