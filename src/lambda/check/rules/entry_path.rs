//! The entries of layers can be unpacked: their paths stay inside the image and are not too long, their hard links
//! have targets, and they are not devices.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::super::case::{Case, Member};
use super::super::finding::Severity;
use super::super::package::dir;
use super::super::rule::{Findings, Rule};
use crate::tree::{EntryKind, Target};

pub(super) const RULE: Rule = Rule {
    name: "entry-path",
    severity: Severity::Error,
    what: "Paths in a layer do not lead out of the image and are not longer than Linux allows, hard links refer to a \
           file that comes before them, and no entry is a device.",
    why: "Readers must not follow a path out of the image. Linux does not open paths of 4096 bytes or more, or with a \
          part of more than 255 bytes. A hard link cannot be created before its file, and some readers cannot create \
          one to another layer. Devices, pipes and sockets are useless to a function, and only root can create a \
          device.",
    example: "A tar with `../../etc/cron.d/x`, or with the `/dev/null` of the system on which it was created.",
    help: "find the step that adds the entry to the layer, and exclude the entry",
    source: "https://man7.org/linux/man-pages/man7/path_resolution.7.html",
    check,
};

/// Linux's limits in bytes: for a path with its leading slash and trailing NUL, and for a name between two slashes.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// Upper bound on the dead links of a layer that are resolved in the image: a hostile layer can have a million.
const FOLLOWED: usize = 100;

/// A fault of a member, the most severe first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Outside,
    LinkOutside,
    LongPath,
    LongName,
    LinkNowhere,
    LinkBelow,
    Dots,
    Special,
}

fn check(case: &Case<'_>, findings: &mut Findings) {
    for (number, scan) in case.known().filter(|(_, scan)| !scan.from_tree) {
        // By directory: the first member, and the number of the others.
        let mut found: BTreeMap<(Fault, &str), (&Member, usize)> = BTreeMap::new();
        let by_name = scan.members.iter().filter_map(|member| Some((fault(member)?, member)));
        for (fault, member) in by_name.chain(dead_links(case, number, &scan.members)) {
            let found = found.entry((fault, dir(&member.path)));
            found.and_modify(|(_, others)| *others += 1).or_insert((member, 0));
        }
        for ((fault, _), (first, others)) in found {
            let others = match others {
                0 => String::new(),
                others => format!(" (and {others} more in its directory)"),
            };
            let message = format!("{}{others}", message(fault, first));
            findings.add(message).in_layer(case, number).at(first.archive_name()).as_severe(severity(fault));
        }
    }
}

/// The fault of a member by its own path and kind.
fn fault(member: &Member) -> Option<Fault> {
    if member.is_outside() {
        Some(if inside(&member.path).is_none() { Fault::Outside } else { Fault::Dots })
    } else if member.path.as_bytes().len() + 2 > MAX_PATH {
        Some(Fault::LongPath)
    } else if member.path.as_bytes().split(|&byte| byte == b'/').any(|part| part.len() > MAX_NAME) {
        Some(Fault::LongName)
    } else if matches!(member.entry.kind, EntryKind::Device(_)) {
        Some(Fault::Special)
    } else {
        None
    }
}

/// The hard links whose target does not come before them in the layer.
fn dead_links<'a>(case: &Case<'_>, number: usize, members: &'a [Member]) -> Vec<(Fault, &'a Member)> {
    if !members.iter().any(|member| member.is_hard_link()) {
        return Vec::new();
    }
    let here = case.paths(number);
    let (mut dead, mut missing) = (Vec::new(), Vec::new());
    for (position, member) in members.iter().enumerate() {
        if let Some(target) = member.target().filter(|_| member.is_hard_link()) {
            match inside(&target) {
                None => dead.push((Fault::LinkOutside, member)),
                Some(target) if here.first(&target).is_none_or(|first| first >= position) => {
                    missing.push(member)
                }
                Some(_) => {}
            }
        }
    }
    let is_known = case.scans[..number].iter().all(Option::is_some);
    let are_few = missing.len() <= FOLLOWED;
    for member in missing {
        let target = member.target().unwrap_or_else(|| "".into());
        let Some(target) = inside(&target) else { continue };
        if case.is_below(number, &target) {
            dead.push((Fault::LinkBelow, member));
        } else if is_known && !(are_few && is_behind_link(case, &target)) {
            dead.push((Fault::LinkNowhere, member));
        }
    }
    dead
}

/// Whether the path passes through a symbolic link to an entry that has another path in its layer.
fn is_behind_link(case: &Case<'_>, path: &str) -> bool {
    path.len() < MAX_PATH
        && matches!(case.files.resolve(path).target, Target::Entry(found) if found.member.path != path)
}

/// Resolves the `..` in a path; `None` when it leads out of the image.
fn inside(path: &str) -> Option<Cow<'_, str>> {
    if !path.split('/').any(|part| part == "..") {
        return Some(path.into());
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/").into())
}

fn message(fault: Fault, member: &Member) -> String {
    let target = member.target().map(|target| shown(&target)).unwrap_or_default();
    match fault {
        Fault::Outside => "this path leads out of the image".to_owned(),
        Fault::LinkOutside => format!("this is a hard link to {target}, out of the image"),
        Fault::LongPath => "this path is longer than Linux allows".to_owned(),
        Fault::LongName => format!("a part of this path is longer than {MAX_NAME} bytes"),
        Fault::LinkNowhere => format!("this is a hard link to {target}, which does not come before it"),
        Fault::LinkBelow => format!("this is a hard link to {target}, which is in another layer"),
        Fault::Dots => "this path has `..` in it".to_owned(),
        Fault::Special => "this is a device, a pipe or a socket".to_owned(),
    }
}

/// A target, shortened for a message.
fn shown(target: &str) -> String {
    match target.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}…", &target[..end]),
        None => target.to_owned(),
    }
}

fn severity(fault: Fault) -> Severity {
    match fault {
        Fault::Outside | Fault::LinkOutside | Fault::LongPath | Fault::LongName | Fault::LinkNowhere => {
            Severity::Error
        }
        // Some readers accept them.
        Fault::LinkBelow | Fault::Dots => Severity::Warning,
        // The image spec allows them, and bases have some.
        Fault::Special => Severity::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::super::super::sample::Sample;
    use super::RULE;
    use crate::tree::{EntryKind, ImagePath};

    fn outside(path: &str) -> Sample {
        Sample::empty(1).file(0, "x", 0o644).with(0, "x", |member| {
            member.path = path.into();
        })
    }

    fn hard_link(sample: Sample, layer: usize, path: &str, target: &str) -> Sample {
        let kind = EntryKind::HardLink(target.into());
        sample.file(layer, path, 0o644).with(layer, path, |member| member.entry.kind = kind)
    }

    #[test]
    fn a_path_out_of_the_image_is_found() {
        assert_eq!(Sample::python().says(&RULE), [""; 0]);
        let sample = outside("a/../../x");
        assert_eq!(sample.says(&RULE), ["a/../../x: this path leads out of the image"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
        let sample = outside("a/b/../x");
        assert_eq!(sample.says(&RULE), ["a/b/../x: this path has `..` in it"], "it stays in the image");
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
    }

    #[test]
    fn a_path_that_is_too_long_is_found() {
        let (name, part) = ("n".repeat(255), "d/".repeat(2046));
        let fits = Sample::empty(1).file(0, &name, 0o644).file(0, &format!("{part}xx"), 0o644);
        assert_eq!(fits.says(&RULE), [""; 0]);
        let escaped = |bytes: &[u8]| {
            let sample = Sample::empty(1).file(0, "x", 0o644);
            sample.with(0, "x", |member| member.path = ImagePath::new(bytes)).says(&RULE).len()
        };
        assert_eq!(
            [escaped(&[0xff; 255]), escaped(&[0xff; 256])],
            [0, 1],
            "an escaped byte has four letters"
        );
        let long =
            Sample::empty(1).file(0, &format!("{name}n/a"), 0o644).file(0, &format!("{part}xxx"), 0o644);
        let messages: Vec<_> = long.check(&RULE).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            messages,
            ["this path is longer than Linux allows", "a part of this path is longer than 255 bytes"]
        );
    }

    #[test]
    fn a_hard_link_must_come_after_its_file() {
        let file =
            Sample::empty(2).link(0, "lib", "usr/lib").directories(0, "usr/lib").file(0, "usr/lib/a", 0o644);
        assert_eq!(hard_link(file.clone(), 0, "b", "usr/lib/a").says(&RULE), [""; 0]);
        assert_eq!(hard_link(file.clone(), 0, "b", "lib/a").says(&RULE), [""; 0], "through a symbolic link");
        assert_eq!(hard_link(file.clone(), 0, "b", "usr/bin/../lib/a").says(&RULE), [""; 0]);
        for (target, fault) in [
            ("usr/lib/c", "this is a hard link to usr/lib/c, which does not come before it"),
            ("../c", "this is a hard link to ../c, out of the image"),
        ] {
            let sample = hard_link(file.clone(), 0, "b", target);
            assert_eq!(sample.says(&RULE), [format!("b: {fault}")]);
            assert_eq!(sample.check(&RULE)[0].severity, Severity::Error);
        }
        let long = hard_link(file.clone(), 0, "b", &"é".repeat(5000));
        let expected =
            format!("b: this is a hard link to {}…, which does not come before it", "é".repeat(255));
        assert_eq!(long.says(&RULE), [expected]);
        let late = hard_link(file, 0, "b", "c").file(0, "c", 0o644);
        assert_eq!(late.says(&RULE), ["b: this is a hard link to c, which does not come before it"]);
    }

    #[test]
    fn a_hard_link_to_another_layer_is_a_warning() {
        let sample = hard_link(Sample::empty(2).file(0, "a", 0o644), 1, "b", "a");
        assert_eq!(sample.says(&RULE), ["b: this is a hard link to a, which is in another layer"]);
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Warning);
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0], "that layer may have the file");
    }

    #[test]
    fn devices_in_a_directory_are_one_note() {
        let sample = Sample::empty(1).special(0, "dev/null").special(0, "dev/zero");
        assert_eq!(
            sample.says(&RULE),
            ["dev/null: this is a device, a pipe or a socket (and 1 more in its directory)"]
        );
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Note);
    }
}
