//! Checks of installed packages: links must lead to files of the function; binaries must be for the image's machine.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::image::Arch;
use crate::tree::{Content, ELF_HEADER, EntryKind, FileTree, Machine, may_be_code};

/// Fails for a link that will not resolve in the image. `place` is the tree's directory on this machine.
pub(super) fn links(tree: &FileTree, place: &Path) -> Result<()> {
    let root = place.canonicalize().map_err(|source| Error::Read { path: place.to_owned(), source })?;
    for (path, entry) in tree.iter() {
        let EntryKind::Symlink(target) = &entry.kind else { continue };
        let found = place.join(std::ffi::OsStr::from_bytes(path)).canonicalize();
        let fault = match found {
            _ if target.starts_with(b"/") => "which is an absolute path of this machine",
            Ok(found) if found.starts_with(&root) => continue,
            Ok(_) => "which is outside of the function's directory",
            Err(_) => "which does not exist",
        };
        let text = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
        return Err(Error::InstalledLink { link: text(path), target: text(target), fault });
    }
    Ok(())
}

/// Fails for a binary that the image's machine cannot run.
///
/// Some packages hold binaries for several machines, each in a directory that names the machine, and choose one at load
/// time. Such a package passes if one of its binaries is for the image's machine.
pub(super) fn machines(tree: &FileTree, arch: Arch) -> Result<()> {
    let mut fit = BTreeSet::new();
    let mut wrong = Vec::new();
    for (path, entry) in tree.iter() {
        let EntryKind::File(Content::File(file)) = &entry.kind else { continue };
        let package = package(path);
        if !may_be_code(&path[package.len()..], entry.mode) {
            continue;
        }
        match machine(&file.path)? {
            Some(machine) if machine.is(arch) => drop(fit.insert(package)),
            Some(machine) => wrong.push((path, package, machine)),
            None => {}
        }
    }
    let found = wrong
        .into_iter()
        .find(|(path, package, _)| !(fit.contains(package) && names_a_machine(&path[package.len()..])));
    match found {
        None => Ok(()),
        Some((path, package, machine)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (file, package) = (text(path), text(name(package)));
            Err(Error::WrongMachine { file, package, machine: machine.to_string(), wanted: arch.as_str() })
        }
    }
}

fn machine(path: &Path) -> Result<Option<Machine>> {
    let mut header = Vec::with_capacity(ELF_HEADER);
    let read = File::open(path).and_then(|file| file.take(ELF_HEADER as u64).read_to_end(&mut header));
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok(Machine::of(&header))
}

/// The directory of the innermost package that holds the file at `path`.
fn package(path: &[u8]) -> &[u8] {
    let parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
    let Some(modules) = parts.iter().rposition(|part| *part == b"node_modules") else { return b"" };
    let scoped = parts.get(modules + 1).is_some_and(|part| part.starts_with(b"@"));
    let end = (modules + 2 + usize::from(scoped)).min(parts.len());
    let length = parts[..end].iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    &path[..length]
}

/// A package's name, taken from its directory.
fn name(package: &[u8]) -> &[u8] {
    let modules = b"node_modules/";
    let at = package.windows(modules.len()).rposition(|window| window == modules);
    at.map_or(package, |at| &package[at + modules.len()..])
}

/// Whether a directory in the file's path names a machine.
fn names_a_machine(path: &[u8]) -> bool {
    const NAMES: [&[u8]; 15] = [
        b"x64", b"x86_64", b"amd64", b"arm64", b"aarch64", b"ia32", b"x86", b"386", b"arm", b"armv6",
        b"armv7", b"ppc64", b"s390x", b"riscv64", b"loong64",
    ];
    let dirs = path.rsplitn(2, |&b| b == b'/').nth(1).unwrap_or_default();
    dirs.split(|b| b"/-.+".contains(b)).any(|word| NAMES.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::directory;
    use crate::source::ignore::Ignore;

    const ARM: u8 = 183;
    const INTEL: u8 = 62;

    fn checked(files: &[(&str, u8)]) -> Result<()> {
        let dir = tempfile::tempdir().unwrap();
        for (name, machine) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut header = b"\x7fELF\x02\x01".to_vec();
            header.resize(18, 0);
            header.extend([*machine, 0, 0, 0]);
            std::fs::write(path, header).unwrap();
        }
        machines(&directory::collect(dir.path(), b"", &Ignore::none(), 1).unwrap(), Arch::Arm64)
    }

    #[test]
    fn a_binary_for_another_machine_is_named_with_its_package() {
        checked(&[("node_modules/@img/a/lib/a.node", ARM), ("node_modules/b/b.js", INTEL)]).unwrap();
        for (file, package) in [
            ("node_modules/@img/a/lib/a.node", "@img/a"),
            ("node_modules/a/b.so.1.2", "a"),
            ("node_modules/a/node_modules/c/bin/prog", "c"),
            ("packages/x/node_modules/c/c.so", "c"),
            ("node_modules/a/prebuilds/linux-x64/a.node", "a"),
        ] {
            let error = checked(&[(file, INTEL)]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{file} of the package {package} is for amd64, but the image is for arm64")
            );
        }
        checked(&[("node_modules/a/a.node", INTEL), ("node_modules/a/b.node", ARM)]).unwrap_err();
        checked(&[("node_modules/a/x64/a.node", INTEL), ("node_modules/b/arm64/a.node", ARM)]).unwrap_err();
    }

    #[test]
    fn a_package_may_hold_binaries_for_several_machines() {
        let file = |platform| format!("node_modules/a/prebuilds/{platform}/a.node");
        let (arm, intel) = (file("linux-arm64"), file("linux-x64+glibc"));
        checked(&[(&arm, ARM), (&intel, INTEL)]).unwrap();
    }

    #[test]
    fn links_must_lead_to_files_of_the_function() {
        use std::os::unix::fs::symlink;
        let check = |target: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("f/node_modules/a")).unwrap();
            std::fs::create_dir_all(dir.path().join("f/packages/b")).unwrap();
            symlink(target, dir.path().join("f/node_modules/l")).unwrap();
            let modules =
                directory::collect(&dir.path().join("f/node_modules"), b"node_modules", &Ignore::none(), 1);
            links(&modules.unwrap(), &dir.path().join("f")).map_err(|error| error.to_string())
        };
        check("a").unwrap();
        check("../packages/b").unwrap();
        let error = check("../none").unwrap_err();
        assert_eq!(error, "the installed link node_modules/l leads to ../none, which does not exist");
        assert!(
            check("../..").unwrap_err().contains("outside") && check("/etc").unwrap_err().contains("machine")
        );
    }
}
