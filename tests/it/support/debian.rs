//! The Debian image of the part `debian`, and the package sources of this machine as files for it.

use super::root_tree::RootTree;
use super::{part, run, tool};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The tag of the image in its layout.
pub const TAG: &str = "debian";

/// The architecture of the image, which is this machine's.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A file that the tests' images have and no machine has. Commands that destroy files look for it first, so that a fault
/// of the builder cannot destroy those of the machine.
pub const MARK: &str = "etc/test-image";

/// The OCI layout: one layer.
pub fn layout() -> PathBuf {
    part("debian/image")
}

/// The architecture of the other image, whose programs run under qemu.
pub const FOREIGN: &str = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };

/// Whether the machine itself runs programs for the other architecture.
pub fn machine_has_a_rule() -> bool {
    let machine = if cfg!(target_arch = "aarch64") { "x86_64" } else { "aarch64" };
    Path::new("/proc/sys/fs/binfmt_misc").join(format!("qemu-{machine}")).exists()
}

/// The OCI layout of the image for the other architecture.
pub fn foreign_layout() -> PathBuf {
    part("debian/foreign")
}

/// The files of the image, which are read once.
pub fn tree() -> &'static RootTree {
    static TREE: OnceLock<RootTree> = OnceLock::new();
    TREE.get_or_init(|| RootTree::of(&layout(), TAG, ARCHITECTURE, None))
}

/// Writes what a program in the image needs to download packages as this machine does: files below the image's root, for
/// `COPY settings/ /`.
pub fn write_settings(dir: &Path) {
    let from = part("debian/settings");
    run(Command::new(tool("cp")).arg("-rT").arg(from).arg(dir)).expect("copied");
    fs::create_dir_all(dir.join("etc/ssl/certs")).expect("ours");
    fs::create_dir_all(dir.join("root")).expect("ours");
    let bundle = std::env::var("SSL_CERT_FILE").unwrap_or("/etc/ssl/certs/ca-certificates.crt".to_owned());
    fs::copy(&bundle, dir.join(CERTIFICATES)).unwrap_or_else(|error| panic!("{bundle}: {error}"));
    fs::write(dir.join("etc/pip.conf"), pip_settings()).expect("ours");
    fs::write(dir.join("root/.npmrc"), npm_settings()).expect("ours");
}

/// The certificates that this machine trusts, below the image's root.
const CERTIFICATES: &str = "etc/ssl/certs/host.crt";

/// The options by which pip reaches its index, from its files and variables.
fn pip_settings() -> String {
    let list = run(Command::new(tool("pip3")).args(["config", "list"])).expect("pip starts");
    let mut text = format!("[global]\ncert = /{CERTIFICATES}\ndisable-pip-version-check = true\n");
    for line in list.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let option = key.rsplit('.').next().expect("a key");
        let wanted = ["index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout"];
        if wanted.contains(&option) {
            writeln!(text, "{option} = {}", value.trim_matches('\'')).expect("memory");
        }
    }
    text
}

/// The options by which npm reaches its registry.
fn npm_settings() -> String {
    let mut text = format!("cafile=/{CERTIFICATES}\naudit=false\nfund=false\nupdate-notifier=false\n");
    for option in ["registry", "proxy", "https-proxy", "noproxy", "strict-ssl"] {
        let value = run(Command::new(tool("npm")).args(["config", "get", option])).expect("npm starts");
        let value = value.trim();
        if !["", "null", "undefined"].contains(&value) {
            writeln!(text, "{option}={value}").expect("memory");
        }
    }
    text
}
