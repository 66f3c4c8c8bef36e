//! Whether the image may be pushed, before time is spent on its build.

use lbuild::Engine;
use lbuild::image::Reference;

use crate::cli::output::exit::Failure;

/// What fails without the permission, in kaniko's words.
pub const CHECKING: &str = "checking push permissions -- make sure you entered the correct tag name, and that you are \
                            authenticated correctly, and try again";

/// Tries the requests of a push to the repositories of these names.
pub async fn check(engine: &Engine, names: &[Reference]) -> Result<(), Failure> {
    for (number, name) in names.iter().enumerate() {
        let is_same = |other: &Reference| other.repository_name() == name.repository_name();
        if names[..number].iter().any(is_same) {
            continue;
        }
        for probe in engine.probe(name).await {
            probe.result?;
        }
    }
    Ok(())
}
