//! Python packages as a source.

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::layer::{WheelLayer, layers};
use super::lock;
use super::pin::pin;
use super::resolve::Present;
use super::settings::InstallSettings;
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::recipe::{Python, Requirements, Source};
use crate::source::part::{Context, Fetched, Part, Provider, SourcePlan};

/// Python packages.
pub(in crate::source) struct PythonProvider<'s>(pub(in crate::source) &'s Python);

impl Provider for PythonProvider<'_> {
    fn check(&self) -> Result<()> {
        let Requirements::File { path, .. } = &self.0.requirements else { return Ok(()) };
        let found = std::fs::metadata(path).map(drop);
        found.map_err(|source| Error::Read { path: path.clone(), source })
    }

    fn requirement_files(&self) -> Vec<PathBuf> {
        match &self.0.requirements {
            Requirements::File { path, .. } => lock::files(path),
            Requirements::Pinned(_) => Vec::new(),
        }
    }

    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>> {
        async move {
            let wheels = pin(self.0, &Present::default(), None, context).await?;
            Ok(Source::Python(Python { requirements: Requirements::Pinned(wheels), ..self.0.clone() }))
        }
        .boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        async move {
            let wheels = pin(self.0, &Present::default(), None, context).await?;
            let layers = layers(self.0, &wheels, None, &InstallSettings::default(), context).await?;
            let parts = layers.into_iter().map(|layer| Box::new(layer) as Box<dyn Part>);
            Ok(SourcePlan::Parts(parts.collect()))
        }
        .boxed()
    }
}

impl Part for WheelLayer {
    fn name(&self) -> Option<String> {
        Some(WheelLayer::name(self))
    }

    fn is_package(&self) -> bool {
        true
    }

    fn identities(&self) -> Vec<Digest> {
        vec![self.identity()]
    }

    /// A wheel on this machine may be the user's own.
    fn is_published(&self) -> bool {
        self.wheels.iter().all(|wheel| !wheel.url.starts_with("file:"))
    }

    fn size(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.size).sum()
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let to = if self.has_own_places() { "/" } else { to };
            let sources = self.sources.clone();
            let tree = self.tree(context, to).await?;
            // A wheel of the image is in the directory until its layer is written.
            Ok(Fetched::of(tree.under(to.trim_matches('/').as_bytes())?).then_keep(move |_| drop(sources)))
        }
        .boxed()
    }
}
