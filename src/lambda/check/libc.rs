//! The C library of an image, and the one that machine code is linked with.

use super::case::{Case, Member};
use crate::scan::Elf;

/// A C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    Glibc,
    Musl,
}

/// The libc of the image; `None` when it has none or both, or when a layer is unknown.
pub fn of_image(case: &Case<'_>) -> Option<Libc> {
    let files = || case.files.iter().map(|file| file.member);
    let has_musl = files().any(|member| member.name().starts_with("ld-musl-"));
    // Compatibility layers that run programs for glibc on musl use these names too.
    let is_glibc = |name: &str| name == "libc.so.6" || name.starts_with("ld-linux");
    if !case.is_certain() {
        None
    } else if has_musl {
        let has_glibc = files().any(|member| is_glibc(member.name()));
        (!has_glibc).then_some(Libc::Musl)
    } else {
        files().any(is_libc).then_some(Libc::Glibc)
    }
}

/// The libc that machine code is linked with, if any.
pub fn needed(elf: &Elf) -> Option<Libc> {
    let loader = elf.interpreter.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let needs = |name: &str| elf.needed.iter().any(|needed| needed == name);
    if loader.starts_with("ld-musl-") || elf.needed.iter().any(|name| name.starts_with("libc.musl-")) {
        return Some(Libc::Musl);
    }
    if loader.starts_with("ld-linux") || needs("libc.so.6") {
        return Some(Libc::Glibc);
    }
    // Android's libc has the same name as musl's; only Android has these other libraries.
    let is_android =
        ["libdl.so", "libm.so", "liblog.so"].into_iter().any(needs) || loader.starts_with("linker");
    (needs("libc.so") && !is_android).then_some(Libc::Musl)
}

/// Whether a file is glibc's libc itself.
pub fn is_libc(member: &Member) -> bool {
    let name = member.name();
    let is_named = name == "libc.so.6" || (name.starts_with("libc-") && name.ends_with(".so"));
    is_named && member.elf().is_some_and(|elf| elf.is_glibc.is_some())
}
