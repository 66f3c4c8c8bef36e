//! The runtime interface client of a base that has none, as a Dockerfile adds it.

use lbuild::lambda::is_lambda_base;
use lbuild::recipe::Base;

use super::base;
use super::config_file::ConfigFile;
use super::dockerfile::DockerfileText;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// <https://docs.aws.amazon.com/lambda/latest/dg/python-image.html#python-image-clients>: wheels, which need no process.
const PYTHON: &str = "FROM base
WORKDIR /var/task
RUN pip install awslambdaric
ENTRYPOINT [\"python3\", \"-m\", \"awslambdaric\"]
";

/// <https://docs.aws.amazon.com/lambda/latest/dg/nodejs-image.html#nodejs-image-clients>: npm compiles the client, in a stage
/// with the tools that it needs.
const NODEJS: &str = "FROM base AS client
RUN apt-get update && apt-get install --yes --no-install-recommends autoconf automake cmake g++ libtool make python3 unzip
WORKDIR /opt/runtime-client
RUN npm install aws-lambda-ric
FROM base
COPY --from=client /opt/runtime-client /opt/runtime-client
WORKDIR /var/task
ENTRYPOINT [\"node\", \"/opt/runtime-client/node_modules/aws-lambda-ric/bin/index.mjs\"]
";

/// The Dockerfile, if the client is asked for.
pub fn dockerfile(
    args: &ImageArgs,
    config: &ConfigFile,
    report: &Report,
) -> Result<Option<DockerfileText>, Failure> {
    let asked = args.layers.runtime_client.as_ref().or(config.runtime_client.0.as_ref());
    let Some(language) = asked else { return Ok(None) };
    if let Some(key) = contradicted(args, config) {
        let message = format!("{key} is for a Dockerfile, and --runtime-client brings its own");
        return Err(Failure::usage(
            message,
            "write the client into the Dockerfile, or leave one of them out",
        ));
    }
    let (image, name) = base::lower(args, config, report)?;
    let name = name.unwrap_or_default();
    let is_runtime = args.base.is_none() && (args.runtime.is_some() || config.base.is_none());
    if is_runtime || name.contains('/') && is_lambda_base(&name) || name.contains("aws-lambda-") {
        let message =
            format!("--runtime-client is for other bases than AWS's, and {name} has a client already");
        return Err(Failure::usage(message, "leave it out, or give a --base such as python:3.12-slim"));
    }
    let text = match if language.is_empty() { of_base(&image) } else { Some(language.as_str()) } {
        Some("python") => PYTHON,
        Some("nodejs" | "node") => NODEJS,
        Some(other) => {
            let message = format!("lbuild adds no runtime client for `{other}`");
            let hint = "write python or nodejs; for others, add the client in a Dockerfile";
            return Err(Failure::usage(message, hint));
        }
        None => {
            let message = format!("the language of the base {name} is not known");
            return Err(Failure::usage(message, "write --runtime-client=python or --runtime-client=nodejs"));
        }
    };
    Ok(Some(DockerfileText {
        name: "--runtime-client".to_owned(),
        path: None,
        text: text.to_owned(),
        base: Some(image),
    }))
}

/// What of a Dockerfile's, or of the start of the function, is given besides.
fn contradicted(args: &ImageArgs, config: &ConfigFile) -> Option<&'static str> {
    let flags = &args.dockerfile;
    let given = [
        ("--target", flags.target.is_some()),
        ("--build-arg", !flags.build_arg.is_empty()),
        ("--build-context", !flags.build_context.is_empty()),
        ("the `dockerfile` of lbuild.toml", config.dockerfile.is_some()),
        ("the `target` of lbuild.toml", config.target.is_some()),
        ("the `build-context` of lbuild.toml", !config.build_context.is_empty()),
        ("the `entrypoint` of lbuild.toml", config.entrypoint.is_some()),
    ];
    given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
}

/// The language of an official image of Docker, by the name of its repository.
fn of_base(base: &Base) -> Option<&'static str> {
    let Base::Registry(reference) = base else { return None };
    match reference.repository().rsplit('/').next()? {
        "python" => Some("python"),
        "node" => Some("nodejs"),
        _ => None,
    }
}
