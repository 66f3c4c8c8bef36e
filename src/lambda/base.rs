//! Recognises Lambda's own base images, by name and by config.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#runtimes-images-lp>

use crate::image::Config;

/// The entry script of AWS's base images.
pub const ENTRY_SCRIPT: &str = "/lambda-entrypoint.sh";

/// The runtimes that AWS has base images for.
const RUNTIMES: [&str; 6] = ["python", "nodejs", "java", "dotnet", "ruby", "provided"];

/// The name of the base that has no files.
const SCRATCH: &str = "scratch";

/// Whether this is the name of one of Lambda's own bases: a runtime (`python3.12`), or an image in a namespace
/// `lambda`, such as AWS's bases and copies of them (`public.ecr.aws/lambda/python:3.12`).
pub fn is_lambda_base(name: &str) -> bool {
    is_runtime(name) || name.contains("/lambda/")
}

/// Whether this is the name of one of AWS's bases in AWS's own registry, which hold no function.
pub fn is_aws_base(name: &str) -> bool {
    is_runtime(name) || name.starts_with("public.ecr.aws/lambda/")
}

/// Whether this is the name of one of Lambda's own bases or contains `lambda`: `r.example/my-lambda-python:3.12` is
/// probably built on one.
pub fn is_named_after_lambda(name: &str) -> bool {
    is_runtime(name) || name.contains("lambda")
}

/// Whether this is the name of a runtime rather than of an image.
fn is_runtime(name: &str) -> bool {
    !name.contains(['/', ':']) && name != SCRATCH
}

/// The runtime (`python`, `nodejs`, `java`, `dotnet`, `ruby`, `provided`) of a base image: the name of its repository,
/// on Docker Hub without the prefix `aws-lambda-`.
pub fn runtime_of_base(name: &str) -> Option<&'static str> {
    let repository = name.rsplit('/').next()?.split([':', '@']).next()?;
    let repository = repository.strip_prefix("aws-lambda-").unwrap_or(repository);
    RUNTIMES.into_iter().find(|runtime| *runtime == repository)
}

/// Whether the config is that of an image built on one of Lambda's bases: the image starts with their entry script and
/// has the variable that they set. The script alone is not enough: other images have a script of the same name.
pub fn starts_with_entry_script(config: &Config) -> bool {
    config.entrypoint().first() == Some(&ENTRY_SCRIPT) && config.var("LAMBDA_RUNTIME_DIR").is_some()
}

/// Whether the config is that of an image for Lambda: it is built on one of Lambda's bases, or starts a runtime interface
/// client.
pub fn is_for_lambda(config: &Config) -> bool {
    /// The modules and programs of the clients for Python, Node, Java, Ruby and .NET.
    const CLIENTS: [&str; 5] = [
        "awslambdaric",
        "aws-lambda-ric",
        "com.amazonaws.services.lambda",
        "aws_lambda_ric",
        "Amazon.Lambda",
    ];
    let starts = config.entrypoint().into_iter().chain(config.cmd());
    starts_with_entry_script(config)
        || config.var("LAMBDA_TASK_ROOT").is_some()
        || config.label("org.opencontainers.image.base.name").is_some_and(is_lambda_base)
        || starts.into_iter().any(|word| CLIENTS.iter().any(|client| word.contains(client)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_recognised_by_its_name() {
        for (name, is_lambda, is_named_after, runtime) in [
            ("python3.12", true, true, None),
            ("public.ecr.aws/lambda/python:3.12", true, true, Some("python")),
            ("r.example/lambda/nodejs@sha256:00", true, true, Some("nodejs")),
            ("amazon/aws-lambda-java:21", false, true, Some("java")),
            ("r.example/my-lambda-python:3.12", false, true, None),
            ("r.example/python:3.12-slim", false, false, Some("python")),
            ("scratch", false, false, None),
        ] {
            assert_eq!(is_lambda_base(name), is_lambda, "{name}");
            assert_eq!(is_named_after_lambda(name), is_named_after, "{name}");
            assert_eq!(is_aws_base(name), is_lambda && !name.starts_with("r.example"), "{name}");
            assert_eq!(runtime_of_base(name), runtime, "{name}");
        }
    }
}
