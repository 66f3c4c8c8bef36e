//! Commands that do harm, and builds that end at any moment: no process, mount, directory, lock or half entry of the cache
//! is left, and the next build works.

use crate::support::command_builds::{Builds, modes};
use crate::support::debian;
use crate::support::environments::Environment;
use crate::support::faults::{self, Random};
use std::fmt::Write;

/// What the scripts share. `left` prints what should not be there; `sound` what the cache should not have.
const FUNCTIONS: &str = r#"
cache=$LBUILD_CACHE
mounts=$(wc -l </proc/self/mountinfo)
build() {
  exec "$LBUILD" build "$@" --build-context "localhost/busybox=oci:$PWD/busybox:built" --arch "$ARCH" --no-check --to "oci:$PWD/out:1"
}
left() {
  for file in /proc/[0-9]*/cmdline; do
    { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -E 'sleep 424[2]|lbuil[d] build'
  done
  [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ] || tail -n 3 /proc/self/mountinfo
  ls -A "$TMPDIR"
}
sound() {
  ls -A "$cache/work"
  for file in "$cache"/blobs/sha256/*; do
    [ -e "$file" ] || continue
    [ "$(sha256sum <"$file" | cut -c -64)" = "${file##*/}" ] || echo "not what its name says: $file"
  done
  for root in "$cache"/roots/*; do
    [ -e "$root" ] || continue
    [ -d "$root/files/bin" ] && [ -s "$root/index" ] && [ -s "$root/usage" ] || echo "incomplete: $(ls -A "$root" "$root/files")"
  done
  find "$cache" -path "$cache/roots/*/files" -prune -o \( -name '.lbuild-*' -o -name '.tmp*' \) -print
}
"#;

/// A command, and the expected fault in the error.
struct Harm {
    name: &'static str,
    lines: &'static str,
    fault: Option<&'static str>,
}

impl Harm {
    /// Whether it takes permissions from directories. Under proot, lbuild itself cannot enter them then, so that the build
    /// may fail.
    fn locks_out(&self) -> bool {
        self.lines.contains("chmod 0")
    }
}

const HARMS: &[Harm] = &[
    Harm {
        name: "daemons",
        lines: "RUN setsid sleep 4242 & (trap '' HUP INT TERM; exec sleep 4242) & (setsid sleep 4242 >/dev/null 2>&1 &); date >/x",
        fault: None,
    },
    Harm {
        name: "daemons of a command that fails",
        lines: "RUN (setsid sleep 4242 >/dev/null 2>&1 &); date; exit 3",
        fault: Some("the command ended with exit code 3"),
    },
    Harm {
        name: "much output on the disk",
        lines: "RUN dd if=/dev/zero of=/large bs=1M count=200 2>/dev/null && busybox truncate -s 20M /large\nRUN busybox rm /large && date >/x",
        fault: None,
    },
    Harm {
        name: "killed processes",
        lines: "RUN sleep 4242 & kill -9 $!; wait $!; test $? = 137 && sh -c 'kill -9 $$; true' || exit 4",
        fault: Some("the command ended with exit code 4"),
    },
    Harm {
        name: "no shell",
        lines: "RUN date >/x; test -e /etc/test-image && busybox rm /bin/sh\nRUN [\"busybox\", \"touch\", \"/y\"]\nRUN date >/z",
        fault: Some("cannot execute /bin/sh"),
    },
    Harm {
        name: "no permissions",
        lines: "RUN test -e /etc/test-image && mkdir -p /a/b && date >/a/b/c && chmod 000 /a/b/c /a/b /a && chmod 000 /\nRUN date >/x && chmod 000 /x",
        fault: None,
    },
    Harm {
        name: "no files",
        // all but what a fault of the builder could make those of the machine
        lines: "RUN test -e /etc/test-image && busybox rm -rf /[!dps]* 2>/dev/null; :",
        fault: None,
    },
    Harm {
        name: "odd names",
        lines: "RUN d=$(printf '/a\\nb\\377'); mkdir \"$d\" && date >\"$d/ -x\" && ln -s \"$d\" '/ ' && chmod 0 \"$d\"",
        fault: None,
    },
    Harm {
        name: "deep directories",
        lines: "RUN i=0; while [ $i -lt 200 ]; do mkdir dddddddddddddddd && cd dddddddddddddddd; i=$((i+1)); done; date >x",
        fault: None,
    },
];

/// Arguments: the mode, then pairs of a directory and a number. Builds each, and then one that must succeed. Prints the
/// exit code of each, and what is left.
const EACH: &str = r#"
mode=$1
shift
for harm; do
  (build "$harm" --run-mode "$mode" --no-cache) >/dev/null 2>"$harm/log"
  echo "$harm ends with $?"
  found=$(left; sound)
  [ -z "$found" ] || echo "$harm leaves $found"
done
(build good --run-mode "$mode" --no-cache) >/dev/null 2>log || { echo "the next build fails:"; cat log; }
found=$(left; sound)
[ -z "$found" ] || echo "good leaves $found"
"$LBUILD" cache prune --days 0 >/dev/null 2>log || cat log
ls -A "$cache/roots" "$cache/work" "$cache/blobs/sha256" | grep -v :$ | grep . && echo "is in use"
true
"#;

fn builds(environment: Environment) -> Builds {
    let mut builds = Builds::in_place(environment);
    builds.place.set("ARCH", debian::ARCHITECTURE);
    builds.place.write("good/Dockerfile", "FROM localhost/busybox\nRUN date >/now\n");
    builds
}

/// What is wrong after each of the commands.
fn harmed(environment: Environment, mode: &str) -> String {
    let builds = builds(environment);
    let directory = |number: usize| format!("harm{number}");
    for (number, harm) in HARMS.iter().enumerate() {
        // a gigabyte takes some seconds
        let lines =
            if faults::all() { harm.lines.replace("count=200", "count=1000") } else { harm.lines.to_owned() };
        let dockerfile = format!("FROM localhost/busybox\n{lines}\n");
        builds.place.write(&format!("{}/Dockerfile", directory(number)), dockerfile);
    }
    builds.place.write("each.sh", format!("{FUNCTIONS}{EACH}"));
    let directories: Vec<String> = (0..HARMS.len()).map(directory).collect();
    let mut arguments = vec!["/bin/bash", "each.sh", mode];
    arguments.extend(directories.iter().map(String::as_str));
    let done = builds.place.run(&arguments);
    let (mut lines, mut wrong): (Vec<&str>, _) = (done.stdout.lines().collect(), String::new());
    for (harm, directory) in HARMS.iter().zip(&directories) {
        let log = std::fs::read_to_string(builds.place.path(&format!("{directory}/log"))).unwrap();
        let is_locked_out = mode == "proot" && harm.locks_out();
        let prefix = format!("{directory} ends with ");
        let code = lines.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default();
        let is_expected = match harm.fault {
            Some(fault) => !code.is_empty() && code != "0" && log.contains(fault),
            None => is_locked_out || (code == "0" && !log.contains("error: ")),
        };
        if !is_expected {
            writeln!(wrong, "{} ends with {code}: {log}", harm.name).unwrap();
        }
        lines.retain(|line| !line.starts_with(&prefix));
    }
    if done.code != Some(0) || !lines.is_empty() {
        writeln!(wrong, "{lines:#?} {}", done.stderr).unwrap();
    }
    wrong
}

#[test]
fn nothing_of_a_harmful_command_is_left() {
    let environments = [
        Environment::Root,
        Environment::Account,
        Environment::SubordinateIds,
        Environment::Docker,
        Environment::Restricted,
    ];
    let of = |environment| modes(environment).iter().map(move |mode| (environment, *mode));
    let mut wrong = String::new();
    for (environment, mode) in faults::sample(environments.into_iter().flat_map(of), 3) {
        let found = harmed(environment, mode);
        if !found.is_empty() {
            writeln!(wrong, "{environment:?}, {mode}: {found}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Arguments: the mode. The cache is on a disk of 20 MB, which is filled by a command, by its layer, by many files, and by
/// the base.
const FULL: &str = r#"
mode=$1 cache=$PWD/small
export LBUILD_CACHE=$cache
mkdir -p "$cache"
disk() { mount -t tmpfs -o size="$1",nr_inodes=2500,mode=700 none "$cache" || { echo "no small disk"; exit; }; }
disk 20m
mounts=$(wc -l </proc/self/mountinfo)
for harm in command layer files; do
  (build "$harm" --run-mode "$mode" --no-cache) >/dev/null 2>"$harm/log"
  echo "$harm ends with $?"
  found=$(left; sound)
  [ -z "$found" ] || echo "$harm leaves $found"
  (build good --run-mode "$mode" --no-cache) >/dev/null 2>log || { echo "the next build fails:"; cat log; }
done
umount "$cache"
disk 1m
(build good --run-mode "$mode" --no-cache) >/dev/null 2>base-log
echo "base ends with $?"
found=$(left; sound; ls -A "$cache/roots")
[ -z "$found" ] || echo "the base leaves $found"
umount "$cache"
"#;

#[test]
fn nothing_is_left_on_a_full_disk() {
    let mut wrong = String::new();
    let all = [
        (Environment::Root, "namespaces"),
        (Environment::Root, "copy"),
        (Environment::Root, "chroot"),
        (Environment::Account, "namespaces"),
        (Environment::Account, "copy"),
    ];
    for (environment, mode) in faults::sample(all, 2) {
        let builds = builds(environment);
        for (name, line) in [
            ("command", "dd if=/dev/zero of=/large bs=1M"),
            // There is room for the files alone.
            ("layer", "dd if=/dev/urandom of=/large bs=1M count=12 2>/dev/null"),
            ("files", "i=0; while [ $i -lt 3000 ]; do : >/f$i || exit 5; i=$((i+1)); done 2>/dev/null"),
        ] {
            let dockerfile = format!("FROM localhost/busybox\nRUN {line}\n");
            builds.place.write(&format!("{name}/Dockerfile"), dockerfile);
        }
        builds.place.write("full.sh", format!("{FUNCTIONS}{FULL}"));
        let program = ["/bin/bash", "full.sh", mode];
        // A mount needs root, or a namespace.
        let namespace = ["unshare", "--user", "--map-root-user", "--mount"];
        let wrapper = if environment == Environment::Root { &[][..] } else { &namespace[..] };
        let done = builds.place.run(&[wrapper, &program].concat());
        let expected = "command ends with 3\nlayer ends with 7\nfiles ends with 3\nbase ends with 7\n";
        let log = |name: &str| std::fs::read_to_string(builds.place.path(name)).unwrap_or_default();
        let full =
            ["command/log", "layer/log", "base-log"].iter().all(|name| log(name).contains("No space left"));
        if done.code != Some(0) || done.stdout != expected || !full {
            let logs = ["command/log", "layer/log", "files/log", "base-log"].map(log).concat();
            write!(wrong, "{environment:?}, {mode}: {}{}{logs}\n\n", done.stdout, done.stderr).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A command that is killed from outside, as by the kernel when memory is short.
#[test]
fn the_error_of_a_killed_command_names_the_signal() {
    for (environment, mode) in [
        (Environment::Root, "namespaces"),
        (Environment::Root, "chroot"),
        (Environment::Account, "copy"),
        (Environment::Restricted, "proot"),
    ] {
        let builds = builds(environment);
        builds.place.write("slow/Dockerfile", "FROM localhost/busybox\nRUN [\"sleep\", \"4242\"]\n");
        let script = format!(
            r#"{FUNCTIONS}
            build slow --run-mode "$1" >/dev/null 2>log &
            for try in $(seq 500); do
              for file in /proc/[0-9]*; do
                case "$(tr '\0' ' ' <"$file/cmdline")" in "sleep 4242 " | "/bin/sleep 4242 ") kill -9 "${{file#/proc/}}" ;; esac
              done 2>/dev/null
              kill -0 $! 2>/dev/null || break
              sleep 0.02
            done
            wait $!; echo "ends with $?"; left; sound"#
        );
        builds.place.write("killed.sh", script);
        let done = builds.place.run(&["/bin/bash", "killed.sh", mode]).succeeded();
        let log = std::fs::read_to_string(builds.place.path("log")).unwrap();
        assert_eq!(done.stdout, "ends with 3\n", "{environment:?}, {mode}: {log}");
        let error = "slow/Dockerfile:2:1: the command was killed by signal 9";
        assert!(log.contains(error), "{environment:?}, {mode}: {log}");
    }
}

/// Arguments: the mode, the signal, whether nothing may be left before the next build, then delays in seconds.
const MOMENTS: &str = r#"
mode=$1 signal=$2 ends=$3
shift 3
# unpacks the base, runs, and writes layers of 1 MB
expected=$( (build deterministic --run-mode "$mode") 2>log) || { echo "the first build fails:"; cat log; exit; }
for delay; do
  "$LBUILD" cache prune --days 0 >/dev/null
  build deterministic --run-mode "$mode" >/dev/null 2>log &
  sleep "$delay"
  kill "-$signal" $! 2>/dev/null
  wait $!
  code=$?
  [ $code != 0 ] && killed=$((killed + 1))
  if [ "$ends" = now ]; then
    for try in $(seq 100); do found=$(left); [ -z "$found" ] && break; sleep 0.02; done
    [ -z "$found" ] || echo "$delay: after the signal: $found"
    # a process that ends has no command line any more, but its locks
    sleep 0.2
  fi
  [ "$signal $ends" = "INT now" ] && [ -n "$(ls -A "$cache/work")" ] && echo "$delay: after the signal: $(ls -A "$cache/work")"
  [ $signal = INT ] && [ $code != 0 ] && [ $code != 130 ] && { echo "$delay: ends with $code"; cat log; }
  made=$( (build deterministic --run-mode "$mode") 2>log) || { echo "$delay: the next build fails:"; cat log; }
  [ "$made" = "$expected" ] || echo "$delay: $made instead of $expected"
  # the process that watched the killed one may still remove its files
  for try in $(seq 100); do found=$(left; sound); [ -z "$found" ] && break; sleep 0.02; done
  [ -z "$found" ] || echo "$delay: after the next build: $found"
done
echo "$killed killed" >&2
"#;

/// All moments of a build: the base is unpacked, commands run, layers are written.
#[test]
fn nothing_is_left_of_a_build_that_ends_at_any_moment() {
    let mut random = Random::seeded();
    println!("LBUILD_TEST_SEED={}", random.seed());
    let count = if faults::all() { 50 } else { 3 };
    let mut wrong = String::new();
    let all = [
        (Environment::Root, "namespaces", "now"),
        (Environment::Account, "namespaces", "now"),
        (Environment::SubordinateIds, "copy", "now"),
        (Environment::Docker, "chroot", "next"),
    ];
    for (environment, mode, ends) in faults::sample(all, 2) {
        let builds = builds(environment);
        builds.place.write(
            "deterministic/Dockerfile",
            "FROM localhost/busybox AS one\nRUN (sleep 4242 &); seq 200000 >/numbers; sleep 0.05; mkdir -m 0 /d\n\
             FROM localhost/busybox\nRUN (setsid sleep 4242 &); for i in $(seq 300); do echo $i >/f$i; done; sleep 0.05\n\
             COPY --from=one /numbers /\nRUN sha256sum /numbers >/sum\n",
        );
        builds.place.write("moments.sh", format!("{FUNCTIONS}{MOMENTS}"));
        for signal in ["KILL", "INT"] {
            let delays: Vec<String> = (0..count).map(|_| format!("0.{:03}", random.below(900))).collect();
            let mut arguments = vec!["/bin/bash", "moments.sh", mode, signal, ends];
            arguments.extend(delays.iter().map(String::as_str));
            let began = std::time::Instant::now();
            let done = builds.place.run(&arguments);
            println!(
                "{environment:?}, {signal}: {} in {:.1} s",
                done.stderr.trim(),
                began.elapsed().as_secs_f32()
            );
            if done.code != Some(0) || !done.stdout.is_empty() {
                writeln!(wrong, "{environment:?}, {signal}: {}{}", done.stdout, done.stderr).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
