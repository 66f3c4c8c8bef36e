//! The arguments as typed. Doc comments of fields are help texts.

pub mod accepted;
pub mod base;
pub mod cache;
#[cfg(feature = "aws")]
pub mod cdk;
#[cfg(feature = "check")]
pub mod check;
pub mod dockerfile;
#[cfg(feature = "aws")]
pub mod ecr;
pub mod fault;
#[cfg(feature = "aws")]
pub mod function;
pub mod image;
pub mod init;
pub mod inspect;
#[cfg(target_os = "linux")]
pub mod invoke;
pub mod layer;
pub mod output;
pub mod push;
pub mod registry;
pub mod sam;
pub mod switches;
pub mod terraform;
pub mod with;

use clap::{Parser, Subcommand};

use self::cache::CacheCommand;
#[cfg(feature = "check")]
use self::check::{Check, Rules};
use self::image::ImageArgs;
use self::init::Init;
use self::inspect::{Diff, Inspect};
#[cfg(target_os = "linux")]
use self::invoke::{Invoke, Run};
use self::output::Output;
use self::push::{Plan, Push};
use self::registry::Registry;
use self::sam::Sam;
use crate::cli::output::exit;

/// Turn a source directory into an AWS Lambda image and push it: no Docker, no daemon, no root
#[derive(Parser)]
#[command(version, propagate_version = true, after_help = exit::CODES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write lbuild.toml for the function in a directory
    Init(Init),
    /// Build an image and push it
    Push(Push),
    /// Build an image into an OCI layout, or into the destinations of --to
    Build(Push),
    /// Print the recipe with every base pinned by digest, without building
    Plan(Plan),
    /// Show an image: platform, config, layers, history
    Inspect(Inspect),
    /// Show why two images differ, and the layers that a push of the second would send
    Diff(Diff),
    /// Find faults for which Lambda would refuse an image or fail to run it
    #[cfg(feature = "check")]
    Check(Check),
    /// Explain the rules of `lbuild check`, or one of them
    #[cfg(feature = "check")]
    Rules(Rules),
    /// Invoke a function on this machine, as Lambda would
    #[cfg(target_os = "linux")]
    Invoke(Box<Invoke>),
    /// Serve a function on this machine, under the URL of Lambda's emulator or as a function URL
    #[cfg(target_os = "linux")]
    Run(Box<Run>),
    /// Make a Lambda function run an image, and wait until it does
    #[cfg(feature = "aws")]
    Deploy(Box<function::Deploy>),
    /// Show the state of a Lambda function, and of its image
    #[cfg(feature = "aws")]
    Status(function::Status),
    /// Find the faults that would stop a push, without sending anything
    #[cfg(feature = "aws")]
    Doctor(ecr::Doctor),
    /// Create an ECR repository, or change its policy
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Repo(ecr::Repo),
    /// Print the password of an ECR registry
    #[cfg(feature = "aws")]
    Login(ecr::Login),
    /// Act as Docker's credential helper, so that other tools can log in to ECR
    #[cfg(feature = "aws")]
    CredentialHelper(ecr::CredentialHelper),
    /// Build the images of a SAM or CloudFormation template, without a container engine
    #[command(subcommand)]
    Sam(Sam),
    /// Run a command that finds lbuild as docker: `lbuild with -- cdk deploy`
    With(with::With),
    /// Make the links by which tools find lbuild as docker
    #[command(subcommand)]
    Shim(with::Shim),
    /// Do what docker would: build, tag, push, inspect, images, load, save, login and more
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Docker(with::ToolWords),
    /// Do what kaniko's executor does, with its flags
    #[command(disable_help_flag = true, disable_version_flag = true)]
    Kaniko(with::ToolWords),
    /// Publish the images of an AWS CDK app, without a container engine
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Cdk(cdk::Cdk),
    /// Answer Terraform's external data source: the image of a push, by digest, before it is pushed
    Terraform(terraform::Terraform),
    /// Put an image's own layers onto a newer base, without building it
    Rebase(base::Rebase),
    /// Look at the bases of images
    #[command(subcommand)]
    Base(base::BaseCommand),
    /// Push a Lambda layer as an image, or list layers
    #[command(subcommand)]
    Layer(layer::Layer),
    /// Show or clean the local cache
    #[command(subcommand)]
    Cache(CacheCommand),
}

impl Command {
    /// The command's description of an image to build, if it has one.
    pub fn image(&mut self) -> Option<&mut ImageArgs> {
        match self {
            Command::Push(args) | Command::Build(args) => Some(&mut args.image),
            Command::Plan(args) => Some(&mut args.image),
            #[cfg(target_os = "linux")]
            Command::Invoke(args) => Some(&mut args.image.args),
            #[cfg(target_os = "linux")]
            Command::Run(args) => Some(&mut args.image.args),
            #[cfg(feature = "check")]
            Command::Check(args) => Some(&mut args.image),
            #[cfg(feature = "aws")]
            Command::Doctor(args) => Some(&mut args.image),
            #[cfg(feature = "aws")]
            Command::Deploy(args) => Some(&mut args.push.image),
            _ => None,
        }
    }

    /// The command's registry arguments, if it has any.
    pub fn registry(&mut self) -> Option<&mut Registry> {
        match self {
            Command::Push(args) | Command::Build(args) => Some(&mut args.registry),
            Command::Plan(args) => Some(&mut args.registry),
            #[cfg(target_os = "linux")]
            Command::Invoke(args) => Some(&mut args.registry),
            #[cfg(target_os = "linux")]
            Command::Run(args) => Some(&mut args.registry),
            Command::Inspect(args) => Some(&mut args.registry),
            Command::Diff(args) => Some(&mut args.registry),
            #[cfg(feature = "check")]
            Command::Check(args) => Some(&mut args.registry),
            #[cfg(feature = "check")]
            Command::Rules(_) => None,
            #[cfg(feature = "aws")]
            Command::Doctor(args) => Some(&mut args.registry),
            #[cfg(feature = "aws")]
            Command::Deploy(args) => Some(&mut args.push.registry),
            #[cfg(feature = "aws")]
            Command::Status(args) => Some(&mut args.registry),
            #[cfg(feature = "aws")]
            Command::Repo(_) | Command::Login(_) | Command::CredentialHelper(_) => None,
            Command::Sam(args) => Some(args.registry()),
            #[cfg(feature = "aws")]
            Command::Cdk(cdk::Cdk::Publish(args)) => Some(&mut args.registry),
            Command::Rebase(args) => Some(&mut args.registry),
            Command::Base(base::BaseCommand::Check(args)) => Some(&mut args.registry),
            Command::Layer(layer::Layer::Push(args)) => Some(&mut args.registry),
            #[cfg(feature = "aws")]
            Command::Layer(layer::Layer::List(_)) => None,
            Command::Init(_)
            | Command::Cache(_)
            | Command::With(_)
            | Command::Shim(_)
            | Command::Terraform(_)
            | Command::Docker(_)
            | Command::Kaniko(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
