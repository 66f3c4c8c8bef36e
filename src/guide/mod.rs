//! The guide: a page for each task. Its examples are part of the tests.
//!
//! * [First image](first_image): from a clone to an image on disk and in ECR; all commands
//! * [Contents of an image](contents): base, code, ignore rules, zips, `--deps`, `--add`, config
//! * [From a Dockerfile](dockerfile)
//! * [RUN lines that need a process](commands)
//! * [Environments](environments): in which CI and on which machine they run, and other architectures
//! * [Try it before you deploy](invoke): functions on this machine, as Lambda runs them
//! * [Layers and extensions](layers) in `/opt`
//! * [Deploy](deploy), status, and invocations in AWS
//! * [Patch the base](rebase) of images
//! * [With SAM](sam)
//! * [Instead of Docker in your project](docker): what calls `docker` today, and CDK
//! * [In the place of kaniko](kaniko), in GitLab, Tekton and Jenkins
//! * [Python packages](python)
//! * [Node packages](node)
//! * [Destinations, tags and logins](destinations)
//! * [Caches and speed](caches)
//! * [Check, diff and inspect](check)
//! * [Images of other tools](finished), mended
//! * [ECR and AWS credentials](ecr), with IAM policies
//! * [CI recipes](ci), and actions for GitHub
//! * [Other tools](recipes): Terraform, Pulumi and more
//! * [lbuild.toml](config)
//! * [Exit codes and JSON](output)
//! * [Guarantees](guarantees): reproducible images, the order of a push, bounded memory
//! * [lbuild as a library](library)

/// Link targets in rustdoc. Each page ends by defining the same labels as file paths, for readers of the files;
/// the first definition of a label takes precedence: <https://spec.commonmark.org/0.31.2/#example-204>.
macro_rules! links {
    () => {
        "\
[action-push]: #action-to-build-and-push
[action-setup]: #action-to-set-up-lbuild
[apparmor]: #apparmor-profile
[caches]: crate::guide::caches
[check]: crate::guide::check
[check-schema]: #schema-of-lbuild-check---json
[ci]: crate::guide::ci
[codebuild]: #recipe-for-aws-codebuild
[commands]: crate::guide::commands
[config]: crate::guide::config
[contents]: crate::guide::contents
[deploy]: crate::guide::deploy
[destinations]: crate::guide::destinations
[docker]: crate::guide::docker
[dockerfile]: crate::guide::dockerfile
[diff-schema]: #schema-of-lbuild-diff---json
[ecr]: crate::guide::ecr
[environments]: crate::guide::environments
[external]: https://github.com/hashicorp/terraform-provider-external/blob/main/docs/data-sources/external.md
[finished]: crate::guide::finished
[first-image]: crate::guide::first_image
[github-actions]: #recipe-for-github-actions
[gitlab-ci]: #recipe-for-gitlab-ci
[guarantees]: crate::guide::guarantees
[invoke]: crate::guide::invoke
[jenkins]: #recipe-for-jenkins-on-kubernetes
[kaniko]: crate::guide::kaniko
[kaniko-image]: #image-of-lbuild-as-kanikos-executor
[layers]: crate::guide::layers
[library]: crate::guide::library
[node]: crate::guide::node
[output]: crate::guide::output
[python]: crate::guide::python
[rebase]: crate::guide::rebase
[recipes]: crate::guide::recipes
[sam]: crate::guide::sam
[terraform]: #module-for-terraform
"
    };
}

/// A section that shows a file of the repository, because rustdoc cannot link to it.
macro_rules! file {
    ($title:literal, $language:literal, $path:literal) => {
        concat!("\n## ", $title, "\n\n```", $language, "\n", include_str!(concat!("../../", $path)), "```\n")
    };
}

#[doc = links!()]
#[doc = include_str!("first_image.md")]
pub mod first_image {}

#[doc = links!()]
#[doc = include_str!("contents.md")]
pub mod contents {}

#[doc = links!()]
#[doc = include_str!("docker.md")]
pub mod docker {}

#[doc = links!()]
#[doc = include_str!("kaniko.md")]
#[doc = file!("Image of lbuild as kaniko's executor", "dockerfile", "examples/ci/kaniko/Dockerfile")]
pub mod kaniko {}

#[doc = links!()]
#[doc = include_str!("dockerfile.md")]
pub mod dockerfile {}

#[doc = links!()]
#[doc = include_str!("commands.md")]
pub mod commands {}

#[doc = links!()]
#[doc = include_str!("environments.md")]
#[doc = file!("AppArmor profile", "text", "examples/ci/apparmor-lbuild")]
pub mod environments {}

#[doc = links!()]
#[doc = include_str!("python.md")]
pub mod python {}

#[doc = links!()]
#[doc = include_str!("node.md")]
pub mod node {}

#[doc = links!()]
#[doc = include_str!("destinations.md")]
pub mod destinations {}

#[doc = links!()]
#[doc = include_str!("caches.md")]
pub mod caches {}

#[doc = links!()]
#[doc = include_str!("check.md")]
pub mod check {}

#[doc = links!()]
#[doc = include_str!("finished.md")]
pub mod finished {}

#[doc = links!()]
#[doc = include_str!("ecr.md")]
pub mod ecr {}

#[doc = links!()]
#[doc = include_str!("ci.md")]
#[doc = file!("Recipe for GitHub Actions", "yaml", "examples/ci/github-actions.yml")]
#[doc = file!("Recipe for GitLab CI", "yaml", "examples/ci/gitlab-ci.yml")]
#[doc = file!("Recipe for AWS CodeBuild", "yaml", "examples/ci/buildspec.yml")]
#[doc = file!("Recipe for Jenkins on Kubernetes", "groovy", "examples/ci/Jenkinsfile")]
#[doc = file!("Action to set up lbuild", "yaml", "examples/ci/action/setup-lbuild/action.yml")]
#[doc = file!("Action to build and push", "yaml", "examples/ci/action/push/action.yml")]
pub mod ci {}

#[doc = links!()]
#[doc = include_str!("config.md")]
pub mod config {}

#[doc = links!()]
#[doc = include_str!("invoke.md")]
pub mod invoke {}

#[doc = links!()]
#[doc = include_str!("layers.md")]
pub mod layers {}

#[doc = links!()]
#[doc = include_str!("deploy.md")]
pub mod deploy {}

#[doc = links!()]
#[doc = include_str!("rebase.md")]
pub mod rebase {}

#[doc = links!()]
#[doc = include_str!("sam.md")]
pub mod sam {}

#[doc = links!()]
#[doc = include_str!("recipes.md")]
#[doc = file!("Module for Terraform", "hcl", "examples/terraform/main.tf")]
pub mod recipes {}

#[doc = links!()]
#[doc = include_str!("output.md")]
#[doc = file!("Schema of `lbuild check --json`", "json", "testdata/schemas/check.json")]
#[doc = file!("Schema of `lbuild diff --json`", "json", "testdata/schemas/diff.json")]
pub mod output {}

#[doc = links!()]
#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = links!()]
#[doc = include_str!("library.md")]
pub mod library {}
