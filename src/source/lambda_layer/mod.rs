//! A version of a Lambda layer as a source.
//!
//! * `versions`: where AWS is asked for it; `provider`: its zip as a source.

mod provider;
pub(super) mod versions;

pub(super) use provider::LambdaLayerProvider;
pub use versions::{LambdaLayers, LayerVersion};
