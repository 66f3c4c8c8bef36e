//! The arguments of `sam`, named as those of SAM's own commands.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::dockerfile::CommandArgs;
use super::push::CachingArgs;
#[cfg(feature = "check")]
use super::push::CheckArgs;
use super::registry::Registry;

#[derive(Subcommand)]
pub enum Sam {
    /// Build and push the images of a template's functions, and write .aws-sam/build/template.yaml
    ///
    /// `sam deploy` takes that template next. Without a repository, the images are built into OCI layouts below the build
    /// directory, and no template is written.
    Build(Build),
    /// Build and push the images of a template's functions, and write the template with their names
    ///
    /// `sam deploy` and CloudFormation take the template. Everything but the images stays as it is.
    Package(Package),
}

impl Sam {
    pub fn registry(&mut self) -> &mut Registry {
        match self {
            Sam::Build(args) => &mut args.sam.registry,
            Sam::Package(args) => &mut args.sam.registry,
        }
    }
}

/// The arguments of both commands.
#[derive(ClapArgs)]
pub struct SamArgs {
    /// Build only the images of these functions, by logical id [default: all]
    #[arg(value_name = "FUNCTION")]
    pub functions: Vec<String>,
    /// Read this template [default: template.yaml, template.yml or template.json]
    #[arg(short, long, visible_alias = "template-file", value_name = "FILE", help_heading = "Template")]
    pub template: Option<PathBuf>,
    /// Set parameters: NAME=VALUE, or ParameterKey=NAME,ParameterValue=VALUE
    #[arg(long, value_name = "NAME=VALUE", num_args = 1.., help_heading = "Template")]
    pub parameter_overrides: Vec<String>,
    /// Read paths of the template relative to this directory [default: the template's]
    #[arg(short = 's', long, value_name = "DIR", help_heading = "Template")]
    pub base_dir: Option<PathBuf>,
    /// Set the name of the stack, for AWS::StackName and --resolve-image-repos
    #[arg(long, value_name = "NAME", help_heading = "Template")]
    pub stack_name: Option<String>,
    /// Set the Region, for AWS::Region and ECR [default: that of AWS's settings]
    #[arg(long, help_heading = "Template")]
    pub region: Option<String>,
    /// Read SAM's settings from this file [default: samconfig.toml, .yaml or .yml beside the template]
    #[arg(long, value_name = "FILE", help_heading = "Template")]
    pub config_file: Option<PathBuf>,
    /// Use this environment of SAM's settings [default: default]
    #[arg(long, value_name = "NAME", help_heading = "Template")]
    pub config_env: Option<String>,
    /// Push all images to this repository
    #[arg(long, value_name = "URI", help_heading = "Destination")]
    pub image_repository: Option<String>,
    /// Push the image of a function to this repository (repeatable)
    #[arg(long, value_name = "FUNCTION=URI", help_heading = "Destination")]
    pub image_repositories: Vec<String>,
    /// Push to repositories named after stack and function, and create them if they are missing
    #[cfg(feature = "aws")]
    #[arg(long, conflicts_with_all = ["image_repository", "image_repositories"], help_heading = "Destination")]
    pub resolve_image_repos: bool,
    /// Use a directory or image for NAME in FROM, COPY --from and mounts (repeatable)
    #[arg(long, value_name = "NAME=DIR|IMAGE", help_heading = "Dockerfile")]
    pub build_context: Vec<String>,
    #[command(flatten)]
    pub commands: CommandArgs,
    #[command(flatten)]
    pub registry: Registry,
    #[command(flatten)]
    pub caching: CachingArgs,
    /// Take layers of earlier runs; lbuild always does
    #[arg(short, long, help_heading = "Cache")]
    pub cached: bool,
    #[cfg(feature = "check")]
    #[command(flatten)]
    pub check: CheckArgs,
}

#[derive(ClapArgs)]
pub struct Build {
    #[command(flatten)]
    pub sam: SamArgs,
    /// Write the template into this directory [default: .aws-sam/build]
    #[arg(short, long, value_name = "DIR", help_heading = "Output")]
    pub build_dir: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub struct Package {
    #[command(flatten)]
    pub sam: SamArgs,
    /// Keep the keys of the build in Metadata, and add SkipBuild: true, with which `sam build` leaves the function alone
    #[arg(long, help_heading = "Template")]
    pub keep_metadata: bool,
    /// Write the template to this file [default: standard output]
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output_template_file: Option<PathBuf>,
}
