//! Redirections of a command.

use super::super::command::OutputFile;
use super::super::refusal::Attempt;
use super::super::shell::expand::expand;
use super::super::shell::parse::{Redirection, RedirectionTarget};
use super::Line;
use super::output::Output;

impl Line<'_> {
    /// Where the output of a command goes.
    pub(super) fn output(&mut self, redirections: &[Redirection]) -> Attempt<Output> {
        let mut output = Output::default();
        for Redirection { span, descriptor, to } in redirections {
            let unknown = || span.refuse("is a redirection that is not translated");
            match (descriptor, to) {
                (1 | 2, RedirectionTarget::Descriptor(to)) => {
                    output.messages_to_file |= output.file.is_some() && (*descriptor, *to) == (2, 1);
                    if output.file.is_some() && (*descriptor, *to) == (1, 2) {
                        return Err(unknown());
                    }
                }
                (1 | 2, RedirectionTarget::File { append, path }) => {
                    let fields = expand(path, &mut self.variables)?;
                    let [field] = &*fields else { return Err(span.refuse("has not one target")) };
                    match self.same(path, field)? {
                        "/dev/null" if output.file.is_none() || *descriptor == 2 => {}
                        _ if *descriptor == 1 && output.file.is_none() => {
                            let path = self.context().path(field)?;
                            output.file = Some((*span, OutputFile { path, append: *append }));
                        }
                        _ => return Err(unknown()),
                    }
                }
                _ => return Err(unknown()),
            }
        }
        Ok(output)
    }
}
