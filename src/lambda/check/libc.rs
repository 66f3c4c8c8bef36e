//! Which C library an image has, and which one machine code is for.

use super::case::{Case, Member};
use crate::scan::Elf;

/// The C library of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    Glibc,
    Musl,
}

/// The one libc that the image has; `None` when it has none or both, or when it cannot be told.
pub fn of_image(case: &Case<'_>) -> Option<Libc> {
    let files = || case.files.iter().map(|file| file.member);
    let has_musl = files().any(|member| member.name().starts_with("ld-musl-"));
    // What makes programs for glibc run on musl has these names too.
    let is_glibc = |name: &str| name == "libc.so.6" || name.starts_with("ld-linux");
    if !case.files.complete {
        None
    } else if has_musl {
        let has_glibc = files().any(|member| is_glibc(member.name()));
        (!has_glibc).then_some(Libc::Musl)
    } else {
        files().any(is_libc).then_some(Libc::Glibc)
    }
}

/// The libc that machine code asks for.
pub fn needed(elf: &Elf) -> Option<Libc> {
    let loader = elf.interpreter.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let needs = |name: &str| elf.needed.iter().any(|needed| needed == name);
    if loader.starts_with("ld-musl-") || elf.needed.iter().any(|name| name.starts_with("libc.musl-")) {
        return Some(Libc::Musl);
    }
    if loader.starts_with("ld-linux") || needs("libc.so.6") {
        return Some(Libc::Glibc);
    }
    // Android's libc is called as musl's; what stands beside it is not.
    let is_android =
        ["libdl.so", "libm.so", "liblog.so"].into_iter().any(needs) || loader.starts_with("linker");
    (needs("libc.so") && !is_android).then_some(Libc::Musl)
}

/// Whether a file is the libc of a glibc.
pub fn is_libc(member: &Member) -> bool {
    let name = member.name();
    let is_named = name == "libc.so.6" || (name.starts_with("libc-") && name.ends_with(".so"));
    is_named && member.elf().is_some_and(|elf| elf.is_glibc.is_some())
}
