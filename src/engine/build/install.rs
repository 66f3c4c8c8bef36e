//! Makes the layers of an install: the packages are resolved against what the image has, and their wheels are spliced.

use std::borrow::Cow;
use std::sync::Arc;

use super::add::{Added, Adding};
use super::beneath::Beneath;
use super::cached::{StepLayer, keep_step};
use super::key;
use super::line::NotInstalled;
use super::planned::PlannedLayer;
use super::planned_run::{InstallOf, PlannedInstall};
use super::reads::InstallReads;
use super::recall::keep_reads;
use super::sight::{Sight, libc};
use super::steps::added;
use super::write::{Made, Writing, make};
use crate::engine::contents::{Contents as TreeContents, ContentsKind};
use crate::error::text::without_logins;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::image::{Config, Digest, Layer, LayerKey, Platform};
use crate::recipe::PythonInstall;
use crate::scan::view;
use crate::source::{Contents, InstallPlan, InstallSurroundings, PythonInstallation, deletions};
use crate::tree::FileTree;

impl Adding<'_> {
    /// The layers of an install, after an entry for the command itself.
    pub(super) async fn installed(
        &self,
        planned: &PlannedInstall,
        below: &[Layer],
    ) -> Result<Vec<Added>, NotInstalled> {
        let mounted = planned.run.mounts.identities(self.session, self.context, self.epoch).await?;
        let own = key::mounted(planned.key(self.epoch), &mounted);
        let (key, shape) = (Beneath::All.key(own, None, below), self.shape(own, below));
        let (layers, reads) = match self.found_install(key, shape, below).await? {
            Some((layers, reads)) => {
                layers.iter().for_each(|of| self.take(of));
                (layers, reads)
            }
            None => {
                let made = self.install(planned, key, (shape, below)).await;
                made.map_err(|failure| failure.map(|error| self.without_secrets(planned, error)))?
            }
        };
        keep_step(&self.session.cache, key, &layers)?;
        let mut note = None;
        if let Some(reads) = &reads {
            keep_reads(&self.session.cache, key, reads)?;
            note = serde_json::to_string(reads).ok();
        }
        Ok(added((Some(key), note), layers, planned.origin.text.clone()))
    }

    /// The error without secrets. Its causes are then part of its text.
    fn without_secrets(&self, planned: &PlannedInstall, error: Error) -> Error {
        let secrets = &self.session.secrets;
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        match secrets.hide(&text) {
            Cow::Borrowed(_) => error,
            Cow::Owned(_) => {
                // The line of the Dockerfile, which the first message has, may have no secret.
                let mut causes =
                    std::iter::successors(std::error::Error::source(&error), |error| error.source());
                let first = format!("`{}` cannot install its packages", planned.run.hide(&planned.text));
                let text = causes.by_ref().map(ToString::to_string).collect::<Vec<_>>().join(": ");
                let text = secrets.hide(if text.is_empty() { &first } else { &text }).into_owned();
                planned.origin.failed_at("", text, error.hint().map(|hint| secrets.hide(&hint).into_owned()))
            }
        }
    }

    async fn install(
        &self,
        planned: &PlannedInstall,
        key: LayerKey,
        (shape, below): (Digest, &[Layer]),
    ) -> Result<(Vec<StepLayer>, Option<InstallReads>), NotInstalled> {
        let sight = self.sight(&planned.run, below).await?;
        let layers = match &planned.packages {
            InstallOf::Python(install) => self.install_python(planned, install, &sight, key).await?,
            InstallOf::Node(packages) => self.install_node(planned, packages, &sight, key).await?,
        };
        Ok((layers, self.reads(shape, below, sight.read().into_iter())))
    }

    async fn install_python(
        &self,
        planned: &PlannedInstall,
        install: &PythonInstall,
        sight: &Sight<'_>,
        key: LayerKey,
    ) -> Result<Vec<StepLayer>, NotInstalled> {
        let looked = self.looked(planned, install, sight).await?;
        let installation = looked.map_err(NotInstalled::NeedsProcess)?;
        let read = self.read(planned, &installation, sight).await?;
        let plan = installation.plan(&read, self.context).await;
        let InstallPlan { layers, to, place, removed, warnings, count } =
            plan.map_err(|error| NotInstalled::of(error, |error| failed(planned, install, error)))?;
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
        let (scans, lower) = (sight.scans.clone(), sight.below.len());
        let without = move |_, _: &_| deletions(&removed, &view(&scans[..lower]));
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
                NotInstalled::of(error, |error| failed(planned, install, error))
            }
            error => error.into(),
        })?;
        own.extend(added.into_iter().filter_map(|added| StepLayer::of(&added.layer?, added.created_by)));
        Ok(own)
    }

    /// Finds the interpreter and what it has. The inner error is about an interpreter that only a process could use.
    async fn looked(
        &self,
        planned: &PlannedInstall,
        install: &PythonInstall,
        sight: &Sight<'_>,
    ) -> Result<Result<PythonInstallation>> {
        let (program, PlannedInstall { directory, run, origin, .. }) = (&install.program, planned);
        let surroundings = InstallSurroundings {
            directory: directory.clone(),
            path: run.path.clone(),
            home: run.home.clone(),
            netrc: run.netrc.clone(),
            secrets: self.secrets_of(run),
        };
        let (install, scans) = (install.clone(), sight.scans.clone());
        let look = move |_, _: &_| {
            let view = view(&scans);
            Ok(PythonInstallation::of(&install, &surroundings, &view, libc(&view)))
        };
        let looked = self.session.threads.run(1, look).await?;
        Ok(looked.map_err(|fault| origin.failed_at(program, fault, None)))
    }

    /// Reads the files of the image that the install needs.
    async fn read(
        &self,
        planned: &PlannedInstall,
        installation: &PythonInstallation,
        sight: &Sight<'_>,
    ) -> Result<Contents> {
        let (read, absent) = self.read_all(sight, |read| installation.needs(read)).await?;
        let reached = read.keys().chain(&absent).cloned().chain(installation.places());
        if let Some(target) = sight.hidden_by(reached) {
            let fault = format!("the mount {target} hides files that {} reads", planned.text);
            return Err(planned.origin.failed_at(target, planned.run.hide(&fault), None));
        }
        if let Some(path) = installation.requirements().find(|path| absent.contains(path)) {
            let fault = format!("`/{path}` does not exist in the image");
            let name = path.rsplit('/').next().unwrap_or_default();
            return Err(planned.origin.failed_at(name, fault, Some("COPY it before this line".to_owned())));
        }
        Ok(read)
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

/// The error for packages that cannot be installed. Paths are those of the image, rather than of this machine.
fn failed(planned: &PlannedInstall, install: &PythonInstall, error: Error) -> Error {
    let PlannedInstall { text, origin, run, .. } = planned;
    let named = run.hide(&install.named());
    let hint = error.hint();
    let error = match error {
        Error::Resolve { tool, path, reason } => {
            let root = path.display().to_string();
            let root = root.split_once("/root/").map_or(String::new(), |(place, _)| format!("{place}/root"));
            let reason = if root.is_empty() { reason } else { reason.replace(&root, "") };
            Error::Resolve { tool, path: named.into(), reason: run.hide(&reason) }
        }
        Error::Requirements { fault, .. } => {
            Error::Requirements { path: named.into(), fault: run.hide(&fault) }
        }
        Error::Locked { package, fault, .. } => {
            Error::Locked { path: named.into(), package, fault: run.hide(&fault) }
        }
        Error::NoResolver { .. } => Error::NoResolver { path: named.into() },
        error => error,
    };
    // A variable in the command may have been the URL of an index, with its login.
    let text = run.hide(&without_logins(text));
    origin.caused(&install.program, format!("`{text}` cannot install its packages"), hint, error)
}
