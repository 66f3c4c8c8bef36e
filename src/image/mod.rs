//! The central value: an [`Image`] is a config and its layers, with every digest known.
//!
//! Pure data: no code here reads a file, opens a socket or blocks. An `Image` starts as a base (or as
//! [`scratch`](Image::scratch)), is extended with [`append`](Image::append) and [`edit`](Image::edit), and is rendered
//! as a [`Manifest`] in the [`Format`] of a destination.

mod blob;
mod config;
mod digest;
mod ecr;
mod edit;
mod json;
mod layer;
mod locator;
mod manifest;
pub(crate) mod paths;
mod platform;
mod rebase;
mod reference;

pub use blob::{Blob, Location};
pub use config::{Config, History};
pub use digest::Digest;
pub use ecr::{ECR_PUBLIC, EcrHost};
pub use edit::ConfigEdit;
pub(crate) use json::parse as parse_json;
pub use layer::{Layer, LayerKey};
pub(crate) use locator::{ARCHIVE_SCHEME, LAYOUT_SCHEME, LOCAL_SCHEME, Locator};
pub use manifest::{
    Compression, DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, Format, Index, Manifest, OCI_INDEX, OCI_MANIFEST,
    Parsed, parse_manifest,
};
pub use platform::{Arch, Platform};
pub use reference::Reference;
pub(crate) use reference::is_tag;

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// One image for one platform: a config and its layers, lowest first.
#[derive(Clone, Debug)]
pub struct Image {
    config: Config,
    layers: Vec<Layer>,
    /// The manifest that it was read with, until it is changed.
    read: Option<Manifest>,
    /// The annotations of its OCI manifest.
    annotations: BTreeMap<String, String>,
}

impl Image {
    /// An image without files, for `platform`.
    pub fn scratch(platform: &Platform) -> Image {
        Image::of(Config::scratch(platform), Vec::new())
    }

    fn of(config: Config, layers: Vec<Layer>) -> Image {
        Image { config, layers, read: None, annotations: BTreeMap::new() }
    }

    /// An existing image: its config and its layers.
    ///
    /// # Errors
    /// When the diff ids of the config are not those of the layers; `name` is the image's name in the message.
    pub fn existing(name: &str, config: Config, layers: Vec<Layer>) -> Result<Image> {
        let diff_ids = config.diff_ids();
        let fits = diff_ids.len() == layers.len()
            && diff_ids.iter().zip(&layers).all(|(id, layer)| *id == layer.diff_id.to_string());
        if !fits {
            return Err(Error::LayersMismatch {
                image: name.to_owned(),
                manifest: layers.len(),
                config: diff_ids.len(),
            });
        }
        Ok(Image::of(config, layers))
    }

    /// The image with `layers` in place of its own, of which some were changed.
    #[must_use]
    pub(crate) fn with_layers(mut self, layers: Vec<Layer>) -> Image {
        let diff_ids = |layers: &[Layer]| layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>();
        if diff_ids(&layers) != diff_ids(&self.layers) {
            self.config.set_diff_ids(&layers);
        }
        Image { layers, read: None, ..self }
    }

    /// The image with the manifest that it was read with, which is pushed as it is in its own format, unless lbuild would
    /// write another one: with other blobs, media types or fields. Its annotations stay in any case.
    #[must_use]
    pub(crate) fn read_with(mut self, manifest: &Manifest) -> Image {
        self.annotations = manifest.annotations();
        let is_same = |format: Format| manifest.is_like(&self.manifest(format));
        let is_kept = [Format::Docker, Format::Oci].into_iter().any(is_same);
        self.read = is_kept.then(|| manifest.clone());
        self
    }

    /// The image with `layer` on top, and a history entry with `created_by`.
    #[must_use]
    pub fn append(mut self, layer: Layer, created_by: &str) -> Image {
        self.config.append_layer(&layer, self.layers.len(), created_by);
        self.layers.push(layer);
        self.unread();
        self
    }

    /// The image with a history entry for a step that added no layer; `key` is the step's, for the next build.
    #[must_use]
    pub(crate) fn unchanged(mut self, key: Option<LayerKey>, created_by: &str) -> Image {
        self.config.append_history(created_by, key.map(|key| (key, 0, None)), self.layers.len(), true);
        self.unread();
        self
    }

    /// The image with a history entry for a step whose layers are appended next, and what the step notes.
    #[must_use]
    pub(crate) fn step(
        mut self,
        key: LayerKey,
        layers: usize,
        note: Option<&str>,
        created_by: &str,
    ) -> Image {
        self.config.append_history(created_by, Some((key, layers, note)), self.layers.len(), true);
        self.unread();
        self
    }

    /// The image with its config changed and the same layers.
    #[must_use]
    pub fn edit(mut self, edit: &ConfigEdit) -> Image {
        edit.apply(&mut self.config);
        self.unread();
        self
    }

    /// The image with the blobs of its layers at other locations.
    #[must_use]
    pub(crate) fn located(mut self, locate: impl Fn(&Blob) -> Blob) -> Image {
        self.layers.iter_mut().for_each(|layer| layer.blob = locate(&layer.blob));
        self
    }

    /// Forgets the manifest that it was read with: it is another image from now on.
    fn unread(&mut self) {
        self.read = None;
        self.annotations.clear();
    }

    /// The config: platform, environment, command, history.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The config as the blob to push. The bytes are the same in both formats.
    pub fn config_blob(&self) -> Blob {
        Blob::from_bytes(self.config.to_bytes())
    }

    /// The image's manifest in `format`: the bytes to push, and their digest.
    pub fn manifest(&self, format: Format) -> Manifest {
        match &self.read {
            Some(read) if read.format() == Some(format) => read.clone(),
            _ => self.rendered(format),
        }
    }

    /// The image's manifest in `format` as lbuild writes it.
    pub(crate) fn rendered(&self, format: Format) -> Manifest {
        Manifest::render(format, &self.config_blob(), &self.layers, &self.annotations)
    }

    /// The manifest's descriptors of the layers, lowest first.
    pub fn descriptors(&self, format: Format) -> Vec<Descriptor> {
        Descriptor::of_layers(format, &self.layers)
    }
}
