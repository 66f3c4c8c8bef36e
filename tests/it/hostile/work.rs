//! Layers of so many members that nothing may grow as the square of their number, and of more than are taken in.

use super::{End, Ground, MUCH, words};
use crate::support::craft::{self, GZIP, Layer, Tar, gzip};
use serde_json::{Value, json};
use tar::EntryType;

/// Members of which each looked at all others would take hours in this build.
const MANY: usize = 40_000;

/// One layer's stored form, that says nothing of its tar.
fn layer(stored: Vec<u8>) -> Layer {
    Layer::of(stored, GZIP, b"")
}

#[test]
fn a_million_members_are_all_that_is_taken_in() {
    let ground = Ground { memory: MUCH, ..Ground::new() };
    let some = (0..10_000).fold(Tar::new(), |tar, number| tar.directory(&format!("d{number}/")));
    let stored = gzip(&some.unended()).repeat(101);
    assert!(stored.len() < 32 << 20, "{} bytes", stored.len());
    let image = ground.image("image", &[layer(stored)]);
    let done = ground.run(&[words(&["inspect", &image, "--tree"])]);
    done[0].failed(4, &["layer sha256:", &image, "more than 1000000 members"]);
}

#[test]
fn names_and_targets_are_taken_in_up_to_a_bound() {
    let ground = Ground { memory: MUCH, ..Ground::new() };
    let long = "n".repeat(8000);
    // Over 300 MB of each, in whatever form it comes.
    let all = [
        Tar::new().pax("path", &long).file("f", 0o644, ""),
        Tar::new().pax("linkpath", &long).symlink("l", ""),
        Tar::new().long(b'K', long.as_bytes()).member("h", EntryType::Link, 0o644, b"", ""),
    ];
    let image = |(number, tar): (usize, Tar)| {
        ground.image(&format!("image-{number}"), &[layer(gzip(&tar.unended()).repeat(40_000))])
    };
    let images: Vec<String> = all.into_iter().enumerate().map(image).collect();
    let runs: Vec<_> = images.iter().map(|image| words(&["inspect", image, "--tree"])).collect();
    for (end, image) in ground.run(&runs).iter().zip(&images) {
        end.failed(4, &["layer sha256:", image, "cannot read the layer"]);
    }
}

#[test]
fn attributes_without_end_are_refused() {
    let ground = Ground::new();
    let some = (0..100).fold(Tar::new(), |tar, _| tar.pax("SCHILY.xattr.user.x", &"x".repeat(100_000)));
    let stored = [gzip(&some.unended()).repeat(30), gzip(&Tar::new().file("f", 0o644, "f").bytes())].concat();
    let image = ground.image("image", &[layer(stored)]);
    let done = ground.run(&[words(&["inspect", &image, "--tree"])]);
    done[0].failed(4, &["layer sha256:", &image, "attributes are longer than any system takes"]);
}

/// What Lambda's Python base has, as far as rules look for it, and with a handler that no module has.
fn python() -> (Tar, Value) {
    let tar = Tar::new()
        .file("lambda-entrypoint.sh", 0o755, "#!/bin/sh\n")
        .file("var/lang/bin/python3.12", 0o755, "")
        .directory("var/runtime/awslambdaric/")
        .file("var/runtime/bootstrap", 0o755, "#!/bin/sh\n");
    let config = json!({
        "Entrypoint": ["/lambda-entrypoint.sh"], "Cmd": ["none.handler"],
        "Env": ["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime", "PATH=/bin"],
    });
    (tar, config)
}

/// So many members, one for each number.
fn many(each: impl FnMut(Tar, usize) -> Tar) -> Tar {
    (0..MANY).fold(Tar::new(), each)
}

/// Looks at an image of Lambda's Python with these layers above, and returns what `check` says of it.
#[track_caller]
fn check(layers: Vec<Tar>) -> String {
    let ground = Ground { memory: MUCH, ..Ground::new() };
    let (base, config) = python();
    let all: Vec<Layer> = [base].into_iter().chain(layers).map(Layer::gzip).collect();
    let image = craft::image(&ground.lbuild.path("image"), &all, |found, _| found["config"] = config);
    let good = ground.image("good", &[]);
    let done = ground.run(&ground.readers(&good, &image));
    assert_eq!((done[0].code, done[1].code, done[2].code), (8, 0, 0), "{}", done[0].err);
    done.into_iter().next().unwrap().out
}

#[test]
fn a_file_again_and_again_above_what_is_below_it() {
    let both = many(|tar, number| tar.file(&format!("d/{number}"), 0o644, "").file("d", 0o644, ""));
    let said = check(vec![both]);
    assert!(said.contains(": duplicate-entry\n"), "{said}");
}

#[test]
fn directories_that_nobody_may_enter() {
    let said = check(vec![many(|tar, number| {
        let tar = tar.member(&format!("var/task/{number}/"), EntryType::Directory, 0o700, b"", "");
        tar.file(&format!("var/task/{number}/f"), 0o600, "f")
    })]);
    assert!(said.contains(": unreadable\n"), "{said}");
}

#[test]
fn modules_for_another_python_in_one_directory() {
    let name = |number: usize| format!("var/task/p/m{number}.cpython-311-x86_64-linux-gnu.so");
    let said = check(vec![many(|tar, number| tar.file(&name(number), 0o644, ""))]);
    assert!(said.contains(": python-extension-version\n"), "{said}");
}

#[test]
fn modules_and_as_many_directories_to_look_for_them_in() {
    let said = check(vec![many(|tar, number| tar.file(&format!("{number}/site-packages/m.so"), 0o644, ""))]);
    assert!(said.contains(": python-handler\n"), "{said}");
}

#[test]
fn repositories_that_a_layer_brings_and_another_deletes() {
    let below = many(|tar, number| {
        let (dir, head) = (format!("var/task/{number}"), "ref: refs/heads/main\n");
        tar.file(&format!("{dir}/.git/HEAD"), 0o644, head).file(&format!("{dir}/a/.git/HEAD"), 0o644, head)
    });
    let whiteouts = Tar::new().file(".wh..wh..opq", 0o644, "");
    let said = check(vec![below, whiteouts]);
    assert!(said.contains(": secret-file\n"), "{said}");
}

#[test]
fn machine_code_for_another_machine_in_one_package() {
    // The head of a library for arm64, and no more.
    let code = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 183, 0, 1, 0, 0, 0], &[0; 40]].concat();
    let said =
        check(vec![many(|tar, number| tar.file(&format!("var/task/p/arm64-{number}.so"), 0o755, &code))]);
    assert!(said.contains(": elf-machine\n"), "{said}");
}

#[test]
fn links_with_long_ways_to_nothing() {
    let (ahead, up) = ("a/".repeat(2000), "a/../".repeat(800));
    let said = check(vec![(0..2000).fold(Tar::new(), |tar, number| {
        let tar = tar.pax("linkpath", &ahead).symlink(&format!("var/task/a{number}"), "");
        tar.pax("linkpath", &up).symlink(&format!("var/task/u{number}"), "")
    })]);
    assert!(said.contains(": symlink-target\n"), "{said}");
}

#[test]
fn directories_two_thousand_deep_that_are_not_there() {
    let deep = "d/".repeat(2000);
    let said =
        check(vec![(0..20).fold(Tar::new(), |tar, number| {
            tar.pax("path", &format!("{number}/{deep}f")).file("f", 0o644, "")
        })]);
    assert!(said.contains(": parent-directory\n"), "{said}");
}

#[test]
fn directories_two_thousand_deep_that_are_there() {
    let name = |depth: usize| format!("var/task/{}", "d/".repeat(depth));
    let tar = (1..=2000).fold(Tar::new(), |tar, depth| {
        tar.long(b'L', name(depth).as_bytes()).member("d/", EntryType::Directory, 0o700, b"", "")
    });
    let said = check(vec![tar.long(b'L', format!("{}f", name(2000)).as_bytes()).file("f", 0o600, "")]);
    assert!(said.contains(": unreadable\n"), "{said}");
}

#[test]
fn links_in_the_way_of_each_other() {
    // Each leads through the next, twice.
    let said = check(vec![(0..1000).fold(Tar::new(), |tar, number| {
        let (name, next) = (format!("var/task/l{number}"), number + 1);
        tar.symlink(&name, &format!("l{next}/../l{next}"))
    })]);
    assert!(said.contains(": symlink-target\n"), "{said}");
}

/// An image of a thousand scripts here, each of a program that is nowhere in a `PATH` of this many directories.
fn scripts(dir: &str, places: usize) -> End {
    let ground = Ground::new();
    let scripts = (0..1000).fold(Tar::new().file("usr/bin/env", 0o755, ""), |tar, number| {
        tar.file(&format!("{dir}/{number}"), 0o755, "#!/usr/bin/env none\n")
    });
    let path: Vec<String> = (0..places).map(|number| format!(":/p{number}")).collect();
    let image = craft::image(&ground.lbuild.path("image"), &[Layer::gzip(scripts)], |config, _| {
        let path = format!("PATH=/{dir}{}", path.concat());
        config["config"] = json!({ "Entrypoint": ["/entry"], "Env": [path] });
    });
    ground.run(&[words(&["check", &image, "--deny", "notes"])]).remove(0)
}

#[test]
fn scripts_and_many_places_of_their_interpreter() {
    for dir in ["var/task/bin", "opt/extensions"] {
        let few = scripts(dir, 500);
        assert!(few.code == 8 && few.out.contains(": interpreter\n"), "{dir}: {}{}", few.out, few.err);
        // So long a variable is no one's; what is said of it does not matter.
        assert!([0, 8].contains(&scripts(dir, 100_000).code));
    }
}
