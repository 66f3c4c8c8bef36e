//! A part of a source on its way to a layer.

use super::beneath::Beneath;
use super::key;
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::{Config, LayerKey};
use crate::source::{Context, Fetched, Part, Placing, hash_missing};

/// A part and its path in the image.
pub(super) struct Planned {
    pub(super) part: Box<dyn Part>,
    pub(super) to: String,
    /// How the image so far decides paths and owners.
    pub(super) placing: Option<Placing>,
    /// The layer's name in events.
    pub(super) name: String,
    /// The `created_by` of its history entry.
    pub(super) created_by: String,
    /// Whether the content of its files decides the layer's key.
    pub(super) by_content: bool,
    pub(super) beneath: Beneath,
}

impl Planned {
    /// A part for the path `to` in an image with this config. `is_of_aws` means that its base is one of AWS's.
    pub(super) fn new(part: Box<dyn Part>, to: String, config: &Config, is_of_aws: bool) -> Planned {
        let dir = to.trim_end_matches('/');
        let (own, placing) = (part.name(), part.placing(&to));
        let created_by = match &placing {
            Some(placing) => placing.origin.text.clone(),
            None => format!("lbuild: {} in {dir}", own.as_deref().unwrap_or("files")),
        };
        let by_content = part.identities().is_empty();
        let name = own.unwrap_or_else(|| dir.to_owned());
        let beneath = Beneath::of(&to, placing.as_ref(), config, is_of_aws);
        Planned { part, to, placing, name, created_by, by_content, beneath }
    }
}

impl Planned {
    /// A digest over all that decides the files of the part, and their paths as far as the part itself does; `None` if
    /// a file's content is not known. Makes no layer.
    pub(super) async fn identity(
        self,
        session: &Session,
        context: &Context,
        epoch: u64,
    ) -> Result<Option<LayerKey>> {
        let Planned { part, to, placing, .. } = self;
        if let Some(&identity) = part.identities().first() {
            let key = key::of_part(identity, &to, epoch);
            return Ok(Some(placing.map_or(key, |placing| key::placed(key, &placing))));
        }
        let (fetched, key) = content_key(session, part.fetch(&to, context).await?, epoch).await?;
        let key = key.map(|key| fetched.placing.as_ref().map_or(key, |placing| key::placed(key, placing)));
        // Stores the digests of the files, for the build that may follow.
        session.threads.run(1, move |_, _| Ok(fetched.finish())).await?;
        Ok(key)
    }
}

/// Computes the key from the contents of the files. Files without a known digest are read.
pub(super) async fn content_key(
    session: &Session,
    fetched: Fetched,
    epoch: u64,
) -> Result<(Fetched, Option<LayerKey>)> {
    let run = session.threads.run(session.threads.all(), move |threads, _| {
        let mut fetched = fetched;
        hash_missing(&mut fetched.tree, threads)?;
        let key = key::of_content(&fetched.tree, epoch);
        Ok((fetched, key))
    });
    run.await
}
