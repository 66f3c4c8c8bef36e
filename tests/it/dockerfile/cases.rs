//! Dockerfiles as people have them, from the tutorials of AWS and from public repositories. `RUN` lines that need a process
//! are taken out, or replaced by the lines of `run.instead`; tree and config are compared with `expected.txt`.
//!
//! `UPDATE_GOLDEN=1` writes the expected files.

use crate::support::http::{Response, Server};
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tree;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, image_of};
use crate::support::npm_registry::{NpmPackage, NpmRegistry};
use crate::support::{run, testdata, tool};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Cases whose `RUN` lines need no process: they are built as they are.
const TRANSLATED: [&str; 16] = [
    "01-python-pip-target",
    "02-python-pip-site",
    "03-python-copy-all",
    "04-sam-python",
    "06-node-npm-ci",
    "16-custom-python-ric",
    "17-custom-base-rie-entry",
    "19-extension-from-scratch",
    "20-uv-mounts",
    "21-uv-sync-venv",
    "22-poetry-install",
    "28-useradd-chown-user",
    "29-file-operations",
    "s0-sam-tutorial",
    "s1-aws-base",
    "s1-own-base",
];

/// AWS's bases for Python, each with the minor version of its interpreter.
const PYTHONS: [(&str, u32); 3] = [
    ("public.ecr.aws/lambda/python:3.11", 11),
    ("public.ecr.aws/lambda/python:3.12", 12),
    ("public.ecr.aws/lambda/python:3.13", 13),
];

/// Bases with the shape of AWS's: an entry script, `/var/task` as working directory, Lambda's variables.
const OF_LAMBDA: [&str; 6] = [
    "public.ecr.aws/lambda/nodejs:20",
    "public.ecr.aws/lambda/java:21",
    "public.ecr.aws/lambda/dotnet:8",
    "public.ecr.aws/lambda/provided:al2023",
    "public.ecr.aws/sam/build-java21:latest",
    "public.ecr.aws/sam/build-python3.12:latest",
];

/// Bases of other kinds.
const OTHERS: [&str; 7] = [
    "public.ecr.aws/docker/library/node:20-slim",
    "node:20-bookworm",
    "node:20-bookworm-slim",
    "python:3.12-alpine3.20",
    "golang:1.23-alpine",
    "alpine:3.20",
    "alpine:latest",
];

/// The official images of Python, each with its minor version and a file of its C library.
const OFFICIAL: [(&str, u32, &str); 4] = [
    ("python:3.12", 12, "lib/x86_64-linux-gnu/libc.so.6"),
    ("python:3.12-slim", 12, "lib/aarch64-linux-gnu/libc.so.6"),
    ("python:3.12-alpine", 12, "lib/ld-musl-x86_64.so.1"),
    ("python:3.13-slim-bookworm", 13, "lib/x86_64-linux-gnu/libc.so.6"),
];

/// Images that only files are taken from.
const TOOLS: [(&str, &str); 4] = [
    ("public.ecr.aws/awsguru/aws-lambda-adapter:0.9.1", "lambda-adapter"),
    ("ghcr.io/astral-sh/uv:0.9.26", "uv"),
    ("ghcr.io/astral-sh/uv:latest", "uv"),
    ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/log-extension-image:latest", "opt/extensions/log"),
];

fn with_accounts(tar: Tar) -> Tar {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnextjs:x:1001:65533::/:/bin/false\n";
    tar.directory("etc/")
        .file("etc/passwd", 0o644, passwd)
        .file("etc/group", 0o644, "root:x:0:\nnodejs:x:1001:\n")
        .member("tmp/", tar::EntryType::Directory, 0o1777, b"", "")
}

/// An interpreter in `prefix`, with pip, and packages that it has.
fn with_python(tar: Tar, prefix: &str, minor: u32, packages: &[(&str, &str)]) -> Tar {
    let mut tar = tar;
    let mut dir = String::new();
    for part in prefix.split('/').chain(["bin"]) {
        dir += &format!("{part}/");
        tar = tar.directory(&dir);
    }
    let program = format!("python3.{minor}");
    tar = tar.file(&format!("{dir}{program}"), 0o755, "\x7fELF").symlink(&format!("{dir}python3"), &program);
    tar = ["pip", "pip3"].into_iter().fold(tar, |tar, name| tar.file(&format!("{dir}{name}"), 0o755, "#!/"));
    let site = format!("{prefix}/lib/{program}/site-packages/");
    tar = tar
        .directory(&format!("{prefix}/lib/"))
        .directory(&format!("{prefix}/lib/{program}/"))
        .directory(&site);
    for (name, version) in packages {
        let info = format!("{site}{name}-{version}.dist-info/");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        tar = tar.directory(&info).file(&format!("{info}METADATA"), 0o644, metadata);
    }
    tar
}

/// Writes the stand-ins for one architecture; returns the arguments that map them.
pub fn stand_ins(lbuild: &Lbuild, arch: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut write = |names: &[&str], flavour: &str, tar: Tar, config: Value| {
        let dir = lbuild.path(&format!("{flavour}-{arch}"));
        image(&dir, &[Layer::gzip(tar)], |found, _| {
            found["architecture"] = json!(arch);
            found["config"] = config;
        });
        for name in names {
            arguments.extend(["--build-context".into(), format!("{name}=oci:{}:{TAG}", dir.display())]);
        }
    };
    let of_lambda = || {
        with_accounts(Tar::new())
            .file("lambda-entrypoint.sh", 0o755, "#!/bin/sh\n")
            .file("bin/sh", 0o755, "\x7fELF")
            .directory("opt/")
            .directory("var/")
            .directory("var/task/")
            .directory("var/runtime/")
    };
    let config = json!({
        "Env": ["LANG=en_US.UTF-8", "PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
            "LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime"],
        "WorkingDir": "/var/task", "Entrypoint": ["/lambda-entrypoint.sh"],
    });
    for (name, minor) in PYTHONS {
        let tar = with_python(of_lambda(), "var/lang", minor, &[("boto3", "1.34.0")]);
        write(&[name], &format!("python{minor}"), tar, config.clone());
    }
    write(&OF_LAMBDA, "lambda", of_lambda(), config);
    let tar = Tar::new()
        .directory("etc/")
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n")
        .file("etc/group", 0o644, "root:x:0:\nnogroup:x:65533:\nnode:x:1000:\n")
        .file("etc/shadow", 0o640, "root:*::0:::::\nnode:!:20000:0:99999:7:::\n")
        .file("etc/alpine-release", 0o644, "3.20\n")
        .member("tmp/", tar::EntryType::Directory, 0o1777, b"", "")
        .directory("bin/")
        .file("bin/busybox", 0o755, "\x7fELF")
        .directory("usr/")
        .directory("usr/sbin/");
    let links = ["usr/sbin/adduser", "usr/sbin/addgroup", "bin/sh"];
    let tar = links.into_iter().fold(tar, |tar, link| tar.symlink(link, "/bin/busybox"));
    let of_alpine = json!({ "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin"], "Cmd": ["node"] });
    write(&["public.ecr.aws/docker/library/node:22-alpine"], "node-alpine", tar, of_alpine);
    for (number, (name, minor, libc)) in OFFICIAL.into_iter().enumerate() {
        let tar = with_accounts(Tar::new()).directory("usr/").directory("usr/local/").file(libc, 0o755, "");
        let tar = tar.directory("usr/bin/").symlink("bin", "usr/bin");
        let tar = with_python(tar, "usr/local", minor, &[]);
        let config = json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"] });
        write(&[name], &format!("official{number}"), tar, config);
    }
    let tar = with_accounts(Tar::new()).directory("usr/").directory("usr/local/").directory("usr/local/bin/");
    write(&OTHERS, "other", tar, json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["python3"] }));
    for (number, (name, file)) in TOOLS.iter().enumerate() {
        let tar = Tar::new().file(file, 0o755, "tool").file("uvx", 0o755, "uvx");
        write(&[name], &format!("tool{number}"), tar, json!({}));
    }
    arguments
}

/// The text without its `RUN` instructions, each replaced by a line of `instead` that is not `-`.
fn without_run(text: &str, instead: &str) -> String {
    let (mut kept, mut instead) = (String::new(), instead.lines());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.trim_start().to_ascii_uppercase().starts_with("RUN ") {
            kept += &format!("{line}\n");
            continue;
        }
        let mut ends: Vec<&str> =
            line.split("<<").skip(1).map(|word| word.split(' ').next().unwrap()).collect();
        let mut last = line;
        while last.trim_end().ends_with('\\') || last.trim_start().starts_with('#') {
            last = lines.next().unwrap();
        }
        while let Some(end) = ends.first() {
            if lines.next().unwrap() == *end {
                ends.remove(0);
            }
        }
        if let Some(line) = instead.next().filter(|line| *line != "-") {
            kept += &format!("{line}\n");
        }
    }
    kept
}

/// What the image adds to its base, and its config.
fn shown(layout: &Path, tag: &str, arch: &str) -> String {
    let mut text = String::new();
    for (path, line) in image_tree::of(layout, tag, arch) {
        let is_of_base = ["etc", "lambda-entrypoint", "bin", "tmp", "usr/bin", "usr/local", "usr"]
            .contains(&&*path)
            || (path.starts_with("etc/") && !is_changed_account(&path, &line))
            || is_of_python(&path)
            || path.starts_with("usr/sbin")
            || path == "bin/busybox"
            || path == "lambda-entrypoint.sh"
            || path == "bin/sh";
        if !is_of_base {
            text += &format!("{path}: {line}\n");
        }
    }
    let (_, config) = image_of(layout, tag, arch);
    let mut process = config["config"].clone();
    if let Some(labels) = process["Labels"].as_object_mut() {
        labels.retain(|name, _| !name.starts_with("org.opencontainers.image.base"));
    }
    text + &serde_json::to_string_pretty(&process).unwrap() + "\n"
}

/// Whether a file of accounts is not that of the stand-ins.
fn is_changed_account(path: &str, line: &str) -> bool {
    let is_account = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"].contains(&path);
    is_account && !line.contains("nextjs:x:1001:65533") && !line.contains(r"root:x:0:\nnodejs")
}

/// Whether a path is one of the interpreter's own.
fn is_of_python(path: &str) -> bool {
    let own = ["var/lang", "usr/local"].iter().find_map(|prefix| path.strip_prefix(prefix));
    let is_own = |rest: &str| {
        !rest.contains("/site-packages/") && !rest.starts_with("/bin/aws") || rest.contains("boto3")
    };
    own.is_some_and(is_own) || path.starts_with("lib/") || path == "lib"
}

/// The wheels that the cases install.
const WHEELS: &str = r#"
import sys, zipfile
def wheel(name, version, tag, files, requires=()):
    if len(sys.argv) > 2 and name not in sys.argv[2:]:
        return
    info = f"{name}-{version}.dist-info"
    files = {**files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {other}\n" for other in requires),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-{tag}.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
wheel("idna", "3.10", "py3-none-any", {"idna/__init__.py": "", "idna/core.py": "x = 1\n"})
wheel("six", "1.17.0", "py2.py3-none-any", {"six.py": "__version__ = '1.17.0'\n"})
wheel("simplejson", "3.20.1", "py3-none-any", {"simplejson/__init__.py": ""})
for machine in ["x86_64", "aarch64"]:
    wheel("awslambdaric", "4.2.2", f"cp312-cp312-manylinux_2_17_{machine}",
        {"awslambdaric/__init__.py": "", "runtime_client.so": "native"}, ["simplejson>=3"])
"#;

/// Writes the wheels of these packages, or all, to a directory.
pub fn wheels(dir: &Path, names: &[&str]) {
    run(Command::new(tool("python3")).args(["-c", WHEELS]).arg(dir).args(names)).expect("wheels");
}

/// The address that the locks of the cases have for their index.
const INDEX: &str = "http://index.example/";

fn build(
    lbuild: &Lbuild,
    case: &Path,
    arch: &str,
    stand_ins: &[String],
    (rie, index): (&str, &str),
) -> String {
    let name = case.file_name().unwrap().to_str().unwrap();
    let context = lbuild.path(&format!("{name}-{arch}"));
    let copied = Command::new(tool("cp")).arg("-a").arg(case).arg(&context).status().unwrap();
    assert!(copied.success());
    let file = context.join("Dockerfile");
    let instead = fs::read_to_string(case.join("run.instead")).unwrap_or_default();
    for name in ["run.instead", "expected.txt"] {
        let _ = fs::remove_file(context.join(name));
    }
    if let Ok(lock) = fs::read_to_string(context.join("uv.lock")) {
        fs::write(context.join("uv.lock"), lock.replace(INDEX, index)).unwrap();
    }
    if !TRANSLATED.contains(&name) {
        fs::write(&file, without_run(&fs::read_to_string(&file).unwrap(), &instead)).unwrap();
    }
    let out = lbuild.path(&format!("{name}-{arch}.out"));
    let (path, file, to) =
        (context.to_str().unwrap(), file.to_str().unwrap(), format!("oci:{}:1", out.display()));
    let mut arguments = vec!["build", path, "-f", file, "--arch", arch, "--to", &to, "--no-check"];
    arguments.extend(["--build-arg", rie]);
    arguments.extend(stand_ins.iter().map(String::as_str));
    let done = lbuild.run(&arguments);
    assert_eq!(done.code, Some(0), "{name} for {arch}: {}", done.stderr);
    // the same by the words of `docker`
    let (platform, output) =
        (format!("linux/{arch}"), format!("type=oci,dest={},tar=false", lbuild.text("docker-out")));
    let metadata = lbuild.text("metadata.json");
    let mut arguments =
        vec!["docker", "build", "-f", file, "--platform", &platform, "--build-arg", rie, "-t", "case:1"];
    arguments.extend(["--output", &output, "--metadata-file", &metadata]);
    arguments.extend(stand_ins.iter().map(String::as_str));
    lbuild.ok(&[&arguments[..], &[path]].concat());
    let metadata: Value = serde_json::from_str(&fs::read_to_string(&metadata).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], done.digest(), "{name} for {arch}");
    shown(&out, "1", arch)
}

#[test]
fn dockerfiles_of_lambda_functions_give_their_tree_and_config() {
    let mut lbuild = Lbuild::new();
    let wheels = lbuild.path("wheels");
    fs::create_dir(&wheels).unwrap();
    self::wheels(&wheels, &[]);
    let index = Index::of(&wheels, IndexBehaviour::default());
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        lbuild.set(name, &index.url());
    }
    let files: [(&str, &[u8]); 1] = [("index.js", b"module.exports = 1\n")];
    let npm = NpmRegistry::of(vec![NpmPackage::new("left-lib", "1.0.0", &json!({}), &files)]);
    for (name, value) in npm.variables(&lbuild.text("npm-cache")) {
        lbuild.set(name, &value);
    }
    let server = Server::start("127.0.0.1", |_| Response { status: 200, body: b"emulator".to_vec() });
    let address = format!("http://{}/", index.host());
    let rie = format!("RIE=http://{}/aws-lambda-rie", server.address);
    let stand_ins = [stand_ins(&lbuild, "amd64"), stand_ins(&lbuild, "arm64")];
    let (mut cases, mut wrong) = (0, String::new());
    for entry in fs::read_dir(testdata("dockerfile/cases")).unwrap() {
        let case = entry.unwrap().path();
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let [amd64, arm64] = [("amd64", 0), ("arm64", 1)]
            .map(|(arch, of)| build(&lbuild, &case, arch, &stand_ins[of], (&rie, &address)));
        assert_eq!(amd64, arm64, "{name} depends on the architecture");
        let golden = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &amd64).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != amd64 {
            wrong += &format!("--- {name}\n{amd64}\n");
        }
        cases += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 27, "{cases} cases");
}
