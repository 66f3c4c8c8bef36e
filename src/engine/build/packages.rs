//! Packages whose layers are known only after their installation.

use super::beneath::Beneath;
use super::key;
use crate::image::{Config, Layer, LayerKey};
use crate::source::PackageInstall;

/// Packages whose layers are not known before they are installed, and their directory in the image.
pub(super) struct PlannedPackages {
    pub(super) install: Box<dyn PackageInstall>,
    pub(super) to: String,
    /// The directory, for display.
    pub(super) place: String,
    pub(super) beneath: Beneath,
}

impl PlannedPackages {
    /// The packages of a source for the directory `to` of an image with this config.
    pub(super) fn of(
        install: Box<dyn PackageInstall>,
        to: String,
        config: &Config,
        is_of_aws: bool,
    ) -> PlannedPackages {
        let beneath = Beneath::of(&to, None, config, is_of_aws);
        PlannedPackages { install, place: to.trim_end_matches('/').to_owned(), to, beneath }
    }

    /// The text of the history entry that stands for all layers.
    pub(super) fn created_by(&self) -> String {
        format!("lbuild: {} in {}", self.install.name(), self.place)
    }

    /// A digest over all that decides the layers besides the image below, if it is known.
    pub(super) fn identity(&self, epoch: u64) -> Option<LayerKey> {
        let identity = self.install.identities().first().copied();
        identity.map(|identity| key::of_part(identity, &self.to, epoch))
    }

    /// The keys under which a build may have recorded the layers, above these layers.
    pub(super) fn keys(&self, epoch: u64, below: &[Layer]) -> Vec<LayerKey> {
        let keys = self.install.identities().into_iter();
        let keys = keys.map(|identity| key::of_part(identity, &self.to, epoch));
        keys.map(|key| self.beneath.key(key, None, below)).collect()
    }
}
