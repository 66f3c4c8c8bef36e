//! `.yarnrc.yml`, the settings of yarn 2 and later: <https://yarnpkg.com/configuration/yarnrc>.

use std::path::Path;

use super::files;
use super::machine::NodeMachine;
use crate::error::Result;

/// The name of the settings file.
pub(super) const SETTINGS: &str = ".yarnrc.yml";

/// The setting that chooses the machines whose packages are installed.
const MACHINE: &str = "supportedArchitectures:";

/// The function's settings, with `supportedArchitectures` replaced by the image's platform.
pub(super) fn settings(dir: &Path, machine: NodeMachine) -> Result<Vec<u8>> {
    let text = text(dir)?;
    let mut kept = String::new();
    let mut dropping = false;
    for line in text.lines() {
        if !line.starts_with([' ', '\t', '#', '-']) && !line.is_empty() {
            dropping = line.starts_with(MACHINE);
        }
        if !dropping {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let (cpu, libc) = (machine.cpu(), machine.libc());
    Ok(format!("{kept}{MACHINE}\n  os: [linux]\n  cpu: [{cpu}]\n  libc: [{libc}]\n").into_bytes())
}

/// The lines of the settings that may affect the installed files: without logins and registries.
pub(super) fn decisive(dir: &Path) -> Result<String> {
    let text = text(dir)?;
    let lines = text.lines().filter(|line| !line.contains("npmAuth") && !line.contains("npmRegistryServer"));
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// Whether packages are installed into `node_modules`, which is not the default.
pub(super) fn uses_node_modules(settings: &str) -> bool {
    let linker = settings.lines().find_map(|line| line.strip_prefix("nodeLinker:"));
    linker.is_some_and(|linker| linker.trim().trim_matches(['"', '\'']) == "node-modules")
}

/// The passwords and tokens in the settings.
pub(super) fn secrets(text: &str) -> impl Iterator<Item = &str> {
    let pairs = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").split_once(':'));
    let secret = pairs.filter(|(key, _)| ["npmAuthToken", "npmAuthIdent"].contains(&key.trim_matches('"')));
    secret.map(|(_, value)| value.trim().trim_matches(['"', '\'']))
}

fn text(dir: &Path) -> Result<String> {
    let bytes = files::read(&dir.join(SETTINGS))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Arch;

    #[test]
    fn settings_choose_the_images_machine() {
        let dir = tempfile::tempdir().unwrap();
        let text = "nodeLinker: pnp\nsupportedArchitectures:\n  # all\n  os:\n    - darwin\n\nnpmScopes:\n  s:\n    npmAuthToken: \"hunter2\"\n";
        std::fs::write(dir.path().join(SETTINGS), text).unwrap();
        let settings =
            String::from_utf8(settings(dir.path(), NodeMachine { arch: Arch::Arm64, musl: false }).unwrap())
                .unwrap();
        let ours = "supportedArchitectures:\n  os: [linux]\n  cpu: [arm64]\n  libc: [glibc]\n";
        assert!(settings.ends_with(ours) && !settings.contains("darwin"), "{settings}");
        assert!(settings.contains("nodeLinker: pnp\n") && settings.contains("hunter2"));
        assert!(!decisive(dir.path()).unwrap().contains("hunter2"));
        assert!(uses_node_modules("a: 1\nnodeLinker: \"node-modules\"\n") && !uses_node_modules(text));
        assert_eq!(secrets(text).collect::<Vec<_>>(), ["hunter2"]);
    }
}
