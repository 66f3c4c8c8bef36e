//! Layers hold what can be unpacked: paths inside of the image that are not too long, hard links to what is there, and
//! no devices.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::super::case::{Case, Member};
use super::super::finding::Severity;
use super::super::package::dir;
use super::super::rule::{Findings, Rule};
use crate::tree::{EntryKind, Target};

pub(super) const RULE: Rule = Rule {
    name: "entry-path",
    severity: Severity::Error,
    what: "The paths in a layer do not lead out of the image and are not longer than Linux takes, hard links lead to a \
           file that comes before them, and none is a device.",
    why: "No reader may follow a path out of the image, Linux opens none of 4096 bytes or with a part of more than 255, \
          and a hard link cannot be made before its file, nor by all readers in another layer. Devices, pipes and \
          sockets are of no use to a function, and who is not root cannot make a device.",
    example: "A tar with `../../etc/cron.d/x`, or with the `/dev/null` of the system that it was made on.",
    help: "find what puts the entry into the layer, and leave it out",
    source: "https://man7.org/linux/man-pages/man7/path_resolution.7.html",
    check,
};

/// The longest path with a slash in front and the NUL that ends it, and the longest name between two slashes, in bytes.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// No more dead links of a layer are followed through the image: that takes time, and a hostile layer can have a million.
const FOLLOWED: usize = 100;

/// What is wrong with a member, by how bad it is.
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
        let mut found: BTreeMap<(Fault, &str), Vec<&Member>> = BTreeMap::new();
        let by_name = scan.members.iter().filter_map(|member| Some((fault(member)?, member)));
        for (fault, member) in by_name.chain(dead_links(case, number, &scan.members)) {
            found.entry((fault, dir(&member.path))).or_default().push(member);
        }
        for ((fault, _), members) in found {
            let Some(first) = members.first() else { continue };
            let others = match members.len() - 1 {
                0 => String::new(),
                others => format!(" (and {others} more in its directory)"),
            };
            let message = format!("{}{others}", message(fault, first));
            findings.add(message).in_layer(case, number).at(first.archive_name()).as_severe(severity(fault));
        }
    }
}

/// What a member's own path and kind tell.
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

/// The hard links whose file is not before them in the layer.
fn dead_links<'a>(case: &Case<'_>, number: usize, members: &'a [Member]) -> Vec<(Fault, &'a Member)> {
    if !members.iter().any(|member| member.is_hard_link()) {
        return Vec::new();
    }
    let mut here: HashSet<&str> = HashSet::new();
    let (mut dead, mut missing) = (Vec::new(), Vec::new());
    for member in members {
        if let Some(target) = member.target().filter(|_| member.is_hard_link()) {
            match inside(&target) {
                None => dead.push((Fault::LinkOutside, member)),
                Some(target) if !here.contains(&*target) => missing.push((target.into_owned(), member)),
                Some(_) => {}
            }
        }
        if !member.is_deletion() {
            here.insert(&member.path);
        }
    }
    if missing.is_empty() {
        return dead;
    }
    let lower = &case.scans[..number];
    let below = lower.iter().flatten().flat_map(|scan| &scan.members);
    let below = below.filter(|member| !member.is_deletion());
    let below: HashSet<&str> = below.map(|member| member.path.as_str()).collect();
    let is_known = lower.iter().all(Option::is_some);
    let are_few = missing.len() <= FOLLOWED;
    for (target, member) in missing {
        if below.contains(&*target) {
            dead.push((Fault::LinkBelow, member));
        } else if is_known && !(are_few && is_behind_link(case, &target)) {
            dead.push((Fault::LinkNowhere, member));
        }
    }
    dead
}

/// Whether the path leads by way of a symbolic link to what has another path in its layer.
fn is_behind_link(case: &Case<'_>, path: &str) -> bool {
    path.len() < MAX_PATH
        && matches!(case.files.resolve(path).target, Target::Entry(found) if found.member.path != path)
}

/// The path without any `..`; `None` when it leads out of the image.
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

/// As much of a target as anyone reads.
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
        // Readers differ.
        Fault::LinkBelow | Fault::Dots => Severity::Warning,
        // A layer may hold them by the image spec, and bases do.
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
        assert_eq!(sample.says(&RULE), ["a/b/../x: this path has `..` in it"], "it stays inside");
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
        assert_eq!([escaped(&[0xff; 255]), escaped(&[0xff; 256])], [0, 1], "a byte is shown by four letters");
        let long =
            Sample::empty(1).file(0, &format!("{name}n/a"), 0o644).file(0, &format!("{part}xxx"), 0o644);
        let messages: Vec<_> = long.check(&RULE).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            messages,
            ["this path is longer than Linux allows", "a part of this path is longer than 255 bytes"]
        );
    }

    #[test]
    fn a_hard_link_needs_its_file_before_it() {
        let file =
            Sample::empty(2).link(0, "lib", "usr/lib").directories(0, "usr/lib").file(0, "usr/lib/a", 0o644);
        assert_eq!(hard_link(file.clone(), 0, "b", "usr/lib/a").says(&RULE), [""; 0]);
        assert_eq!(hard_link(file.clone(), 0, "b", "lib/a").says(&RULE), [""; 0], "by way of a link");
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
        assert_eq!(sample.unknown(0).says(&RULE), [""; 0], "it may have the file, or not");
    }

    #[test]
    fn devices_of_a_directory_are_one_note() {
        let sample = Sample::empty(1).special(0, "dev/null").special(0, "dev/zero");
        assert_eq!(
            sample.says(&RULE),
            ["dev/null: this is a device, a pipe or a socket (and 1 more in its directory)"]
        );
        assert_eq!(sample.check(&RULE)[0].severity, Severity::Note);
    }
}
