//! The text of a platform, in the forms that `--platform` takes.

use crate::image::Platform;

/// Parses `OS`, `ARCHITECTURE`, `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`, with the kernel's names of architectures
/// too. Parts that are missing are those of `default`.
pub(super) fn parse(text: &str, default: &Platform) -> Option<Platform> {
    let parts: Vec<&str> = text.split('/').collect();
    let valid = |part: &&str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !parts.iter().all(valid) {
        return None;
    }
    let lower = |text: &str| text.to_ascii_lowercase();
    match *parts {
        [os] if lower(os) == "linux" => Some(Platform { os: lower(os), ..default.clone() }),
        [arch] => known(&lower(arch)).map(|(arch, variant)| platform("linux", arch, variant)),
        [os, arch] => {
            let arch = lower(arch);
            let (arch, variant) = known(&arch).unwrap_or((&arch, ""));
            Some(platform(&lower(os), arch, variant))
        }
        [os, arch, variant] => {
            let (arch, variant) = (lower(arch), lower(variant));
            let arch = known(&arch).map_or(&*arch, |(arch, _)| arch);
            let number = variant.starts_with(|c: char| c.is_ascii_digit());
            let variant = if number { format!("v{variant}") } else { variant };
            // The baseline of arm64 and of amd64 is not written.
            let baseline = (arch == "arm64" && variant == "v8") || (arch == "amd64" && variant == "v1");
            Some(platform(&lower(os), arch, if baseline { "" } else { &variant }))
        }
        _ => None,
    }
}

fn platform(os: &str, architecture: &str, variant: &str) -> Platform {
    let variant = (!variant.is_empty()).then(|| variant.to_owned());
    Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant }
}

/// The architecture and variant for a name.
fn known(name: &str) -> Option<(&str, &str)> {
    Some(match name {
        "amd64" | "x86_64" | "x86-64" => ("amd64", ""),
        "arm64" | "aarch64" => ("arm64", ""),
        "386" | "i386" => ("386", ""),
        "arm" | "armhf" => ("arm", "v7"),
        "armel" => ("arm", "v6"),
        "loong64" | "mips64le" | "ppc64le" | "riscv64" | "s390x" => (name, ""),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Arch;

    #[test]
    fn platforms_are_parsed() {
        let default = Platform::linux(Arch::Arm64);
        for (text, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("linux/aarch64", Some("linux/arm64")),
            ("arm64", Some("linux/arm64")),
            ("linux/arm64/v8", Some("linux/arm64")),
            ("linux/arm/7", Some("linux/arm/v7")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux", Some("linux/arm64")),
            ("windows/amd64", Some("windows/amd64")),
            ("linux/", None),
            ("nonsense", None),
            ("linux/amd64,linux/arm64", None),
            ("a/b/c/d", None),
        ] {
            let found = parse(text, &default).map(|platform| platform.to_string());
            assert_eq!(found.as_deref(), expected, "rule 67: {text}");
        }
    }
}
