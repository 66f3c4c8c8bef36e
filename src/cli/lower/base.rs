//! The base of the image.

use lbuild::lambda::runtime_base;
use lbuild::recipe::Base;

use super::config_file::ConfigFile;
use super::date::today;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// The base, and the given name of its runtime or image.
pub fn lower(
    args: &ImageArgs,
    config: &ConfigFile,
    report: &Report,
) -> Result<(Base, Option<String>), Failure> {
    let (runtime, base) = match (&args.runtime, &args.base) {
        (None, None) if config.runtime.is_some() && config.base.is_some() => {
            return Err(Failure::usage("lbuild.toml gives both a runtime and a base", "keep one of them"));
        }
        (None, None) => (config.runtime.as_ref(), config.base.as_ref()),
        flags => (flags.0.as_ref(), flags.1.as_ref()),
    };
    if let Some(runtime) = runtime {
        let base = runtime_base(runtime);
        for (message, hint) in base.warnings(&today()) {
            report.warn(&message, Some(hint));
        }
        return Ok((Base::Registry(base.image.parse()?), Some(runtime.clone())));
    }
    let from_file = args.base.is_none();
    let Some(base) = base else {
        return Err(Failure::usage(
            "no base is given",
            "add --runtime NAME, --base IMAGE or -f DOCKERFILE, or run `lbuild init`",
        ));
    };
    let parsed: Base = base.parse()?;
    // Paths in lbuild.toml are relative to the file.
    Ok((if from_file { parsed.relative_to(&args.path) } else { parsed }, Some(base.clone())))
}
