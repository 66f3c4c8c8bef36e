//! The same Dockerfiles with lbuild and with `buildah bud`: tree and config must be equal. Differences that are meant
//! are listed in `differences.txt`, each with its reason.

use super::buildah_cases::CASES;
use crate::support::buildah::{Buildah, Driver};
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tree;
use crate::support::lbuild::{Lbuild, image_of};
use crate::support::tool;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use tar::EntryType;

/// The names of cases that differ, and why.
const DIFFERENCES: &str = include_str!("differences.txt");

const BASE: &str = "localhost/base";

/// The fields of the config that an image's users see.
const FIELDS: [&str; 12] = [
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

/// A base with links, owners and modes that a `COPY` may meet.
fn base(layout: &Path) {
    let owned = |tar: Tar, name: &str, mode: u32, owner: u64| {
        tar.head(name, b'5', 0, |head| {
            head[100..107].copy_from_slice(format!("{mode:07o}").as_bytes());
            head[108..115].copy_from_slice(format!("{owner:07o}").as_bytes());
            head[116..123].copy_from_slice(format!("{owner:07o}").as_bytes());
        })
    };
    let mut tar = Tar::new();
    for directory in
        ["etc/", "opt/", "run/", "srv/", "usr/", "usr/lib/", "usr/bin/", "var/", "var/task/", "home/"]
    {
        tar = tar.directory(directory);
    }
    tar = owned(tar, "srv/data/", 0o750, 1000);
    tar = owned(tar, "tmp/", 0o1777, 0);
    let tar = tar
        .file("srv/data/f", 0o600, "f")
        .file("file", 0o644, "file")
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\napp:x:1001:\nstaff:x:50:app\n")
        .symlink("lib", "usr/lib")
        .symlink("var/run", "/run")
        .symlink("to-data", "/srv/data")
        .symlink("dangling", "/srv/none")
        .symlink("to-file", "file")
        .file("usr/bin/tool", 0o755, "tool")
        .member("usr/bin/same", EntryType::Link, 0o755, b"", "usr/bin/tool");
    image(layout, &[Layer::gzip(tar)], |config, _| {
        config["config"] = json!({
            "Env": ["PATH=/usr/bin:/bin", "LAMBDA_TASK_ROOT=/var/task"],
            "WorkingDir": "/var/task", "Entrypoint": ["/entry.sh"], "Cmd": ["old.handler"],
            "Labels": { "of": "base" }, "ExposedPorts": { "80/tcp": {} },
        });
    });
}

fn context(dir: &Path) {
    for (path, content) in [
        ("a.txt", "a"),
        ("b.txt", "b"),
        ("app.py", "def handler(): pass"),
        (".env", "E=1"),
        ("with blank.txt", "blank"),
        ("dir/x", "x"),
        ("dir/sub/y", "y"),
        ("dir/.hid", "hid"),
        ("mix/a.md", "md"),
        ("mix/a.txt", "txt"),
        ("mix/s/b.md", "b"),
        ("mix/s/x.log", "log"),
        ("deep/er/f.txt", "f"),
        ("deep/er/g.1", "g"),
        ("arr[0].txt", "arr"),
        ("fake.tar", "no archive"),
        ("zero.tar", ""),
        ("package.json", "{}"),
        ("src/one/p", "p"),
        ("src/two/q", "q"),
        ("bin/run", "#!/bin/sh"),
    ] {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::set_permissions(dir.join("bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    for (link, target) in [
        ("link.txt", "a.txt"),
        ("linkdir", "dir"),
        ("dir/ln", "x"),
        ("dir/dangling", "nowhere"),
        ("absolute", "/b.txt"),
    ] {
        symlink(target, dir.join(link)).unwrap();
    }
    let tar = Tar::new()
        .directory("./")
        .directory("t/")
        .file("t/f", 0o640, "in the tar")
        .file("implied/g", 0o600, "g")
        .symlink("t/l", "f")
        .member("t/h", EntryType::Link, 0o640, b"", "t/f")
        .bytes();
    fs::write(dir.join("data.tar"), &tar).unwrap();
    for (program, name) in
        [("gzip", "data.tar.gz"), ("bzip2", "data.tbz"), ("xz", "data.txz"), ("zstd", "data.tzst")]
    {
        let output = Command::new(tool(program)).arg("-c").arg(dir.join("data.tar")).output().unwrap();
        assert!(output.status.success(), "{program}");
        fs::write(dir.join(name), output.stdout).unwrap();
    }
}

/// What a user sees of a config. Labels that the tools add themselves are left out.
fn config(layout: &Path, tag: &str) -> BTreeMap<&'static str, Value> {
    let (_, config) = image_of(layout, tag, "amd64");
    let mut fields = BTreeMap::new();
    for field in FIELDS {
        let mut value = config["config"][field].clone();
        if let Some(labels) = value.as_object_mut() {
            labels.retain(|name, _| {
                name != "io.buildah.version" && !name.starts_with("org.opencontainers.image.base")
            });
        }
        let is_empty = match &value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        if !is_empty {
            fields.insert(field, value);
        }
    }
    fields.insert("author", config["author"].clone());
    fields
}

/// How the results differ; `None` if they do not.
fn difference(lbuild: &Lbuild, buildah: &Buildah, name: &str, text: &str) -> Option<String> {
    let file = lbuild.path(&format!("{name}.Dockerfile"));
    fs::write(&file, text).unwrap();
    let (ours, theirs) = (lbuild.path(&format!("{name}.ours")), lbuild.path(&format!("{name}.theirs")));
    let (context, to) = (lbuild.path("context"), format!("oci:{}:ours", ours.display()));
    let named = format!("{BASE}=oci:{}:{TAG}", lbuild.text("base"));
    let (context_of, file_of) = (context.display().to_string(), file.display().to_string());
    let arguments =
        ["build", &context_of, "-f", &file_of, "--build-context", &named, "--arch", "amd64", "--to", &to];
    let built = lbuild.run(&arguments);
    let their_build = buildah.build(&context, &file, &format!("{}:theirs", theirs.display()), &[]);
    match (built.code, their_build) {
        (Some(0), Ok(())) => {}
        (Some(0), Err(error)) => return Some(format!("only buildah fails: {error}")),
        (_, Ok(())) => return Some(format!("only lbuild fails: {}", built.stderr)),
        (_, Err(_)) => return None,
    }
    let trees = (image_tree::of(&ours, "ours", "amd64"), image_tree::of(&theirs, "theirs", "amd64"));
    let configs = (config(&ours, "ours"), config(&theirs, "theirs"));
    let mut text = image_tree::difference(&trees.0, &trees.1);
    if configs.0 != configs.1 {
        text += &format!("{:?}\ninstead of\n{:?}\n", configs.0, configs.1);
    }
    (!text.is_empty()).then_some(text)
}

#[test]
fn tree_and_config_equal_those_of_buildah() {
    let lbuild = Lbuild::new();
    base(&lbuild.path("base"));
    context(&lbuild.path("context"));
    let buildah = Buildah::new(Driver::Copies);
    buildah.add(BASE, &lbuild.path("base"), TAG);
    assert!(CASES.len() >= 60, "{} cases", CASES.len());
    let listed: BTreeSet<&str> = DIFFERENCES
        .lines()
        .filter(|line| !line.starts_with(['#', ' ']))
        .filter_map(|line| line.split(':').next())
        .filter(|name| !name.is_empty())
        .collect();
    let (mut differing, mut messages) = (BTreeSet::new(), String::new());
    for (rules, name, text) in CASES {
        let Some(difference) = difference(&lbuild, &buildah, name, text) else { continue };
        differing.insert(*name);
        if !listed.contains(name) {
            messages += &format!("--- {name}, rules {rules:?}\n{text}\n{difference}\n");
        }
    }
    assert!(messages.is_empty(), "{messages}");
    assert_eq!(differing, listed, "differences.txt lists cases that do not differ");
}
