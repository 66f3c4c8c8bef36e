//! The exact wheels of a recipe: each with URL, hash and size.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use futures_util::future::try_join_all;

use super::choice::Chosen;
use super::credentials::{Indexes, expanded_url};
use super::directory;
use super::hashes::Hashes;
use super::lock::{Asked, Format, LockedPackage, pipfile, poetry, pylock, uvlock};
use super::markers::Environment;
use super::resolve::{self, Present, Question};
use super::size::{note_size, noted_size};
use super::target::Target;
use super::wheel::{is_directory, is_source, normalized};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{LockSelection, Python, Requirements, Wheel};
use crate::source::address::{file_url, without_login};
use crate::source::part::Context;
use crate::source::text;
use crate::store::{Cache, Download, Workplace};

/// The exact wheels of a recipe: the content of [`Requirements::Pinned`].
///
/// `selection` is what a command takes of a lock; without one, it is what a function needs.
pub(super) async fn pin(
    python: &Python,
    present: &Present,
    selection: Option<&LockSelection>,
    context: &Context,
) -> Result<Vec<Wheel>> {
    let target = Target::of(python, &context.platform)?;
    let (path, project) = match &python.requirements {
        Requirements::Pinned(wheels) => {
            fit(wheels, &target)?;
            return Ok(wheels.clone());
        }
        Requirements::File { path, project } => (path, project.as_deref()),
    };
    let environment = Environment::of(&target);
    let lookup = Lookup { path, python, present, selection, target: &target, environment: &environment };
    let (mut packages, asked) = lookup.packages(project, &context.cache).await?;
    packages.retain(|package| !present.installed.has(&package.name, &package.version));
    let chosen = packages.iter().map(|package| package.choose(&target)).collect::<Result<Vec<_>>>()?;
    let indexes = Indexes::of(python, &present.settings);
    let allowed = |chosen: &Chosen| match &asked {
        Some(asked) => asked.hashes(&chosen.name, &chosen.file.name, python.require_hashes),
        None => Ok(None),
    };
    let chosen = chosen.into_iter().map(|chosen| Ok((allowed(&chosen)?, chosen)));
    let chosen = chosen.collect::<Result<Vec<_>>>()?;
    let exact = chosen.into_iter().map(|(allowed, chosen)| exact(chosen, allowed, python, &indexes, context));
    let mut wheels = try_join_all(exact).await?;
    wheels.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = wheels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let fault = format!("{} is in it twice", twice[0].name);
        return Err(Error::Requirements { path: path.clone(), fault });
    }
    Ok(wheels)
}

/// Where the packages are looked up, and for which target.
struct Lookup<'a> {
    path: &'a Path,
    python: &'a Python,
    present: &'a Present,
    selection: Option<&'a LockSelection>,
    target: &'a Target,
    environment: &'a Environment,
}

impl Lookup<'_> {
    fn question<'q>(
        &'q self,
        requirements: &'q Path,
        complete: bool,
        (indexes, named): (&'q [String], &'q [String]),
        place: &'q Workplace,
    ) -> Question<'q> {
        let Lookup { path, python, present, target, environment, .. } = *self;
        Question { path, requirements, complete, indexes, present, named, python, target, environment, place }
    }

    /// The packages of a lock that these indexes have.
    async fn resolved(
        &self,
        (indexes, pins): (&Vec<String>, &String),
        place: &Workplace,
    ) -> Result<Vec<LockedPackage>> {
        let indexes: Vec<String> = indexes.iter().map(|url| expanded_url(url)).collect();
        let flags = ["--index-url"].into_iter().chain(std::iter::repeat("--extra-index-url"));
        let lines = flags.zip(&indexes).map(|(flag, url)| format!("{flag} {url}\n"));
        let text = lines.collect::<String>() + pins;
        // Only the owner can read it, and it is removed even if lbuild is killed: the URL of an index may have a login.
        let requirements = place.path().join(format!("{}.txt", Digest::of(text.as_bytes()).hex()));
        let file =
            std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&requirements);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|source| Error::Write { path: requirements.clone(), source })?;
        resolve::packages(&self.question(&requirements, true, (&indexes, &[]), place)).await
    }

    /// The packages that the file names. Unless it is a complete lock, also the names and hashes that it requires.
    async fn packages(
        &self,
        project: Option<&Path>,
        cache: &Cache,
    ) -> Result<(Vec<LockedPackage>, Option<Asked>)> {
        let Lookup { path, selection, environment, .. } = *self;
        let format = Format::of(path);
        let (mut packages, asked) = match format {
            Format::Pylock => return Ok((pylock::read(&text::read(path)?, path, environment)?, None)),
            Format::Uv => {
                return Ok((uvlock::read(&text::read(path)?, path, project, selection, environment)?, None));
            }
            Format::Poetry | Format::Pipfile => {
                let read = if format == Format::Poetry { poetry::read } else { pipfile::read };
                let pinned = read(&text::read(path)?, path, selection, environment)?;
                let place = &cache.workplace()?;
                let found =
                    try_join_all(pinned.groups.iter().map(|group| self.resolved(group, place))).await?;
                (found.into_iter().flatten().chain(pinned.direct).collect(), pinned.asked)
            }
            Format::Requirements => {
                let (asked, place) = (Asked::read(path)?, &cache.workplace()?);
                let named: Vec<String> = asked.packages.keys().cloned().collect();
                let question = self.question(path, false, (&[], &named), place);
                (resolve::packages(&question).await?, asked)
            }
        };
        for package in &mut packages {
            // A lock does not mark the packages that the user named.
            let is_named = || asked.packages.contains_key(&normalized(&package.name));
            package.requested = format == Format::Requirements && is_named();
        }
        Ok((packages, Some(asked)))
    }
}

/// The chosen wheel with its sha256 and size, which the lock may leave out. `allowed` are the hashes in the requirements.
async fn exact(
    chosen: Chosen,
    allowed: Option<&Hashes>,
    python: &Python,
    indexes: &Indexes,
    context: &Context,
) -> Result<Wheel> {
    let Chosen { name, version, mut file, requested, direct } = chosen;
    let fail = |file: &str, fault: &str| Err(Error::Hash { file: file.to_owned(), fault: fault.to_owned() });
    if is_directory(&file.name) {
        if python.require_hashes || allowed.is_some() {
            return fail(&file.name, "it is a directory, which has no hash");
        }
        let (label, url) = (file.name.clone(), file.url.clone());
        let identify = move |jobs, _: &_| directory::identify(&label, &url, jobs);
        let (sha256, size) = context.threads.run(context.threads.all(), identify).await?;
        return Ok(Wheel { name, version, file: file.name, url: file.url, sha256, size, requested, direct });
    }
    if let Some(dir) = &python.wheels {
        // A lock names the wheel directory of the machine that made it; the files in `dir` replace those.
        let path = dir.join(&file.name);
        let local = file_url(dir, &file.name).filter(|_| path.is_file());
        match local {
            Some(url) => (file.url, file.size) = (url, None),
            None if file.url.starts_with("file:") => {}
            None => return Err(Error::Read { path, source: std::io::ErrorKind::NotFound.into() }),
        }
    }
    if python.require_hashes && file.hashes.is_empty() && allowed.is_none() {
        return fail(&file.name, "the lock has no hash for it");
    }
    let known = file.hashes.sole_sha256(context);
    let wanted =
        Download { url: &file.url, file: &file.name, sha256: known, size: file.size, logins: indexes };
    let (sha256, size) = match (known, file.size) {
        (Some(sha256), Some(size)) => (sha256, size),
        (Some(sha256), None) => (sha256, size_of(sha256, &wanted, context).await?),
        (None, _) => {
            let blob = context.downloads.fetch(&wanted).await?;
            (blob.digest, blob.size)
        }
    };
    file.hashes.verify(sha256, &wanted, "the lock", context).await?;
    if let Some(allowed) = allowed {
        allowed.verify(sha256, &wanted, "the requirements", context).await?;
    }
    let url = without_login(&file.url);
    Ok(Wheel { name, version, file: file.name, url, sha256, size, requested, direct })
}

/// The size of a wheel whose lock has no size. Only the first call sends a request.
async fn size_of(sha256: Digest, wanted: &Download<'_>, context: &Context) -> Result<u64> {
    if let Some(size) = noted_size(sha256, context).filter(|_| !wanted.url.starts_with("file:")) {
        return Ok(size);
    }
    let size = context.downloads.size(wanted).await?;
    note_size(sha256, size, context)?;
    Ok(size)
}

/// Fails for a wheel that does not run on the target, because a pinned list may be for another target.
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
