//! Languages that describe images, each lowered to a [`Recipe`](crate::Recipe). Nothing here reads a file or a registry.

pub mod cdk;
pub mod dockerfile;
mod fault;
pub mod sam;
mod source_text;
