//! Failures in kaniko's words.

#[cfg(feature = "check")]
use crate::cli::commands::push::tool;
use crate::cli::output::exit::Failure;

pub const BUILDING: &str = "building image";
pub const PUSHING: &str = "pushing image";

/// The failure, with what was being done. What was being done inside that is said alone.
pub fn while_doing(doing: &'static str) -> impl Fn(Failure) -> Failure {
    move |failure| match failure {
        Failure::Library(lbuild::Error::Interrupted) | Failure::Kaniko { .. } => failure,
        #[cfg(feature = "check")]
        Failure::Findings { .. } => {
            Failure::Kaniko { doing, source: Box::new(tool::in_terms_of_variables(failure)) }
        }
        failure => Failure::Kaniko { doing, source: Box::new(failure) },
    }
}
