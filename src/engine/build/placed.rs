//! Reads the layers below a part, as far as its paths and owners depend on them.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::accounts::Accounts;
use super::follow::{follow, parents};
use super::place::{self, place};
use crate::engine::contents::{Contents, ContentsKind, Trees};
use crate::engine::inspect::scan;
use crate::engine::session::Session;
use crate::error::Result;
use crate::image::Layer;
use crate::scan::{LayerScan, NoAnnotator, NoFact, view};
use crate::source::{self, Placing};
use crate::tree::{Entry, FileTree};

/// The layers below a part.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Below<'l> {
    pub layers: &'l [Layer],
    /// Whether the layers of a base of AWS are missing.
    pub on_aws: bool,
}

/// The tree with its paths resolved in the layers below. Scans these layers.
pub(in crate::engine) async fn placed(
    session: &Arc<Session>,
    trees: &Trees,
    tree: FileTree,
    placing: Option<Arc<Placing>>,
    below: Below<'_>,
) -> Result<FileTree> {
    let scans = scans_of(session, trees, below.layers).await?;
    let Some(placing) = placing else {
        return session.threads.run(1, move |_, _| follow(tree, &view(&scans))).await;
    };
    let accounts = match placing.names_owner() {
        true => accounts(session, below.layers, &scans).await?,
        false => Accounts::default(),
    };
    let on_aws = below.on_aws;
    let placing = move |_, _: &_| {
        let view = view(&scans);
        place(tree, &placing, &place::Below { view: &view, on_aws, accounts: &accounts })
    };
    session.threads.run(1, placing).await
}

/// The scans of the layers. A layer whose tree is known is not read.
pub(super) async fn scans_of(
    session: &Arc<Session>,
    trees: &Trees,
    layers: &[Layer],
) -> Result<Vec<Option<LayerScan<NoFact>>>> {
    let budget = &scan::budget(&Arc::new(NoAnnotator));
    let scans = layers.iter().map(async |layer| {
        let annotator = Arc::new(NoAnnotator);
        match trees.get(layer.blob.digest) {
            Some(Contents { tree, code, kind }) if !matches!(kind, ContentsKind::Unplaced(_)) => {
                let of = Contents { tree, code, kind: ContentsKind::Files };
                scan::of_tree(session, of, layer.clone(), annotator, budget).await
            }
            _ => scan::of_layer(session, "the image", layer.blob.clone(), annotator, budget).await,
        }
    });
    Ok(try_join_all(scans).await?.into_iter().map(Some).collect())
}

/// Whether the layers have nothing below a path, and only plain directories above it: a layer with the files of the
/// path then needs no change.
pub(super) async fn is_bare(
    session: &Arc<Session>,
    trees: &Trees,
    layers: &[Layer],
    path: &str,
) -> Result<bool> {
    let scans = scans_of(session, trees, layers).await?;
    let path = path.trim_matches('/').as_bytes();
    let view = view(&scans);
    let mut above = parents(path).chain([path]).filter_map(|dir| view.get(dir));
    let is_plain = |entry: &Entry<_>| {
        let is_usual = (entry.mode, entry.uid, entry.gid) == (0o755, 0, 0) && entry.xattrs.is_empty();
        entry.is_directory() && is_usual
    };
    Ok(above.all(|dir| is_plain(&dir.member.entry)) && view.below(path).next().is_none())
}

/// Whether a layer of this build has a directory at exactly this path.
pub(super) async fn has_directory(
    session: &Arc<Session>,
    trees: &Trees,
    layer: &Layer,
    path: &str,
) -> Result<bool> {
    let path = path.trim_matches('/').as_bytes();
    if let Some(Contents { tree, kind, .. }) = trees.get(layer.blob.digest)
        && !matches!(kind, ContentsKind::Unplaced(_))
    {
        return Ok(tree.get(path).is_some_and(Entry::is_directory));
    }
    let (annotator, blob) = (Arc::new(NoAnnotator), layer.blob.clone());
    let budget = &scan::budget(&annotator);
    let scanned = scan::of_layer(session, "the image", blob, annotator, budget).await?;
    Ok(scanned.members.iter().any(|member| member.path.as_bytes() == path && member.is_directory()))
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
