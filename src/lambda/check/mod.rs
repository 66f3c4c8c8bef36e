//! What Lambda would refuse, and what would fail there: findings about an image, all of them at once.
//!
//! A [`Rule`] is a file of the directory `rules`: what it looks for, why, and the way out. All see the same: the
//! manifest, the config, and what every layer holds. What cannot be told is no finding: a rule that needs a file says
//! nothing when a layer is unknown that might have it.
//!
//! Findings are values, in a stable order: that of the rules, and within one that of the layers and paths.

mod case;
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
pub use run::check;
pub use secrets::{is_secret, without_secrets};
