//! A system of one static program, for commands that need a shell and little else.

use super::image_builder::{Layer, Tar, image};
use super::{debian, part, run, tool};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use tar::EntryType;

/// Writes the image to a layout: busybox with all its names, accounts, and a few files and links that a command may meet.
/// It has one layer.
pub fn write(layout: &Path) {
    write_with(layout, json!({ "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"] }), |tar| tar);
}

/// The same with another config and more files.
pub fn write_with(layout: &Path, process: Value, more: impl FnOnce(Tar) -> Tar) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let script =
        "dpkg-deb --fsys-tarfile busybox-static_*.deb | tar --extract --directory \"$1\" ./bin/busybox";
    let debs = part("debs").join(debian::ARCHITECTURE);
    let mut shell = Command::new(tool("bash"));
    run(shell.args(["-o", "pipefail", "-c", script, "bash"]).arg(dir.path()).current_dir(debs))
        .expect("unpacked");
    let program = dir.path().join("bin/busybox");
    let names = run(Command::new(&program).arg("--list")).expect("busybox starts");
    let directory = |tar: Tar, name: &str, mode: u32| tar.member(name, EntryType::Directory, mode, b"", "");
    let mut tar = Tar::new();
    for name in [
        "bin/",
        "dev/",
        "etc/",
        "mnt/",
        "proc/",
        "root/",
        "run/",
        "srv/",
        "sys/",
        "usr/",
        "usr/bin/",
        "usr/share/",
        "usr/share/doc/",
        "usr/share/doc/tool/",
        "var/",
    ] {
        tar = tar.directory(name);
    }
    tar = directory(tar, "tmp/", 0o1777);
    tar = tar.file("bin/busybox", 0o755, fs::read(&program).expect("unpacked"));
    for name in names.lines().filter(|name| *name != "busybox") {
        tar = tar.symlink(&format!("bin/{name}"), "busybox");
    }
    let tar = tar
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\napp:x:1001:\nstaff:x:50:app\n")
        .file(debian::MARK, 0o644, "")
        .file("bin/tool", 0o755, "tool of the base\n")
        .member("usr/bin/same", EntryType::Link, 0o755, b"", "bin/tool")
        .file("usr/share/doc/readme", 0o644, "read me\n")
        .file("usr/share/doc/tool/copyright", 0o644, "nobody's\n")
        .symlink("usr/share/link", "doc/tool");
    let tar = directory(tar, "home/", 0o755);
    image(layout, &[Layer::gzip(more(tar))], |config, _| {
        config["architecture"] = json!(debian::ARCHITECTURE);
        config["config"] = process;
    });
}

/// The tag of the image in its layout.
pub use super::image_builder::TAG;
