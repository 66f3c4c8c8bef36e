//! Explains why a function failed: what the rules of `lbuild check` say of the file that the error names.

use lbuild::lambda::invoke::{Outcome, advice};

use super::function::{Built, Function};
use crate::cli::context::Context;

/// A hint for a failed invocation, if there is one. Findings about the file that its error names are printed before.
pub async fn explain(
    function: &Function,
    built: &Built,
    outcome: &Outcome,
    context: &Context,
) -> Option<String> {
    let advice = advice(&built.image, outcome)?;
    #[cfg(feature = "check")]
    if let Some(path) = &advice.path {
        // A failure of the check is not reported: the function has failed, and that matters.
        let found = check::findings(function, built, path.trim_start_matches('/')).await.unwrap_or_default();
        context.report.findings(&found);
        if !found.is_empty() {
            // They have hints of their own.
            return None;
        }
    }
    #[cfg(not(feature = "check"))]
    let _ = (function, context);
    Some(advice.hint)
}

#[cfg(feature = "check")]
mod check {
    use std::sync::Arc;

    use lbuild::Reach;
    use lbuild::image::Format;
    use lbuild::lambda::check::{Annotator, Asked, Finding, Severity};

    use super::{Built, Function};
    use crate::cli::commands::check::before_push;
    use crate::cli::lower::date::today;
    use crate::cli::output::exit::Failure;

    /// The findings about a path, or about a directory above it.
    pub async fn findings(function: &Function, built: &Built, path: &str) -> Result<Vec<Finding>, Failure> {
        let mut prepared = function.engine().prepare(&built.recipe, &[]).await?;
        let annotator = Arc::new(Annotator::of(prepared.image().config()));
        let scans = prepared.scan(annotator, Reach::Local).await?;
        let asked = Asked { today: today(), ..Asked::default() };
        let found =
            before_push::of_image(prepared.image(), Format::Docker, &scans, &asked, Severity::Warning);
        let is_about = |finding: &Finding| {
            finding.path.as_deref().is_some_and(|named| {
                path == named || path.strip_prefix(named).is_some_and(|rest| rest.starts_with('/'))
            })
        };
        Ok(found.findings.into_iter().filter(is_about).collect())
    }
}
