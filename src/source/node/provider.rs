//! Node packages as a source.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::files::PACKAGE;
use super::modules::{NodeModules, VERSION, plan};
use super::{install, lock, package_layer, version};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Npm, Source};
use crate::source::part::{Context, PackageInstall, Part, Provider, SourcePlan};

/// Node packages.
pub(in crate::source) struct NodeProvider<'s>(pub(in crate::source) &'s Npm);

impl Provider for NodeProvider<'_> {
    fn check(&self) -> Result<()> {
        let package = self.0.path.join(PACKAGE);
        std::fs::metadata(&package).map_err(|source| Error::Read { path: package, source })?;
        lock::find(&self.0.path).map(drop)
    }

    /// A lock file needs no pinning.
    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let npm = self.0.clone();
        async move { Ok(Source::Npm(npm)) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move { Ok(SourcePlan::Install(Box::new(plan(self.0, context).await?))) }.boxed()
    }
}

impl PackageInstall for NodeModules {
    fn name(&self) -> String {
        "node_modules".to_owned()
    }

    fn identities(&self) -> Vec<Digest> {
        version::identities(self.lock.tool, &self.version, &format!("{VERSION} {}", self.decisive))
    }

    fn install<'a>(self: Box<Self>, context: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move {
            let (tree, workplace) = install::install(&self, context).await?;
            package_layer::layers(tree, workplace)
        }
        .boxed()
    }
}
