//! Node packages as a source.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::files::PACKAGE;
use super::modules::{NodeModules, VERSION, plan};
use super::version::{self, Version};
use super::{install, lock};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Npm, Source};
use crate::source::part::{Context, Fetched, Part, Provider};

/// Node packages.
pub(in crate::source) struct NodeProvider<'s>(pub(in crate::source) &'s Npm);

impl Provider for NodeProvider<'_> {
    fn check(&self) -> Result<()> {
        let package = self.0.path.join(PACKAGE);
        std::fs::metadata(&package).map_err(|source| Error::Read { path: package, source })?;
        lock::find(&self.0.path).map(drop)
    }

    /// A lock file is exact already.
    fn pin<'a>(&'a self, _: &'a Context) -> BoxFuture<'a, Result<Source>> {
        let npm = self.0.clone();
        async move { Ok(Source::Npm(npm)) }.boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<Vec<Box<dyn Part>>>> {
        async move { Ok(vec![Box::new(plan(self.0, context).await?) as Box<dyn Part>]) }.boxed()
    }
}

impl Part for NodeModules {
    fn name(&self) -> Option<String> {
        Some("node_modules".to_owned())
    }

    fn is_package(&self) -> bool {
        true
    }

    /// One for each version of the package manager that may have made the layer.
    fn identities(&self) -> Vec<Digest> {
        let identity = |major: u32| {
            let tool = self.lock.tool.name();
            Digest::of(format!("{VERSION} {tool} {major} {}", self.decisive).as_bytes())
        };
        match &self.version {
            Version::Major(_, major) => vec![identity(*major)],
            Version::Missing | Version::Unknown => version::majors(self.lock.tool).map(identity).collect(),
        }
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let (tree, workplace) = install::install(&self, context).await?;
            let tree = tree.under(to.trim_matches('/').as_bytes())?;
            Ok(Fetched::within(tree, workplace))
        }
        .boxed()
    }
}
