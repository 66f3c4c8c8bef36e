//! Makes the layers of an install of Node packages, as a command of a Dockerfile asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::add::Adding;
use super::beneath::Beneath;
use super::cached::StepLayer;
use super::install::{Scans, libc, places};
use super::packages::PlannedPackages;
use super::planned::{NodePackages, PlannedInstall};
use crate::error::text::without_logins;
use crate::error::{Error, Result};
use crate::image::{Layer, LayerKey};
use crate::recipe::NodeInstaller;
use crate::scan::view;
use crate::source::{ImageLibc, NodeFault, NodeInstallation};
use crate::tree::{Entry, EntryKind, FileTree};

/// The home directory of root, if no variable names another one.
const HOME: &str = "/root";

impl Adding<'_> {
    /// The layers of an install of Node packages. `key` is that of the command.
    pub(super) async fn install_node(
        &self,
        planned: &PlannedInstall,
        packages: &NodePackages,
        scans: Scans,
        key: LayerKey,
        below: &[Layer],
    ) -> Result<Vec<StepLayer>> {
        let installation = self.found_directory(planned, packages, scans.clone()).await?;
        let read = self.read_node(&installation, &scans, below).await?;
        let program = program(packages);
        installation
            .check(&read)
            .map_err(|NodeFault { fault, hint }| planned.origin.failed_at(program, fault, hint))?;
        let (removed, place) = (installation.removed(), installation.place());
        let failed = |error| failed(planned, program, error);
        let prepared = installation.prepare(read, &packages.variables, self.context).await;
        let install = Box::new(prepared.map_err(failed)?);
        let mut own = Vec::new();
        if let Some(path) = removed {
            let tree = FileTree::of([(path.into_bytes(), Entry::new(EntryKind::Whiteout, 0))])?;
            own.extend(self.removing(tree, key).await?);
        }
        let packages = PlannedPackages { install, to: "/".to_owned(), place, beneath: Beneath::Nothing };
        let (_, layers) = self.packages(packages, &[]).await.map_err(failed)?;
        own.extend(layers);
        Ok(own)
    }

    async fn found_directory(
        &self,
        planned: &PlannedInstall,
        packages: &NodePackages,
        scans: Scans,
    ) -> Result<NodeInstallation> {
        let (install, directory) = (packages.install.clone(), planned.directory.clone());
        let home = packages.variables.get("HOME").filter(|home| home.starts_with('/'));
        let home = home.map_or(HOME, String::as_str).to_owned();
        let look = move |_, _: &_| {
            let view = view(&scans);
            let musl = matches!(libc(&view), ImageLibc::Musl);
            Ok(NodeInstallation::of(&install, &directory, &home, &view, musl))
        };
        self.session.threads.run(1, look).await
    }

    /// Reads the files of the image that the install needs, as far as they exist.
    async fn read_node(
        &self,
        installation: &NodeInstallation,
        scans: &Scans,
        below: &[Layer],
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let (mut read, mut absent) = (BTreeMap::new(), BTreeSet::new());
        loop {
            let mut needed = installation.needs(&read);
            needed.retain(|path| !absent.contains(path));
            if needed.is_empty() {
                return Ok(read);
            }
            let scans = Arc::clone(scans);
            let find = move |_, _: &_| Ok(places(&needed, &view(&scans)));
            let (found, missing) = self.session.threads.run(1, find).await?;
            absent.extend(missing);
            read.extend(self.contents(found, below).await?);
        }
    }
}

fn program(packages: &NodePackages) -> &'static str {
    match packages.install.program {
        NodeInstaller::Npm => "npm",
        NodeInstaller::Yarn => "yarn",
        NodeInstaller::Pnpm => "pnpm",
    }
}

fn failed(planned: &PlannedInstall, program: &str, error: Error) -> Error {
    // A variable in the command may have been an address with its login.
    let text = without_logins(&planned.text);
    let hint = error.hint();
    planned.origin.caused(program, format!("`{text}` cannot install its packages"), hint, error)
}
