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
    /// A platform without a variant is that of Lambda's machines, which run images for some newer variants too: amd64
    /// up to v3 (with [AVX2](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-avx2.html)), and arm64 up to v8.2
    /// ([Graviton2](https://github.com/aws/aws-graviton-getting-started)). Images for the baseline, amd64/v1 and
    /// arm64/v8, may omit the variant.
    pub fn satisfies(&self, wanted: &Platform) -> bool {
        self.preference(wanted).is_some()
    }

    /// The preference rank of an image for `self` on the platform `wanted`, lower is better; `None` if it does not run
    /// there. The variant that was asked for comes first, as in other tools, then the newest that runs there.
    pub(super) fn preference(&self, wanted: &Platform) -> Option<u32> {
        if (&self.os, &self.architecture) != (&wanted.os, &wanted.architecture) {
            return None;
        }
        let (Some(own), Some(asked)) = (self.level(), wanted.level()) else {
            return (self.variant == wanted.variant).then_some(0);
        };
        let (baseline, newest) = self.levels()?;
        let newest = if asked == baseline { newest } else { asked };
        match own == asked {
            true => Some(0),
            false => newest.checked_sub(own).map(|distance| distance + 1),
        }
    }

    /// The baseline of the architecture's variants, and the newest variant that Lambda's machines run.
    fn levels(&self) -> Option<(u32, u32)> {
        match self.architecture.as_str() {
            "amd64" => Some((10, 30)),
            "arm64" => Some((80, 82)),
            _ => None,
        }
    }

    /// The variant as a number, ten times its version.
    fn level(&self) -> Option<u32> {
        let (baseline, _) = self.levels()?;
        let Some(variant) = self.variant.as_deref().filter(|variant| !variant.is_empty()) else {
            return Some(baseline);
        };
        let version = variant.strip_prefix('v').unwrap_or(variant);
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let (major, minor): (u8, u8) = (major.parse().ok()?, minor.parse().ok()?);
        (minor < 10).then_some(u32::from(major) * 10 + u32::from(minor))
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

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let [os, architecture] = [parts.next().unwrap(), parts.next().unwrap()];
        Platform { os, architecture, variant: parts.next() }
    }

    #[test]
    fn lambda_runs_the_variants_of_its_machines() {
        for (offered, wanted, runs) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64/v1", "linux/amd64", true),
            ("linux/amd64/v2", "linux/amd64", true),
            ("linux/amd64/v3", "linux/amd64", true),
            ("linux/amd64/v4", "linux/amd64", false),
            ("linux/amd64/unknown", "linux/amd64", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/8", "linux/arm64", true),
            ("linux/arm64/v8.2", "linux/arm64", true),
            ("linux/arm64/v8.4", "linux/arm64", false),
            ("linux/arm64/v9", "linux/arm64", false),
            ("linux/arm/v8", "linux/arm64", false),
            ("linux/arm/v7", "linux/arm64", false),
            ("linux/386", "linux/amd64", false),
            ("windows/amd64", "linux/amd64", false),
            // With a variant, no newer one.
            ("linux/amd64/v3", "linux/amd64/v2", false),
            ("linux/amd64/v2", "linux/amd64/v2", true),
            ("linux/amd64", "linux/amd64/v2", true),
            ("linux/arm64/v9", "linux/arm64/v9", true),
            ("linux/riscv64", "linux/riscv64", true),
            ("linux/ppc64le/power9", "linux/ppc64le", false),
        ] {
            assert_eq!(platform(offered).satisfies(&platform(wanted)), runs, "{offered} on {wanted}");
        }
    }
}
