//! ECR: tokens for its registries, its repositories and their policies.

mod client;
mod policy;
mod repository;
mod token;

pub use repository::{EcrRepository, Encryption, ExistingRepository, Settings};
