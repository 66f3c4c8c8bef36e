//! Makes the layers of an install: the packages are resolved against what the image has, and their wheels are spliced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::add::{Added, Adding};
use super::beneath::Beneath;
use super::cached::StepLayer;
use super::placed::scans_of;
use super::planned::{InstallOf, PlannedInstall, PlannedLayer};
use super::steps::added;
use super::write::{Made, Writing, make};
use crate::engine::contents::{Contents as TreeContents, ContentsKind};
use crate::error::text::without_logins;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Config, Digest, Layer, LayerKey, Platform};
use crate::recipe::PythonInstall;
use crate::scan::{LayerScan, NoFact, ScannedFile, view};
use crate::source::{self, Contents, ImageLibc, InstallPlan, PythonInstallation, deletions};
use crate::tree::{Content, FileTree, View};

pub(super) type Scans = Arc<Vec<Option<LayerScan<NoFact>>>>;

/// The glibc that is assumed if no file tells the version: that of the oldest wheels in use.
const OLDEST_GLIBC: ImageLibc = ImageLibc::Glibc(2, 17);

impl Adding<'_> {
    /// The layers of an install, after an entry for the command itself.
    pub(super) async fn installed(&self, planned: &PlannedInstall, below: &[Layer]) -> Result<Vec<Added>> {
        let key = Beneath::All.key(planned.key(self.epoch), None, below);
        let (key, layers) = self.step(&[key], self.install(planned, key, below)).await?;
        Ok(added(key, layers, planned.origin.text.clone()))
    }

    async fn install(
        &self,
        planned: &PlannedInstall,
        key: LayerKey,
        below: &[Layer],
    ) -> Result<Vec<StepLayer>> {
        let scans: Scans = Arc::new(scans_of(self.session, self.trees, below).await?);
        match &planned.packages {
            InstallOf::Python(install) => self.install_python(planned, install, scans, key, below).await,
            InstallOf::Node(packages) => self.install_node(planned, packages, scans, key, below).await,
        }
    }

    async fn install_python(
        &self,
        planned: &PlannedInstall,
        install: &PythonInstall,
        scans: Scans,
        key: LayerKey,
        below: &[Layer],
    ) -> Result<Vec<StepLayer>> {
        let installation = self.looked(planned, install, scans.clone()).await?;
        let read = self.read(planned, &installation, &scans, below).await?;
        let plan = installation.plan(&read, self.context).await;
        let InstallPlan { layers, to, place, removed, warnings, count } =
            plan.map_err(|error| failed(planned, install, error))?;
        let (file, line) = (&planned.origin.file, planned.origin.line);
        for warning in warnings {
            self.session.events.warn(format!("{file}:{line}: {warning}"), None);
        }
        if count == 0 {
            self.session.events.emit(Event::Note {
                message: format!("{file}:{line}: the image has all these packages already"),
            });
        }
        let mut own = Vec::new();
        let without = move |_, _: &_| deletions(&removed, &view(&scans));
        let without = self.session.threads.run(1, without).await?;
        if !without.is_empty() {
            own.extend(self.removing(without, key).await?);
        }
        // The directory is resolved, and the config does not matter for it.
        let config = Config::scratch(&Platform::linux(crate::image::Arch::Amd64));
        let parts = layers.into_iter().map(|part| PlannedLayer::apart(part, to.clone(), &place, &config));
        let added = Box::pin(self.at_once(parts.collect())).await;
        // Only now a package is known that cannot be built, or that another one excludes.
        let added = added.map_err(|error| match error {
            Error::NoWheel { .. } | Error::Build { .. } | Error::WheelClash { .. } => {
                failed(planned, install, error)
            }
            error => error,
        })?;
        own.extend(added.into_iter().filter_map(|added| StepLayer::of(&added.layer?, added.created_by)));
        Ok(own)
    }

    /// Finds the interpreter and what it has.
    async fn looked(
        &self,
        planned: &PlannedInstall,
        install: &PythonInstall,
        scans: Scans,
    ) -> Result<PythonInstallation> {
        let (program, PlannedInstall { directory, path, origin, .. }) = (&install.program, planned);
        let (install, directory, path) = (install.clone(), directory.clone(), path.clone());
        let look = move |_, _: &_| {
            let view = view(&scans);
            Ok(PythonInstallation::of(&install, &directory, &path, &view, libc(&view)))
        };
        let looked = self.session.threads.run(1, look).await?;
        looked.map_err(|fault| origin.failed_at(program, fault, None))
    }

    /// Reads the files of the image that the install needs.
    async fn read(
        &self,
        planned: &PlannedInstall,
        installation: &PythonInstallation,
        scans: &Scans,
        below: &[Layer],
    ) -> Result<Contents> {
        let (mut read, mut absent) = (Contents::new(), BTreeSet::new());
        loop {
            let mut needed = installation.needs(&read);
            needed.retain(|path| !absent.contains(path));
            if needed.is_empty() {
                break;
            }
            let scans = scans.clone();
            let find = move |_, _: &_| Ok(places(&needed, &view(&scans)));
            let (found, missing) = self.session.threads.run(1, find).await?;
            absent.extend(missing);
            read.extend(self.contents(found, below).await?);
        }
        if let Some(path) = installation.requirements().find(|path| absent.contains(path)) {
            let fault = format!("`/{path}` does not exist in the image");
            let name = path.rsplit('/').next().unwrap_or_default();
            return Err(planned.origin.failed_at(name, fault, Some("COPY it before this line".to_owned())));
        }
        Ok(read)
    }

    /// The contents of files, by their places in the layers below.
    pub(super) async fn contents(&self, places: Places, below: &[Layer]) -> Result<Contents> {
        let session = self.session;
        let read = places.into_iter().map(async |(number, names)| {
            let paths = names.values().cloned().collect();
            let (cache, registries, threads) = (&session.cache, &session.registries, &session.threads);
            let contents = source::contents_at(&below[number], paths, cache, registries, threads).await?;
            let bytes = names.into_iter().filter_map(|(name, path)| Some((name, contents.get(&path)?)));
            bytes.map(|(name, content)| Ok((name, bytes_of(content)?))).collect::<Result<Vec<_>>>()
        });
        Ok(try_join_all(read).await?.into_iter().flatten().collect())
    }

    /// The layer that removes the files of replaced packages.
    pub(super) async fn removing(&self, tree: FileTree, key: LayerKey) -> Result<Option<StepLayer>> {
        let (session, epoch) = (self.session.clone(), self.epoch);
        let is_scanned = self.trees.is_scanned();
        let own = LayerKey(Digest::of(format!("removed {}", key.0).as_bytes()));
        let name = "files of replaced packages";
        let writing = self.session.threads.run(1, move |threads, stop| {
            let mut tree = tree;
            let writing = Writing { epoch, name, threads, stop, is_scanned };
            let made = make(&session, &mut tree, &writing, Some(own), None)?;
            Ok((made, tree))
        });
        let (Made { layer, cached, code }, tree) = writing.await?;
        let (digest, size) = (layer.blob.digest, layer.blob.size);
        let contents =
            TreeContents { tree: tree.into(), code: code.map(Arc::new), kind: ContentsKind::Keyed };
        self.trees.keep(digest, contents);
        self.session.events.emit(Event::Layer { layer: name.to_owned(), digest, size, cached });
        for push in self.pushes {
            push.made(&layer);
            push.layer(&layer);
        }
        Ok(StepLayer::of(&layer, format!("lbuild: {name}")))
    }
}

/// The places of files: by layer, the paths in it by the names of the files.
pub(super) type Places = BTreeMap<usize, BTreeMap<String, Vec<u8>>>;

/// The places of files, and the files that the image does not have.
pub(super) fn places<F>(names: &[String], view: &View<'_, ScannedFile<F>>) -> (Places, Vec<String>) {
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

/// The C library of an image.
pub(super) fn libc<F>(view: &View<'_, ScannedFile<F>>) -> ImageLibc {
    let dirs = ["lib", "lib64", "usr/lib", "usr/lib64"];
    let files = || dirs.iter().flat_map(|dir| view.below(dir));
    let glibc = files().filter_map(|file| file.member.elf()?.is_glibc).max();
    match glibc {
        Some((major, minor)) => ImageLibc::Glibc(major, minor),
        None if files().any(|file| file.member.name().starts_with("ld-musl-")) => ImageLibc::Musl,
        None => OLDEST_GLIBC,
    }
}

/// The bytes of a small file.
fn bytes_of(content: &Content) -> Result<Vec<u8>> {
    let (file, offset, length) = match content {
        Content::Bytes(bytes) => return Ok(bytes.to_vec()),
        Content::File(file) => (file, 0, file.stat.size),
        Content::Zip(member) => (&*member.archive, member.offset, member.length),
    };
    let failed = |source| Error::Read { path: file.path.clone(), source };
    let mut bytes = Vec::new();
    let mut open = File::open(&file.path).map_err(failed)?;
    open.seek(SeekFrom::Start(offset)).map_err(failed)?;
    open.take(length).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The error for packages that cannot be installed. Paths are those of the image, rather than of this machine.
fn failed(planned: &PlannedInstall, install: &PythonInstall, error: Error) -> Error {
    let PlannedInstall { text, origin, .. } = planned;
    let named = install.named();
    let hint = error.hint();
    let error = match error {
        Error::Resolve { tool, path, reason } => {
            let root = path.display().to_string();
            let root = root.split_once("/root/").map_or(String::new(), |(place, _)| format!("{place}/root"));
            let reason = if root.is_empty() { reason } else { reason.replace(&root, "") };
            Error::Resolve { tool, path: named.into(), reason }
        }
        Error::Requirements { fault, .. } => Error::Requirements { path: named.into(), fault },
        Error::Locked { package, fault, .. } => Error::Locked { path: named.into(), package, fault },
        Error::NoResolver { .. } => Error::NoResolver { path: named.into() },
        error => error,
    };
    // A variable in the command may have been the URL of an index, with its login.
    let text = without_logins(text);
    origin.caused(&install.program, format!("`{text}` cannot install its packages"), hint, error)
}
