//! Cloud assemblies of the AWS CDK: the directory that `cdk synth` writes.
//!
//! [`Assembly::parse`] reads its `manifest.json`, which names asset manifests and nested assemblies, and
//! [`ImageAsset::parse_all`] the images of an asset manifest. Their format is documented at
//! <https://github.com/aws/aws-cdk-cli/tree/main/packages/@aws-cdk/cloud-assembly-schema>.
//!
//! ```
//! use lbuild::frontend::cdk::{ImageAsset, ImageSource};
//!
//! # fn main() -> lbuild::Result<()> {
//! let text = r#"{ "version": "48.0.0", "dockerImages": { "3c5a": {
//!     "displayName": "Hello/AssetImage",
//!     "source": { "directory": "asset.3c5a", "platform": "linux/arm64" },
//!     "destinations": { "here": { "repositoryName": "assets-${AWS::AccountId}", "imageTag": "3c5a" } }
//! } } }"#;
//! let assets = ImageAsset::parse_all("cdk.out/Stack.assets.json", text)?;
//! assert!(assets[0].is_called("Hello/*"));
//! let ImageSource::Dockerfile(build) = &assets[0].source else { panic!() };
//! assert_eq!(build.directory, "asset.3c5a");
//! # Ok(())
//! # }
//! ```

mod assembly;
mod asset;
mod destination;
mod glob;
mod json;
mod output;
mod tarball;

pub use assembly::{Assembly, KNOWN_SCHEMA};
pub use asset::{CacheOption, DockerBuild, ImageAsset, ImageSource};
pub use destination::{Environment, ImageDestination, PolicyArn, RoleOptions, SessionTag};
pub use output::BuildOutput;
