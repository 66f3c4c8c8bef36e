//! Flags of `docker build` that are accepted and change nothing, and those that would change what commands see.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What a flag is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What lbuild does anyway, and how the output looks.
    Nothing,
    /// Something that only a daemon has: nothing is lost.
    Daemon,
    /// Attestations, which Lambda refuses.
    Attestations,
    /// Commands, whose result it may change.
    Commands,
}

/// The value of a flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Required,
    /// It is a switch, or has a value after `=`.
    Optional,
}

use About::{Attestations, Commands, Daemon, Nothing};
use Value::{Optional, Required};

const FLAGS: [(&str, Value, About); 25] = [
    ("rm", Optional, Nothing),
    ("force-rm", Optional, Nothing),
    ("progress", Required, Nothing),
    ("builder", Required, Daemon),
    ("compress", Optional, Daemon),
    ("cache-to", Required, Daemon),
    ("disable-content-trust", Optional, Daemon),
    ("allow", Required, Daemon),
    ("provenance", Optional, Attestations),
    ("sbom", Optional, Attestations),
    ("attest", Required, Attestations),
    ("annotation", Required, Attestations),
    ("add-host", Required, Commands),
    ("shm-size", Required, Commands),
    ("ulimit", Required, Commands),
    ("cgroup-parent", Required, Commands),
    ("memory", Required, Commands),
    ("memory-swap", Required, Commands),
    ("cpu-period", Required, Commands),
    ("cpu-quota", Required, Commands),
    ("cpu-shares", Required, Commands),
    ("cpuset-cpus", Required, Commands),
    ("cpuset-mems", Required, Commands),
    ("security-opt", Required, Commands),
    ("isolation", Required, Commands),
];

/// The given flags of [`FLAGS`].
#[derive(Default)]
pub struct WithoutMeaning {
    pub given: Vec<(&'static str, About)>,
}

impl Args for WithoutMeaning {
    fn augment_args(command: Command) -> Command {
        let argument = |(name, value, _): &(&'static str, Value, About)| {
            let argument = Arg::new(*name).long(*name).action(ArgAction::Append).hide(true);
            match value {
                Required => argument.num_args(1),
                Optional => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            }
        };
        let short = Arg::new("memory-short").short('m').action(ArgAction::Append).num_args(1).hide(true);
        command.args(FLAGS.iter().map(argument)).arg(short)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WithoutMeaning::augment_args(command)
    }
}

impl FromArgMatches for WithoutMeaning {
    fn from_arg_matches(matches: &ArgMatches) -> Result<WithoutMeaning, clap::Error> {
        // `--provenance=false` asks for what lbuild does.
        let is_wish = |name: &&str| {
            let values = matches.get_many::<String>(name).into_iter().flatten();
            values.into_iter().any(|value| !matches!(value.as_str(), "false" | "0"))
        };
        let given = FLAGS.iter().filter(|(name, ..)| is_wish(name));
        let mut given: Vec<_> = given.map(|(name, _, about)| (*name, *about)).collect();
        given.extend(matches.contains_id("memory-short").then_some(("memory", Commands)));
        Ok(WithoutMeaning { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = WithoutMeaning::from_arg_matches(matches)?;
        Ok(())
    }
}
