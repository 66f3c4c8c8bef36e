//! Builds an image while the state of its destinations is requested, and then sends it.

use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::build::{self, Below, Cached, placed};
use super::compression;
use super::contents::{Contents, ContentsKind, Trees};
use super::gate::Gate;
use super::inspect::{Scanner, scan, verified};
use super::publish::{self, Published, Push};
use super::sent::Sent;
use super::session::{Caching, Session};
use crate::error::{Error, Result};
use crate::image::{Digest, Format, Image, Layer, Location};
use crate::recipe::{Base, Recipe};
use crate::scan::{Annotate, LayerScan, MemoryBudget, NoAnnotator, Scans};
use crate::store::{self, Destination};
use crate::tree::FileTree;

/// An image that is ready to be sent. The blobs that its destinations lack are known, and layers of the base and of
/// published packages are being sent to registries. Nothing else is sent before [`send`](Prepared::send).
pub struct Prepared {
    session: Arc<Session>,
    recipe: Recipe,
    to: Vec<(Destination, Format)>,
    hold: Hold,
    attempt: Attempt,
}

/// Whether an image's own blobs wait until [`Prepared::send`].
#[derive(Clone)]
pub(super) enum Hold {
    /// They are sent as soon as they exist.
    No,
    /// They wait.
    Yes,
    /// They wait, and layers of the base are scanned on their way to a registry.
    Scanned(Scanner),
}

/// The maximum number of lost or damaged blobs that are made again for one image, one after another.
const RECOVERIES: usize = 8;

/// The layers of an image that a scan includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Layers that this machine has made, stored or scanned, also on their way to a registry; layers that it fetches for
    /// a layout or archive in any case; and a layer of the function's own files that was found in an earlier image,
    /// whose paths depend on links of the base.
    Local,
    /// All layers; remote layers are fetched. The digests of files from archives may be unknown.
    Remote,
    /// All layers, with the digest of each file.
    All,
}

/// One build for the destinations.
struct Attempt {
    image: Image,
    trees: Trees,
    pushes: Vec<Push>,
    /// The image's own blobs wait at this gate.
    gate: Arc<Gate>,
}

/// Builds the recipe's image for the destinations.
pub(super) async fn prepare(
    session: &Arc<Session>,
    recipe: &Recipe,
    to: &[(Destination, Format)],
    hold: Hold,
) -> Result<Prepared> {
    let mut look_back = session.caching.policy != Caching::Off;
    let mut recoveries = 0;
    let attempt = loop {
        match Attempt::new(session, recipe, to, &hold, look_back).await {
            Err(error) if recoveries < RECOVERIES => {
                look_back = recovery(session, error, look_back)?;
                recoveries += 1;
            }
            attempt => break attempt.map_err(|error| session.cache.explained(error))?,
        }
    };
    Ok(Prepared { session: session.clone(), recipe: recipe.clone(), to: to.to_vec(), hold, attempt })
}

/// Decides whether to build once more, and whether that build takes layers from earlier images. The build is repeated
/// if a blob in the cache is damaged or was pruned, if an earlier image has lost a blob, or if a layer of the base turns
/// out not to be gzip; any other error is returned.
fn recovery(session: &Session, error: Error, look_back: bool) -> Result<bool> {
    match error {
        error if session.cache.lost(&error) => Ok(look_back),
        Error::LostBlob { .. } if look_back => Ok(false),
        Error::NotGzip { digest, compression, .. }
            if compression::known(session, digest) != Some(compression) =>
        {
            compression::keep(session, digest, compression)?;
            Ok(look_back)
        }
        error => Err(error),
    }
}

impl Attempt {
    async fn new(
        session: &Arc<Session>,
        recipe: &Recipe,
        to: &[(Destination, Format)],
        hold: &Hold,
        look_back: bool,
    ) -> Result<Attempt> {
        let (gate, scanner) = match hold {
            Hold::No => (Gate::opened(), None),
            Hold::Yes => (Gate::shut(), None),
            Hold::Scanned(scanner) => (Gate::shut(), Some(scanner)),
        };
        let gate = Arc::new(gate);
        let pushes = opened(session, recipe, to, &gate);
        let cached = if look_back { Cached::of(session, &pushes) } else { Cached::default() };
        let trees = if matches!(hold, Hold::No) { Trees::default() } else { Trees::for_scan() };
        let image = tokio::select! {
            image = build::build(session, recipe, &pushes, &cached, &trees, scanner) => image?,
            error = first_failure(&pushes) => return Err(error),
        };
        pushes.iter().for_each(|push| push.image(&image));
        Ok(Attempt { image, trees, pushes, gate })
    }

    async fn send(&self, to: &[(Destination, Format)]) -> Result<Sent> {
        self.gate.open();
        // No tag moves before every destination has all blobs.
        let ready = self.pushes.iter().zip(to).map(|(push, (_, format))| push.ready(&self.image, *format));
        let ready = try_join_all(ready).await?;
        let puts = self.pushes.iter().zip(ready).map(|(push, ready)| push.put(&self.image, ready));
        let mut sent = Sent::default();
        for (published, failures) in join_all(puts).await {
            sent.published.extend(published);
            sent.failures.extend(failures);
        }
        Ok(sent)
    }

    fn digest(&self) -> Digest {
        self.image.manifest(Format::Docker).digest
    }
}

/// Pushes to the destinations, whose own blobs wait at the gate.
fn opened(
    session: &Arc<Session>,
    recipe: &Recipe,
    to: &[(Destination, Format)],
    gate: &Arc<Gate>,
) -> Vec<Push> {
    let source = match recipe.stages.last().map(|stage| &stage.base) {
        Some(Base::Registry(name)) => Some(name.clone()),
        Some(Base::Local { name, .. }) => {
            let image = session.cache.images().find(name).ok().flatten();
            image.and_then(|image| publish::registry_source(image.image()))
        }
        _ => None,
    };
    let open =
        |(to, _): &(Destination, Format)| Push::open(session.clone(), to, source.clone(), gate.clone());
    to.iter().map(open).collect()
}

/// The first failure of any push. It aborts the build, which is useless if a destination is unreachable.
async fn first_failure(pushes: &[Push]) -> Error {
    let failures = pushes.iter().map(|push| Box::pin(push.failed()));
    match pushes.is_empty() {
        true => std::future::pending().await,
        false => futures_util::future::select_all(failures).await.0,
    }
}

impl Prepared {
    /// The image.
    pub fn image(&self) -> &Image {
        &self.attempt.image
    }

    /// Sets the destinations of an image that was prepared for none: their tags may depend on the image. Layers of the base
    /// are sent from now on.
    pub fn address(&mut self, to: &[(Destination, Format)]) {
        self.to = to.to_vec();
        self.attempt.pushes = opened(&self.session, &self.recipe, to, &self.attempt.gate);
        let image = &self.attempt.image;
        let passing = match &self.hold {
            Hold::Scanned(scanner) => Some(scanner(image.config())),
            Hold::Yes | Hold::No => None,
        };
        let is_finished = self.recipe.stages.last().is_some_and(|stage| stage.finished);
        for push in &self.attempt.pushes {
            let of_base = image.layers().iter().filter(|layer| layer.key.is_none() && !is_finished);
            of_base.for_each(|layer| push.published_layer(layer, passing.as_ref()));
            push.image(image);
        }
    }

    /// Scans the layers; a layer outside `reach` has no scan. If a blob of the cache is missing or damaged, the image is
    /// built once more; it must have the same config.
    ///
    /// # Errors
    /// When a layer cannot be fetched.
    pub async fn scan<A: Annotate>(&mut self, annotator: Arc<A>, reach: Reach) -> Result<Scans<A::Fact>> {
        for _ in 0..RECOVERIES {
            match self.scan_layers(&annotator, reach).await {
                Err(error) => self.recover(error).await?,
                scans => return scans,
            }
        }
        self.scan_layers(&annotator, reach).await.map_err(|error| self.session.cache.explained(error))
    }

    /// Builds the image once more, if that fixes the error.
    async fn recover(&mut self, error: Error) -> Result<()> {
        let session = &self.session;
        let look_back = recovery(session, error, session.caching.policy != Caching::Off)?;
        let again = Attempt::new(session, &self.recipe, &self.to, &self.hold, look_back).await?;
        // A different image has not been checked. The config has the digests of the uncompressed layers, so the same
        // config means the same files.
        let config = |attempt: &Attempt| attempt.image.config_blob().digest;
        if !matches!(self.hold, Hold::No) && config(&self.attempt) != config(&again) {
            return Err(Error::Rebuilt { was: self.attempt.digest(), now: again.digest() });
        }
        self.attempt = again;
        Ok(())
    }

    async fn scan_layers<A: Annotate>(&self, annotator: &Arc<A>, reach: Reach) -> Result<Scans<A::Fact>> {
        let budget = scan::budget(annotator);
        let one = async |number: usize| {
            let scan = match self.scan_layer(number, annotator.clone(), reach, budget.clone()).await {
                // The image is built once more.
                Err(error) if self.session.cache.lost(&error) => return Err(error),
                Err(error) if error.is_of_layer() => return Ok(Err(error)),
                scan => scan?,
            };
            if let Some(scan) = &scan {
                // As when the layer is sent: the image is built once more, with the layer recompressed.
                store::require_gzip(&self.image().layers()[number].blob, scan.compression)?;
            }
            Ok(Ok(scan))
        };
        let layers: Vec<_> = (0..self.image().layers().len()).map(one).collect();
        let scans = stream::iter(layers).buffered(self.session.threads.all());
        Scans::of(scans.try_collect().await?)
    }

    async fn scan_layer<A: Annotate>(
        &self,
        number: usize,
        annotator: Arc<A>,
        reach: Reach,
        budget: MemoryBudget<A::Fact>,
    ) -> Result<Option<LayerScan<A::Fact>>> {
        let (session, layer) = (&self.session, self.image().layers()[number].clone());
        let digest = layer.blob.digest;
        let is_remote = matches!(layer.blob.location, Location::Registry(_));
        let contents = self.attempt.trees.get(digest);
        if let Some(contents) = contents.filter(|of| reach != Reach::All || scan::has_digests(&of.tree)) {
            match contents.kind {
                ContentsKind::Unplaced(_) if is_remote => {
                    return self.scan_unplaced(number, &contents, annotator, &budget).await.map(Some);
                }
                // This machine has the layer with the right paths.
                ContentsKind::Unplaced(_) => {}
                ContentsKind::Files | ContentsKind::Keyed => {
                    return scan::of_tree(session, contents, layer, annotator, &budget).await.map(Some);
                }
            }
        }
        if reach != Reach::All
            // Layers that are sent are verified on their way.
            && (reach == Reach::Local || verified::is_still(session, &layer.blob).await)
            && let Some(scan) = scan::known_or_made(session, digest, &*annotator, &budget)
                .map_err(|error| scan::in_layer("the image", digest, error))?
        {
            return Ok(Some(scan));
        }
        if is_remote && reach == Reach::Local {
            let is_unreadable = self.passed(digest).await || scan::is_unreadable(session, digest);
            if !is_unreadable {
                let known = scan::known(session, digest, &*annotator, &budget)?;
                if known.is_some() || !self.fetches(&layer) {
                    return Ok(known);
                }
                return scan::of_fetched(session, layer.blob, annotator, &budget).await.map(Some);
            }
        }
        scan::of_layer(session, "the image", layer.blob, annotator, &budget).await.map(Some)
    }

    /// Scans a layer of known files, whose paths depend on links of the layers below. Either it is fetched, or these
    /// layers are, whichever is less.
    async fn scan_unplaced<A: Annotate>(
        &self,
        number: usize,
        contents: &Contents,
        annotator: Arc<A>,
        budget: &MemoryBudget<A::Fact>,
    ) -> Result<LayerScan<A::Fact>> {
        let (session, trees) = (&self.session, &self.attempt.trees);
        let (below, layer) = (&self.image().layers()[..number], self.image().layers()[number].clone());
        let is_unread = |layer: &&Layer| {
            let is_remote = matches!(layer.blob.location, Location::Registry(_));
            is_remote && !scan::is_known(session, layer.blob.digest, &NoAnnotator)
        };
        let unread = below.iter().filter(is_unread).map(|layer| layer.blob.size).fold(0, u64::saturating_add);
        if layer.blob.size <= unread || scan::is_known(session, layer.blob.digest, &*annotator) {
            return scan::of_layer(session, "the image", layer.blob, annotator, budget).await;
        }
        let placing = match &contents.kind {
            ContentsKind::Unplaced(placing) => placing.clone(),
            ContentsKind::Files | ContentsKind::Keyed => None,
        };
        let below = Below { layers: below, on_aws: false };
        let tree = placed(session, trees, FileTree::clone(&contents.tree), placing, below).await?;
        let contents = Contents { tree: tree.into(), code: None, kind: ContentsKind::Files };
        scan::of_tree(session, contents, layer, annotator, budget).await
    }

    /// Waits until a layer of the base has passed on its way to a registry, if it is sent before the check. Returns
    /// whether it cannot be scanned.
    async fn passed(&self, layer: Digest) -> bool {
        join_all(self.attempt.pushes.iter().map(|push| push.passed(layer))).await.contains(&true)
    }

    /// Whether a layer of a registry is fetched for a layout or archive, after the check.
    fn fetches(&self, layer: &Layer) -> bool {
        self.attempt.pushes.iter().any(|push| push.fetches(&layer.blob))
    }

    /// The layers that a scan within [`Reach::Local`] leaves out. Waits for those that are on their way to a registry.
    pub async fn unread<A: Annotate>(&self, annotator: &A) -> Vec<Digest> {
        let layers = self.image().layers().iter().filter(|layer| {
            matches!(layer.blob.location, Location::Registry(_))
                && self.attempt.trees.get(layer.blob.digest).is_none()
                && !self.fetches(layer)
        });
        let is_known = |layer: &Digest| scan::is_known(&self.session, *layer, annotator);
        let unknown: Vec<Digest> =
            layers.map(|layer| layer.blob.digest).filter(|layer| !is_known(layer)).collect();
        join_all(unknown.iter().map(|layer| self.passed(*layer))).await;
        unknown.into_iter().filter(|layer| !is_known(layer)).collect()
    }

    /// Waits for the registries' answers to layers of the base that were scanned on their way. An image that is not sent
    /// because of its scan leaves them at the registry, so that the next attempt need not send them again.
    pub async fn base_sent(&self) {
        join_all(self.attempt.pushes.iter().map(Push::arrived)).await;
    }

    /// Sends the image to its destinations. If a blob turns out to be missing or damaged, or a layer of the base not to be
    /// gzip, the image is built once more; it must have the same config.
    ///
    /// # Errors
    /// When a destination refuses the image, or a blob does not have its digest. No tag has moved then, unless one
    /// destination refused the manifest that another accepted; [`send_each`](Prepared::send_each) tells them apart.
    pub async fn send(self) -> Result<Vec<Published>> {
        self.send_each().await?.complete()
    }

    /// As [`send`](Prepared::send), and also returns where the image was published if another destination, or one of
    /// several tags, failed.
    ///
    /// # Errors
    /// When the image cannot be sent to all destinations. No tag has moved then.
    pub async fn send_each(mut self) -> Result<Sent> {
        let mut earlier: Vec<Published> = Vec::new();
        for _ in 0..RECOVERIES {
            let mut sent = match self.attempt.send(&self.to).await {
                Ok(sent) => sent.after(std::mem::take(&mut earlier)),
                Err(error) => {
                    if let Err(error) = self.recover(error).await {
                        return Sent::failed(error, earlier);
                    }
                    continue;
                }
            };
            if sent.failures.is_empty() {
                return Ok(sent);
            }
            // Only the registry's refusal of a manifest shows that it has lost a blob.
            if let Err(error) = self.recover(sent.failures.remove(0)).await {
                sent.failures.insert(0, error);
                return Ok(sent);
            }
            earlier = sent.published;
        }
        match self.attempt.send(&self.to).await {
            Ok(sent) => Ok(sent.after(earlier)),
            Err(error) => Sent::failed(self.session.cache.explained(error), earlier),
        }
    }
}
