//! The findings of `lbuild doctor`, printed one by one.

use std::io::Write;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::output::arguments::hidden;
use crate::cli::output::exit::Failure;
use crate::cli::output::report;

/// The findings so far, each printed when it is added.
pub struct Examination<'a> {
    pub context: &'a Context,
    /// The exit code of the first failure, at which a push would stop.
    pub first: Option<u8>,
}

/// The result of a check that found no fault.
pub const DONE: Result<(), Failure> = Ok(());

impl<'a> Examination<'a> {
    pub fn new(context: &'a Context) -> Examination<'a> {
        Examination { context, first: None }
    }

    /// Prints a finding.
    pub fn add<E: Into<Failure>>(&mut self, what: &str, result: Result<(), E>) -> Result<(), Failure> {
        let failure: Option<Failure> = result.err().map(Into::into);
        if let Some(failure) = &failure {
            self.first.get_or_insert(failure.code());
        }
        let text = match self.context.json {
            true => json!({
                "check": what,
                "ok": failure.is_none(),
                "message": failure.as_ref().map(|failure| hidden(&failure.chain().join(": "))),
                "hint": failure.as_ref().and_then(Failure::hint),
            })
            .to_string(),
            false => text(what, failure.as_ref()),
        };
        if self.context.json { report::print_json(&text) } else { report::print(&text) }?;
        // The next finding may take a long time.
        let _ = std::io::stdout().flush();
        Ok(())
    }
}

fn text(what: &str, failure: Option<&Failure>) -> String {
    let Some(failure) = failure else { return format!("ok      {what}") };
    let hint = failure.hint().map(|hint| format!("\n        hint: {hint}")).unwrap_or_default();
    format!("failed  {what}\n        {}{hint}", hidden(&failure.chain().join(": ")))
}
