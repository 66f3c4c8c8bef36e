//! The image as an install sees it: the layers below, with the files of its mounts over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::try_join_all;

use super::add::Adding;
use super::content::bytes_of;
use super::mounts::MountFiles;
use super::placed::scans_of;
use super::planned_run::PlannedRun;
use super::reads::ReadFile;
use crate::error::Result;
use crate::image::{Digest, Layer};
use crate::scan::{LayerScan, NoFact, ScannedFile, view};
use crate::source::{self, Contents, ImageLibc};
use crate::store::Secret;
use crate::tree::View;

pub(super) type Scans = Arc<Vec<Option<LayerScan<NoFact>>>>;

/// The glibc that is assumed if no file tells the version: that of the oldest wheels in use.
const OLDEST_GLIBC: ImageLibc = ImageLibc::Glibc(2, 17);

/// The layers below, and the files of the mounts over them.
pub(super) struct Sight<'s> {
    /// Those of the layers, and one for each mount.
    pub(super) scans: Scans,
    pub(super) below: &'s [Layer],
    run: &'s PlannedRun,
    mounted: Arc<MountFiles>,
    /// The path of each mount in the image.
    places: Vec<Vec<u8>>,
    /// The contents that were read.
    read: Mutex<Vec<ReadFile>>,
}

impl Sight<'_> {
    /// The contents that were read.
    pub(super) fn read(self) -> Vec<ReadFile> {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mount, not read, in whose place one of these paths is.
    pub(super) fn hidden_by(&self, mut paths: impl Iterator<Item = String>) -> Option<&str> {
        let closed: Vec<(&str, &[u8])> = self.run.mounts.closed(&self.places).collect();
        let is_in = |path: &str, place: &[u8]| {
            let rest = path.as_bytes().strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        paths.find_map(|path| closed.iter().find(|(_, place)| is_in(&path, place)).map(|(target, _)| *target))
    }
}

/// The places of files: by layer, the paths in it by the names of the files.
type Places = BTreeMap<usize, BTreeMap<String, Vec<u8>>>;

/// The places of files, and the files that the image does not have.
fn places<F>(names: &[String], view: &View<'_, ScannedFile<F>>) -> (Places, Vec<String>) {
    let (mut found, mut missing) = (Places::new(), Vec::new());
    for name in names {
        match view.file(name) {
            Some(file) => {
                let path = file.member.path.as_bytes().to_vec();
                found.entry(file.layer).or_default().insert(name.clone(), path);
            }
            None => missing.push(name.clone()),
        }
    }
    (found, missing)
}

/// The directories that have the C library.
const LIBRARIES: [&str; 4] = ["lib", "lib64", "usr/lib", "usr/lib64"];

/// The files whose contents decide what the C library is.
fn libraries<F>(view: &View<'_, ScannedFile<F>>, is_own: &[bool]) -> Vec<ReadFile> {
    let files = LIBRARIES.iter().flat_map(|dir| view.below(dir));
    let files = files.filter_map(|file| view.inode(file)).filter(|file| file.member.is_file());
    let own = files.filter(|file| is_own.get(file.layer) == Some(&true));
    own.map(|file| (file.layer, file.member.path.as_bytes().to_vec(), file.member.sha256())).collect()
}

/// The C library of an image.
pub(super) fn libc<F>(view: &View<'_, ScannedFile<F>>) -> ImageLibc {
    let files = || LIBRARIES.iter().flat_map(|dir| view.below(dir));
    let glibc = files().filter_map(|file| file.member.elf()?.is_glibc).max();
    match glibc {
        Some((major, minor)) => ImageLibc::Glibc(major, minor),
        None if files().any(|file| file.member.name().starts_with("ld-musl-")) => ImageLibc::Musl,
        None => OLDEST_GLIBC,
    }
}

impl Adding<'_> {
    /// What the installs of a line see above these layers.
    pub(super) async fn sight<'s>(&self, run: &'s Arc<PlannedRun>, below: &'s [Layer]) -> Result<Sight<'s>> {
        let scans = scans_of(self.session, self.trees, below).await?;
        let mounted = Arc::new(self.mounted(&run.mounts).await?);
        let is_own: Vec<bool> = below.iter().map(|layer| self.structures.get(layer).is_some()).collect();
        let (of_run, files, secrets) = (run.clone(), mounted.clone(), self.session.secrets.clone());
        let lay = move |_, _: &_| {
            let mut scans = scans;
            let places = of_run.mounts.lay(&mut scans, &files, |id| secrets.get(id).is_some());
            let libraries = libraries(&view(&scans), &is_own);
            Ok((Arc::new(scans), places, libraries))
        };
        let (scans, places, libraries) = self.session.threads.run(1, lay).await?;
        Ok(Sight { scans, below, run, mounted, places, read: Mutex::new(libraries) })
    }

    /// Variables of a line with the values of secrets, as far as they are given.
    pub(super) fn secrets_of(&self, run: &PlannedRun) -> Vec<(String, Secret)> {
        let secret = |(name, id): &(String, String)| {
            let value = self.session.secrets.get(id)?;
            let value = String::from_utf8_lossy(value).trim_end_matches(['\r', '\n']).to_owned();
            Some((name.clone(), Secret::from(value)))
        };
        run.secrets.iter().filter_map(secret).collect()
    }

    /// Reads all files that `needs` names, which may depend on those that were read. Returns them, and those that do not
    /// exist.
    pub(super) async fn read_all(
        &self,
        sight: &Sight<'_>,
        needs: impl Fn(&Contents) -> Vec<String>,
    ) -> Result<(Contents, BTreeSet<String>)> {
        let (mut read, mut absent) = (Contents::new(), BTreeSet::new());
        loop {
            let mut needed = needs(&read);
            needed.retain(|path| !absent.contains(path));
            if needed.is_empty() {
                return Ok((read, absent));
            }
            let scans = sight.scans.clone();
            let find = move |_, _: &_| Ok(places(&needed, &view(&scans)));
            let (found, missing) = self.session.threads.run(1, find).await?;
            absent.extend(missing);
            read.extend(self.contents(found, sight).await?);
        }
    }

    /// The contents of files, by their places in the layers below.
    async fn contents(&self, places: Places, sight: &Sight<'_>) -> Result<Contents> {
        let session = self.session;
        let Sight { below, run, mounted, places: mounts, .. } = sight;
        let read = places.into_iter().map(async |(number, names)| {
            if let Some(mount) = number.checked_sub(below.len()) {
                let content = |(name, path): (String, Vec<u8>)| {
                    let path = path.strip_prefix(&mounts[mount][..]).unwrap_or_default();
                    let path = path.strip_prefix(b"/").unwrap_or(path);
                    let content = run.mounts.content(mount, path, mounted, &session.secrets).transpose()?;
                    Some(content.map(|content| (name, content)))
                };
                return names.into_iter().filter_map(content).collect();
            }
            let paths = names.values().cloned().collect();
            let (cache, registries, threads) = (&session.cache, &session.registries, &session.threads);
            let contents = source::contents_at(&below[number], paths, cache, registries, threads).await?;
            let found = names.into_iter().filter_map(|(name, path)| {
                let content = contents.get(&path)?;
                Some((name, path, content))
            });
            let bytes = found.map(|(name, path, content)| {
                let bytes = bytes_of(content)?;
                let mut read = sight.read.lock().unwrap_or_else(PoisonError::into_inner);
                read.push((number, path, Some(Digest::of(&bytes))));
                Ok((name, bytes))
            });
            bytes.collect::<Result<Vec<_>>>()
        });
        Ok(try_join_all(read).await?.into_iter().flatten().collect())
    }
}
