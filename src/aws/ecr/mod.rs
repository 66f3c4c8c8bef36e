//! ECR: tokens for registries, repositories, and the policies of repositories.

mod client;
mod policy;
mod repository;
mod token;

pub use repository::{EcrRepository, Encryption, ExistingRepository, Settings};
