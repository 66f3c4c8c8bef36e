//! Checks an image for everything that Lambda would refuse or that would fail in Lambda, and reports it at once.
//!
//! Each [`Rule`] is a file of the directory `rules`, with its condition, the reason and a hint. All rules see the same
//! [`Subject`]: the manifest, the config, and the scans of the layers. A rule reports only certain faults: it finds
//! nothing if the file that it looks for may be in an unknown layer.
//!
//! Findings are values in a stable order: by rule, then by layer, then by path.

mod case;
mod doubt;
mod facts;
mod finding;
mod function;
mod handler;
mod libc;
mod modules;
mod package;
mod places;
mod rule;
mod rules;
mod run;
#[cfg(test)]
mod sample;
mod secrets;
mod start;

pub use case::{Asked, Subject};
pub use facts::{Annotator, Fact, Names};
pub use finding::{Finding, Severity};
pub use rule::Rule;
pub use rules::{RULES, rule};
pub use run::{Verdict, check, verdict};
pub use secrets::{is_secret, without_secrets};
