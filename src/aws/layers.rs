//! Layers of Lambda: a version by its ARN, and lists.

use aws_sdk_lambda::types::{Architecture, Runtime};
use base64::Engine as _;

use super::call::Call;
use super::caller::Aws;
use crate::error::{Error, Result};
use crate::image::{Arch, Digest};
use crate::recipe::LayerArn;
use crate::source::{LambdaLayers, LayerVersion};
use crate::store::{Later, Secret};

const GET: &str = "lambda:GetLayerVersion";

/// Which layers are listed. Lambda compares what their authors have declared.
#[derive(Clone, Debug, Default)]
pub struct LayerFilter {
    /// Those for this runtime, such as `python3.12`.
    pub runtime: Option<String>,
    /// Those for this architecture.
    pub arch: Option<Arch>,
}

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLayer {
    /// Its name.
    pub arn: LayerArn,
    /// The description that its author gave it.
    pub description: String,
    /// The day and time of its publication, ISO 8601.
    pub created: String,
    /// The architectures that it is for, as Lambda names them; empty if it does not name any.
    pub architectures: Vec<String>,
    /// The runtimes that it is for; empty if it does not name any.
    pub runtimes: Vec<String>,
}

impl LambdaLayers for Aws {
    fn version<'a>(&'a self, layer: &'a LayerArn) -> Later<'a, Result<LayerVersion>> {
        Box::pin(async move {
            let arn = layer.to_string();
            let call = Call::new(&format!("get the layer {arn}"), GET, &arn);
            let client = self.lambda(layer.region()).await;
            let answer = client.get_layer_version_by_arn().arn(&arn).send().await;
            let answer = answer.map_err(|error| call.failed(error))?;
            let content = answer.content().and_then(|content| {
                let hash = base64::prelude::BASE64_STANDARD.decode(content.code_sha256()?).ok()?;
                let sha256 = Digest::from_bytes(hash.try_into().ok()?);
                let link = Secret::from(content.location()?.to_owned());
                Some((sha256, u64::try_from(content.code_size()).ok()?, link))
            });
            let (sha256, size, link) = content.ok_or_else(|| Error::Protocol {
                operation: format!("get the layer {arn}"),
                host: "Lambda".to_owned(),
                fault: "describes no content",
            })?;
            let architectures = answer.compatible_architectures().iter().map(|name| name.as_str().to_owned());
            let runtimes = answer.compatible_runtimes().iter().map(|name| name.as_str().to_owned());
            Ok(LayerVersion {
                sha256,
                size,
                link,
                architectures: architectures.collect(),
                runtimes: runtimes.collect(),
            })
        })
    }
}

impl Aws {
    /// The layers of the caller's account, each in its latest version.
    ///
    /// # Errors
    /// When no region is set, or AWS refuses the call.
    pub async fn layers(&self, filter: &LayerFilter) -> Result<Vec<ListedLayer>> {
        let client = self.lambda(&self.region().await?).await;
        let call = Call::new("list the layers", "lambda:ListLayers", "*");
        let list = client.list_layers().set_compatible_runtime(runtime(filter));
        let mut pages = list.set_compatible_architecture(architecture(filter)).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            for layer in page.map_err(|error| call.failed(error))?.layers() {
                found.extend(layer.latest_matching_version().and_then(listed));
            }
        }
        Ok(found)
    }

    /// The versions of a layer, latest first. `layer` is the name of one of the caller's own, or an ARN without a version.
    ///
    /// # Errors
    /// When no region is set, or AWS refuses the call.
    pub async fn layer_versions(&self, layer: &str, filter: &LayerFilter) -> Result<Vec<ListedLayer>> {
        let region = match layer.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(2)) {
            Some(region) => region.to_owned(),
            None => self.region().await?,
        };
        let client = self.lambda(&region).await;
        let call = Call::new(&format!("list the versions of {layer}"), "lambda:ListLayerVersions", "*");
        let list = client.list_layer_versions().layer_name(layer).set_compatible_runtime(runtime(filter));
        let mut pages = list.set_compatible_architecture(architecture(filter)).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found
                .extend(page.map_err(|error| call.failed(error))?.layer_versions().iter().filter_map(listed));
        }
        Ok(found)
    }
}

fn runtime(filter: &LayerFilter) -> Option<Runtime> {
    filter.runtime.as_deref().map(Runtime::from)
}

fn architecture(filter: &LayerFilter) -> Option<Architecture> {
    filter.arch.map(|arch| match arch {
        Arch::Amd64 => Architecture::X8664,
        Arch::Arm64 => Architecture::Arm64,
    })
}

/// An entry of a list; `None` for one whose ARN is of another form.
fn listed(layer: &aws_sdk_lambda::types::LayerVersionsListItem) -> Option<ListedLayer> {
    Some(ListedLayer {
        arn: layer.layer_version_arn()?.parse().ok()?,
        description: layer.description().unwrap_or_default().to_owned(),
        created: layer.created_date().unwrap_or_default().to_owned(),
        architectures: layer.compatible_architectures().iter().map(|name| name.as_str().to_owned()).collect(),
        runtimes: layer.compatible_runtimes().iter().map(|name| name.as_str().to_owned()).collect(),
    })
}
