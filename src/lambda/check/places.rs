//! The directories of an image that belong to the function, and whether it may enter them and write to them.

use super::case::{Case, Seen};

/// The directories of /opt that Lambda and its runtimes use. Others may not belong to the function.
const OPT: [&str; 7] = ["bin", "extensions", "java", "lib", "nodejs", "python", "ruby"];

/// Directories of a distribution or a user: if one of them is the task root, its files need not belong to the function.
const SYSTEM: [&str; 19] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
    "sbin", "srv", "sys", "tmp", "usr", "var",
];
const SYSTEM_USR: [&str; 8] = ["bin", "lib", "lib64", "local", "local/bin", "local/lib", "sbin", "share"];
const SYSTEM_VAR: [&str; 4] = ["cache", "lib", "log", "tmp"];

const RUNTIME: &str = "var/runtime";

/// The directories that a function can write to: its own /tmp, and file systems that it mounts. Lambda does not have
/// /dev/shm.
const WRITABLE: [&str; 2] = ["tmp", "mnt"];

/// The directories that the rule `unreadable` examines: those of the function, and that of the runtime.
pub fn examined_places(case: &Case<'_>) -> Vec<String> {
    let mut places = own_places(case);
    if !places.iter().any(|place| is_in(RUNTIME, place) || is_in(place, RUNTIME)) {
        places.push(RUNTIME.to_owned());
    }
    places
}

/// The directories that belong to the function, with links resolved: the task root, unless it is a directory of the
/// distribution, and /opt.
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

/// Whether a directory of /opt is one that neither Lambda nor the function is known to use.
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

/// Whether a function can write to a directory, with links resolved.
pub fn is_writable(case: &Case<'_>, dir: &str) -> bool {
    let place = case.files.resolve(dir).path;
    WRITABLE.iter().any(|allowed| is_in(&place, allowed))
}

/// The highest directory on a path that users other than its owner and group may not enter.
pub fn barrier<'a>(case: &Case<'a>, path: &str) -> Option<Seen<'a>> {
    let is_closed = |dir: &Seen<'_>| dir.member.is_directory() && dir.member.entry.mode & 0o001 == 0;
    way(path).filter_map(|dir| case.files.get(dir)).find(is_closed)
}

/// The parent directories of a path from the highest down, then the path itself.
pub fn way(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(move |(at, _)| &path[..at]).chain([path])
}

/// Whether a path is a given directory or below it.
pub fn is_in(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The directory by which findings about a path are grouped: the one directly below `place`, or `place` itself.
pub fn group(place: &str, path: &str) -> String {
    let below = path.get(place.len() + 1..).unwrap_or_default();
    match below.split_once('/') {
        Some((first, _)) => format!("{place}/{first}"),
        None => place.to_owned(),
    }
}
