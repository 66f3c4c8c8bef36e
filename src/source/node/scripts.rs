//! Install scripts of packages: whether an installation without them is the one that the command would leave.

use serde_json::Value;

use super::foreign::packages;
use super::machine::NodeMachine;
use crate::error::{Error, Result};
use crate::tree::FileTree;

/// The scripts that run when a package is installed. <https://docs.npmjs.com/cli/using-npm/scripts>
const OF_PACKAGES: [&str; 3] = ["preinstall", "install", "postinstall"];

/// The scripts that run when the packages of a directory are installed, besides.
const OF_DIRECTORIES: [&str; 5] = ["prepublish", "preprepare", "prepare", "postprepare", "dependencies"];

/// Packages whose scripts only verify, or make faster, what an optional package has: with the beginning of that package's
/// name.
const PREBUILT: [(&str, &str); 8] = [
    ("esbuild", "@esbuild/linux-"),
    ("sharp", "@img/sharp-linux"),
    ("@swc/core", "@swc/core-linux-"),
    ("@parcel/watcher", "@parcel/watcher-linux-"),
    ("lmdb", "@lmdb/lmdb-linux-"),
    ("msgpackr-extract", "@msgpackr-extract/msgpackr-extract-linux-"),
    ("unrs-resolver", "@unrs/resolver-binding-linux-"),
    ("rolldown", "@rolldown/binding-linux-"),
];

/// Packages whose scripts only print something, or check the version of Node.
const PRINTING: [&str; 7] =
    ["core-js", "core-js-pure", "core-js-bundle", "es5-ext", "protobufjs", "@nestjs/core", "prisma"];

/// Fails for an installed package whose install script decides which files it has.
pub(super) fn check(tree: &FileTree, machine: NodeMachine) -> Result<()> {
    let packages = packages(tree)?;
    for (dir, package) in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(script) = script(tree, dir, package) else { continue };
        let has = |prefix: &str| {
            packages
                .iter()
                .any(|(_, other)| other["name"].as_str().is_some_and(|name| name.starts_with(prefix)))
        };
        let is_prebuilt = PREBUILT.iter().any(|(known, prebuilt)| *known == name && has(prebuilt));
        let is_built = script == "node-gyp-build" && has_prebuild(tree, dir, machine);
        if !(is_prebuilt || is_built || PRINTING.contains(&name)) {
            return Err(Error::InstallScript { package: name.to_owned(), script });
        }
    }
    Ok(())
}

/// What runs when the package is installed.
fn script(tree: &FileTree, dir: &[u8], package: &Value) -> Option<String> {
    let named = |name: &str| package["scripts"][name].as_str().filter(|script| !script.trim().is_empty());
    let own = OF_PACKAGES.iter().find_map(|name| named(name));
    let builds = package["gypfile"] != false && tree.get(&[dir, b"/binding.gyp"].concat()).is_some();
    own.or(builds.then_some("node-gyp rebuild")).map(str::to_owned)
}

/// Whether the package has the binary for the machine that `node-gyp-build` looks for.
fn has_prebuild(tree: &FileTree, dir: &[u8], machine: NodeMachine) -> bool {
    let place = [dir, format!("/prebuilds/linux-{}/", machine.cpu()).as_bytes()].concat();
    tree.iter().filter_map(|(path, _)| path.strip_prefix(&*place)).any(|name| {
        let tags: Vec<&[u8]> = name.split(|&byte| byte == b'.').collect();
        let names = |libc: &str| tags.contains(&libc.as_bytes());
        let other = if machine.musl { "glibc" } else { "musl" };
        name.ends_with(b".node") && !names(other)
    })
}

/// The script of a `package.json` of the image that runs when its packages are installed. With `only_packages` the
/// program runs those of packages only.
pub(super) fn of_directory(package: &[u8], only_packages: bool) -> Option<&'static str> {
    let package: Value = serde_json::from_slice(package).ok()?;
    let is_set = |name: &&'static str| package["scripts"][*name].is_string();
    let more = if only_packages { &[][..] } else { &OF_DIRECTORIES };
    OF_PACKAGES.iter().chain(more).copied().find(|name| is_set(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::image::Arch;
    use crate::source::directory;
    use crate::source::ignore::Ignore;

    const ARM: NodeMachine = NodeMachine { arch: Arch::Arm64, musl: false };

    /// The package that is refused, with its script.
    fn refused(packages: &[(&str, Value, &[&str])], machine: NodeMachine) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, scripts, files) in packages {
            let place = dir.path().join(name);
            let package = json!({ "name": name, "scripts": scripts });
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join("package.json"), package.to_string()).unwrap();
            for file in *files {
                std::fs::create_dir_all(place.join(file).parent().unwrap()).unwrap();
                std::fs::write(place.join(file), "").unwrap();
            }
        }
        let tree = directory::collect(dir.path(), b"app/node_modules", &Ignore::none(), 1).unwrap();
        check(&tree, machine).err().map(|error| error.to_string())
    }

    /// Rule 173: whether an installation without scripts is right.
    #[test]
    fn a_script_that_decides_is_named() {
        let runs = |script: &str| json!({ "install": script });
        let said = refused(&[("bcrypt", runs("node-pre-gyp install"), &[])], ARM).unwrap();
        let expected =
            "the package bcrypt runs `node-pre-gyp install` when it is installed, which needs a process";
        assert_eq!(said, expected);
        assert!(refused(&[("@s/x", json!({}), &["binding.gyp"])], ARM).unwrap().contains("node-gyp rebuild"));
        assert!(refused(&[("sharp", runs("node check"), &[])], ARM).is_some(), "nothing is prebuilt");
        assert!(refused(&[("@prisma/engines", json!({ "postinstall": "node x" }), &[])], ARM).is_some());
        for packages in [
            &[("a", json!({ "test": "x", "prepare": "x", "install": "" }), &[][..])][..],
            &[("sharp", runs("node check"), &[]), ("@img/sharp-linux-arm64", json!({}), &[])],
            &[("esbuild", runs("node install.js"), &[]), ("@esbuild/linux-arm64", json!({}), &[])],
            &[("core-js", json!({ "postinstall": "node x" }), &[])],
        ] {
            assert_eq!(refused(packages, ARM), None);
        }
        let musl = NodeMachine { musl: true, ..ARM };
        for (file, right, wrong) in [
            ("prebuilds/linux-arm64/node.napi.node", Some(ARM), None),
            ("prebuilds/linux-arm64/node.napi.glibc.node", Some(ARM), Some(musl)),
            ("prebuilds/linux-arm64/node.napi.musl.node", Some(musl), Some(ARM)),
            ("prebuilds/linux-x64/node.napi.node", None, Some(ARM)),
        ] {
            let package = [("bufferutil", runs("node-gyp-build"), &[file][..])];
            assert!(right.is_none_or(|machine| refused(&package, machine).is_none()), "{file}");
            assert!(wrong.is_none_or(|machine| refused(&package, machine).is_some()), "{file}");
        }
    }

    #[test]
    fn scripts_of_a_directory_are_found() {
        let of = |script: &str, only| {
            of_directory(json!({ "scripts": { script: "x" } }).to_string().as_bytes(), only)
        };
        assert_eq!(of("postinstall", true), Some("postinstall"));
        assert_eq!((of("prepare", false), of("prepare", true)), (Some("prepare"), None));
        assert_eq!((of("build", false), of_directory(b"{}", false)), (None, None));
    }
}
