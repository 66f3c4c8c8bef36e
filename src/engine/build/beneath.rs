//! Which layers below decide the paths and owners of a part.

use super::follow::{LAMBDA, may_lead_elsewhere};
use super::key;
use crate::image::{Config, Layer, LayerKey};
use crate::recipe::Base;
use crate::source::{Placing, Shape};

/// The registry and the repositories of AWS's bases.
const OF_AWS: (&str, &str) = ("public.ecr.aws", "lambda/");

/// The layers below that matter for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beneath {
    Nothing,
    /// Layers of this build: the part goes below a directory that they make.
    Made,
    /// Layers of this build: the base is one of AWS's, where Lambda's directories are plain ones.
    MadeOnAws,
    /// All: links of the base may lead elsewhere, it may have a directory at the path, or it has the owner's name.
    All,
}

impl Beneath {
    /// For a part at the path `to` in an image with this config. `is_of_aws` means that its base is one of AWS's.
    pub(super) fn of(to: &str, placing: Option<&Placing>, config: &Config, is_of_aws: bool) -> Beneath {
        let Some(placing) = placing else {
            let follows = may_lead_elsewhere(to, config);
            return if follows { Beneath::All } else { Beneath::Nothing };
        };
        if placing.link {
            return Beneath::Nothing;
        }
        if placing.names_owner() {
            return Beneath::All;
        }
        match is_of_aws && is_plain(to, &placing.shape) {
            true => Beneath::MadeOnAws,
            false => Beneath::All,
        }
    }

    /// The layers that matter. `own` are those of this stage so far.
    pub(super) fn layers<'l>(self, base: &'l [Layer], own: impl Iterator<Item = &'l Layer>) -> Vec<Layer> {
        match self {
            Beneath::Nothing => Vec::new(),
            Beneath::All => base.iter().chain(own).cloned().collect(),
            // An earlier stage may have made layers of the base.
            Beneath::Made | Beneath::MadeOnAws => {
                base.iter().filter(|layer| layer.key.is_some()).chain(own).cloned().collect()
            }
        }
    }

    /// The key of a layer that also depends on the layers below.
    pub(super) fn key(self, key: LayerKey, placing: Option<&Placing>, below: &[Layer]) -> LayerKey {
        let key = placing.map_or(key, |placing| key::placed(key, placing));
        match self {
            Beneath::Nothing => key,
            Beneath::All => key::above("", below, key),
            Beneath::Made => key::above("made ", below, key),
            Beneath::MadeOnAws => key::above("on AWS's ", below, key),
        }
    }
}

/// Whether a base is one of AWS's for Lambda.
pub(super) fn is_of_aws(base: &Base) -> bool {
    let (registry, repositories) = OF_AWS;
    match base {
        Base::Registry(name) => name.registry() == registry && name.repository().starts_with(repositories),
        _ => false,
    }
}

/// Whether AWS's bases have nothing but plain directories at a path.
fn is_plain(to: &str, shape: &Shape) -> bool {
    let path = to.trim_end_matches('/');
    let is_exact = LAMBDA.contains(&path);
    let is_inside = LAMBDA.iter().any(|dir| covers(dir, path));
    // A name with an extension is not one of a directory.
    let is_file = |name: &[u8]| {
        path.rsplit('/').next().is_some_and(|last| last.as_bytes() == name) && name[1..].contains(&b'.')
    };
    match shape {
        Shape::Directory | Shape::Nothing => is_inside,
        Shape::File(name) => is_exact || (is_inside && is_file(name)),
        Shape::Several | Shape::Unknown => is_exact,
    }
}

/// Whether a path is a directory, or below it.
pub(super) fn covers(dir: &str, path: &str) -> bool {
    let below = path.strip_prefix(dir.trim_end_matches('/'));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
