//! The files that commands leave behind and that differ in every build: logs, indices of caches, random ids.
//!
//! A layer has none of them. One that the layers below have stays as it is there; its removal is kept, because that is
//! the same in every build.

/// The version of the list; part of the key of a command's layer.
pub(crate) const NOISE_VERSION: u32 = 2;

/// Paths in the image; a slash at the end stands for the directory and all below it.
const PATHS: &[&str] = &[
    // Logs of package managers, with times.
    "var/log/alternatives.log",
    "var/log/apk.log",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/log/dnf.librepo.log",
    "var/log/dnf.log",
    "var/log/dnf.rpm.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    "var/log/hawkey.log",
    "var/log/yum.log",
    // Caches of apt with addresses of memory; apt makes them again.
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    // Directories for apt's downloads. They belong to the user _apt only where apt can change its user.
    "var/cache/apt/archives/partial/",
    "var/lib/apt/lists/auxfiles/",
    "var/lib/apt/lists/partial/",
    // Inode numbers and times of libraries; ldconfig makes it again.
    "var/cache/ldconfig/aux-cache",
    // A random id of the machine. Images should not have one: machine-id(5), "Initialization".
    "etc/machine-id",
    "var/lib/dbus/machine-id",
];

/// Paths in a home directory.
const IN_HOME: &[&str] = &[
    // Times of requests, and logs named by them.
    ".npm/_cacache/",
    ".npm/_logs/",
    ".npm/_update-notifier-last-checked",
    // Headers of answers, with their dates.
    ".cache/pip/http/",
    ".cache/pip/http-v2/",
    ".cache/pip/selfcheck/",
];

/// Whether a path is in the list.
pub(super) fn is_noise(path: &[u8]) -> bool {
    is_in(PATHS, path) || in_home(path).is_some_and(|path| is_in(IN_HOME, path))
}

fn is_in(list: &[&str], path: &[u8]) -> bool {
    list.iter().any(|listed| match listed.strip_suffix('/') {
        None => path == listed.as_bytes(),
        Some(dir) => path == dir.as_bytes() || path.starts_with(listed.as_bytes()),
    })
}

/// The part of a path below a home directory.
fn in_home(path: &[u8]) -> Option<&[u8]> {
    let below = path.strip_prefix(b"root/").or_else(|| {
        let user = path.strip_prefix(b"home/")?;
        Some(&user[user.iter().position(|&byte| byte == b'/')? + 1..])
    });
    below.filter(|below| below.starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_caches_of_any_home_are_noise() {
        for path in [
            "var/log/dpkg.log",
            "root/.npm/_logs",
            "root/.npm/_logs/2024.log",
            "home/app/.npm/_cacache/index-v5/aa",
            "home/app/.cache/pip/http-v2",
        ] {
            assert!(is_noise(path.as_bytes()), "{path}");
        }
        for path in [
            "var/log",
            "var/log/dpkg.log.1",
            "root/.npm",
            "root/.npm/_logsx",
            "home/.npm/_logs",
            "opt/root/.npm/_logs",
            "root/.cache/pip/wheels/a",
            "etc/machine-id.d",
        ] {
            assert!(!is_noise(path.as_bytes()), "{path}");
        }
    }
}
