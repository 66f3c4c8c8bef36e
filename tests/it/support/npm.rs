//! The real npm of the part `npm`; its cache has the packages of `testdata/functions/hello-sharp` for both machines.

use super::part;
use std::path::{Path, PathBuf};

/// `(name, value)` of the variables that put npm and node on `PATH` and keep npm offline.
pub fn variables() -> [(&'static str, String); 2] {
    let (bin, npmrc) = (part("npm/bin"), part("npm/npmrc"));
    [
        ("PATH", format!("{}:/usr/bin:/bin", bin.display())),
        ("NPM_CONFIG_USERCONFIG", npmrc.display().to_string()),
    ]
}

/// Every native binary below a directory, with the machine that its ELF header names: 62 is x86-64, 183 aarch64.
pub fn binaries(dir: &Path) -> Vec<(PathBuf, u16)> {
    let machine = |content: &[u8]| {
        let header = content.get(..20).filter(|header| header.starts_with(b"\x7fELF"));
        header.map(|header| u16::from_le_bytes([header[18], header[19]]))
    };
    let files = super::lbuild::files(dir).into_iter();
    files.filter_map(|(name, content)| Some((name.into(), machine(&content)?))).collect()
}
