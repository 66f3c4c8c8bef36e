//! A version of a Lambda layer as a source: AWS describes it, with a signed link to its zip.

use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::versions::LayerVersion;
use crate::error::{Error, Result};
use crate::image::{Arch, Digest, Platform};
use crate::recipe::{LambdaLayer, LayerArn, Source};
use crate::source::directory::warn_of_links;
use crate::source::part::{Context, Fetched, Part, Provider, SourcePlan};
use crate::source::zip;
use crate::store::{BlobFile, Download, NoLogins, Secret};

/// Part of the key of every layer made of one.
const KEY: &str = "lambda-layer 1";

/// What the cache knows of a version, which never changes.
#[derive(Serialize, Deserialize)]
struct Known {
    sha256: Digest,
    size: u64,
    architectures: Vec<String>,
    runtimes: Vec<String>,
}

impl Known {
    /// A link is valid for minutes, and is a secret.
    fn of(version: LayerVersion) -> (Known, Secret) {
        let LayerVersion { sha256, size, link, architectures, runtimes } = version;
        (Known { sha256, size, architectures, runtimes }, link)
    }

    fn recall(layer: &LayerArn, context: &Context) -> Option<Known> {
        serde_json::from_slice(&context.cache.noted(Known::key(layer))?).ok()
    }

    fn remember(&self, layer: &LayerArn, context: &Context) -> Result<()> {
        // Without a note, the version is asked for again.
        let Ok(text) = serde_json::to_vec(self) else { return Ok(()) };
        context.cache.note(Known::key(layer), &text)
    }

    fn key(layer: &LayerArn) -> Digest {
        Digest::of(format!("{KEY}\0{layer}").as_bytes())
    }

    /// Refuses a layer for another architecture, or other than the recipe's.
    fn check(&self, layer: &LambdaLayer, platform: &Platform) -> Result<()> {
        let is_for =
            |name: &String| name.parse::<Arch>().is_ok_and(|arch| Platform::linux(arch) == *platform);
        if !self.architectures.is_empty() && !self.architectures.iter().any(is_for) {
            return Err(Error::LayerArchitecture {
                layer: layer.arn.to_string(),
                offered: self.architectures.join(", "),
                wanted: platform.to_string(),
            });
        }
        match layer.sha256 {
            Some(wanted) if wanted != self.sha256 => Err(Error::Hash {
                file: layer.arn.to_string(),
                fault: format!("its digest is {}, but the recipe has {wanted}", self.sha256),
            }),
            _ => Ok(()),
        }
    }

    /// Lambda itself uses the runtimes to find layers only.
    fn warn(&self, layer: &LambdaLayer, context: &Context) {
        let Some(runtime) = &layer.runtime else { return };
        if !self.runtimes.is_empty() && !self.runtimes.contains(runtime) {
            let message =
                format!("{} is for {}, but the image is for {runtime}", layer.arn, self.runtimes.join(", "));
            context.events.warn(message, Some("`lbuild layer list --runtime` finds layers for a runtime"));
        }
    }
}

/// A version of a Lambda layer.
pub(in crate::source) struct LambdaLayerProvider<'s>(pub(in crate::source) &'s LambdaLayer);

impl Provider for LambdaLayerProvider<'_> {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn pin<'a>(&'a self, context: &'a Context) -> BoxFuture<'a, Result<Source>> {
        async move {
            let (known, _) = describe(&self.0.arn, context).await?;
            known.check(self.0, &context.platform)?;
            known.warn(self.0, context);
            Ok(Source::LambdaLayer(LambdaLayer { sha256: Some(known.sha256), ..self.0.clone() }))
        }
        .boxed()
    }

    fn plan<'a>(&'a self, _: bool, context: &'a Context) -> BoxFuture<'a, Result<SourcePlan>> {
        let part = Version { layer: self.0.clone(), platform: context.platform.clone() };
        async move {
            match self.0.sha256 {
                // The layer is found by the ARN, and has to be that of the recipe.
                Some(_) => describe(&self.0.arn, context).await?.0.check(self.0, &context.platform)?,
                None => {
                    Known::recall(&self.0.arn, context).iter().for_each(|known| known.warn(self.0, context))
                }
            }
            Ok(SourcePlan::one(part))
        }
        .boxed()
    }
}

/// The files of a version.
struct Version {
    layer: LambdaLayer,
    platform: Platform,
}

impl Part for Version {
    fn name(&self) -> Option<String> {
        Some(self.layer.arn.to_string())
    }

    /// A version has one content. Its architecture is compared when the layer is made, so that a layer for this one fits.
    fn identities(&self) -> Vec<Digest> {
        vec![Digest::of(format!("{KEY}\0{}\0{}", self.layer.arn, self.platform).as_bytes())]
    }

    fn is_package(&self) -> bool {
        true
    }

    fn fetch<'a>(self: Box<Self>, to: &'a str, context: &'a Context) -> BoxFuture<'a, Result<Fetched>> {
        async move {
            let layer = self.layer;
            let archive = fetch(&layer, context).await?;
            let dir = to.trim_matches('/').to_owned();
            let (name, events) = (PathBuf::from(layer.arn.to_string()), context.events.clone());
            let read = context.threads.run(1, move |_, _| {
                let tree = zip::collect_blob(&archive.path, archive.digest);
                let tree = tree.map_err(|error| named(error, &name))?.under(dir.as_bytes())?;
                warn_of_links(&tree, &name, dir.as_bytes(), &events);
                Ok(tree)
            });
            Ok(Fetched::of(read.await?))
        }
        .boxed()
    }
}

/// The error of an archive, whose path is in the cache, with the layer's name instead.
fn named(error: Error, name: &Path) -> Error {
    let archive = name.to_owned();
    match error {
        Error::Zip { fault, .. } => Error::Zip { archive, fault },
        Error::ZipMember { member, fault, .. } => Error::ZipMember { archive, member, fault },
        Error::ZipEncrypted { member, .. } => Error::ZipEncrypted { archive, member },
        Error::ZipMethod { member, method, .. } => Error::ZipMethod { archive, member, method },
        Error::ZipName { member, fault, .. } => Error::ZipName { archive, member, fault },
        error => error,
    }
}

/// What is known of a version, with its link if it was asked for.
async fn describe(layer: &LayerArn, context: &Context) -> Result<(Known, Option<Secret>)> {
    if let Some(known) = Known::recall(layer, context) {
        return Ok((known, None));
    }
    let (known, link) = ask(layer, context).await?;
    Ok((known, Some(link)))
}

async fn ask(layer: &LayerArn, context: &Context) -> Result<(Known, Secret)> {
    let source = context.lambda_layers.as_ref();
    let source = source.ok_or_else(|| Error::NoLambdaLayers { layer: layer.to_string() })?;
    let (known, link) = Known::of(source.version(layer).await?);
    known.remember(layer, context)?;
    Ok((known, link))
}

/// The zip, from the cache or by its link.
async fn fetch(layer: &LambdaLayer, context: &Context) -> Result<BlobFile> {
    let (known, link) = describe(&layer.arn, context).await?;
    known.check(layer, &context.platform)?;
    if let Some(held) = context.downloads.held(known.sha256).await? {
        return Ok(held);
    }
    let (known, link) = match link {
        Some(link) => {
            // Else it was warned of when the layer was planned.
            known.warn(layer, context);
            (known, link)
        }
        None => ask_again(layer, context).await?,
    };
    match download(&layer.arn, &known, &link, context).await {
        // It may have expired while the download waited for others.
        Err(Error::LayerLink { .. }) => {
            let (known, link) = ask_again(layer, context).await?;
            download(&layer.arn, &known, &link, context).await
        }
        done => done,
    }
}

async fn ask_again(layer: &LambdaLayer, context: &Context) -> Result<(Known, Secret)> {
    let (known, link) = ask(&layer.arn, context).await?;
    known.check(layer, &context.platform)?;
    Ok((known, link))
}

async fn download(layer: &LayerArn, known: &Known, link: &Secret, context: &Context) -> Result<BlobFile> {
    if !["https://", "http://"].iter().any(|scheme| link.expose().starts_with(scheme)) {
        return Err(Error::Address { file: layer.to_string(), fault: "its link is not one to a server" });
    }
    let (name, sha256, size) = (layer.to_string(), Some(known.sha256), Some(known.size));
    let wanted = Download { url: link.expose(), file: &name, sha256, size, logins: &NoLogins };
    context.downloads.fetch(&wanted).await.map_err(|error| match error {
        Error::Download { answer, .. } if (400..500).contains(&answer.status) => {
            // The text of the answer may have the link.
            Error::LayerLink { layer: layer.to_string(), host: answer.host, status: answer.status }
        }
        error => error,
    })
}
