//! Reads the layers below a part, as far as its paths and owners depend on them.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::accounts::Accounts;
use super::follow::follow;
use super::place::{self, place};
use crate::engine::contents::{Contents, ContentsKind, Trees};
use crate::engine::inspect::scan;
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::Layer;
use crate::scan::{LayerScan, NoAnnotator, NoFact, view};
use crate::source::{self, Placing};
use crate::tree::FileTree;

/// The layers below a part.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Below<'l> {
    pub layers: &'l [Layer],
    /// Whether the layers of the base are missing.
    pub without_base: bool,
}

/// The tree with its paths resolved in the layers below. Scans these layers.
pub(in crate::engine) async fn placed(
    session: &Arc<Session>,
    trees: &Trees,
    tree: FileTree,
    placing: Option<Arc<Placing>>,
    below: Below<'_>,
) -> Result<FileTree> {
    let budget = &scan::budget(&Arc::new(NoAnnotator));
    let scans = below.layers.iter().map(async |layer| {
        let annotator = Arc::new(NoAnnotator);
        match trees.get(layer.blob.digest) {
            Some(Contents { tree, code, kind }) if !matches!(kind, ContentsKind::Unplaced(_)) => {
                let of = Contents { tree, code, kind: ContentsKind::Files };
                scan::of_tree(session, of, layer.clone(), annotator, budget).await
            }
            _ => scan::of_layer(session, "the image", layer.blob.clone(), annotator, budget).await,
        }
    });
    let scans: Vec<_> = try_join_all(scans).await?.into_iter().map(Some).collect();
    let Some(placing) = placing else {
        return session.threads.run(1, move |_, _| follow(tree, &view(&scans))).await;
    };
    let accounts = match placing.names_owner() {
        true => accounts(session, below.layers, &scans).await?,
        false => Accounts::default(),
    };
    let without_base = below.without_base;
    let placing = move |_, _: &_| {
        let view = view(&scans);
        place(tree, &placing, &place::Below { view: &view, without_base, accounts: &accounts })
    };
    session.threads.run(1, placing).await
}

/// The users and groups of the image.
async fn accounts(
    session: &Arc<Session>,
    layers: &[Layer],
    scans: &[Option<LayerScan<NoFact>>],
) -> Result<Accounts> {
    let places = {
        let view = view(scans);
        ["etc/passwd", "etc/group"].map(|path| {
            let file = view.file(path)?;
            Some((file.layer, file.member.path.as_bytes().to_vec()))
        })
    };
    let read = places.into_iter().map(async |place| match place {
        Some((layer, path)) => {
            source::file_of(&layers[layer], &path, &session.registries, &session.threads).await
        }
        None => Ok(Vec::new()),
    });
    let mut read = try_join_all(read).await?.into_iter();
    let (passwd, group) = (read.next().unwrap_or_default(), read.next().unwrap_or_default());
    Ok(Accounts { passwd, group })
}
