//! The mounts of lines that need a process, in each mode. The numbers are those of the rules.

use crate::support::busybox;
use crate::support::command_builds::{Builds, commands_of, files_with, modes};
use crate::support::debian;
use crate::support::environments::Environment;
use crate::support::faults;
use crate::support::lbuild::RunOutput;
use crate::support::root_tree::RootTree;
use std::fs;
use std::os::unix::net::UnixListener;

/// An environment and a mode of it. proot is tried where it is the only one.
fn places() -> Vec<(Environment, &'static str)> {
    let environments = [
        Environment::Root,
        Environment::Account,
        Environment::SubordinateIds,
        Environment::Docker,
        Environment::Restricted,
    ];
    let of = |environment| modes(environment).iter().map(move |mode| (environment, *mode));
    let all = environments.into_iter().flat_map(of);
    all.filter(|(environment, mode)| *mode != "proot" || *environment == Environment::Restricted).collect()
}

/// The line of `/out`, in which commands of a test write what they find.
fn out(builds: &Builds) -> String {
    let tree = RootTree::of(&builds.out(), "1", debian::ARCHITECTURE, None);
    tree.line("out")
        .unwrap_or_default()
        .split_once(" file ")
        .map(|(_, rest)| rest.to_owned())
        .unwrap_or_default()
}

fn build(builds: &Builds, mode: &str, lines: &str, more: &[&str]) -> RunOutput {
    builds.build(&format!("FROM localhost/busybox\n{lines}"), &[&["--run-mode", mode], more].concat())
}

struct Case {
    name: &'static str,
    lines: &'static str,
    /// The content of `/out`.
    out: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "149: nothing of a mount point is left",
        lines: "RUN --mount=type=cache,target=/root/.cache/uv --mount=type=tmpfs,target=/new/a/b --mount=type=bind,target=/ctx \
                date >/dev/null; cat /ctx/data/file >/out",
        out: "\"data\\n\"",
    },
    Case {
        name: "150: bind is the default; read-only, relative, a single file, thrown away with rw",
        lines: "WORKDIR /app\nRUN --mount=target=lib,source=data --mount=source=data/file,target=one --mount=target=/rw,rw \
                cat lib/file one >/out; (echo x >lib/new) 2>/dev/null && [ -e /proc/self ] || echo refused >>/out; echo y >/rw/new && ls /rw | grep -c new >>/out",
        out: "\"data\\ndata\\nrefused\\n1\\n\"",
    },
    Case {
        name: "151: a file of an image, and files of a stage",
        lines: "FROM localhost/busybox AS made\nRUN date >/made; echo stage >/made; mkdir /d; echo deep >/d/f\n\
                FROM localhost/busybox\nRUN --mount=from=made,source=/made,target=/bin/made --mount=from=made,source=/d,target=/d \
                --mount=from=localhost/busybox,source=/etc/group,target=/group cat /bin/made /d/f >/out; grep -c staff /group >>/out",
        out: "\"stage\\ndeep\\n1\\n\"",
    },
    Case {
        name: "153: a cache is kept from line to line, with its mode; from seeds it",
        lines: "RUN --mount=type=cache,target=/c,mode=0711 date >/dev/null; stat -c %a /c >/one; echo kept >/c/file\n\
                RUN --mount=type=cache,target=/c cat /one /c/file >/out\n\
                RUN --mount=type=cache,target=/seeded,from=localhost/busybox,source=/etc,id=seed test -e /seeded/passwd && ls /seeded | grep -c passwd >>/out",
        out: "\"711\\nkept\\n1\\n\"",
    },
    Case {
        name: "154: secrets as files and variables; one that is not given has none",
        lines: "RUN --mount=type=secret,id=token --mount=type=secret,id=other,env=OTHER --mount=type=secret,id=none \
                --mount=type=secret,id=token,target=/t/x,mode=0444 \
                stat -c %a /run/secrets/token >/out; cat /run/secrets/token /t/x | wc -c >>/out; echo ${#OTHER} >>/out; ls /run/secrets | wc -l >>/out",
        out: "\"400\\n18\\n5\\n1\\n\"",
    },
    Case {
        name: "155: tmpfs, and mounts in mounts in the order given",
        lines: "RUN --mount=type=tmpfs,target=/m --mount=source=data,target=/m/data --mount=type=tmpfs,target=/m/x \
                cat /m/data/file >/out; echo a >/m/x/y && cat /m/x/y >>/out",
        out: "\"data\\na\\n\"",
    },
    Case {
        name: "156: options are expanded",
        lines: "ARG WHERE=/deep/er\nRUN --mount=type=bind,target=$WHERE,source=data cat /deep/er/file >/out; date >/dev/null",
        out: "\"data\\n\"",
    },
];

/// Names that a mount has made, and that no layer may have.
const ABSENT: [&str; 12] =
    ["ctx", "new", "root/.cache", "app/lib", "app/one", "rw", "d", "c", "seeded", "t", "m", "deep"];

#[test]
fn mounts_of_commands_work_in_each_mode() {
    let mut wrong = String::new();
    for (environment, mode) in faults::sample(places(), 2) {
        let builds = Builds::in_place(environment);
        builds.place.write("context/data/file", "data\n");
        builds.place.write("token", "token-123");
        builds.place.write("other", "other");
        let secrets = [("token", "token"), ("other", "other")];
        let secrets: Vec<String> =
            secrets.iter().map(|(id, name)| format!("id={id},src={}", builds.place.text(name))).collect();
        let flags: Vec<&str> = secrets.iter().flat_map(|secret| ["--secret", secret]).collect();
        for Case { name, lines, out: expected } in CASES {
            let done = build(&builds, mode, lines, &flags);
            let found = if done.code == Some(0) { out(&builds) } else { done.stderr.clone() };
            if found != *expected {
                wrong += &format!("{environment:?}, {mode}: {name}: {found} instead of {expected}\n");
            }
            if done.code == Some(0) {
                let tree = RootTree::of(&builds.out(), "1", debian::ARCHITECTURE, None);
                for path in ABSENT.iter().filter(|path| tree.line(path).is_some()) {
                    wrong += &format!("{environment:?}, {mode}: {name}: {path} is left\n");
                }
            }
        }
        // no value is left anywhere, and neither is a stub
        for dir in ["cache", "tmp", "out"] {
            let files = files_with(&builds.place.path(dir), &["token-123"]);
            if !files.is_empty() {
                wrong += &format!("{environment:?}, {mode}: {files} has the secret\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Rules 152 and 153: the content of bound files decides whether a line is done again; that of caches and secrets does not.
#[test]
fn bound_files_are_part_of_the_key_and_caches_are_not() {
    let builds = Builds::in_place(Environment::Account);
    let line = "RUN --mount=source=data,target=/data --mount=type=cache,target=/c --mount=type=secret,id=s \
                date >/dev/null; cat /data/file >/out; date >>/c/times";
    let counts = |content: &str, secret: &str| {
        builds.place.write("context/data/file", content);
        builds.place.write("secret", secret);
        let secret = format!("id=s,src={}", builds.place.text("secret"));
        let done = build(&builds, "namespaces", line, &["--secret", &secret]).succeeded();
        (commands_of(&done), out(&builds))
    };
    assert_eq!(counts("one\n", "1"), (1, "\"one\\n\"".to_owned()));
    assert_eq!(counts("one\n", "2"), (0, "\"one\\n\"".to_owned()));
    assert_eq!(counts("two\n", "2"), (1, "\"two\\n\"".to_owned()));
    // caches are counted and pruned
    let info = builds.place.lbuild(&["cache", "info"]).succeeded();
    assert!(!builds.cached("mounts").is_empty(), "{}", info.stdout);
    builds.place.lbuild(&["cache", "prune", "--days", "0"]).succeeded();
    assert!(builds.cached("mounts").is_empty());
}

/// The errors of mounts name the line, and what is wanted.
#[test]
fn mounts_that_cannot_be_are_refused() {
    let builds = Builds::in_place(Environment::Account);
    for (line, expected) in [
        ("RUN --mount=source=none,target=/x date >/x", "none"),
        ("RUN --mount=type=secret,id=s,required date >/x", "the secret `s` is required"),
        ("RUN --mount=type=ssh,required date >/x", "the SSH agent `default` is required"),
    ] {
        let done = build(&builds, "namespaces", line, &[]);
        assert_ne!(done.code, Some(0), "{line}");
        assert!(
            done.stderr.contains("context/Dockerfile:2:") && done.stderr.contains(expected),
            "{}",
            done.stderr
        );
    }
}

/// Two builds at once that share a cache: both see the same directory, wait for each other, or have one each. Whoever
/// removes unused caches meanwhile takes none of theirs.
#[test]
fn caches_are_shared_locked_or_private() {
    let all = [
        ("shared", &["2"][..], false),
        ("locked", &["2"], false),
        ("private", &["1"], false),
        ("shared", &["2"], true),
        // between the two, nobody uses it
        ("locked", &["1", "2"], true),
        ("private", &["1"], true),
    ];
    for (sharing, expected, prunes) in faults::sample(all, 3) {
        let builds = Builds::in_place(Environment::Account);
        let line = |number: usize| {
            format!(
                "FROM localhost/busybox\nRUN --mount=type=cache,target=/c,sharing={sharing} \
                 : >/c/{number}; sleep 3; ls /c | wc -l >/out && test -e /c/{number}\n"
            )
        };
        for number in [1, 2] {
            builds.place.write(&format!("c{number}/Dockerfile"), line(number));
        }
        let layout = format!("{}:{}", builds.place.text("busybox"), busybox::TAG);
        let prune = r#"while [ ! -e done ]; do "$LBUILD" cache prune --days 0 >/dev/null || echo failed >prune; done & prune=$!"#;
        let script = format!(
            "{}\nfor n in 1 2; do \"$LBUILD\" build c$n --build-context localhost/busybox=oci:{layout} --arch {} --no-check \
             --to oci:$PWD/o$n:1 2>log$n & all=\"$all $!\"; [ $n = 1 ] && sleep 0.3; done; wait $all; : >done; wait; \
             cat log1 log2 >&2; ! [ -e prune ]",
            if prunes { prune } else { ":" },
            debian::ARCHITECTURE
        );
        let done = builds.place.script(&script).succeeded();
        let of = |number: usize| {
            let tree =
                RootTree::of(&builds.place.path(&format!("o{number}")), "1", debian::ARCHITECTURE, None);
            tree.line("out").unwrap_or_else(|| panic!("{sharing}: {}", done.stderr))
        };
        let second = of(2);
        let is_expected = expected.iter().any(|count| second.ends_with(&format!("\"{count}\\n\"")));
        assert!(is_expected, "{sharing}, {prunes}: {second}");
        assert!(of(1).starts_with("0644"), "{sharing}, {prunes}");
    }
}

/// A command that puts a link in the place of its cache: no later command gets what the link names on this machine.
#[test]
fn a_cache_never_becomes_a_link() {
    for (environment, mode) in places() {
        let builds = Builds::in_place(environment);
        for target in ["/proc/self/environ", "/", "/etc/passwd"] {
            let lines = format!(
                "RUN --mount=type=cache,target=/c date >/c/file; (busybox rm -rf /c; [ -e /c ] || ln -s {target} /c) 2>/dev/null; true\n\
                 RUN --mount=type=cache,target=/c stat -c %F /c >/out; ls /c | grep -v file >>/out; date >/dev/null"
            );
            let done = build(&builds, mode, &lines, &["--no-cache"]);
            assert_eq!(done.code, Some(0), "{environment:?}, {mode}, {target}: {}", done.stderr);
            assert_eq!(out(&builds), "\"directory\\n\"", "{environment:?}, {mode}, {target}");
            for cache in builds.cached("mounts") {
                let files = builds.cache().join("mounts").join(cache).join("files");
                assert!(!files.is_symlink(), "{environment:?}, {mode}, {target}");
            }
        }
    }
}

/// Modes and owners of mounts, where files can have owners.
#[test]
fn mounts_have_the_owners_that_are_asked_for() {
    for (environment, mode) in places() {
        if !matches!(environment, Environment::Root | Environment::SubordinateIds | Environment::Docker) {
            continue;
        }
        let builds = Builds::in_place(environment);
        builds.place.write("token", "token-123");
        let line = "RUN --mount=type=cache,target=/c,uid=33,gid=44,mode=0750 \
                    --mount=type=cache,id=s,target=/s,from=localhost/busybox,source=/etc,uid=5,gid=6,mode=0700 \
                    --mount=type=secret,id=token,uid=6,gid=7,mode=0440 \
                    stat -c '%u:%g %a' /c /s /run/secrets/token >/out; date >/dev/null";
        let token = format!("id=token,src={}", builds.place.text("token"));
        let done = build(&builds, mode, line, &["--secret", &token]);
        assert_eq!(done.code, Some(0), "{environment:?}, {mode}: {}", done.stderr);
        assert_eq!(out(&builds), "\"33:44 750\\n5:6 700\\n6:7 440\\n\"", "{environment:?}, {mode}");
    }
}

/// Rule 157: a command without a network has a loopback interface of its own, or is refused.
#[test]
fn a_command_without_a_network_reaches_nothing_or_is_refused() {
    for (environment, mode) in places() {
        let builds = Builds::in_place(environment);
        let line = "RUN --network=none busybox ip -o link | wc -l >/out; date >/dev/null";
        let done = build(&builds, mode, line, &[]);
        if matches!(mode, "namespaces" | "copy") || environment == Environment::Root {
            assert_eq!(done.code, Some(0), "{environment:?}, {mode}: {}", done.stderr);
            assert_eq!(out(&builds), "\"1\\n\"", "{environment:?}, {mode}");
        } else {
            let is_refused = done.code.is_some_and(|code| code != 0) && done.stderr.contains("Dockerfile:2:");
            assert!(is_refused && done.stderr.contains("network"), "{environment:?}, {mode}: {done:?}");
        }
    }
}

/// Stages at the same time that hold the same caches, in another order, and one that needs the other's files.
#[test]
fn commands_do_not_wait_for_each_other_forever() {
    let builds = Builds::in_place(Environment::Account);
    let mount = |id: &str| format!("--mount=type=cache,target=/{id},id={id},sharing=locked");
    let (a, b) = (mount("a"), mount("b"));
    let dockerfile = format!(
        "FROM localhost/busybox AS one\nRUN {a} {b} sleep 0.3; date >/one\n\
         FROM localhost/busybox AS two\nRUN {b} {a} sleep 0.3; date >/two\n\
         FROM localhost/busybox\nRUN {a} --mount=type=cache,target=/again,id=a,sharing=locked --mount=from=one,target=/from \
         --mount=from=two,source=/two,target=/two cat /from/one /two | wc -l >/out\n"
    );
    let done = builds.build(&dockerfile, &["--run-mode", "namespaces"]).succeeded();
    assert_eq!((commands_of(&done), out(&builds)), (3, "\"2\\n\"".to_owned()));
    let line = "FROM localhost/busybox\nRUN --mount=type=cache,target=/x,id=a --mount=type=cache,target=/y,id=a date >/x\n";
    let builds = Builds::in_place(Environment::Docker);
    let done = builds.build(line, &[]);
    assert!(
        done.code == Some(2) && done.stderr.contains("the cache `a` cannot be in two places"),
        "{}",
        done.stderr
    );
}

/// A socket of the caller's agent, for root and for a user of the image.
#[test]
fn commands_reach_the_agent_of_the_caller() {
    for (environment, mode) in [(Environment::SubordinateIds, "namespaces"), (Environment::Docker, "chroot")]
    {
        let builds = Builds::in_place(environment);
        let socket = builds.place.path("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut asked = [0; 5];
                let _ = std::io::Read::read_exact(&mut stream, &mut asked);
                let _ = std::io::Write::write_all(&mut stream, b"keys\n");
            }
        });
        let ask = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ[\"SSH_AUTH_SOCK\"]); \
                   s.sendall(b\"hello\"); print(s.recv(9).decode(), end=\"\")";
        let lines = format!(
            "FROM localhost/debian\nRUN --mount=type=ssh python3 -c '{ask}' >/out\n\
             RUN --mount=type=ssh,id=none date >/dev/null; echo \"${{SSH_AUTH_SOCK:-nothing}}\" >>/out\n"
        );
        let flag = format!("default={}", socket.display());
        let done = builds.build(&lines, &["--run-mode", mode, "--ssh", &flag]);
        assert_eq!(done.code, Some(0), "{environment:?}, {mode}: {}", done.stderr);
        assert_eq!(out(&builds), "\"keys\\nnothing\\n\"", "{environment:?}, {mode}: {}", done.stderr);
    }
}
