//! An image's own layers on another base, without a build.

use std::sync::Arc;

use super::build::{BASE_DIGEST, BASE_NAME, as_it_is, base_labels};
use super::find::StoredImage;
use super::session::Session;
use crate::error::{Error, Result};
use crate::image::{Config, ConfigEdit, Digest, Image, Reference};
use crate::recipe::Base;

impl StoredImage {
    /// The name of the image's base, by its labels: with the tag that it had, and by its digest. `None` without them.
    pub fn base_of(&self) -> Option<(Reference, Digest)> {
        let name = self.config.label(BASE_NAME)?.parse().ok()?;
        Some((name, self.config.label(BASE_DIGEST)?.parse().ok()?))
    }

    /// Whether the image begins with the layers of another one.
    pub fn is_on(&self, base: &StoredImage) -> bool {
        self.config.diff_ids().starts_with(&base.config.diff_ids())
    }
}

/// The image with its own layers on `onto`, whose tag is `named`, instead of on the base `old`.
pub(super) async fn rebase(
    session: &Arc<Session>,
    image: &StoredImage,
    old: &Config,
    onto: &StoredImage,
    named: &Base,
) -> Result<Image> {
    let platform = image.config.platform();
    let own = as_it_is(session, &image.base, &platform).await?;
    let new = as_it_is(session, &onto.base, &platform).await?;
    let rebased = own.rebase(old, &new);
    let rebased = rebased.ok_or_else(|| Error::NotOnBase { image: image.base.to_string() })?;
    let mut labels = base_labels(named, Some(onto.manifest.digest));
    // The name of the old base must not stay.
    labels.entry(BASE_NAME.to_owned()).or_insert_with(|| onto.base.to_string());
    Ok(rebased.edit(&ConfigEdit { labels, ..ConfigEdit::default() }))
}
