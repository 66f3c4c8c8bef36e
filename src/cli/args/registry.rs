//! Access to registries.

use clap::Args as ClapArgs;

/// Access to registries.
#[derive(ClapArgs, Default)]
#[command(next_help_heading = "Credentials")]
pub struct Registry {
    /// Log in as this user [default: stored credentials]
    #[arg(long, requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// The password that was read from standard input.
    #[arg(skip)]
    pub password: Option<lbuild::Secret>,
    /// Use plain HTTP for this registry (repeatable)
    #[arg(long, value_name = "HOST[:PORT]")]
    pub insecure: Vec<String>,
}
