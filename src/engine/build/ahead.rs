//! Stages that a stage will read are built at the same time as its own layers.
//!
//! A stage is built only if a layer that takes files from it is not found. Whether it is found is known late, because its
//! key depends on the layers below. But once one layer has to be made, those above it have other keys than before, so
//! the stages that they read are started at once.

use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::oneshot;

use super::beneath::Beneath;
use super::planned::{Planned, PlannedLayer, Work};
use crate::error::Result;
use crate::image::Layer;

/// The stages that parts take files from; each is built when its layers are needed first.
pub(super) trait Stages: Sync {
    fn layers(&self, stage: usize) -> BoxFuture<'_, Result<Vec<Layer>>>;

    /// Whether the layers of the stage, or those that it is made from, are not to be taken from earlier builds. Its files
    /// may then be others under the same key.
    fn is_made_again(&self, stage: usize) -> bool;
}

/// The stages that the remaining steps of a stage read.
pub(super) struct Ahead {
    /// For each remaining step that depends on the layers below it.
    remaining: Mutex<Vec<Vec<usize>>>,
    /// Starts to build them.
    start: Mutex<Option<oneshot::Sender<Vec<usize>>>>,
    /// Taken by [`build`](Ahead::build). Both ends exist from the beginning: the layers may all be there before it waits.
    started: Mutex<Option<oneshot::Receiver<Vec<usize>>>>,
}

impl Ahead {
    /// Before these steps.
    pub(super) fn of(steps: &[Planned]) -> Ahead {
        let read = steps.iter().filter_map(|step| match step {
            Planned::Layer(layer) => Some(read_by(layer)),
            Planned::Line(_) | Planned::Packages(_) => None,
        });
        let remaining = read.filter(|read| !read.is_empty()).collect();
        let (start, started) = oneshot::channel();
        Ahead {
            remaining: Mutex::new(remaining),
            start: Mutex::new(Some(start)),
            started: Mutex::new(Some(started)),
        }
    }

    /// Waits until a layer has to be made, and builds the stages that the steps after it read. Ends with
    /// [`ended`](Ahead::ended) at the latest.
    pub(super) async fn build(&self, stages: &dyn Stages) -> Result<()> {
        let Some(started) = lock(&self.started).take() else { return Ok(()) };
        let Ok(wanted) = started.await else { return Ok(()) };
        try_join_all(wanted.into_iter().map(|stage| stages.layers(stage))).await.map(drop)
    }

    /// The next step is this layer.
    pub(super) fn reach(&self, layer: &PlannedLayer) {
        let read = read_by(layer);
        let mut remaining = lock(&self.remaining);
        if let Some(at) = remaining.iter().position(|of_step| *of_step == read) {
            remaining.remove(at);
        }
    }

    /// The layer of the step that was reached last has to be made.
    pub(super) fn missed(&self) {
        if let Some(start) = lock(&self.start).take() {
            let _ = start.send(lock(&self.remaining).concat());
        }
    }

    /// The last step is done.
    pub(super) fn ended(&self) {
        drop(lock(&self.start).take());
    }
}

/// The stages that a layer reads whose key depends on the layers below it.
fn read_by(layer: &PlannedLayer) -> Vec<usize> {
    match &layer.work {
        Work::Files(part) if layer.beneath != Beneath::Nothing => part.part.stages(),
        _ => Vec::new(),
    }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
