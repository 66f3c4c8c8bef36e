//! The translation of a command of a `RUN`.

use super::line::Line;
use super::mounts::Mounts;
use super::packages::settings::ToolSettings;
use super::refusal::{Attempt, Refusal, Span};
use super::shell::program;
use super::shell::quote;
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::recipe::{Command, Mount, Translation, Untranslated};

/// A command and what it runs in.
pub(in crate::frontend) struct Surroundings<'s> {
    /// The variables of its environment, without those that are set only where it runs.
    pub environment: &'s dyn Variables,
    pub directory: &'s str,
    pub user: Option<&'s str>,
    pub mounts: &'s [Mount],
    /// What earlier lines have set up.
    pub settings: &'s ToolSettings,
}

/// What became of a command.
pub(in crate::frontend) struct Outcome {
    /// The translation; or the word that stops it, and its offset in the command's text.
    pub translation: Result<Translation, (usize, Untranslated)>,
    /// What is set up after a line that is translated.
    pub settings: ToolSettings,
    /// The bytes by which variables and directories made it longer.
    pub spent: usize,
}

/// The longest word that a message has, in characters.
const WORD: usize = 40;

/// Translates a command. The text of the exec form is its words, quoted for a shell.
pub(in crate::frontend) fn translate(command: &Command, surroundings: &Surroundings<'_>) -> Outcome {
    let Surroundings { environment, directory, mounts, settings, .. } = *surroundings;
    let mounts = Mounts::new(mounts);
    let mut line = Line::new(environment, directory, &mounts, settings);
    let (text, done) = match command {
        Command::Shell { shell, text } => (text.clone(), in_shell(&mut line, shell, text, surroundings)),
        Command::Exec(words) => match words.split_last() {
            // A shell and its text: what the text says is the command.
            Some((text, shell)) if program::options(shell).is_some() => {
                (text.clone(), in_shell(&mut line, shell, text, surroundings))
            }
            _ => {
                let text = words.iter().map(|word| quote::text(word)).collect::<Vec<_>>().join(" ");
                let done = refuse(first_word(&text), surroundings).and_then(|()| line.exec(&text));
                (text, done)
            }
        },
        Command::Script { content, .. } => {
            let first = content.lines().next().unwrap_or_default();
            let refusal = Span::new(0, first.len()).refuse("starts a program that reads the text");
            (content.clone(), Err(refusal))
        }
    };
    let done = done.and_then(|()| line.check_installs(&text));
    let spent = line.spent();
    let mut settings = settings.clone();
    let finish = |()| {
        let (translation, after) = line.finish();
        settings = after;
        translation
    };
    let translation = done.map(finish).map_err(|Refusal { span, reason }| {
        let word = text[span.start..span.end].lines().next().unwrap_or_default();
        (span.start, Untranslated { word: word.chars().take(WORD).collect(), reason })
    });
    Outcome { translation, settings, spent }
}

fn in_shell(
    line: &mut Line<'_>,
    shell: &[String],
    text: &str,
    surroundings: &Surroundings<'_>,
) -> Attempt<()> {
    let start = first_word(text);
    refuse(start, surroundings)?;
    let reason = || format!("is read by {}, which is not a known shell", shell.join(" "));
    line.shell(text, program::options(shell).ok_or_else(|| start.refuse(reason()))?)
}

fn first_word(text: &str) -> Span {
    Span::new(0, text.find([' ', '\t', '\n', ';']).unwrap_or(text.len()))
}

/// Refuses a command that runs as another user, or with a mount that may change what it does.
fn refuse(start: Span, surroundings: &Surroundings<'_>) -> Attempt<()> {
    if surroundings
        .user
        .is_some_and(|user| !matches!(user, "0" | "root" | "0:0" | "root:root" | "root:0" | "0:root"))
    {
        return Err(start.refuse("is run by a user other than root"));
    }
    Mounts::new(surroundings.mounts).check(start)
}
