//! The interface to AWS, which stores the layers.

use crate::error::Result;
use crate::image::Digest;
use crate::recipe::LayerArn;
use crate::store::{Later, Secret};

/// A source of Lambda layers.
pub trait LambdaLayers: Send + Sync {
    /// The version that an ARN names. Called once for each, and once more if its link was refused.
    ///
    /// # Errors
    /// When it does not exist, or the caller may not read it.
    fn version<'a>(&'a self, layer: &'a LayerArn) -> Later<'a, Result<LayerVersion>>;
}

/// A version of a Lambda layer.
#[derive(Clone, Debug)]
pub struct LayerVersion {
    /// The digest of its zip.
    pub sha256: Digest,
    /// The size of its zip in bytes.
    pub size: u64,
    /// The URL of its zip. It is signed: whoever has it can read the layer.
    pub link: Secret,
    /// The architectures that it is for, as Lambda names them: `x86_64`, `arm64`. Empty if it does not name any.
    pub architectures: Vec<String>,
    /// The runtimes that it is for, such as `python3.12`. Empty if it does not name any.
    pub runtimes: Vec<String>,
}
