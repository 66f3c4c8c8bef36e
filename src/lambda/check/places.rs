//! Which directories of an image are the function's, and what it may do there.

use super::case::{Case, Seen};

/// What Lambda and its runtimes look for in /opt. All else there is somebody's own, and may not be the function's.
const OPT: [&str; 7] = ["bin", "extensions", "java", "lib", "nodejs", "python", "ruby"];

/// Directories that are a distribution's or a user's: a task root there does not make all that is in it the function's.
const SYSTEM: [&str; 19] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var",
];
const SYSTEM_USR: [&str; 8] = ["bin", "lib", "lib64", "local", "local/bin", "local/lib", "sbin", "share"];
const SYSTEM_VAR: [&str; 4] = ["cache", "lib", "log", "tmp"];

const RUNTIME: &str = "var/runtime";

/// Where a function can write: its own /tmp, and file systems that it mounts. There is no /dev/shm.
const WRITABLE: [&str; 2] = ["tmp", "mnt"];

/// The directories that this rule looks into.
pub fn looked_at(case: &Case<'_>) -> Vec<String> {
    let mut places = own_places(case);
    if !places.iter().any(|place| is_in(RUNTIME, place) || is_in(place, RUNTIME)) {
        places.push(RUNTIME.to_owned());
    }
    places
}

/// The directories that are the function's, wherever links lead: its own, unless that is the distribution's, and what
/// takes Lambda's layers.
pub fn own_places(case: &Case<'_>) -> Vec<String> {
    let (root, opt) = (case.files.resolve(case.task_root()).path, case.files.resolve("opt").path);
    let mut places = Vec::new();
    if !is_systems(&root) && !is_in(&root, &opt) {
        places.push(root.to_string());
    }
    if opt == "opt" || !is_systems(&opt) {
        places.push(opt.to_string());
    }
    places
}

/// Whether a directory of /opt is not one that Lambda or the function is known to use.
pub fn is_others(case: &Case<'_>, dir: &str) -> bool {
    let Some(part) = dir.strip_prefix("opt/") else { return dir == "opt" };
    let of_root = case.task_root().strip_prefix("opt/").and_then(|rest| rest.split('/').next());
    !OPT.contains(&part) && of_root != Some(part)
}

fn is_systems(dir: &str) -> bool {
    match dir.split_once('/') {
        None => dir.is_empty() || SYSTEM.contains(&dir),
        Some(("usr", rest)) => SYSTEM_USR.contains(&rest),
        Some(("var", rest)) => SYSTEM_VAR.contains(&rest),
        Some(_) => false,
    }
}

/// Whether a function can write to a directory, which may be a link to where it can.
pub fn is_writable(case: &Case<'_>, dir: &str) -> bool {
    let place = case.files.resolve(dir).path;
    WRITABLE.iter().any(|allowed| is_in(&place, allowed))
}

/// The highest directory on the way to here that others may not enter.
pub fn barrier<'a>(case: &Case<'a>, path: &str) -> Option<Seen<'a>> {
    let is_closed = |dir: &Seen<'_>| dir.member.is_directory() && dir.member.entry.mode & 0o001 == 0;
    way(path).filter_map(|dir| case.files.get(dir)).find(is_closed)
}

/// A path and the directories that it is in, the highest first.
pub fn way(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at]).chain([path])
}

/// Whether a path is a directory or below it.
pub fn is_in(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where findings about a path are put together: the directory right below a place, or the place itself.
pub fn group(place: &str, path: &str) -> String {
    let below = path.get(place.len() + 1..).unwrap_or_default();
    match below.split_once('/') {
        Some((first, _)) => format!("{place}/{first}"),
        None => place.to_owned(),
    }
}
