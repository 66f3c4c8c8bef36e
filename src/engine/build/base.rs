//! Turns a stage's base into an [`Image`] to append layers to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gzip::layers;
use super::mend;
use crate::engine::find;
use crate::engine::inspect::Scanner;
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::{ConfigEdit, Digest, Image, Platform};
use crate::recipe::{Base, Recipe, Stage};
use crate::source::SourceImage;

/// The image of a base.
struct ResolvedBase {
    image: Image,
    /// The manifest's digest.
    digest: Option<Digest>,
}

/// The image of a stored base, with labels that name the base, or a finished image.
pub(super) async fn stored(
    session: &Arc<Session>,
    stage: &Stage,
    recipe: &Recipe,
    scanner: Option<&Scanner>,
) -> Result<Image> {
    let platform = stage.platform.as_ref().unwrap_or(&recipe.platform);
    if stage.finished {
        return mend::finished(session, &stage.base, platform, recipe.epoch, scanner).await;
    }
    let resolved = resolve(session, &stage.base, platform).await?;
    Ok(resolved.image.edit(&origin(&stage.base, resolved.digest, recipe.epoch)))
}

/// A stored image as it is, with all its layers as gzip.
pub(in crate::engine) async fn as_it_is(
    session: &Arc<Session>,
    base: &Base,
    platform: &Platform,
) -> Result<Image> {
    resolve(session, base, platform).await.map(|resolved| resolved.image)
}

/// The image of a source that is not a stage.
pub(super) async fn source_image(
    session: &Arc<Session>,
    named: &Base,
    platform: &Platform,
) -> Result<SourceImage> {
    let (store, name, found) = find::for_platform(session, named, platform).await?;
    let layers = layers(session, &store, &name, &found).await?;
    Ok(SourceImage::of(named.clone(), found.base, layers))
}

/// The image of a base that is not a stage. All its layers are gzip.
async fn resolve(session: &Arc<Session>, base: &Base, platform: &Platform) -> Result<ResolvedBase> {
    if matches!(base, Base::Scratch | Base::Stage(_)) {
        return Ok(ResolvedBase { image: Image::scratch(platform), digest: None });
    }
    let (store, name, found) = find::for_platform(session, base, platform).await?;
    let digest = Some(found.manifest.digest);
    let layers = layers(session, &store, &name, &found).await?;
    Ok(ResolvedBase { image: Image::existing(&name, found.config, layers)?, digest })
}

/// The labels that name the base, with the names of the image spec's annotations.
///
/// <https://github.com/opencontainers/image-spec/blob/main/annotations.md>
pub(in crate::engine) const BASE_NAME: &str = "org.opencontainers.image.base.name";
pub(in crate::engine) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The edit that names the base.
fn origin(base: &Base, digest: Option<Digest>, epoch: u64) -> ConfigEdit {
    ConfigEdit { created: Some(epoch), labels: labels(base, digest), ..ConfigEdit::default() }
}

/// See [`origin`].
pub(in crate::engine) fn labels(base: &Base, digest: Option<Digest>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if let Some(digest) = digest {
        labels.insert(BASE_DIGEST.to_owned(), digest.to_string());
    }
    let name = match base {
        Base::Registry(name) => Some(name.clone()),
        Base::Local { name, .. } => name.parse().ok(),
        Base::Scratch | Base::Layout { .. } | Base::Archive { .. } | Base::Stage(_) => None,
    };
    if let Some(name) = name {
        let name = name.tag().and_then(|tag| name.with_tag(tag).ok()).map(|name| name.to_string());
        labels.extend(name.map(|name| (BASE_NAME.to_owned(), name)));
    }
    labels
}
