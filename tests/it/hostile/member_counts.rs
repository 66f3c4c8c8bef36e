//! Layers with very many members: time must not be quadratic, and more than the accepted number is an error.

use super::{LARGE_MEMORY, MeasuredRun, Workspace, words};
use crate::support::image_builder::{self, GZIP, Layer, Tar, gzip};
use serde_json::{Value, json};
use tar::EntryType;

/// A number of members with which quadratic time takes hours in an unoptimised build.
const MANY: usize = 40_000;

/// A layer with these stored bytes and the diff id of an empty content.
fn layer(stored: Vec<u8>) -> Layer {
    Layer::of(stored, GZIP, b"")
}

#[test]
fn more_than_a_million_members_are_refused() {
    let workspace = Workspace { memory: LARGE_MEMORY, ..Workspace::new() };
    let some = (0..10_000).fold(Tar::new(), |tar, number| tar.directory(&format!("d{number}/")));
    let stored = gzip(&some.unended()).repeat(131);
    assert!(stored.len() < 40 << 20, "{} bytes", stored.len());
    let image = workspace.image("image", &[layer(stored)]);
    let done = workspace.run(&[words(&["inspect", &image, "--tree"])]);
    done[0].failed(4, &["layer sha256:", &image, "so many files or such long names"]);
}

#[test]
fn the_total_length_of_names_and_targets_is_limited() {
    let workspace = Workspace { memory: LARGE_MEMORY, ..Workspace::new() };
    let long = "n".repeat(8000);
    // Over 300 MB, in each form.
    let all = [
        Tar::new().pax("path", &long).file("f", 0o644, ""),
        Tar::new().pax("linkpath", &long).symlink("l", ""),
        Tar::new().long(b'K', long.as_bytes()).member("h", EntryType::Link, 0o644, b"", ""),
    ];
    let image = |(number, tar): (usize, Tar)| {
        workspace.image(&format!("image-{number}"), &[layer(gzip(&tar.unended()).repeat(40_000))])
    };
    let images: Vec<String> = all.into_iter().enumerate().map(image).collect();
    let runs: Vec<_> = images.iter().map(|image| words(&["inspect", image, "--tree"])).collect();
    for (end, image) in workspace.run(&runs).iter().zip(&images) {
        end.failed(4, &["layer sha256:", image, "so many files or such long names"]);
    }
}

#[test]
fn long_attributes_are_refused() {
    let workspace = Workspace::new();
    let some = (0..100).fold(Tar::new(), |tar, _| tar.pax("SCHILY.xattr.user.x", &"x".repeat(100_000)));
    let stored = [gzip(&some.unended()).repeat(30), gzip(&Tar::new().file("f", 0o644, "f").bytes())].concat();
    let image = workspace.image("image", &[layer(stored)]);
    let done = workspace.run(&[words(&["inspect", &image, "--tree"])]);
    done[0].failed(4, &["layer sha256:", &image, "attributes are longer than any system accepts"]);
}

/// The files of Lambda's Python base that rules look for, and a handler without a module.
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

/// A tar with a member for each number below `MANY`.
fn many(each: impl FnMut(Tar, usize) -> Tar) -> Tar {
    (0..MANY).fold(Tar::new(), each)
}

/// Runs the reading commands on an image of Lambda's Python with these layers above it; returns the output of `check`.
#[track_caller]
fn check(layers: Vec<Tar>) -> String {
    let workspace = Workspace { memory: LARGE_MEMORY, ..Workspace::new() };
    let (base, config) = python();
    let all: Vec<Layer> = [base].into_iter().chain(layers).map(Layer::gzip).collect();
    let image =
        image_builder::image(&workspace.lbuild.path("image"), &all, |found, _| found["config"] = config);
    let good = workspace.image("good", &[]);
    let done = workspace.run(&workspace.readers(&good, &image));
    assert_eq!((done[0].code, done[1].code, done[2].code), (8, 0, 0), "{}", done[0].err);
    done.into_iter().next().unwrap().out
}

#[test]
fn a_file_may_replace_its_own_directory_many_times() {
    let both = many(|tar, number| tar.file(&format!("d/{number}"), 0o644, "").file("d", 0o644, ""));
    let said = check(vec![both]);
    assert!(said.contains(": duplicate-entry\n"), "{said}");
}

#[test]
fn many_unreadable_directories_are_checked_within_the_limits() {
    let said = check(vec![many(|tar, number| {
        let tar = tar.member(&format!("var/task/{number}/"), EntryType::Directory, 0o700, b"", "");
        tar.file(&format!("var/task/{number}/f"), 0o600, "f")
    })]);
    assert!(said.contains(": unreadable\n"), "{said}");
}

#[test]
fn many_modules_for_another_python_in_one_directory_are_checked_within_the_limits() {
    let name = |number: usize| format!("var/task/p/m{number}.cpython-311-x86_64-linux-gnu.so");
    let said = check(vec![many(|tar, number| tar.file(&name(number), 0o644, ""))]);
    assert!(said.contains(": python-extension-version\n"), "{said}");
}

#[test]
fn many_modules_and_as_many_directories_to_search_are_checked_within_the_limits() {
    let said = check(vec![many(|tar, number| tar.file(&format!("{number}/site-packages/m.so"), 0o644, ""))]);
    assert!(said.contains(": python-handler\n"), "{said}");
}

#[test]
fn many_deleted_git_repositories_are_checked_within_the_limits() {
    let below = many(|tar, number| {
        let (dir, head) = (format!("var/task/{number}"), "ref: refs/heads/main\n");
        tar.file(&format!("{dir}/.git/HEAD"), 0o644, head).file(&format!("{dir}/a/.git/HEAD"), 0o644, head)
    });
    let whiteouts = Tar::new().file(".wh..wh..opq", 0o644, "");
    let said = check(vec![below, whiteouts]);
    assert!(said.contains(": secret-file\n"), "{said}");
}

#[test]
fn many_libraries_for_another_machine_in_one_package_are_checked_within_the_limits() {
    // Only the ELF header of a library for arm64.
    let code = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 183, 0, 1, 0, 0, 0], &[0; 40]].concat();
    let said =
        check(vec![many(|tar, number| tar.file(&format!("var/task/p/arm64-{number}.so"), 0o755, &code))]);
    assert!(said.contains(": elf-machine\n"), "{said}");
}

#[test]
fn many_dangling_symlinks_with_long_targets_are_checked_within_the_limits() {
    let (ahead, up) = ("a/".repeat(2000), "a/../".repeat(800));
    let said = check(vec![(0..2000).fold(Tar::new(), |tar, number| {
        let tar = tar.pax("linkpath", &ahead).symlink(&format!("var/task/a{number}"), "");
        tar.pax("linkpath", &up).symlink(&format!("var/task/u{number}"), "")
    })]);
    assert!(said.contains(": symlink-target\n"), "{said}");
}

#[test]
fn missing_parent_directories_two_thousand_deep_are_checked_within_the_limits() {
    let deep = "d/".repeat(2000);
    let said =
        check(vec![(0..20).fold(Tar::new(), |tar, number| {
            tar.pax("path", &format!("{number}/{deep}f")).file("f", 0o644, "")
        })]);
    assert!(said.contains(": parent-directory\n"), "{said}");
}

#[test]
fn directories_two_thousand_deep_are_checked_within_the_limits() {
    let name = |depth: usize| format!("var/task/{}", "d/".repeat(depth));
    let tar = (1..=2000).fold(Tar::new(), |tar, depth| {
        tar.long(b'L', name(depth).as_bytes()).member("d/", EntryType::Directory, 0o700, b"", "")
    });
    let said = check(vec![tar.long(b'L', format!("{}f", name(2000)).as_bytes()).file("f", 0o600, "")]);
    assert!(said.contains(": unreadable\n"), "{said}");
}

#[test]
fn many_symlinks_through_each_other_are_checked_within_the_limits() {
    // Each link passes through the next one twice.
    let said = check(vec![(0..1000).fold(Tar::new(), |tar, number| {
        let (name, next) = (format!("var/task/l{number}"), number + 1);
        tar.symlink(&name, &format!("l{next}/../l{next}"))
    })]);
    assert!(said.contains(": symlink-target\n"), "{said}");
}

/// Checks an image with a thousand scripts in `dir`, whose program is missing in a `PATH` of this many directories.
fn scripts(dir: &str, places: usize) -> MeasuredRun {
    let workspace = Workspace::new();
    let scripts = (0..1000).fold(Tar::new().file("usr/bin/env", 0o755, ""), |tar, number| {
        tar.file(&format!("{dir}/{number}"), 0o755, "#!/usr/bin/env none\n")
    });
    let path: Vec<String> = (0..places).map(|number| format!(":/p{number}")).collect();
    let image =
        image_builder::image(&workspace.lbuild.path("image"), &[Layer::gzip(scripts)], |config, _| {
            let path = format!("PATH=/{dir}{}", path.concat());
            config["config"] = json!({ "Entrypoint": ["/entry"], "Env": [path] });
        });
    workspace.run(&[words(&["check", &image, "--deny", "notes"])]).remove(0)
}

#[test]
fn many_scripts_and_many_directories_of_their_interpreter_are_checked_within_the_limits() {
    for dir in ["var/task/bin", "opt/extensions"] {
        let few = scripts(dir, 500);
        assert!(few.code == 8 && few.out.contains(": interpreter\n"), "{dir}: {}{}", few.out, few.err);
        // A variable of this length is unrealistic, so the findings do not matter.
        assert!([0, 8].contains(&scripts(dir, 100_000).code));
    }
}
