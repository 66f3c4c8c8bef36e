//! The place of a base image that cannot be read.

use super::expand::plain;
use super::plan::{Plan, PlannedStage, StageBase};
use crate::frontend::dockerfile::arguments::BaseImage;
use crate::frontend::dockerfile::syntax::shell::Lexer;
use crate::frontend::fault::Fault;

impl Plan<'_> {
    /// The fault at the `FROM` of an image that cannot be read; `None` if no stage that is built starts from it. Its hint
    /// is about a variable that is not set, which often leads to a wrong name.
    pub(in crate::frontend) fn unreadable(&self, image: &BaseImage) -> Option<Fault> {
        let starts_from = |stage: &Option<PlannedStage>| match stage {
            Some(PlannedStage { base: StageBase::Image(base), .. }) => **base == *image,
            _ => false,
        };
        let number = self.stages.iter().position(starts_from)?;
        let word = &self.file.stages[number].base.image;
        let unset = plain(&Lexer::new(self.file.escape), word, &self.globals).ok()?.unset;
        let fault = Fault::new(word.at, format!("cannot use the base image {}", image.base));
        Some(fault.maybe_hint(self.unset_hint(&unset)))
    }
}
