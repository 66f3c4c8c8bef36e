//! Reads the image assets of a cloud assembly from its directory.

pub mod image;
pub mod secrets;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use lbuild::frontend::cdk::{Assembly, ImageAsset, KNOWN_SCHEMA};

use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

const MANIFEST: &str = "manifest.json";

/// An image asset of an assembly.
#[derive(Debug)]
pub struct Asset {
    /// The directory to which paths of the asset are relative.
    pub dir: PathBuf,
    pub image: ImageAsset,
}

impl Asset {
    /// Its name in messages, with the id.
    pub fn label(&self) -> String {
        match &self.image.display_name {
            Some(name) => format!("the asset {name} ({})", self.image.id),
            None => format!("the asset {}", self.image.id),
        }
    }

    /// The failure for a field of its source.
    pub fn fault(&self, field: &str, fault: &str, hint: impl Into<Option<&'static str>>) -> Failure {
        Failure::usage(format!("{}: {field}: {fault}", self.label()), hint)
    }
}

/// The image assets of an assembly and its nested ones, each id once: stacks that share an asset name it with their own
/// destinations.
pub fn load(dir: &Path, report: &Report) -> Result<Vec<Asset>, Failure> {
    let mut reading = Reading { report, seen: BTreeSet::new(), warned: false, assets: Vec::new() };
    reading.assembly(dir, None)?;
    Ok(reading.assets)
}

/// The assets whose id or name matches one of these patterns; all without patterns.
pub fn selected(assets: Vec<Asset>, patterns: &[String]) -> Result<Vec<Asset>, Failure> {
    let matching = |pattern: &String| assets.iter().any(|asset| asset.image.is_called(pattern));
    if let Some(pattern) = patterns.iter().find(|pattern| !matching(pattern)) {
        let names: Vec<&str> = assets.iter().map(|asset| asset.image.name()).collect();
        let hint = match names.is_empty() {
            true => "the assembly has no image assets".to_owned(),
            false => format!("the image assets are {}", names.join(", ")),
        };
        let message = format!("no image asset matches `--asset {pattern}`");
        return Err(Failure::Usage { message, hint: Some(hint) });
    }
    let is_selected =
        |asset: &Asset| patterns.is_empty() || patterns.iter().any(|pattern| asset.image.is_called(pattern));
    Ok(assets.into_iter().filter(is_selected).collect())
}

/// An assembly that is being read.
struct Reading<'r> {
    report: &'r Report,
    /// The directories that were read, as the system names them.
    seen: BTreeSet<PathBuf>,
    warned: bool,
    assets: Vec<Asset>,
}

impl Reading<'_> {
    /// Reads the assembly in a directory; `outer` is the manifest that names it.
    fn assembly(&mut self, dir: &Path, outer: Option<&Path>) -> Result<(), Failure> {
        let path = dir.join(MANIFEST);
        let missing = || match (outer, dir.is_dir()) {
            (Some(outer), _) => Failure::usage(
                format!("there is no assembly {}, which {} names", dir.display(), outer.display()),
                "run `cdk synth` again: it writes the whole directory",
            ),
            (None, true) => Failure::usage(
                format!("{} is not a cloud assembly: it has no {MANIFEST}", dir.display()),
                "name the directory that `cdk synth` writes: cdk.out, or that of its --output",
            ),
            (None, false) => Failure::usage(
                format!("there is no directory {}", dir.display()),
                "run `cdk synth` first, or name the directory of its --output",
            ),
        };
        let text = read(&path, missing)?;
        if !self.seen.insert(dir.canonicalize().unwrap_or_else(|_| dir.to_owned())) {
            return Ok(());
        }
        let assembly = Assembly::parse(&path.display().to_string(), &text)?;
        if assembly.is_newer() && !std::mem::replace(&mut self.warned, true) {
            let version = &assembly.version;
            let message = format!(
                "{} has schema {version}, which is newer than {KNOWN_SCHEMA}: fields of it may be unknown",
                path.display()
            );
            self.report.warn(&message, Some("an asset with an unknown setting is an error that names it"));
        }
        for name in &assembly.asset_manifests {
            self.asset_manifest(dir, name, &path)?;
        }
        for name in &assembly.nested {
            self.assembly(&dir.join(name), Some(&path))?;
        }
        Ok(())
    }

    fn asset_manifest(&mut self, dir: &Path, name: &str, outer: &Path) -> Result<(), Failure> {
        let path = dir.join(name);
        let missing = || {
            Failure::usage(
                format!("there is no asset manifest {}, which {} names", path.display(), outer.display()),
                "run `cdk synth` again: it writes the whole directory",
            )
        };
        let text = read(&path, missing)?;
        let dir = path.parent().unwrap_or(dir);
        for image in ImageAsset::parse_all(&path.display().to_string(), &text)? {
            match self.assets.iter_mut().find(|asset| asset.image.id == image.id) {
                Some(same) => {
                    let new = image.destinations.into_iter();
                    let new: Vec<_> =
                        new.filter(|destination| !same.image.destinations.contains(destination)).collect();
                    same.image.destinations.extend(new);
                }
                None => self.assets.push(Asset { dir: dir.to_owned(), image }),
            }
        }
        Ok(())
    }
}

/// The text of a file of the assembly.
fn read(path: &Path, missing: impl Fn() -> Failure) -> Result<String, Failure> {
    match lbuild::text::read(path) {
        Ok(text) => Ok(text),
        Err(lbuild::Error::Read { source, .. }) => Err(match source.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => missing(),
            _ => Failure::Read { what: path.display().to_string(), source },
        }),
        Err(error) => Err(error.into()),
    }
}
