//! What is not served, and the way out.

use std::ffi::OsString;

use crate::cli::args::fault::Fault;
use crate::cli::output::exit::Failure;

/// The exit code of `docker` for what it does not know.
const UNKNOWN: u8 = 125;

/// The way out for verbs that need containers, volumes or a daemon.
const INSTEAD: [(&[&str], &str); 9] = [
    (
        &["compose", "stack", "swarm", "service"],
        "lbuild builds and pushes images; run services with another engine",
    ),
    (&["bake", "buildx bake"], "build each target with `docker build`"),
    (
        &["exec", "attach", "logs", "start", "stop", "kill", "wait", "top", "stats", "ps", "restart"],
        "`lbuild invoke` and `lbuild run` run a function's image",
    ),
    (
        &["create", "cp", "rm", "container", "commit", "export", "import"],
        "`lbuild inspect --tree local:NAME` lists an image's files; COPY --from takes files out of it",
    ),
    (
        &["image prune", "builder prune", "buildx prune", "buildx du"],
        "use `lbuild cache prune`, and `lbuild cache info`",
    ),
    (
        &["volume", "network", "plugin", "system", "node", "secret", "config"],
        "there is no daemon that would have them",
    ),
    (
        &["buildx imagetools", "manifest"],
        "an image for Lambda has one platform: push it under a tag of its own",
    ),
    (&["search", "scout", "sbom", "trust"], "use another engine for it"),
    (&["history"], "use `lbuild inspect --history local:NAME`"),
];

/// The failure for a verb that is not served, below `above`.
pub fn verb(above: &str, words: &[OsString]) -> Failure {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let name = words.first().cloned().unwrap_or_default();
    let full = if above.is_empty() { name.clone() } else { format!("{above} {name}") };
    let hint = INSTEAD.iter().find(|(verbs, _)| verbs.contains(&full.as_str())).map(|(_, hint)| *hint);
    let hint = hint.unwrap_or("`lbuild docker --help` lists what it serves");
    Failure::docker(UNKNOWN, format!("lbuild does not serve `docker {full}`"), hint)
}

/// The failure of something that is known, but not served as it is asked for.
pub fn asked(message: impl Into<String>, hint: &'static str) -> Failure {
    Failure::docker(UNKNOWN, message, hint)
}

/// The failure of arguments that do not parse; `None` for a help text.
pub fn of_arguments(error: &clap::Error) -> Option<Failure> {
    let fault = Fault::of(error)?;
    let code = match fault {
        Fault::Unknown(_) | Fault::Other(_) => UNKNOWN,
        Fault::Unexpected(_) | Fault::Missing(_) => 1,
    };
    Some(Failure::docker(code, fault.message(), "`lbuild docker VERB --help` lists the flags"))
}
