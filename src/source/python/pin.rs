//! The exact wheels of a recipe: each with URL, hash and size.

use std::path::Path;

use futures_util::future::try_join_all;

use super::choice::Chosen;
use super::credentials::Indexes;
use super::lock::{Asked, Format, LockedPackage, Pinned, pylock, uvlock};
use super::markers::Environment;
use super::resolve::{self, Question};
use super::size::{note_size, noted_size};
use super::target::Target;
use super::wheel::{is_source, normalized};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Python, Requirements, Wheel};
use crate::source::address::{file_url, without_login};
use crate::source::part::Context;
use crate::source::text;
use crate::store::Download;

/// The exact wheels of a recipe: the content of [`Requirements::Pinned`].
pub(super) async fn pin(python: &Python, context: &Context) -> Result<Vec<Wheel>> {
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

/// The packages that the file names. Unless it is a complete lock, also the names and hashes that it requires.
async fn packages(
    path: &Path,
    python: &Python,
    target: &Target,
    environment: &Environment,
) -> Result<(Vec<LockedPackage>, Option<Asked>)> {
    let format = Format::of(path);
    let (mut packages, asked) = match format {
        Format::Pylock => return Ok((pylock::read(&text::read(path)?, path, environment)?, None)),
        Format::Uv => return Ok((uvlock::read(&text::read(path)?, path, environment)?, None)),
        Format::Pinned => {
            let pinned = Pinned::read(&text::read(path)?, path)?;
            // A temporary file, because only its owner can read it: the URL of an index may have a login.
            let fail = |source| Error::Write { path: std::env::temp_dir(), source };
            let mut file = tempfile::Builder::new().suffix(".txt").tempfile().map_err(fail)?;
            std::io::Write::write_all(&mut file, pinned.text.as_bytes()).map_err(fail)?;
            let question =
                Question { path, requirements: file.path(), complete: true, python, target, environment };
            (resolve::packages(&question).await?, pinned.asked)
        }
        Format::Requirements => {
            let asked = Asked::read(path)?;
            let question =
                Question { path, requirements: path, complete: false, python, target, environment };
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

/// The chosen wheel with its hash and size, which the lock may leave out.
async fn exact(chosen: Chosen, python: &Python, indexes: &Indexes, context: &Context) -> Result<Wheel> {
    let Chosen { name, version, mut file, requested, direct } = chosen;
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
