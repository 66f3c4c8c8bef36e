//! The architecture of the image.

use lbuild::image::Arch;

use super::config_file::ConfigFile;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The architecture from the flags, else from lbuild.toml.
pub fn lower(args: &ImageArgs, config: &ConfigFile) -> Result<Arch, Failure> {
    match (given(args)?, &config.arch) {
        (Some(arch), _) => Ok(arch),
        (None, Some(name)) => Ok(name.parse()?),
        (None, None) => Err(Failure::usage("no architecture is given", "add --arch arm64 or --arch amd64")),
    }
}

/// The architecture of `--arch` or `--platform`.
pub fn given(args: &ImageArgs) -> Result<Option<Arch>, Failure> {
    match &args.platform[..] {
        [] => Ok(args.arch),
        several => of_platform(&several.join(",")).map(Some),
    }
}

/// The architecture of this machine, for a tool's call without this flag.
pub fn of_machine(flag: &str, report: &Report) -> Result<Arch, Failure> {
    let arch: Arch = std::env::consts::ARCH.parse()?;
    report.note(&format!("no {flag} is given: building for this machine's, linux/{arch}"));
    Ok(arch)
}

/// The architecture of a platform, in the forms that `docker build --platform` takes.
///
/// An image for Lambda has one architecture:
/// <https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#images-reqs>
pub fn of_platform(text: &str) -> Result<Arch, Failure> {
    if text.contains(',') {
        return Err(Failure::usage(
            format!(
                "--platform names several platforms, `{text}`, but Lambda takes one architecture per image"
            ),
            "build an image for each, under a tag of its own: --platform linux/amd64, then --platform linux/arm64",
        ));
    }
    let lower = text.trim().to_ascii_lowercase();
    let refused =
        |message: String| Failure::usage(message, "write linux/arm64 or linux/amd64, or use --arch");
    if lower.split_once('/').is_some_and(|(os, _)| os != "linux") {
        return Err(refused(format!("Lambda runs images for Linux, not for the platform `{text}`")));
    }
    // The baselines of the two architectures have the variants v8 and v1.
    let name = lower.strip_prefix("linux/").unwrap_or(&lower);
    let (name, variant) = name.split_once('/').map_or((name, None), |(name, variant)| (name, Some(variant)));
    let arch = name.parse::<Arch>().ok();
    match (arch, variant) {
        (Some(arch), None) => Ok(arch),
        (Some(arch @ Arch::Arm64), Some("v8" | "8")) | (Some(arch @ Arch::Amd64), Some("v1" | "1")) => {
            Ok(arch)
        }
        (Some(arch), Some(variant)) => Err(refused(format!(
            "--platform has the variant `{variant}`, but an image for Lambda is for any machine of {arch}"
        ))),
        (None, _) => Err(refused(format!("Lambda does not run the platform `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_one_of_lambdas_architectures() {
        for (text, arch) in [
            ("linux/arm64", Arch::Arm64),
            ("linux/aarch64", Arch::Arm64),
            ("linux/arm64/v8", Arch::Arm64),
            ("arm64", Arch::Arm64),
            ("LINUX/AMD64", Arch::Amd64),
            ("linux/amd64/v1", Arch::Amd64),
            ("linux/x86_64", Arch::Amd64),
        ] {
            assert_eq!(of_platform(text).ok(), Some(arch), "{text}");
        }
        for (text, message) in [
            ("linux/amd64,linux/arm64", "one architecture per image"),
            ("windows/amd64", "images for Linux"),
            ("linux/amd64/v3", "the variant `v3`"),
            ("linux/arm/v7", "does not run"),
            ("linux", "does not run"),
            ("linux/", "does not run"),
            ("", "does not run"),
        ] {
            let failure = of_platform(text).unwrap_err();
            assert!(failure.to_string().contains(message), "{text}: {failure}");
            assert!(failure.hint().is_some(), "{text}");
        }
    }
}
