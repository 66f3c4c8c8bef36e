//! Which layers below decide the paths and owners of a part.

use super::follow::{LAMBDA, may_lead_elsewhere};
use super::key;
use crate::image::{Config, Layer, LayerKey};
use crate::source::{Placing, Shape};

/// The layers below that matter for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beneath {
    Nothing,
    /// Layers of this build at the part's path. What the base has there is known without a look.
    Made,
    /// All: links of the base may lead elsewhere, it may have a directory at the path, or it has the owner's name.
    All,
}

impl Beneath {
    /// For a part at the path `to` in an image with this config.
    pub(super) fn of(to: &str, placing: Option<&Placing>, config: &Config) -> Beneath {
        match placing {
            None if may_lead_elsewhere(to, config) => Beneath::All,
            None => Beneath::Nothing,
            Some(placing) if placing.link => Beneath::Nothing,
            Some(placing) if placing.names_owner() || !is_known(to, &placing.shape) => Beneath::All,
            Some(_) => Beneath::Made,
        }
    }

    /// The layers that matter. `own` are those of this stage so far, with the paths of their parts.
    pub(super) fn layers<'l>(
        self,
        to: &str,
        base: &[Layer],
        own: impl Iterator<Item = (&'l str, &'l Layer)>,
    ) -> Vec<Layer> {
        match self {
            Beneath::Nothing => Vec::new(),
            Beneath::All => base.iter().chain(own.map(|(_, layer)| layer)).cloned().collect(),
            Beneath::Made => {
                let of_stages = base.iter().filter(|layer| layer.key.is_some());
                let own = own.filter(|(dir, _)| covers(dir, to)).map(|(_, layer)| layer);
                of_stages.chain(own).cloned().collect()
            }
        }
    }

    /// The key of a layer that also depends on the layers below.
    pub(super) fn key(self, key: LayerKey, placing: Option<&Placing>, below: &[Layer]) -> LayerKey {
        let key = placing.map_or(key, |placing| key::placed(key, placing));
        match self {
            Beneath::Nothing => key,
            Beneath::Made | Beneath::All => key::above(below, key),
        }
    }
}

/// Whether it is known what Lambda's bases have at the path: nothing but plain directories.
fn is_known(to: &str, shape: &Shape) -> bool {
    let path = to.trim_end_matches('/');
    let is_file = |name: &[u8]| {
        // No image has a directory that bears the name of the file.
        path.rsplit('/').next().is_some_and(|last| last.as_bytes() == name)
    };
    let (is_root_entry, is_exact) = (path.rfind('/') == Some(0), LAMBDA.contains(&path));
    let is_inside = LAMBDA.iter().any(|dir| covers(dir, path));
    match shape {
        Shape::Directory | Shape::Nothing => is_inside,
        Shape::File(name) => is_exact || (is_file(name) && (is_inside || is_root_entry)),
        Shape::Several | Shape::Unknown => is_exact,
    }
}

/// Whether a path is a directory, or below it.
fn covers(dir: &str, path: &str) -> bool {
    let below = path.strip_prefix(dir.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
