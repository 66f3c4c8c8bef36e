//! `lbuild sam build` and `lbuild sam package`.

mod images;
mod template;

use std::path::{Path, PathBuf};

use lbuild::frontend::sam::BuildKeys;

use self::images::BuiltImage;
use self::template::Output;
use crate::cli::args::sam::{Build, Package, Sam};
use crate::cli::context::Context;
use crate::cli::lower::sam::Project;
use crate::cli::output::exit::Failure;
use crate::cli::output::report;

/// The directory of `sam build`, in the working directory.
const BUILD_DIR: &str = ".aws-sam/build";

pub async fn run(command: Sam, context: &mut Context) -> Result<(), Failure> {
    match command {
        Sam::Build(args) => build(args, context).await,
        Sam::Package(args) => package(args, context).await,
    }
}

/// Builds the images. They are pushed if their repositories are known; then the template is written, too.
async fn build(args: Build, context: &mut Context) -> Result<(), Failure> {
    let Build { sam: args, build_dir } = args;
    let project = Project::load(&args, &["build", "package", "deploy"], context).await?;
    let dir = build_dir.unwrap_or_else(|| PathBuf::from(BUILD_DIR));
    let known =
        project.functions.iter().filter(|function| project.repositories.get(function).is_some()).count();
    if known == 0 && !project.repositories.by_stack {
        let built = images::build(&args, &project, Some(&dir), context).await?;
        let message = "no repository is given: the images are on this disk, and no template is written";
        let hint = "add --image-repository URI, or run `lbuild sam package`";
        context.report.warn(message, Some(hint));
        return print(&built);
    }
    // As in the template of `sam build`, the keys stay: `sam deploy` may ask for them.
    let output = Output {
        path: Some(dir.join("template.yaml")),
        build_keys: BuildKeys::Keep,
        has_base_dir: args.base_dir.is_some(),
    };
    output.check(&project)?;
    let built = images::build(&args, &project, None, context).await?;
    output.write(&project, &built)?;
    print(&built)
}

/// Builds and pushes the images, and writes the template.
async fn package(args: Package, context: &mut Context) -> Result<(), Failure> {
    let Package { sam: args, keep_metadata, output_template_file } = args;
    let project = Project::load(&args, &["package", "deploy"], context).await?;
    let path = match output_template_file {
        Some(path) => Some(path),
        None => project.settings.text("output_template_file")?.map(PathBuf::from),
    };
    let build_keys = if keep_metadata { BuildKeys::Keep } else { BuildKeys::Remove };
    let output = Output { path, build_keys, has_base_dir: args.base_dir.is_some() };
    output.check(&project)?;
    warn_about(&project, output.build_keys, context);
    let built = images::build(&args, &project, None, context).await?;
    output.write(&project, &built)?;
    match output.path {
        Some(_) => print(&built),
        None => Ok(()),
    }
}

/// Warns of what the next command of SAM will refuse, or leave as it is.
fn warn_about(project: &Project, build_keys: BuildKeys, context: &Context) {
    if let (Some(file), BuildKeys::Remove) = (project.settings.deploys_by_function(), build_keys) {
        let message = format!(
            "`sam deploy` refuses image_repositories of {file} for functions without a DockerContext in their Metadata"
        );
        let hint = "add --keep-metadata, or run `sam deploy` with --image-repository URI";
        context.report.warn(&message, Some(hint));
    }
    let dir = project.path.parent().unwrap_or(Path::new(""));
    for (id, path) in project.template.nested_stacks() {
        let nested = dir.join(&path);
        let text = std::fs::read_to_string(&nested).unwrap_or_default();
        if text.contains("Dockerfile") || text.contains("lbuild:") {
            let message = format!(
                "the nested stack {id} has a template of its own, {}, which stays as it is",
                nested.display()
            );
            let hint = format!(
                "package it first: lbuild sam package --template {} --output-template-file …",
                nested.display()
            );
            context.report.warn(&message, Some(&hint));
        }
    }
}

/// Prints the names of the images.
fn print(built: &[BuiltImage]) -> Result<(), Failure> {
    let mut names: Vec<&str> = built.iter().map(|image| &*image.uri).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().try_for_each(report::print)
}
