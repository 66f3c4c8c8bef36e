//! The platform of an image.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One of the two architectures that Lambda runs, named as in the image spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86; `x86_64` in `uname -m`.
    Amd64,
    /// 64-bit ARM; `aarch64` in `uname -m`.
    Arm64,
}

impl Arch {
    /// The image spec's name (`GOARCH`).
    pub fn as_str(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Arch {
    type Err = Error;

    /// Accepts the image spec's names and the kernel's, with an optional `linux/` before them.
    fn from_str(text: &str) -> Result<Arch> {
        match text.strip_prefix("linux/").unwrap_or(text) {
            "arm64" | "aarch64" | "arm64/v8" => Ok(Arch::Arm64),
            "amd64" | "x86_64" | "x86-64" => Ok(Arch::Amd64),
            _ => Err(Error::Architecture { name: text.to_owned() }),
        }
    }
}

/// Operating system and architecture, as in a config or an index entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`; `unknown` in the entry of an attestation manifest.
    pub os: String,
    /// `arm64`, `amd64`, or any other value in an image that lbuild did not make.
    pub architecture: String,
    /// The variant; `v8` in some arm64 images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on `arch`, as in Lambda.
    pub fn linux(arch: Arch) -> Platform {
        Platform { os: "linux".into(), architecture: arch.as_str().into(), variant: None }
    }

    /// Whether an image for `self` runs on the platform `wanted`.
    ///
    /// arm64 with and without the variant v8 are the same platform (v8 is its only baseline); images use both forms.
    pub fn satisfies(&self, wanted: &Platform) -> bool {
        let variant = |p: &Platform| p.variant.clone().filter(|v| !(p.architecture == "arm64" && v == "v8"));
        self.os == wanted.os && self.architecture == wanted.architecture && variant(self) == variant(wanted)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An image that lbuild did not make may contain any character here.
        write!(f, "{}/{}", self.os.escape_debug(), self.architecture.escape_debug())?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{}", variant.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_each_architecture_are_accepted() {
        for (names, arch) in [
            (["arm64", "aarch64", "linux/arm64"], Arch::Arm64),
            (["amd64", "x86_64", "linux/amd64"], Arch::Amd64),
        ] {
            for name in names {
                assert_eq!(name.parse::<Arch>().unwrap(), arch);
            }
        }
        assert!("riscv64".parse::<Arch>().is_err());
    }

    #[test]
    fn arm64_matches_with_and_without_v8() {
        let plain = Platform::linux(Arch::Arm64);
        let v8 = Platform { variant: Some("v8".into()), ..plain.clone() };
        let v9 = Platform { variant: Some("v9".into()), ..plain.clone() };
        assert!(v8.satisfies(&plain) && plain.satisfies(&v8));
        assert!(!v9.satisfies(&plain));
        assert!(!Platform::linux(Arch::Amd64).satisfies(&plain));
    }
}
