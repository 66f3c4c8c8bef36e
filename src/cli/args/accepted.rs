//! Flags of another tool's command that are accepted without being served as they are meant there.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The value of a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value {
    Required,
    /// It is a switch, or has a value after `=`.
    Optional,
}

/// The flags of a command, each with what it is about.
pub trait Table {
    type About: Copy + Send + Sync + 'static;
    const FLAGS: &'static [(&'static str, Value, Self::About)];
    /// Their letters.
    const LETTERS: &'static [(&'static str, char)] = &[];
    /// Their heading in the help; `None` if they are not shown there.
    const HEADING: Option<&'static str> = None;
}

/// The given flags of a table.
pub struct Accepted<T: Table> {
    pub given: Vec<(&'static str, T::About)>,
}

impl<T: Table> Args for Accepted<T> {
    fn augment_args(command: Command) -> Command {
        let argument = |(name, value, _): &(&'static str, Value, T::About)| {
            let letter = T::LETTERS.iter().find(|(of, _)| of == name).map(|(_, letter)| *letter);
            let argument = Arg::new(*name).long(*name).short(letter).action(ArgAction::Append);
            let argument = match T::HEADING {
                Some(heading) => argument.help_heading(heading),
                None => argument.hide(true),
            };
            match value {
                Value::Required => argument.num_args(1),
                Value::Optional => {
                    argument.num_args(0..=1).require_equals(true).default_missing_value("true")
                }
            }
        };
        command.args(T::FLAGS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Accepted::<T>::augment_args(command)
    }
}

impl<T: Table> FromArgMatches for Accepted<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Accepted<T>, clap::Error> {
        // `--provenance=false` asks for what lbuild does.
        let is_wish = |name: &str| {
            let mut values = matches.get_many::<String>(name).into_iter().flatten();
            values.any(|value| !matches!(value.as_str(), "false" | "0"))
        };
        let given = T::FLAGS.iter().filter(|(name, ..)| is_wish(name));
        Ok(Accepted { given: given.map(|(name, _, about)| (*name, *about)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Accepted::from_arg_matches(matches)?;
        Ok(())
    }
}
