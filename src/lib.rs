#![doc = "x"]
mod engine;
pub mod error;
pub mod event;
pub mod image;
pub mod lambda;
pub mod layer;
pub mod recipe;
mod source;
mod store;

pub use engine::{Engine, EngineBuilder, Found, Inspected, Published};
pub use error::{Error, Result};
pub use event::Event;
pub use image::Image;
pub use recipe::Recipe;
pub use store::{
    Cache, Credential, CredentialFuture, Credentials, Destination, DockerConfig, Password, Secret, Usage,
};
