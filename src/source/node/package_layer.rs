//! Installed packages as parts of an image.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::division::{PackageGroup, divide};
use crate::error::Result;
use crate::source::part::{Context, Fetched, Part};
use crate::store::Workplace;
use crate::tree::FileTree;

/// A group of packages. It becomes one layer, which is found again by its content.
struct PackageLayer {
    group: PackageGroup,
    /// The directory of the files, which is removed with the last layer.
    workplace: Arc<Workplace>,
}

/// The layers of an installation whose files are in this workplace.
pub(super) fn layers(tree: FileTree, workplace: Workplace) -> Result<Vec<Box<dyn Part>>> {
    let workplace = Arc::new(workplace);
    let layer = |group| Box::new(PackageLayer { group, workplace: workplace.clone() }) as Box<dyn Part>;
    Ok(divide(tree)?.into_iter().map(layer).collect())
}

impl Part for PackageLayer {
    fn name(&self) -> Option<String> {
        Some(self.group.name.clone())
    }

    fn is_package(&self) -> bool {
        true
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, _: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let tree = self.group.tree.under(to.trim_matches('/').as_bytes())?;
            Ok(Fetched::within(tree, self.workplace))
        }
        .boxed()
    }
}
