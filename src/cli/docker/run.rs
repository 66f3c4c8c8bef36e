//! The calls of `docker run` that need no container.

use serde_json::{Value, json};

use super::{bundling, refused};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// The image by which tools install emulators: <https://github.com/tonistiigi/binfmt>. lbuild uses those of the machine.
const BINFMT: &str = "tonistiigi/binfmt";

/// Whether a name is that of the image which installs emulators.
pub fn is_binfmt(name: &str) -> bool {
    let name = name.split(['@', ':']).next().unwrap_or_default();
    name.trim_start_matches("docker.io/") == BINFMT
}

/// What `docker inspect` prints of it.
pub fn binfmt(name: &str) -> Value {
    let (architecture, _) = machine();
    json!({ "Id": "", "RepoTags": [name], "RepoDigests": [], "Architecture": architecture, "Os": "linux" })
}

/// Answers a known call; refuses any other.
pub async fn run(words: &[String], context: &Context) -> Result<(), Failure> {
    if let Some(recorded) = bundling::image_of(words).and_then(bundling::recorded) {
        return bundling::run(words, &recorded, context).await;
    }
    let Some(at) = words.iter().position(|word| is_binfmt(word)) else {
        let message = "lbuild does not serve `docker run`, but for the emulators of tonistiigi/binfmt and CDK's Python functions";
        return Err(refused::asked(message, "`lbuild invoke` and `lbuild run` run a function's image"));
    };
    match words[at + 1..].first().map(String::as_str) {
        Some("--version") => print("binfmt/lbuild"),
        _ => {
            let (architecture, other) = machine();
            let supported = [format!("linux/{architecture}"), format!("linux/{other}")];
            print(&format!("{:#}", json!({ "supported": supported, "emulators": [] })))
        }
    }
}

/// The architecture of this machine, and the other one of Lambda.
fn machine() -> (&'static str, &'static str) {
    if cfg!(target_arch = "aarch64") { ("arm64", "amd64") } else { ("amd64", "arm64") }
}
