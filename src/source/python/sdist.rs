//! Packages without wheels: uv, else pip, builds a wheel from pure Python sources; native packages are refused.
//!
//! The lock has the hash of the source, not of a wheel. So the source identifies the package in all keys, and a machine
//! that finds the layer in an earlier image builds nothing.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use tokio::sync::Mutex;

use super::credentials::Indexes;
use super::directory;
use super::resolve::{pythons, reason};
use super::target::Target;
use super::wheel::{WheelName, is_directory, normalized};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::programs::Program;
use crate::recipe::Wheel;
use crate::source::address::without_login;
use crate::source::part::Context;
use crate::source::program::{self, on_path};
use crate::source::zip;
use crate::store::{BlobFile, Download, Workplace};
use crate::tree::{Content, EntryKind, FileTree};

/// Part of the keys. Increase it with any change of the code that changes the wheel.
pub(super) const VERSION: &str = "sdist-1";

/// Replaces every compiler: a build that starts one fails, and its package is native.
const NO_COMPILER: &str = "lbuild-compiles-no-native-code";
const COMPILERS: [&str; 9] = ["CC", "CXX", "FC", "F77", "F90", "LD", "LDSHARED", "CARGO", "RUSTC"];

/// The earliest time that a zip member can have, in seconds since 1970.
const EPOCH: &str = "315532800";

/// Upper bound on the number of versions that an error names.
const MOST: usize = 5;

/// Builds wheels from sources; shared by all layers of a lock.
pub(super) struct SourceBuilder {
    target: Target,
    wheels: Option<PathBuf>,
    /// Allows one build at a time, because two layers may need the same wheel.
    turn: Mutex<()>,
}

impl SourceBuilder {
    pub(super) fn new(wheels: Option<PathBuf>, target: Target) -> SourceBuilder {
        SourceBuilder { target, wheels, turn: Mutex::default() }
    }

    /// The wheel of a downloaded source, or of a directory.
    pub(super) async fn wheel(
        &self,
        sdist: &Wheel,
        source: Option<&BlobFile>,
        indexes: &Indexes,
        context: &Context,
    ) -> Result<BlobFile> {
        let _turn = self.turn.lock().await;
        let key = Digest::of(format!("wheel {VERSION} of {}", sdist.sha256).as_bytes());
        let noted = context.cache.noted(key).and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok());
        if let Some(blob) =
            noted.and_then(|digest| context.cache.bytes(digest).and(context.cache.held(digest)))
        {
            return Ok(blob);
        }
        let workplace = context.cache.workplace()?;
        let dir = workplace.absolute()?;
        let place = match source {
            Some(archive) => link(sdist, archive, &dir)?,
            None => {
                let (sdist, place) = (sdist.clone(), dir.join("source"));
                let copy = move |jobs, _: &_| directory::copy(&sdist, &place, jobs).map(|()| place);
                context.threads.run(context.threads.all(), copy).await?
            }
        };
        let made = self.build(sdist, &place, indexes, &workplace).await?;
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

    /// Builds the archive or directory `source` in the workplace; `None` if the build needs a compiler.
    async fn build(
        &self,
        sdist: &Wheel,
        source: &Path,
        indexes: &Indexes,
        workplace: &Workplace,
    ) -> Result<Option<PathBuf>> {
        let dir = &workplace.absolute()?;
        let fail = |source| Error::Write { path: dir.to_owned(), source };
        let out = dir.join("out");
        std::fs::create_dir(&out).map_err(fail)?;
        let package = sdist.file.trim_end_matches('/');
        let failed = |tool, reason| Error::Build { tool, package: package.to_owned(), reason };
        let (tool, mut command) = match on_path("uv") {
            Some(uv) => {
                let mut command = program::command(uv, workplace)?;
                command.args(["build", "--wheel", "--color", "never", "--no-python-downloads", "--out-dir"]);
                ("uv", command)
            }
            None => {
                let none = || failed("lbuild", "neither uv nor pip is installed".to_owned());
                let python = pythons(workplace).await?.ok_or_else(none)?;
                let mut command = program::command(python, workplace)?;
                // With -m, Python looks for pip's modules in the working directory first.
                command.current_dir(dir);
                command.args(["-m", "pip", "wheel", "--no-deps", "--use-pep517", "--no-input"]);
                command.args(["--disable-pip-version-check", "--no-cache-dir", "--wheel-dir"]);
                ("pip", command)
            }
        };
        command.arg(&out).arg(source);
        command.env("SOURCE_DATE_EPOCH", EPOCH).env("PYTHONHASHSEED", "0");
        command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH");
        command.envs(COMPILERS.map(|name| (name, NO_COMPILER)));
        self.look_in(&mut command, indexes)?;
        let output = command.output().await;
        let output = output.map_err(|error| failed(tool, format!("it does not start: {error}")))?;
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return if said.contains(NO_COMPILER) { Ok(None) } else { Err(failed(tool, reason(&said))) };
        }
        let mut found = std::fs::read_dir(&out).map_err(fail)?.flatten().map(|entry| entry.path());
        let wheel = found.find(|path| path.extension() == Some("whl".as_ref()));
        wheel.map(Some).ok_or_else(|| failed(tool, "it wrote no wheel".to_owned()))
    }

    /// Sets the index of build dependencies to that of the packages, unless the user's variables name another.
    fn look_in(&self, command: &mut Program, indexes: &Indexes) -> Result<()> {
        if let Some(wheels) = &self.wheels {
            let dir =
                std::path::absolute(wheels).map_err(|source| Error::Read { path: wheels.clone(), source })?;
            command.arg("--no-index").arg("--find-links").arg(&dir);
            return Ok(());
        }
        let Some(index) = indexes.simple().next() else { return Ok(()) };
        // Variables, because a URL may have a login, and every user of the machine can read arguments.
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

    /// The error for a native package. It names versions that have a wheel.
    async fn native(&self, sdist: &Wheel, indexes: &Indexes, context: &Context) -> Error {
        // The name of a directory's package is not for an index.
        let mut versions = match is_directory(&sdist.file) {
            true => Vec::new(),
            false => self.versions(sdist, indexes, context).await,
        };
        versions.truncate(MOST);
        let others = match versions[..] {
            [] => String::new(),
            _ => format!("; these versions have one: {}", versions.join(", ")),
        };
        Error::NoWheel {
            package: format!("{} {}", sdist.name, sdist.version).trim_end().to_owned(),
            target: self.target.to_string(),
            fault: format!("it comes as source that has to be compiled{others}"),
        }
    }

    /// The versions with a wheel that runs on the target, newest first. Failures are ignored, because the versions only
    /// improve a message.
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

/// A link to the archive in `dir`, with the file name that both programs take the package's name and version from.
fn link(sdist: &Wheel, archive: &BlobFile, dir: &Path) -> Result<PathBuf> {
    let place = dir.join(&sdist.file);
    let linked = std::path::absolute(&archive.path).and_then(|to| std::os::unix::fs::symlink(to, &place));
    linked.map_err(|source| Error::Write { path: place.clone(), source })?;
    Ok(place)
}

/// Recompresses content that this machine's Python compressed, because the bytes depend on its zlib.
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

/// A wheel's file name in a page of an index (PEP 503 and 691).
static FILE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"[A-Za-z0-9._]+-[A-Za-z0-9._+!-]+\.whl";
    Regex::new(pattern).unwrap_or_else(|_| unreachable!("the pattern is valid"))
});
