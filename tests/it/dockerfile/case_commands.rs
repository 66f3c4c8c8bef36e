//! The cases of `cases.rs` with lines that need a process, built as they are: on a base with a shell, and with small programs
//! in the place of package managers and compilers, in `testdata/dockerfile/stand-ins`.

use super::cases::wheels;
use crate::support::command_builds::commands_of;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::root_tree::RootTree;
use crate::support::{busybox, debian, run, testdata, tool};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bases with Lambda's directories and variables.
const OF_LAMBDA: [&str; 5] = [
    "public.ecr.aws/lambda/nodejs:20",
    "public.ecr.aws/lambda/java:21",
    "public.ecr.aws/lambda/provided:al2023",
    "public.ecr.aws/lambda/python:3.12",
    "public.ecr.aws/sam/build-java21:latest",
];

const OTHERS: [&str; 5] = [
    "public.ecr.aws/docker/library/node:20-slim",
    "node:20-bookworm",
    "node:20-bookworm-slim",
    "golang:1.23-alpine",
    "public.ecr.aws/awsguru/aws-lambda-adapter:0.9.1",
];

/// A case, the beginning of the lines of paths, and what the final stage must not have.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    absent: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "07-node-no-lock-script",
        files: &[
            ("var/task/dist/index.js", "0644 0:0 file \"exports.handler = async () => \\\"DIST\\\";\\n\""),
            ("var/task/node_modules/left-lib/index.js", "0644 0:0 file"),
            ("var/task/package-lock.json", "0644 0:0 file"),
            ("var/task/src/index.js", "0644 0:0 file"),
        ],
        absent: &["var/task/node_modules/dev-lib", "var/task/Dockerfile"],
    },
    Case {
        name: "08-node-esbuild-multistage",
        // the directory that the wildcard matches gives what is in it
        files: &[("var/task/index.js", "0644 0:0 file"), ("var/task/a.js", "0644 0:0 file")],
        absent: &["var/task/sub", "var/task/node_modules", "usr/app"],
    },
    Case {
        name: "10-lwa-next-standalone",
        files: &[
            ("app/.next/cache", "0:0 -> /tmp/cache"),
            ("app/.next/BUILD_ID", "0644 0:0 file"),
            ("app/run.sh", "0755 0:0 file"),
            ("opt/extensions/lambda-adapter", "0755 0:0 file"),
        ],
        absent: &[],
    },
    Case {
        name: "12-java-gradle-multistage",
        files: &[
            ("var/task/MANIFEST.MF", "0644 0:0 file \"1\\n\""),
            ("var/task/app/Main.class", "0644 0:0 file \"class\\n\""),
            ("var/task/lib/dep.jar", "0644 0:0 file \"jar\\n\""),
        ],
        absent: &["var/task/src", "var/task/out", "var/task/tools", "var/task/META-INF"],
    },
    Case {
        name: "14-go-multistage",
        files: &[("var/runtime/bootstrap", "0755 0:0 file")],
        absent: &["tmp/echo", "go", "var/lib/packages"],
    },
    Case {
        name: "26-apt-builddeps-multistage",
        files: &[
            ("function/app.js", "0644 0:0 file"),
            ("function/node_modules/left-lib/index.js", "0644 0:0 file"),
            // of the final stage's own line alone
            ("var/lib/packages/log", "0644 0:0 file \"install -y --no-install-recommends libcurl4\\n\""),
        ],
        absent: &["var/lib/apt/lists"],
    },
    Case {
        name: "27-apk-alpine",
        files: &[
            ("home/app/app.py", "0644 0:0 file"),
            ("home/app/x.ini", "0644 0:0 file"),
            // no wheel of the index fits, so it is a command
            ("home/app/awslambdaric/__init__.py", "0644 0:0 file \"built = True\\n\""),
            // one line, made once for the two stages
            ("var/lib/packages/log", "0644 0:0 file \"add --no-cache libstdc++ binutils\\n\""),
        ],
        absent: &["home/app/conf", "home/app/simplejson"],
    },
    Case {
        name: "30-heredocs",
        files: &[
            (
                "var/task/config.ini",
                "0644 0:0 file \"name=world\\nstage=\\\"prod\\\" # not a comment\\nliteral=$NAME\\n\"",
            ),
            ("var/task/conf/RAW", "0644 0:0 file \"value=${NAME}\\n\""),
            ("var/task/run.sh", "0755 0:0 file \"#!/bin/sh\\necho \\\"$1\\\"\\n\""),
            ("var/task/out.txt", "0644 0:0 file \"hello world\\n\""),
            ("var/task/a.txt", "0644 0:0 file \"first world\\n\""),
            ("var/task/b.txt", "0644 0:0 file \"second\\n\""),
            ("var/task/c.txt", "0644 0:0 file \"shebang\\n\""),
        ],
        absent: &["dev/pipes"],
    },
];

/// Writes the bases; returns the arguments that map their names.
fn bases(lbuild: &Lbuild) -> Vec<String> {
    let programs = [
        ("npm", "npm"),
        ("apt-get", "packages"),
        ("apk", "packages"),
        ("dnf", "packages"),
        ("microdnf", "packages"),
        ("go", "go"),
    ];
    let script = |name: &str| fs::read(testdata("dockerfile/stand-ins").join(name)).unwrap();
    let write = |name: &str, process: Value| {
        busybox::write_with(&lbuild.path(name), process, |tar| {
            let tar = ["usr/local/", "usr/local/bin/", "var/task/", "var/runtime/", "opt/", "var/lib/"]
                .into_iter()
                .fold(tar, |tar, dir| tar.directory(dir));
            let tar = tar.file("lambda-adapter", 0o755, "adapter");
            programs.iter().fold(tar, |tar, (name, from)| {
                tar.file(&format!("usr/local/bin/{name}"), 0o755, script(from))
            })
        });
    };
    let path = "PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin";
    let of_lambda = ["LAMBDA_TASK_ROOT=/var/task", "LAMBDA_RUNTIME_DIR=/var/runtime", path];
    write("lambda", json!({ "Env": of_lambda, "WorkingDir": "/var/task", "Entrypoint": ["/entry.sh"] }));
    write("other", json!({ "Env": [path] }));
    busybox::write_with(&lbuild.path("alpine"), json!({ "Env": [path] }), |tar| {
        let tar = [
            "lib/",
            "usr/local/",
            "usr/local/bin/",
            "usr/local/lib/",
            "usr/local/lib/python3.12/",
            "var/lib/",
        ]
        .into_iter()
        .fold(tar, |tar, dir| tar.directory(dir));
        tar.file("lib/ld-musl-x86_64.so.1", 0o755, "")
            .file("lib/ld-musl-aarch64.so.1", 0o755, "")
            .directory("usr/local/lib/python3.12/site-packages/")
            .file("usr/local/bin/python3.12", 0o755, script("python"))
            .symlink("usr/local/bin/python3", "python3.12")
            .file("usr/local/bin/apk", 0o755, script("packages"))
    });
    let named = |names: &[&str], layout: &str| {
        let dir = lbuild.text(layout);
        let map = |name: &&str| ["--build-context".into(), format!("{name}=oci:{dir}:{}", busybox::TAG)];
        names.iter().flat_map(map).collect::<Vec<String>>()
    };
    [named(&OF_LAMBDA, "lambda"), named(&OTHERS, "other"), named(&["python:3.12-alpine3.20"], "alpine")]
        .concat()
}

/// The case, in a directory of its own.
fn context(lbuild: &Lbuild, name: &str) -> PathBuf {
    let context = lbuild.path(name);
    run(Command::new(tool("cp")).arg("-rT").arg(testdata("dockerfile/cases").join(name)).arg(&context))
        .unwrap();
    for name in ["run.instead", "expected.txt"] {
        let _ = fs::remove_file(context.join(name));
    }
    context
}

fn build(lbuild: &Lbuild, context: &Path, tag: &str, bases: &[String], more: &[&str]) -> RunOutput {
    let to = format!("oci:{}:{tag}", lbuild.text("out"));
    let mut arguments = vec!["build", context.to_str().unwrap(), "--arch", debian::ARCHITECTURE];
    arguments.extend(["--no-check", "--to", &to]);
    arguments.extend(bases.iter().map(String::as_str));
    arguments.extend(more);
    lbuild.run(&arguments)
}

/// A user whose index has a wheel for glibc alone.
fn user() -> (Lbuild, Index) {
    let mut lbuild = Lbuild::new();
    let dir = lbuild.path("wheels");
    fs::create_dir(&dir).unwrap();
    wheels(&dir, &["awslambdaric", "simplejson"]);
    let index = Index::of(&dir, IndexBehaviour::default());
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        lbuild.set(name, &index.url());
    }
    (lbuild, index)
}

/// An install that no wheel is there for runs as a command, unless that is excluded.
#[test]
fn an_install_that_needs_a_process_runs_as_a_command() {
    const FAULT: &str = "cannot install its packages: pip cannot resolve awslambdaric";
    const DOCKERFILE: &str = "FROM python:3.12-alpine3.20\nWORKDIR /app\nRUN mkdir a && python3 -m pip install awslambdaric --target b && touch c\n";
    let (lbuild, index) = user();
    let (bases, context) = (bases(&lbuild), function(&[("Dockerfile", DOCKERFILE)]));
    let build = |more: &[&str]| build(&lbuild, context.path(), "1", &bases, more);
    for option in [["--run-mode", "none"], ["--translate", "always"]] {
        let done = build(&option);
        assert_eq!(done.code, Some(3), "{option:?}: {}", done.stderr);
        assert!(!done.stderr.contains("runs as a command"), "{option:?}: {}", done.stderr);
    }
    let done = build(&[]).succeeded();
    assert!(
        done.stderr.contains(FAULT) && done.stderr.contains("the line runs as a command"),
        "{}",
        done.stderr
    );
    assert_eq!(commands_of(&done), 1, "{}", done.stderr);
    let tree = RootTree::of(&lbuild.path("out"), "1", debian::ARCHITECTURE, None);
    for path in ["app/a", "app/b/awslambdaric/__init__.py", "app/c"] {
        assert!(tree.line(path).is_some(), "{path}");
    }
    // what runs because it was not to be translated is another layer
    let never = build(&["--translate", "never"]).succeeded();
    assert_eq!(commands_of(&never), 1, "{}", never.stderr);
    index.clear();
    let again = build(&[]).succeeded();
    assert_eq!((commands_of(&again), again.digest()), (0, done.digest()), "{}", again.stderr);
    assert!(index.log().is_empty(), "{:?}", index.log());
}

#[test]
fn cases_with_commands_give_what_is_expected_of_them() {
    let (lbuild, _index) = user();
    let bases = bases(&lbuild);
    let mut wrong = String::new();
    for case in CASES {
        let done = build(&lbuild, &context(&lbuild, case.name), case.name, &bases, &[]);
        if done.code != Some(0) {
            wrong += &format!("{}: {}\n", case.name, done.stderr);
            continue;
        }
        let tree = RootTree::of(&lbuild.path("out"), case.name, debian::ARCHITECTURE, None);
        for (path, expected) in case.files {
            let found = tree.line(path).unwrap_or_else(|| "nothing".to_owned());
            if !found.starts_with(expected) {
                wrong += &format!("{}: {path}: {found} instead of {expected}\n", case.name);
            }
        }
        for path in case.absent {
            if let Some(found) = tree.line(path) {
                wrong += &format!("{}: {path}: {found} instead of nothing\n", case.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
