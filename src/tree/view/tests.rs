use super::*;
use crate::tree::{Entry, whiteout};

struct Layer {
    members: Vec<Member<()>>,
    from_tree: bool,
}

/// A layer of these members: `a/` is a directory, `a -> b` a symbolic link, `a = b` a hard link, and `.wh.a` a
/// whiteout.
fn layer(members: &[&str]) -> Option<Layer> {
    let member = |&text: &&str| {
        let (path, kind) = if let Some((path, target)) = text.split_once(" -> ") {
            (path, EntryKind::Symlink(target.into()))
        } else if let Some((path, target)) = text.split_once(" = ") {
            (path, EntryKind::HardLink(target.into()))
        } else if text.ends_with('/') {
            (text.trim_end_matches('/'), EntryKind::Directory)
        } else {
            (text, EntryKind::File(()))
        };
        let (kind, path) = whiteout::deletion(path.as_bytes()).unwrap_or((kind, path.into()));
        Member { path: ImagePath::new(&path), entry: Entry::new(kind, 0o644), mtime: 0 }
    };
    Some(Layer { members: members.iter().map(member).collect(), from_tree: false })
}

fn view(layers: &[Option<Layer>]) -> View<'_, ()> {
    View::of(layers.iter().map(|layer| {
        let Layer { members, from_tree } = layer.as_ref()?;
        Some(ViewLayer { members, from_tree: *from_tree })
    }))
}

fn seen(layers: &[Option<Layer>]) -> Vec<String> {
    view(layers).iter().map(|file| format!("{}{}", file.layer, file.member.path)).collect()
}

fn hidden<'a>(files: &View<'a, ()>) -> Vec<(&'a str, usize, bool)> {
    files.hidden().iter().map(|file| (file.file.member.path.as_str(), file.by, file.replaced)).collect()
}

/// The file that a path leads to, and its layer.
fn file<'a>(files: &View<'a, ()>, path: &str) -> Option<(usize, &'a str)> {
    files.file(path).map(|file| (file.layer, file.member.path.as_str()))
}

#[test]
fn higher_layers_replace_and_delete() {
    let layers =
        [layer(&["a/", "a/b", "a/c", "d/e"]), layer(&["a/c", "a/.wh.b"]), layer(&["d/f", "d/.wh..wh..opq"])];
    assert_eq!(seen(&layers), ["0a", "1a/c", "2d/f"]);
    let expected = [("a/b", 1, false), ("a/c", 1, true), ("d/e", 2, false)];
    assert_eq!(hidden(&view(&layers)), expected);
}

#[test]
fn whiteouts_hide_only_the_named_entries() {
    let lower = || layer(&["/", "a", "d/b"]);
    let nothing = layer(&[".wh.", "d/.wh.", "d/.wh.none", ".wh.none"]);
    assert_eq!(seen(&[lower(), nothing]), ["0", "0a", "0d/b"]);
    assert_eq!(seen(&[lower(), layer(&[".wh..wh..opq", "c"])]), ["0", "1c"]);
    assert_eq!(seen(&[lower(), layer(&["d/", "d/c", ".wh.d", "a", ".wh.a"])]), ["0", "1a", "1d", "1d/c"]);
}

#[test]
fn an_entry_that_replaces_a_directory_hides_its_contents() {
    assert_eq!(seen(&[layer(&["a/", "a/b"]), layer(&["a"])]), ["1a"]);
    assert_eq!(seen(&[layer(&["a/b"]), layer(&["a -> c"])]), ["1a"]);
    assert_eq!(seen(&[layer(&["a/", "a/b"]), layer(&["a/", "a/c"])]), ["1a", "0a/b", "1a/c"]);
    assert_eq!(seen(&[layer(&["a"]), layer(&["a/", "a/b"])]), ["1a", "1a/b"]);
    assert_eq!(seen(&[layer(&["a -> c", "c/d"]), layer(&["a/", "a/b"])]), ["1a", "1a/b", "0c/d"]);
    let again = [layer(&["a/", "a/b", "a"])];
    assert_eq!(seen(&again), ["0a"]);
    assert!(hidden(&view(&again)).is_empty(), "the same layer replaced it");
}

#[test]
fn links_are_followed_as_in_the_kernel() {
    let layers = [layer(&[
        "bin -> usr/bin",
        "usr/bin/sh",
        "usr/bin/bash -> /bin/sh",
        "usr/bin/X11 -> .",
        "up -> ../../usr",
        "away -> ../none",
        "round -> round",
        "dead -> none/../usr",
    ])];
    let files = view(&layers);
    assert_eq!(file(&files, "/bin/bash"), Some((0, "usr/bin/sh")));
    assert_eq!(file(&files, "/bin/X11/X11/sh"), Some((0, "usr/bin/sh")));
    assert!(files.file("/bin/sh/x").is_none() && matches!(files.resolve("/usr").target, Target::Directory));
    assert!(matches!(files.resolve("round").target, Target::Loop));
    assert!(matches!(files.resolve("dead").target, Target::Nothing));
    let up = files.resolve("/up/bin");
    assert!(matches!(up.target, Target::Directory) && up.leaves_root && up.path == "usr/bin", "{up:?}");
    let away = files.resolve("away/x");
    assert!(matches!(away.target, Target::Nothing) && away.leaves_root && away.path == "none/x", "{away:?}");
    let bash = files.resolve("bin/bash");
    assert!(!bash.leaves_root && bash.path == "usr/bin/sh", "{bash:?}");
    assert!(files.complete && !view(&[None]).complete);
}

#[test]
fn paths_are_followed_within_the_limits_of_linux() {
    let long = format!("long -> {}", "./".repeat(MAX_TARGET));
    let chain: Vec<String> = (0..50).map(|link| format!("l{link} -> l{}", link + 1)).collect();
    let mut members: Vec<&str> = chain.iter().map(String::as_str).collect();
    members.extend([long.as_str(), "l50", "d/"]);
    let layers = [layer(&members)];
    let files = view(&layers);
    assert!(matches!(files.resolve("long").target, Target::Loop));
    assert!(matches!(files.resolve("d/../".repeat(MAX_NAMES + 1)).target, Target::Loop));
    assert!(matches!(files.resolve("d/../".repeat(MAX_NAMES)).target, Target::Directory));
    assert!(files.file("l10").is_some() && matches!(files.resolve("l9").target, Target::Loop));
}

#[test]
fn a_hard_link_keeps_its_file() {
    let lower = || layer(&["a", "b = a", "c = b"]);
    let replaced = [lower(), layer(&["a"])];
    let files = view(&replaced);
    assert_eq!(["a", "b", "c"].map(|path| file(&files, path)), [1, 0, 0].map(|layer| Some((layer, "a"))));
    let deleted = [lower(), layer(&[".wh.a", ".wh.c"])];
    let files = view(&deleted);
    assert_eq!(["a", "b", "c"].map(|path| file(&files, path)), [None, Some((0, "a")), None]);
    assert_eq!(hidden(&files), [("c", 1, false)], "the file itself is seen as b");
    let gone = [lower(), layer(&[".wh.a", ".wh.c"]), layer(&["b"])];
    assert_eq!(hidden(&view(&gone)), [("a", 1, false), ("c", 1, false)]);
    let upper = [layer(&["a"]), layer(&["b = a"]), layer(&[".wh.a"])];
    assert_eq!(file(&view(&upper), "b"), Some((0, "a")));
}

#[test]
fn a_hard_link_is_another_name_of_anything_but_a_directory() {
    let layers = [layer(&[
        "lib -> usr/lib",
        "usr/lib/x",
        "by-link = lib/x",
        "s -> y",
        "d/y",
        "d/s = s",
        "none = late",
        "late",
        "usr/",
        "dir = usr",
    ])];
    let files = view(&layers);
    assert_eq!(file(&files, "by-link"), Some((0, "usr/lib/x")));
    assert_eq!(file(&files, "d/s"), Some((0, "d/y")), "relative to the directory of its name");
    assert!(files.file("none").is_none() && files.file("dir").is_none());
    let found = files.get("none").unwrap();
    assert!(files.inode(found).is_none() && files.inode(files.get("late").unwrap()).is_some());
}

#[test]
fn a_view_with_members_below_a_link_is_not_complete() {
    let complete = |layers: &[Option<Layer>]| view(layers).complete;
    assert!(!complete(&[layer(&["a -> b", "a-c", "a/x/y"])]));
    assert!(!complete(&[layer(&["lib -> usr/lib", "usr/lib/"]), layer(&["lib/x"])]));
    assert!(complete(&[layer(&["lib -> usr/lib", "usr/lib/"]), layer(&["lib/", "lib/x"])]));
    assert!(complete(&[layer(&["a/", "a-c -> a", "a/b/c", "a/b/d", "e/f"])]));
    assert!(!complete(&[layer(&["a/", "a/b", "a/b/c"])]));
}

#[test]
fn a_layer_from_a_tree_gives_the_same_view_as_its_members() {
    let many: Vec<String> = (0..100).map(|number| format!("opt/{number:03}")).collect();
    for (below, more) in [
        (&[][..], &[][..]),
        (&["etc/", "etc/a"], &[]),
        (&["opt/", "opt/a"], &[]),
        (&["opt/", "opt/007"], &[]),
        (&["opt"], &[]),
        (&["x/", "x/a"], &["x"]),
        (&["x/", "x/a"], &["x/", "x/.wh.a"]),
        (&["x -> opt"], &["x/", "x/a"]),
    ] {
        let mut tree: Vec<&str> = ["opt/"].into_iter().chain(many.iter().map(String::as_str)).collect();
        tree.extend(more);
        tree.sort_unstable();
        let mut layers = [layer(below), layer(&tree)];
        let mut outcome = |from_tree: bool| {
            layers[1].as_mut().unwrap().from_tree = from_tree;
            let files = view(&layers);
            let hidden = files.hidden().iter().map(|hidden| hidden.file.member.path.clone());
            (seen(&layers), hidden.collect::<Vec<_>>(), files.complete)
        };
        assert_eq!(outcome(true), outcome(false), "{below:?} {more:?}");
    }
}
