//! Arguments that do not parse, in the words of commands in Go.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The fault of the arguments.
pub enum Fault {
    Unknown(String),
    Unexpected(String),
    Missing(String),
    Other(String),
}

impl Fault {
    /// The fault of arguments; `None` for a help text.
    pub fn of(error: &clap::Error) -> Option<Fault> {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
            _ => None,
        };
        let argument = context(ContextKind::InvalidArg).map(str::to_owned);
        Some(match (error.kind(), argument) {
            (
                ErrorKind::DisplayHelp
                | ErrorKind::DisplayVersion
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
                _,
            ) => return None,
            (ErrorKind::UnknownArgument, flag) => {
                let flag = flag.unwrap_or_default();
                if flag.starts_with('-') { Fault::Unknown(flag) } else { Fault::Unexpected(flag) }
            }
            (ErrorKind::MissingRequiredArgument, Some(argument)) => Fault::Missing(argument),
            // The rest of the message repeats the usage.
            _ => {
                let text = error.render().to_string();
                let first = text.lines().next().unwrap_or_default();
                Fault::Other(first.trim_start_matches("error: ").to_owned())
            }
        })
    }

    pub fn message(&self) -> String {
        match self {
            Fault::Unknown(flag) => format!("unknown flag: {flag}"),
            Fault::Unexpected(word) => format!("unexpected argument: {word}"),
            Fault::Missing(argument) => format!("{argument} is missing"),
            Fault::Other(message) => message.clone(),
        }
    }
}
