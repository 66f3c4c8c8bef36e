//! How to reach registries.

use clap::Args as ClapArgs;

/// How to reach registries.
#[derive(ClapArgs)]
pub struct Registry {
    /// The user to log in as; without it, Docker's stored logins count
    #[arg(long, requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// What standard input held.
    #[arg(skip)]
    pub password: Option<lbuild::Secret>,
    /// Speak plain HTTP to this registry (HOST[:PORT]); may be repeated
    #[arg(long, value_name = "REGISTRY")]
    pub insecure: Vec<String>,
}
