//! Circular links, links out of the image, and unusual whiteouts.

use super::Expectation::{Found, Good};
use super::{MeasuredRun, Workspace, words};
use crate::support::image_builder::{self, Layer, Tar};
use serde_json::json;
use tar::EntryType;

/// The directory of a function with these links (name, target).
fn links<'a>(links: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tar {
    let tar = Tar::new().directory("var/").directory("var/task/");
    links.into_iter().fold(tar, |tar, (name, target)| tar.symlink(&format!("var/task/{name}"), target))
}

#[test]
fn circular_and_dangling_symlinks_are_findings() {
    let names: Vec<String> = (0..=10_000).map(|number| format!("l{number}")).collect();
    let chain = names.windows(2).map(|pair| (&*pair[0], &*pair[1]));
    let round = chain.clone().chain([(&*names[10_000], &*names[0])]);
    let found = [
        links([("self", "self")]),
        links([("a", "b"), ("b", "a")]),
        links([("a", "b/x"), ("b", "a/y")]),
        links([("a", "../task/a/../a")]),
        links([("up", "../../../../../../etc/passwd")]),
        links([("none", "/proc/../none")]),
        links([("deep", "deep/deep/deep")]),
        links(chain),
        links(round),
    ];
    let mut cases: Vec<_> =
        found.into_iter().map(|tar| (vec![Layer::gzip(tar)], Found("symlink-target"))).collect();
    // Links to the root and to their own directory are fine.
    cases.push((vec![Layer::gzip(links([("root", "/"), ("here", ".")]))], Good));
    Workspace::new().check_cases(cases);
}

#[test]
fn an_entrypoint_below_a_circular_symlink_is_a_finding() {
    let workspace = Workspace::new();
    let circle = [Layer::gzip(links([("a", "b"), ("b", "a")]))];
    for (number, field) in ["Entrypoint", "Cmd"].into_iter().enumerate() {
        let image =
            image_builder::image(&workspace.lbuild.path(&format!("image-{number}")), &circle, |config, _| {
                config["config"][field] = json!(["/var/task/a/x"]);
            });
        let done = workspace.run(&[words(&["check", &image, "--deny", "warnings"])]);
        assert_eq!(done[0].code, 8, "{}", done[0].err);
    }
}

fn hard(links: &[(&str, &str)]) -> Tar {
    let link =
        |tar: Tar, (name, target): &(&str, &str)| tar.member(name, EntryType::Link, 0o644, b"", target);
    links.iter().fold(Tar::new(), link)
}

#[test]
fn hard_links_to_later_or_missing_members_are_findings() {
    let found = [
        hard(&[("a", "a")]),
        hard(&[("a", "b"), ("b", "a")]),
        hard(&[("a", "b"), ("b", "c"), ("c", "d")]),
        hard(&[("a", "f")]).file("f", 0o644, "f"),
        hard(&[("a", "../beside/f")]),
        hard(&[("a", "")]),
    ];
    let mut cases: Vec<_> =
        found.into_iter().map(|tar| (vec![Layer::gzip(tar)], Found("entry-path"))).collect();
    let whole = Tar::new().file("f", 0o644, "f").member("h", EntryType::Link, 0o644, b"", "f");
    cases.push((vec![Layer::gzip(whole)], Good));
    Workspace::new().check_cases(cases);
}

/// The paths that a container of each of these images sees.
fn seen(images: Vec<Vec<Tar>>) -> Vec<Vec<String>> {
    let workspace = Workspace::new();
    let tree = |(number, layers): (usize, Vec<Tar>)| {
        let layers: Vec<Layer> = layers.into_iter().map(Layer::gzip).collect();
        words(&["inspect", &workspace.image(&format!("image-{number}"), &layers), "--tree"])
    };
    let runs: Vec<Vec<String>> = images.into_iter().enumerate().map(tree).collect();
    let paths = |end: MeasuredRun| -> Vec<String> {
        assert_eq!(end.code, 0, "{}", end.err);
        end.out.lines().filter_map(|line| Some(line.split_once('/')?.1.to_owned())).collect()
    };
    workspace.run(&runs).into_iter().map(paths).collect()
}

#[test]
fn a_symlink_that_replaces_a_directory_is_not_followed() {
    let directory = || Tar::new().directory("d/").file("d/f", 0o644, "f");
    let link = || Tar::new().symlink("d", "/etc");
    let through = || Tar::new().file("d/g", 0o644, "g");
    // Files named `d` and `d/` in place of the directory; and members that name the root.
    let odd = || Tar::new().file("d", 0o644, "d").file("d/", 0o644, "");
    let root = || Tar::new().file(".", 0o644, "").symlink("./.", "/etc");
    for (layers, expected) in [
        (vec![directory(), link()], &["d -> /etc"][..]),
        (vec![link(), directory()], &["d", "d/f"]),
        (vec![link(), through()], &["d -> /etc", "d/g"]),
        (vec![directory(), link(), through()], &["d -> /etc", "d/g"]),
        (vec![link().file("d/g", 0o644, "g")], &["d -> /etc", "d/g"]),
        (vec![directory(), odd()], &["d"]),
        (vec![directory(), root()], &["d", "d/f"]),
    ] {
        assert_eq!(seen(vec![layers]), [expected]);
    }
}

#[test]
fn whiteouts_remove_exactly_the_paths_that_they_name() {
    let all = ["a", "a/f", "keep"];
    let below = || Tar::new().directory("a/").file("a/f", 0o644, "f").file("keep", 0o644, "k");
    let whiteouts = [
        ("a/.wh.f", &["a", "keep"][..]),
        ("./a//.wh.f", &["a", "keep"]),
        ("a/.wh..wh..opq", &["a", "keep"]),
        (".wh.a", &["keep"]),
        ("/.wh.keep", &["a", "a/f"]),
        (".wh..wh..opq", &[]),
        // These name nothing, or a path outside the image.
        ("a/.wh..wh.plnk", &all),
        ("a/.wh...", &all),
        (".wh..", &all),
        (".wh.", &all),
        ("a/.wh.", &all),
        ("../.wh.keep", &all),
        ("a/../.wh.keep", &all),
        (".wh.none/.wh..wh..opq", &all),
    ];
    let of_any_kind = |(name, _): &(&str, &[&str])| {
        let directory = Tar::new().member(name, EntryType::Directory, 0o755, b"", "");
        let upper = [Tar::new().file(name, 0o644, ""), directory, Tar::new().symlink(name, "/")];
        upper.map(|upper| vec![below(), upper])
    };
    let found = seen(whiteouts.iter().flat_map(of_any_kind).collect());
    for (kinds, (name, expected)) in found.chunks(3).zip(whiteouts) {
        assert!(kinds.iter().all(|paths| paths == expected), "{name}: {kinds:?}");
    }
    // Whiteouts have no effect in the lowest layer, and none on members of their own layer.
    let lowest = Tar::new().file(".wh..wh..opq", 0o644, "").file(".wh.f", 0o644, "").file("f", 0o644, "f");
    let later = below().file(".wh.keep", 0o644, "").file(".wh..wh..opq", 0o644, "");
    let found = seen(vec![vec![lowest], vec![Tar::new(), later]]);
    assert_eq!((&found[0][..], &found[1][..]), (&["f".to_owned()][..], &all.map(str::to_owned)[..]));
}
