//! The engine behind `docker`.

use lbuild::{Engine, EngineBuilder};

use crate::cli::args::registry::Registry;
use crate::cli::context::Context;
use crate::cli::engine;
use crate::cli::output::exit::Failure;

/// An engine with the logins of `docker`.
pub fn new(context: &Context) -> Result<Engine, Failure> {
    Ok(builder(context)?.build()?)
}

/// Its builder.
pub fn builder(context: &Context) -> Result<EngineBuilder, Failure> {
    engine::builder(&Registry::default(), &[], context, &[])
}
