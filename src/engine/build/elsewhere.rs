//! Commands on systems other than Linux, where none can run.

use std::sync::Arc;

use super::add::{Adding, Making, Outcome};
use super::cached::Known;
use super::command::PlannedCommand;
use crate::error::Result;
use crate::image::LayerKey;

/// There is nothing to keep.
#[derive(Default)]
pub(super) struct Roots;

impl Adding<'_> {
    /// Fails.
    pub(super) async fn ran(
        &self,
        planned: Arc<PlannedCommand>,
        _: Option<LayerKey>,
        _: Option<Known>,
        _: &Making<'_>,
    ) -> Result<Outcome> {
        let hint = "build on Linux, or from a stage without such commands with --target; installs of packages and file \
                    operations need no process";
        Err(planned.refused("commands run on Linux only", hint.to_owned()))
    }
}
