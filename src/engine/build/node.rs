//! Makes the layers of an install of Node packages, as a command of a Dockerfile asks for it.

use std::collections::BTreeMap;

use super::add::Adding;
use super::beneath::Beneath;
use super::cached::StepLayer;
use super::line::NotInstalled;
use super::packages::PlannedPackages;
use super::planned_run::{NodePackages, PlannedInstall};
use super::sight::{Sight, libc};
use crate::error::text::without_logins;
use crate::error::{Error, Result};
use crate::image::LayerKey;
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
        sight: &Sight<'_>,
        key: LayerKey,
    ) -> Result<Vec<StepLayer>, NotInstalled> {
        let installation = self.found_directory(planned, packages, sight).await?;
        let (read, absent) = self.read_all(sight, |read| installation.needs(read)).await?;
        if let Some(target) = sight.hidden_by(read.keys().chain(&absent).cloned()) {
            let fault = format!("the mount {target} hides files that {} reads", planned.text);
            return Err(planned.origin.failed_at(target, planned.run.hide(&fault), None).into());
        }
        let program = program(packages);
        installation
            .check(&read)
            .map_err(|NodeFault { fault, hint }| planned.origin.failed_at(program, fault, hint))
            .map_err(NotInstalled::NeedsProcess)?;
        let (removed, place) = (installation.removed(), installation.place());
        let failed = |error| NotInstalled::of(error, |error| failed(planned, program, error));
        let mut variables = BTreeMap::clone(&packages.variables);
        let secrets = self.secrets_of(&planned.run).into_iter();
        variables.extend(secrets.map(|(name, value)| (name, value.expose().to_owned())));
        let prepared = installation.prepare(read, &variables, self.context).await;
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
        sight: &Sight<'_>,
    ) -> Result<NodeInstallation> {
        let (install, directory) = (packages.install.clone(), planned.directory.clone());
        let home = packages.variables.get("HOME").filter(|home| home.starts_with('/'));
        let home = home.map_or(HOME, String::as_str).to_owned();
        let scans = sight.scans.clone();
        let look = move |_, _: &_| {
            let view = view(&scans);
            let musl = matches!(libc(&view), ImageLibc::Musl);
            Ok(NodeInstallation::of(&install, &directory, &home, &view, musl))
        };
        self.session.threads.run(1, look).await
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
