//! Accounts, compared with what shadow-utils and Debian's adduser of this machine leave. Only root can do that: the
//! programs and their libraries are mounted into the root directory.

use super::Project;
use super::real::Root;
use super::snapshot;
use crate::support::image_builder::{Layer, Tar};
use crate::support::tool;
use std::process::Command;

/// The epoch of the build, which shadow-utils take for the present day.
const EPOCH: &str = "315532800";

const FILES: [&str; 4] = ["etc/adduser.conf", "etc/login.defs", "etc/default/useradd", "etc/debian_version"];

/// The files of Debian that decide, from this machine.
fn members(mut tar: Tar) -> Tar {
    tar = tar
        .directory("etc/")
        .directory("etc/default/")
        .directory("etc/skel/")
        .file("etc/skel/.profile", 0o644, "profile\n")
        .directory("etc/skel/d/")
        .file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nold:x:1003:1003::/home/old:/bin/sh\n",
        )
        .file(
            "etc/group",
            0o644,
            "root:x:0:\ndaemon:x:1:\nstaff:x:50:\nusers:x:100:\nold:x:1003:\nnogroup:x:65534:\n",
        )
        .file("etc/shadow", 0o640, "root:*:19000:0:99999:7:::\nold:!:19000:0:99999:7:::\n")
        .file("etc/gshadow", 0o640, "root:*::\nstaff:*::\nold:!::\n")
        .file("etc/subuid", 0o644, "old:100000:65536\n")
        .file("etc/subgid", 0o644, "")
        .directory("home/")
        .directory("var/")
        .directory("var/task/")
        .directory("var/log/")
        .directory("run/")
        .directory("tmp/");
    // chfn, which adduser calls, asks PAM.
    tar = tar.directory("etc/pam.d/");
    for entry in std::fs::read_dir("/etc/pam.d").into_iter().flatten() {
        let path = entry.unwrap().path();
        tar = tar.file(&path.to_string_lossy()[1..], 0o644, std::fs::read(&path).unwrap());
    }
    for name in FILES {
        let content = std::fs::read(format!("/{name}")).unwrap_or_default();
        tar = tar.file(name, 0o644, content);
    }
    tar
}

/// The programs, as far as lbuild looks into them.
fn programs(mut tar: Tar) -> Tar {
    tar = tar.directory("usr/").directory("usr/sbin/");
    for name in ["adduser", "useradd", "groupadd"] {
        let content = std::fs::read(tool(name)).unwrap();
        let content = if name == "adduser" { content } else { b"ELF".to_vec() };
        tar = tar.file(&format!("usr/sbin/{name}"), 0o755, content);
    }
    tar = tar.symlink("usr/sbin/addgroup", "adduser");
    let module = "usr/share/perl5/Debian/AdduserCommon.pm";
    for dir in ["usr/share/", "usr/share/perl5/", "usr/share/perl5/Debian/"] {
        tar = tar.directory(dir);
    }
    tar.file(module, 0o644, std::fs::read(format!("/{module}")).unwrap())
}

#[test]
fn accounts_are_added_as_by_the_real_programs() {
    let can_mount = Command::new(tool("unshare")).args(["-m", "true"]).status().unwrap().success();
    if !rustix::process::getuid().is_root() || !can_mount {
        // The programs change /etc of their own root, which only root can make.
        eprintln!("not run: the real useradd and adduser, which need root and mounts");
        return;
    }
    let project = Project::new();
    project.base("base", &[Layer::gzip(programs(members(Tar::new())))]);
    let mut faults = String::new();
    for line in [
        "useradd app",
        "useradd -m -s /bin/bash -c 'An app' app && chown app:app /var/task",
        "useradd -r -u 150 -g staff -G users,daemon -d /srv/x svc",
        "useradd -r svc && useradd --system -U other",
        "groupadd -g 1001 nodejs && useradd -u 1001 -g nodejs -m nextjs",
        "groupadd one && groupadd -r two && groupadd -f one",
        "useradd -N -M -d /opt/x plain && useradd second",
        "addgroup --system --gid 1001 nodejs && adduser --system --uid 1001 nextjs",
        "adduser --system --group svc && adduser svc staff",
        "adduser --system --ingroup staff --home /srv/svc svc",
        "addgroup plain && addgroup --system sys",
        "adduser --disabled-password --gecos '' app && adduser app staff",
        "adduser --disabled-password --gecos 'A B' --uid 1500 --shell /bin/sh --home /opt/h app",
        "adduser --system --no-create-home --shell /bin/sh --home /srv/n n && adduser --system m",
    ] {
        let (out, done) = project.run(&format!("FROM base\nRUN {line}\n"), &[]);
        if done.stderr.contains("needs a process") {
            faults += &format!("{line}: {}\n", done.stderr);
            continue;
        }
        let root = Root::empty(members(Tar::new()));
        let (code, stderr) = root.run_mounted(line, EPOCH);
        if code != 0 || done.code != Some(0) {
            faults += &format!("{line}: {code} {stderr}\nours: {}\n", done.stderr);
            continue;
        }
        let mut real = root.snapshot();
        // Copies of changed files, and locks, which lbuild leaves out.
        real.retain(|path, _| {
            let is_copy = path.starts_with("etc/") && path.ends_with('-');
            !(is_copy || path.ends_with(".lock"))
        });
        real.retain(|path, _| !path.starts_with("run/") && !path.starts_with("var/log/"));
        let ours = snapshot::of_image(&out);
        let difference = snapshot::difference(&ours, &real);
        if !difference.is_empty() {
            faults += &format!("{line}:\n{difference}{stderr}");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
