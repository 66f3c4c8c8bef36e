//! Commands in each environment: what programs of a real system may do in it, on the Debian image. The same command leaves
//! the same files everywhere, owners included, except where a row says so.

use crate::support::command_builds::modes;
use crate::support::debian;
use crate::support::environments::{Environment, Place};
use crate::support::faults;
use crate::support::lbuild::RunOutput;
use crate::support::root_tree::RootTree;
use crate::support::testdata;
use std::collections::BTreeMap;

/// How the ids of an image are those of files while a command runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// One id; other owners are recorded.
    One,
    /// A range of subordinate ids.
    Range,
    /// Root may give a file to any id.
    All,
}

fn ids(environment: Environment) -> Ids {
    match environment {
        Environment::Account | Environment::UnconfinedUser | Environment::Restricted => Ids::One,
        Environment::SubordinateIds => Ids::Range,
        _ => Ids::All,
    }
}

/// A command, and the beginning of the lines that files have afterwards; `-` for no file.
struct Row {
    name: &'static str,
    run: &'static str,
    files: &'static [(&'static str, &'static str)],
}

/// Commands that need no network. All of them leave the same everywhere.
const ROWS: &[Row] = &[
    Row {
        name: "chown",
        run: "mkdir -p /o/d && touch /o/f /o/d/g && chown 1000:2000 /o/f && chown -R 33:44 /o/d && cp -a /o/f /o/copy && \
              mv /o/d /o/e && ln /o/f /o/hard && chown 1000:2000 /o",
        files: &[
            ("o", "0755 1000:2000 directory"),
            ("o/f", "0644 1000:2000 file"),
            ("o/hard", "0644 1000:2000 file"),
            ("o/copy", "0644 1000:2000 file"),
            ("o/e", "0755 33:44 directory"),
            ("o/e/g", "0644 33:44 file"),
        ],
    },
    Row {
        name: "modes after owners",
        run: "touch /m && chown 5:6 /m && chmod 6751 /m && touch /n && chmod 4755 /n && chown 7 /n && mkdir -m 2775 /p && \
              touch /r && chmod 444 /r && chown 8:9 /r",
        files: &[
            ("m", "6751 5:6 file"),
            // a change of the owner takes the bit away
            ("n", "0755 7:0 file"),
            ("p", "2775 0:0 directory"),
            ("r", "0444 8:9 file"),
        ],
    },
    Row {
        name: "files of a high id",
        run: "touch /high && chown 65533:65533 /high",
        files: &[("high", "0644 65533:65533 file")],
    },
    Row {
        name: "package with owners, modes and a hard link",
        run: "python3 /package.py /k.deb && dpkg -i /k.deb && rm /k.deb /package.py",
        files: &[
            ("opt/k/a", "0644 33:33 file"),
            ("opt/k/b", "0644 33:33 file"),
            ("opt/k/s", "2755 0:42 file"),
        ],
    },
    Row {
        name: "file capability",
        run: "cp /usr/bin/dd /cap && python3 -c 'import os; os.setxattr(\"/cap\", \"security.capability\", \
              bytes.fromhex(\"0100000200040000000000000000000000000000\"))'",
        files: &[("cap", "0755 0:0 file")],
    },
    Row {
        name: "access list that names a group",
        run: "mkdir /acl && python3 -c 'import os; os.setxattr(\"/acl\", \"system.posix_acl_default\", \
              bytes.fromhex(\"0200000001000700ffffffff04000500ffffffff080005000400000010000500ffffffff20000500ffffffff\"))'",
        files: &[("acl", "0755 0:0 directory")],
    },
    Row {
        name: "deletions in the base",
        run: "test -e /etc/test-image && rm -rf /usr/lib/node_modules && mv /etc/pam.d /etc/pam && rm -r /usr/share/perl && mkdir /usr/share/perl && \
              echo x >>/usr/bin/perl5.36.0",
        files: &[
            ("usr/lib/node_modules", "-"),
            ("etc/pam.d", "-"),
            ("etc/pam/su", "0644 0:0 file"),
            ("usr/share/perl", "0755 0:0 directory"),
            ("usr/bin/perl", "0755 0:0 file 3"),
        ],
    },
];

/// Commands that need /proc, which neither a chroot nor proot has.
const WITH_PROC: &[Row] = &[
    Row {
        name: "other kinds",
        run: "mkfifo -m 640 /fifo && ln -s target /link && ln /link /link2 && python3 -c 'import socket; \
              socket.socket(socket.AF_UNIX).bind(\"/socket\")' && mkdir -m 1777 /sticky",
        files: &[
            ("fifo", "0640 0:0 fifo"),
            ("link", "0:0 -> target"),
            ("link2", "0:0 -> target"),
            ("socket", "-"),
            ("sticky", "1777 0:0 directory"),
        ],
    },
    Row {
        name: "shell, processes, temporary files",
        run: "bash -c 'cat <(echo a) >/sub; wait' && test -r /proc/self/status && rm \"$(mktemp -p /tmp)\" && \
              python3 -c 'import multiprocessing as m; print(sum(m.Pool(2).map(abs, [-1, 2])))' >>/sub && test \"$HOME\" = /root",
        files: &[("sub", "0644 0:0 file \"a\\n3\\n\"")],
    },
];

/// Programs that download packages, with the settings of this machine. One layer differs from run to run, so only files count.
const DOWNLOADS: &[Row] = &[
    Row {
        name: "pip",
        run: "pip install --quiet --break-system-packages --no-cache-dir --root-user-action=ignore requests==2.32.3 numpy==2.1.3",
        files: &[("usr/local/lib/python3.11/dist-packages/numpy/__init__.py", "0644 0:0 file")],
    },
    Row {
        name: "npm",
        run: "mkdir /npm && cd /npm && npm install --silent --package-lock-only left-pad@1.3.0 esbuild@0.21.5 && npm ci --silent && \
              node_modules/.bin/esbuild --version >version",
        files: &[
            ("npm/node_modules/left-pad/index.js", "0644 0:0 file"),
            ("npm/version", "0644 0:0 file \"0.21.5\\n\""),
        ],
    },
    Row {
        name: "apt-get",
        run: "apt-get -qq update && apt-get -qq install --yes --no-install-recommends jq openssh-client dbus >/dev/null && \
              apt-get clean && rm -rf /var/lib/apt/lists/* && getent group _ssh | cut -d: -f3 >/ssh",
        files: &[
            ("usr/bin/jq", "0755 0:0 file"),
            ("usr/bin/ssh-agent", "2755 0:"),
            ("var/lib/apt/lists/lock", "-"),
        ],
    },
];

/// A place with the settings of this machine for package managers.
fn place(environment: Environment) -> Place {
    let place = environment.place();
    let settings = tempfile::tempdir().unwrap();
    debian::write_settings(settings.path());
    place.copy_in(settings.path(), "context/settings");
    place
}

fn build(place: &Place, dockerfile: &str, more: &[&str]) -> RunOutput {
    place.write("context/Dockerfile", format!("FROM localhost/debian\n{dockerfile}"));
    let (context, to) = (place.text("context"), format!("oci:{}:1", place.text("out")));
    let base = format!("localhost/debian=oci:{}:{}", place.part("debian/image"), debian::TAG);
    let arguments = ["build", &context, "--build-context", &base, "--arch", debian::ARCHITECTURE];
    place.lbuild(&[&arguments[..], &["--no-check", "--to", &to], more].concat())
}

fn tree(place: &Place) -> RootTree {
    RootTree::of(&place.path("out"), "1", debian::ARCHITECTURE, Some((debian::tree(), 1)))
}

/// The files of rows that are not as they should be.
fn differences(tree: &RootTree, rows: &[Row]) -> String {
    let mut faults = String::new();
    for row in rows {
        for (path, expected) in row.files {
            let found = tree.line(path).unwrap_or_else(|| "-".to_owned());
            if !found.starts_with(expected) {
                faults += &format!("{}: {path}: {found} instead of {expected}\n", row.name);
            }
        }
    }
    faults
}

fn lines(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("RUN {}\n", row.run)).collect()
}

/// proot keeps no owners.
fn keeps_owners(environment: Environment) -> bool {
    environment != Environment::Restricted
}

/// What the commands that need no network leave, as faults; and the digest of the image.
fn of_rows(environment: Environment, place: &Place) -> (String, Option<String>) {
    let script = std::fs::read(testdata("dockerfile/stand-ins/package.py")).unwrap();
    place.write("context/package.py", script);
    let done = build(place, &format!("COPY package.py /\n{}", lines(ROWS)), NEVER);
    if done.code != Some(0) {
        return (done.stderr, None);
    }
    let tree = tree(place);
    let mut found = if keeps_owners(environment) { differences(&tree, ROWS) } else { String::new() };
    let capability = tree.line("cap").unwrap_or_default();
    // proot says that it is set
    if keeps_owners(environment)
        && !capability.ends_with("security.capability=0100000200040000000000000000000000000000")
    {
        found += &format!("capability: {capability}\n");
    }
    (found, keeps_owners(environment).then(|| done.digest()))
}

/// What depends on the environment: /proc, and the ids that there are, for changing the user and making devices.
fn of_environment(environment: Environment, place: &Place) -> String {
    let lines = "RUN useradd -m -u 1000 -U app\nRUN su app -c 'id -u' >/su || echo refused >/su\n\
                 RUN mknod /device c 1 3 2>/error || echo refused >/refused\n\
                 USER app\nRUN id -u >/home/app/user; id -G >>/home/app/user\n";
    let more = if has_proc(environment) { WITH_PROC } else { &[] };
    let done = build(place, &format!("{}{lines}", self::lines(more)), NEVER);
    if done.code != Some(0) {
        return done.stderr;
    }
    let tree = tree(place);
    let mut found = differences(&tree, more);
    let su = tree.line("su").unwrap_or_default();
    let expected: &[&str] = match ids(environment) {
        // proot lets each process believe what it asks for
        _ if !keeps_owners(environment) => &["\"1000\\n\""],
        // a process of one id stays what it is, or is told so
        Ids::One => &["\"0\\n\"", "\"refused\\n\""],
        Ids::Range | Ids::All => &["\"1000\\n\""],
    };
    if !expected.iter().any(|end| su.ends_with(end)) {
        found += &format!("su: {su}\n");
    }
    // in a container, a device that its rules do not allow to be opened
    let is_made = tree.line("device").is_some();
    let is_right = is_made == makes_devices(environment) && is_made != tree.line("refused").is_some();
    // proot says that it is made
    if keeps_owners(environment) && !is_right {
        found += &format!("device: {:?}\n", tree.line("device"));
    }
    let user = tree.line("home/app/user").unwrap_or_default();
    if keeps_owners(environment) && user != "0644 1000:1000 file \"1000\\n1000\\n\"" {
        found += &format!("user: {user}\n");
    }
    found
}

fn makes_devices(environment: Environment) -> bool {
    matches!(environment, Environment::Root | Environment::Docker | Environment::MountsRefused)
}

/// Whether commands run in namespaces.
fn has_proc(environment: Environment) -> bool {
    matches!(modes(environment)[0], "namespaces" | "copy")
}

/// All lines are run.
const NEVER: &[&str] = &["--translate", "never"];

/// The number of environments in a run without `--faults`, each of which takes some seconds.
const SAMPLE: usize = 2;

/// Those that a run samples. proot is slow, and keeps too little to be compared: it is among them with `--faults`.
fn environments() -> impl Iterator<Item = Environment> {
    Environment::ALL.into_iter().filter(|environment| faults::all() || keeps_owners(*environment))
}

#[test]
fn commands_leave_the_same_in_each_environment() {
    let mut digests: BTreeMap<String, Vec<Environment>> = BTreeMap::new();
    let mut wrong = String::new();
    for environment in faults::sample(environments(), SAMPLE) {
        let place = place(environment);
        let (mut found, digest) = of_rows(environment, &place);
        found += &of_environment(environment, &place);
        if !found.is_empty() {
            wrong += &format!("{environment:?}:\n{found}\n");
        }
        digests.entry(digest.unwrap_or_default()).or_default().push(environment);
    }
    assert!(wrong.is_empty(), "{wrong}");
    digests.remove("");
    assert!(digests.len() <= 1, "{digests:#?}");
}

/// Real packages from the registries of this machine's settings.
#[test]
fn package_managers_work_in_each_environment() {
    let mut wrong = String::new();
    for environment in faults::sample(environments(), 1) {
        let place = place(environment);
        for row in DOWNLOADS {
            let rows = std::slice::from_ref(row);
            let text = format!("COPY settings/ /\n{}", lines(rows));
            let done = build(&place, &text, NEVER);
            if done.code != Some(0) {
                wrong += &format!("{environment:?}: {}: {}\n", row.name, done.stderr);
                continue;
            }
            let tree = tree(&place);
            let mut found = if keeps_owners(environment) { differences(&tree, rows) } else { String::new() };
            // the group is a number that groupadd chooses; programs do not see a recorded one
            if row.name == "apt-get" && keeps_owners(environment) {
                let group = tree.line("ssh").unwrap_or_default();
                let group = group.rsplit('"').nth(1).unwrap_or_default().trim_end_matches("\\n").to_owned();
                let agent = tree.line("usr/bin/ssh-agent").unwrap_or_default();
                if group.is_empty() || !agent.starts_with(&format!("2755 0:{group} ")) {
                    found += &format!("the group of ssh-agent is not {group}: {agent}\n");
                }
            }
            if !found.is_empty() {
                wrong += &format!("{environment:?}: {found}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The message of an environment in which nothing works names what was tried and the kernel's answer.
#[test]
fn where_no_command_can_run_the_message_says_why() {
    let place = Environment::Restricted.place();
    place.hide(&["proot"]);
    let done = build(&place, "RUN date >/x\n", &[]);
    assert!(done.code.is_some_and(|code| code > 0) && done.stdout.is_empty(), "{done:?}");
    let answer = done.stderr.contains("Operation not permitted");
    assert!(
        done.stderr.contains("Dockerfile:2") && answer && done.stderr.contains("namespace"),
        "{}",
        done.stderr
    );
}
