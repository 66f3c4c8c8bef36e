//! The arguments of `terraform`.

use clap::{Args as ClapArgs, Parser};

use super::push::Push;

/// The protocol, for `--help`.
const PROTOCOL: &str = "\
In Terraform:
  data \"external\" \"image\" {
    program = [\"lbuild\", \"terraform\"]
    query   = { path = \"fn\", runtime = \"python3.12\", handler = \"app.handler\", arch = \"arm64\", to = \"REGISTRY/REPO:TAG\" }
  }
Standard input is the query, a JSON object of strings; its keys are path and the flags of `lbuild push` without --:
  a switch has the value true or false
  a flag that may be repeated has its values in lines, or as a JSON array of strings
Standard output is a JSON object of strings: image_uri, digest, repository, tag, size (in bytes, compressed).
Nothing is pushed or created: `lbuild push` with the same flags sends an image of this digest.";

#[derive(ClapArgs)]
#[command(after_help = PROTOCOL)]
pub struct Terraform {
    /// The query that was read from standard input.
    #[arg(skip)]
    pub query: String,
}

/// The push that a query describes.
#[derive(Parser)]
#[command(name = "lbuild push", no_binary_name = true)]
pub struct Query {
    #[command(flatten)]
    pub push: Push,
}
