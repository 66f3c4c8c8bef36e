//! SAM and CloudFormation templates.
//!
//! [`Template::parse`] reads the text, [`Template::image_functions`] finds the functions whose images are to be built, with
//! the values that their fields have, and [`Template::with_images`] returns the text with the images' names: every other
//! byte stays as it is.
//!
//! ```
//! use lbuild::frontend::sam::{BuildKeys, Template, Values};
//!
//! # fn main() -> lbuild::Result<()> {
//! let text = "\
//! Resources:
//!   Hello:
//!     Type: AWS::Serverless::Function
//!     Properties:
//!       PackageType: Image  # built by lbuild
//!     Metadata:
//!       Dockerfile: Dockerfile
//!       DockerContext: ./hello
//! ";
//! let template = Template::parse("template.yaml", text)?;
//! let functions = template.image_functions(&Values::default())?;
//! assert_eq!(functions[0].name, "hello");
//! let packaged = template.with_images(&[(&functions[0], "localhost:5000/hello:1")], BuildKeys::Remove)?;
//! assert!(packaged.ends_with("Image  # built by lbuild\n      ImageUri: localhost:5000/hello:1\n"));
//! # Ok(())
//! # }
//! ```

mod docker;
mod document;
mod function;
mod intrinsics;
mod keys;
mod local_paths;
mod overrides;
mod parameters;
mod settings;
mod shared_image;
mod splice;
mod template;
mod value;

pub use function::{DockerBuild, Field, ImageFunction, ImageSource, Keys};
pub use overrides::parse_overrides;
pub use parameters::Values;
pub use settings::Settings;
pub use shared_image::SharedImage;
pub use splice::BuildKeys;
pub use template::Template;
