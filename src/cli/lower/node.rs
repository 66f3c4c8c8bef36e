//! Node packages.

use lbuild::recipe::Npm;
use lbuild::text;

use super::config_file::ConfigFile;
use crate::cli::args::image::ImageArgs;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::Report;

/// npm's lock files, in npm's order of preference.
pub const NPM_LOCKS: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];

/// The lock files of the other package managers.
const OTHER_LOCKS: [&str; 2] = ["pnpm-lock.yaml", "yarn.lock"];

/// The function's Node packages, if the arguments request them. Warns of a lock file that is not used.
pub fn packages(args: &ImageArgs, config: &ConfigFile, report: &Report) -> Result<Option<Npm>, Failure> {
    let requested = requested(args, config)?;
    if requested.is_none() {
        warn_unused(args, config, report);
    }
    Ok(requested)
}

/// The Node packages that the arguments request.
pub fn requested(args: &ImageArgs, config: &ConfigFile) -> Result<Option<Npm>, Failure> {
    let dir = &config.code(&args.path);
    let scripts = args.node.npm_scripts || config.npm_scripts;
    if args.node.npm || config.npm {
        return match dir.is_dir() {
            true => Ok(Some(Npm { path: dir.to_owned(), scripts })),
            false => {
                let message = format!("--npm needs a directory, and {} is not one", dir.display());
                Err(Failure::usage(message, "give the directory with package.json and the lock file"))
            }
        };
    }
    if scripts {
        return Err(Failure::usage("--npm-scripts needs --npm", "add --npm"));
    }
    Ok(None)
}

fn warn_unused(args: &ImageArgs, config: &ConfigFile, report: &Report) {
    let dir = &config.code(&args.path);
    let mut locks = NPM_LOCKS.into_iter().chain(OTHER_LOCKS);
    let lock = locks.find(|name| dir.join(name).is_file());
    // The directories of --deps may contain the packages.
    let elsewhere = !args.deps.is_empty() || !config.deps.0.is_empty();
    if let Some(lock) = lock.filter(|_| !elsewhere && !dir.join(MODULES).exists()) {
        let message =
            format!("{} has {lock} but no node_modules: the image will lack its packages", dir.display());
        report.warn(&message, Some("add --npm to install them for the image"));
    }
}

const MODULES: &str = "node_modules";

/// Paths to leave out of the code when npm installs the packages: each `node_modules` that npm makes, and the package
/// managers' settings, which may contain a token.
pub fn left_out(npm: &Npm) -> Vec<String> {
    let lock = NPM_LOCKS.iter().find_map(|name| text::read(&npm.path.join(name)).ok()).unwrap_or_default();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap_or_default();
    let packages = lock["packages"].as_object();
    let places = packages.into_iter().flat_map(|packages| packages.keys());
    // Workspaces are outside of `node_modules`; the empty path is the function itself.
    let own = places.filter(|place| !place.is_empty() && !place.split('/').any(|part| part == MODULES));
    let own = own.map(|place| format!("{place}/{MODULES}"));
    [MODULES, ".npmrc", ".yarnrc", ".yarnrc.yml"].map(str::to_owned).into_iter().chain(own).collect()
}
