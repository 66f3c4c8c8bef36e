//! Switches as commands in Go have them.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Command};

/// The command, with switches that may have a value, as in `--load=true`. A later flag replaces an earlier one.
pub fn with_values(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let command = command.args_override_self(true).mut_args(|argument| match argument.get_action() {
        ArgAction::SetTrue => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_value("false")
            .default_missing_value("true")
            .value_parser(BoolishValueParser::new()),
        _ => argument,
    });
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_values))
}
