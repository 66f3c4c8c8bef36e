//! The shell that runs a text, and its options.

use super::super::refusal::{Attempt, Span};

/// What the options of a shell decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShellOptions {
    /// `-e`
    pub errexit: bool,
    /// `-u`
    pub nounset: bool,
}

const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];

/// The options of a known shell that runs a text, from the words before the text.
pub fn options(words: &[String]) -> Option<ShellOptions> {
    let (program, arguments) = words.split_first()?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if !SHELLS.contains(&name) {
        return None;
    }
    let mut options = ShellOptions::default();
    let mut runs_text = false;
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let letters = argument.strip_prefix('-').filter(|letters| !letters.is_empty())?;
        for letter in letters.chars() {
            match letter {
                'c' => runs_text = true,
                'o' => options.by_name(arguments.next()?).then_some(())?,
                letter => options.by_letter(letter).then_some(())?,
            }
        }
    }
    // Debian's dash knew no `pipefail` for long: the line fails there, which is no way to build.
    runs_text.then_some(options)
}

impl ShellOptions {
    fn by_letter(&mut self, letter: char) -> bool {
        match letter {
            'e' => self.errexit = true,
            'u' => self.nounset = true,
            'x' | 'v' => {}
            _ => return false,
        }
        true
    }

    fn by_name(&mut self, name: &str) -> bool {
        match name {
            "errexit" => self.errexit = true,
            "nounset" => self.nounset = true,
            "xtrace" | "verbose" | "pipefail" => {}
            _ => return false,
        }
        true
    }

    /// The arguments of `set`, with their places.
    pub fn set(&mut self, arguments: &[(&str, Span)]) -> Attempt<()> {
        let mut arguments = arguments.iter();
        while let Some((argument, span)) = arguments.next() {
            let unknown = || span.refuse("is an option of the shell that is not translated");
            let letters = argument.strip_prefix('-').filter(|letters| !letters.is_empty());
            for letter in letters.ok_or_else(unknown)?.chars() {
                let known = match letter {
                    'o' => arguments.next().is_some_and(|(name, _)| self.by_name(name)),
                    letter => self.by_letter(letter),
                };
                known.then_some(()).ok_or_else(unknown)?;
            }
        }
        Ok(())
    }
}
