//! Python packages: from a lock file, or requirements, to wheels, and from wheels to the trees of layers.
//!
//! 1. What is asked for becomes packages: [`pylock`] and [`uvlock`] are read, all else is [`resolve`]d by uv or pip.
//!    [`markers`] are the target's.
//! 2. Of each package one wheel is chosen by its [`tags`], and its hash and size are found out where the lock has
//!    none. That is the pinned list.
//! 3. The list alone decides which wheels share a layer ([`group`]); such a [`Bundle`] has an identity before
//!    anything is fetched.
//! 4. Only a bundle whose layer is nowhere is fetched, and [`wheel`]s become a tree, or their [`bytecode`] does.

mod bytecode;
mod choice;
mod credentials;
mod group;
mod markers;
mod pinned;
mod provider;
mod pylock;
mod record;
mod requirements;
mod resolve;
mod scripts;
mod sdist;
mod tags;
mod uvlock;
mod wheel;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::try_join_all;
use sha2::{Digest as _, Sha256};

use self::bytecode::Compiler;
use self::choice::{Chosen, Locked};
use self::credentials::Indexes;
use self::markers::Environment;
use self::pinned::Pinned;
pub(super) use self::provider::Provider;
use self::requirements::Asked;
use self::resolve::Question;
use self::sdist::{Builder, is_source};
use self::tags::Target;
use super::address::without_login;
use super::part::Context;
use super::zip;
use crate::error::{Error, Result};
use crate::image::{Blob, Digest, Location};
use crate::recipe::{Bytecode, Python, Requirements, Wheel};
use crate::store::Download;
use crate::tree::FileTree;

/// Changes with anything here that changes a file of an unpacked wheel.
const VERSION: &str = "wheels-1";

/// Wheels that become one layer.
#[derive(Clone)]
struct Bundle {
    wheels: Vec<Wheel>,
    minor: u32,
    slim: bool,
    indexes: Arc<Indexes>,
    /// With one, it is the bytecode of the wheels.
    compiler: Option<Compiler>,
    builder: Arc<Builder>,
}

/// The wheels that are asked for, exactly: what [`Requirements::Pinned`] holds.
async fn resolve(python: &Python, context: &Context) -> Result<Vec<Wheel>> {
    let target = Target::of(python, &context.platform)?;
    let path = match &python.requirements {
        Requirements::Pinned(wheels) => {
            fit(wheels, &target)?;
            return Ok(wheels.clone());
        }
        Requirements::File { path } => path,
    };
    let environment = Environment::of(&target);
    let (packages, asked) = packages(path, python, &target, &environment).await?;
    let chosen = packages.iter().map(|package| package.choose(&target)).collect::<Result<Vec<_>>>()?;
    let indexes = Indexes::of(python);
    let exact = chosen.into_iter().map(|chosen| exact(chosen, python, &indexes, context));
    let mut wheels = try_join_all(exact).await?;
    for wheel in &wheels {
        asked.iter().try_for_each(|asked| asked.check(wheel, python.require_hashes))?;
    }
    wheels.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = wheels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let fault = format!("{} is in it twice", twice[0].name);
        return Err(Error::Requirements { path: path.clone(), fault });
    }
    Ok(wheels)
}

/// The layers of some wheels. A pure function of the list, and of the compiler where bytecode is asked for.
async fn bundles(python: &Python, wheels: &[Wheel], context: &Context) -> Result<Vec<Bundle>> {
    let target = Target::of(python, &context.platform)?;
    let minor = target.minor;
    let builder = Arc::new(Builder::new(python.wheels.clone(), target));
    let indexes = Arc::new(Indexes::of(python));
    let bundle = |wheels| {
        let (indexes, builder) = (indexes.clone(), builder.clone());
        Bundle { wheels, minor, slim: python.slim, indexes, compiler: None, builder }
    };
    let share = if python.bytecode == Bytecode::Never { 1 } else { 2 };
    let mut bundles: Vec<Bundle> =
        group::group(wheels, group::MOST / share).into_iter().map(bundle).collect();
    if let Some(compiler) = Compiler::wanted(python, minor, &context.events).await? {
        // A layer each, so that an upgrade of one package leaves the others' alone.
        let compiled = |bundle: &Bundle| Bundle { compiler: Some(compiler.clone()), ..bundle.clone() };
        bundles.extend(bundles.iter().map(compiled).collect::<Vec<_>>());
    }
    Ok(bundles)
}

/// What the file asks for, and what is known of hashes and names when it is no lock.
async fn packages(
    path: &Path,
    python: &Python,
    target: &Target,
    environment: &Environment,
) -> Result<(Vec<Locked>, Option<Asked>)> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let read = || {
        let text = std::fs::read_to_string(path);
        text.map_err(|source| Error::Read { path: path.to_owned(), source })
    };
    if is_pylock(name) {
        return Ok((pylock::read(&read()?, path, environment)?, None));
    }
    if name == "uv.lock" {
        return Ok((uvlock::read(&read()?, path, environment)?, None));
    }
    let pins = matches!(name, "poetry.lock" | "Pipfile.lock");
    let (packages, asked) = match pins {
        true => {
            let pinned = Pinned::read(&read()?, path)?;
            // Only its owner can read it: an index's address may have a login in it.
            let fail = |source| Error::Write { path: std::env::temp_dir(), source };
            let mut file = tempfile::Builder::new().suffix(".txt").tempfile().map_err(fail)?;
            std::io::Write::write_all(&mut file, pinned.text.as_bytes()).map_err(fail)?;
            let question =
                Question { path, requirements: file.path(), complete: true, python, target, environment };
            (resolve::packages(&question).await?, pinned.asked)
        }
        false => {
            let asked = Asked::read(path)?;
            let question =
                Question { path, requirements: path, complete: false, python, target, environment };
            (resolve::packages(&question).await?, asked)
        }
    };
    let mut packages = packages;
    for package in &mut packages {
        // These locks name every package alike.
        package.requested = !pins && asked.packages.contains_key(&tags::normalized(&package.name));
    }
    Ok((packages, Some(asked)))
}

/// Whether it is in one of the formats that tools write, and is no text of the user's own.
fn is_lock(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    is_pylock(name) || matches!(name, "uv.lock" | "poetry.lock" | "Pipfile.lock")
}

/// `pylock.toml`, or `pylock.NAME.toml` (PEP 751).
fn is_pylock(name: &str) -> bool {
    let middle = name.strip_prefix("pylock.").and_then(|rest| rest.strip_suffix("toml"));
    middle.is_some_and(|middle| {
        middle.is_empty() || (middle.ends_with('.') && middle.matches('.').count() == 1)
    })
}

/// A wheel with what its lock may leave out: hash and size.
async fn exact(chosen: Chosen, python: &Python, indexes: &Indexes, context: &Context) -> Result<Wheel> {
    let Chosen { name, version, mut file, requested, direct } = chosen;
    if let Some(dir) = &python.wheels {
        // A lock names the place that it was made with; here its files are at hand.
        let path = dir.join(&file.name);
        let local = choice::file_url(dir, &file.name).filter(|_| path.is_file());
        match local {
            Some(url) => (file.url, file.size) = (url, None),
            None if file.url.starts_with("file:") => {}
            None => return Err(Error::Read { path, source: std::io::ErrorKind::NotFound.into() }),
        }
    }
    if python.require_hashes && file.sha256.is_none() {
        return Err(Error::Hash { file: file.name, fault: "the lock has no hash for it" });
    }
    let wanted =
        Download { url: &file.url, file: &file.name, sha256: file.sha256, size: file.size, logins: indexes };
    let (sha256, size) = match (file.sha256, file.size) {
        (Some(sha256), Some(size)) => (sha256, size),
        (Some(sha256), None) => (sha256, size_of(sha256, &wanted, context).await?),
        (None, _) => {
            let blob = context.downloads.fetch(&wanted).await?;
            (blob.digest, blob.size)
        }
    };
    let url = without_login(&file.url);
    Ok(Wheel { name, version, file: file.name, url, sha256, size, requested, direct })
}

/// The size of a wheel whose lock has none: it is asked for once.
async fn size_of(sha256: Digest, wanted: &Download<'_>, context: &Context) -> Result<u64> {
    if let Some(size) = noted_size(sha256, context).filter(|_| !wanted.url.starts_with("file:")) {
        return Ok(size);
    }
    let size = context.downloads.size(wanted).await?;
    note_size(sha256, size, context)?;
    Ok(size)
}

fn size_key(sha256: Digest) -> Digest {
    Digest::of(format!("size of {sha256}").as_bytes())
}

/// The size that a server has told of a file, which may not be the right one.
fn noted_size(sha256: Digest, context: &Context) -> Option<u64> {
    let text = context.cache.noted(size_key(sha256))?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

fn note_size(sha256: Digest, size: u64, context: &Context) -> Result<()> {
    context.cache.note(size_key(sha256), size.to_string().as_bytes())
}

/// Fails for a wheel that does not run on the target: a pinned list may have been made for another.
fn fit(wheels: &[Wheel], target: &Target) -> Result<()> {
    let mut wheels = wheels.iter().filter(|wheel| !is_source(&wheel.file));
    let unfit = wheels.find(|wheel| target.best(&[&wheel.file], |file| file).is_none());
    unfit.map_or(Ok(()), |wheel| {
        Err(Error::NoWheel {
            package: format!("{} {}", wheel.name, wheel.version),
            target: target.to_string(),
            fault: target.why_not([wheel.file.as_str()].into_iter()),
        })
    })
}

impl Bundle {
    /// What is in it, for people.
    fn name(&self) -> String {
        let wheels = match &self.wheels[..] {
            [wheel] => format!("{} {}", wheel.name, wheel.version),
            wheels => format!("{} small packages", wheels.len()),
        };
        if self.compiler.is_some() { format!("bytecode of {wheels}") } else { wheels }
    }

    /// What decides its files, known before anything is fetched.
    fn identity(&self) -> Digest {
        let mut hash = Sha256::new();
        // Every variable part goes in with its length, so that no two lists run together to the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(VERSION.as_bytes());
        part(&self.minor.to_be_bytes());
        part(&[u8::from(self.slim)]);
        for wheel in &self.wheels {
            part(wheel.name.as_bytes());
            part(wheel.sha256.as_bytes());
            let told = wheel::told_url(wheel);
            part(&[u8::from(wheel.requested), u8::from(told.is_some())]);
            part(told.unwrap_or_default().as_bytes());
            part(if is_source(&wheel.file) { sdist::VERSION.as_bytes() } else { b"" });
        }
        if let Some(compiler) = &self.compiler {
            part(compiler.identity().as_bytes());
        }
        Digest::from_bytes(hash.finalize().into())
    }

    /// Its files with paths relative to `to`, where they go. Wheels are downloaded when the cache lacks them.
    async fn tree(&self, context: &Context, to: &str) -> Result<FileTree> {
        let blobs = try_join_all(self.wheels.iter().map(|wheel| self.fetch(wheel, context))).await?;
        let bundle = self.clone();
        let (tree, (files, bytes)) = context.threads.run(1, move |_, _| bundle.unpack(&blobs)).await?;
        if let Some(compiler) = &self.compiler {
            return compiler.compiled(&tree, to, &context.cache).await;
        }
        if self.slim && files > 0 {
            context.events.emit(crate::event::Event::Slimmed { layer: self.name(), files, bytes });
        }
        Ok(tree)
    }

    async fn fetch(&self, wheel: &Wheel, context: &Context) -> Result<Blob> {
        // A size that a server has told is a guess, and the digest decides; one of the lock's own counts as well.
        let noted = noted_size(wheel.sha256, context);
        let wanted = Download {
            url: &wheel.url,
            file: &wheel.file,
            sha256: Some(wheel.sha256),
            size: Some(wheel.size).filter(|size| noted != Some(*size)),
            logins: &*self.indexes,
        };
        let blob = context.downloads.fetch(&wanted).await?;
        if noted.is_some_and(|noted| noted != blob.size) {
            note_size(wheel.sha256, blob.size, context)?;
        }
        match is_source(&wheel.file) {
            true => self.builder.wheel(wheel, &blob, &self.indexes, context).await,
            false => Ok(blob),
        }
    }

    /// The tree of all wheels, and how many files and bytes were left out.
    fn unpack(&self, blobs: &[Blob]) -> Result<(FileTree, (u64, u64))> {
        let (mut tree, mut files, mut bytes) = (FileTree::new(), 0, 0);
        for (wheel, blob) in self.wheels.iter().zip(blobs) {
            let Location::File(path) = &blob.location else { unreachable!("downloads are files") };
            let archive = zip::open_blob(path, blob.digest)?;
            let mut unpacked = wheel::unpack(wheel, &archive, self.minor, self.slim)?;
            if is_source(&wheel.file) {
                sdist::recompressed(&mut unpacked.tree)?;
            }
            tree.extend(unpacked.tree);
            files += unpacked.dropped.0;
            bytes += unpacked.dropped.1;
        }
        Ok((tree, (files, bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_the_same_wherever_its_wheels_lie() {
        let identity = |url: &str, direct| {
            let wheel = Wheel {
                name: "a".to_owned(),
                version: "1".to_owned(),
                file: "a-1-py3-none-any.whl".to_owned(),
                url: url.to_owned(),
                sha256: Digest::of(b"a"),
                size: 1,
                requested: true,
                direct,
            };
            let builder = Arc::new(Builder::new(None, Target::new(12, tags::Machine::X86_64, (2, 34))));
            let (wheels, indexes) = (vec![wheel], Arc::default());
            Bundle { wheels, minor: 12, slim: false, indexes, compiler: None, builder }.identity()
        };
        let indirect = identity("https://h.example/a.whl", false);
        assert_eq!(indirect, identity("https://mirror.example/a.whl", false));
        assert_eq!(indirect, identity("file:///here/a.whl", true));
        assert_eq!(indirect, identity("file:///there/a.whl", true));
        // direct_url.json has it
        assert_ne!(indirect, identity("https://h.example/a.whl", true));
        assert_ne!(identity("https://h.example/a.whl", true), identity("https://i.example/a.whl", true));
    }
}
