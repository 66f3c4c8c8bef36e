//! `docker pull`: an image of a registry gets its name in the local store. Its layers stay where they are.

use lbuild::image::{Arch, Platform, Reference};
use lbuild::recipe::Base;

use super::args::Pull;
use super::names::familiar;
use super::run::is_binfmt;
use super::{build, engine};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

pub async fn run(args: &Pull, context: &Context) -> Result<(), Failure> {
    let name: Reference = args.name.parse()?;
    if is_binfmt(&args.name) {
        context.report.note("lbuild finds the emulator by itself: nothing is pulled");
        return Ok(());
    }
    let arch: Arch = build::platform::chosen(args.platform.as_slice(), &context.report)?;
    let engine = engine(context)?;
    let image = engine.stored(&Base::Registry(name.clone()), &Platform::linux(arch)).await?;
    engine.images().put(&image, std::slice::from_ref(&name))?;
    if args.quiet {
        return print(&familiar(&name));
    }
    print(&format!("{}: Pulling from {}", name.tag().unwrap_or_default(), name.repository()))?;
    print(&format!("Status: its layers stay in the registry until they are needed\n{}", familiar(&name)))
}
