//! What commands leave in the cache and in images: unpacked bases, layers that are found again, and none where nothing has
//! changed.

use crate::support::command_builds::{Builds, commands_of, files_with, modes};
use crate::support::environments::Environment;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{RunOutput, image_of};
use crate::support::registry::{Mode, Registry};
use crate::support::root_tree::RootTree;
use crate::support::{busybox, debian, layers};
use serde_json::Value;

/// The number and size of files in the cache, as lbuild prints them.
fn usage(builds: &Builds, command: &[&str]) -> (u64, u64) {
    let done = builds.place.lbuild(&[command, &["--json"]].concat()).succeeded();
    let printed: Value = serde_json::from_str(&done.stdout).unwrap();
    let number = |name: &str| printed[name].as_u64().unwrap();
    (number("files"), number("bytes"))
}

fn tree(builds: &Builds) -> RootTree {
    RootTree::of(&builds.out(), "1", debian::ARCHITECTURE, None)
}

#[track_caller]
fn built(builds: &Builds, dockerfile: &str, more: &[&str]) -> RunOutput {
    let done = builds.build(dockerfile, more);
    assert_eq!(done.code, Some(0), "{:?}: {}", builds.place.environment, done.stderr);
    done
}

/// The size of all files in the layers of the image.
fn unpacked_size(builds: &Builds) -> u64 {
    let blobs = layers::blobs(&builds.place.path("busybox"), busybox::TAG, debian::ARCHITECTURE);
    let members = blobs.iter().flat_map(|blob| layers::members(blob));
    members.map(|member| member.content.len() as u64).sum()
}

#[test]
fn unpacked_bases_are_counted_and_removed() {
    for environment in
        [Environment::Root, Environment::Account, Environment::SubordinateIds, Environment::Docker]
    {
        let builds = Builds::in_place(environment);
        built(&builds, "FROM localhost/busybox\nCOPY Dockerfile /\n", &[]);
        assert!(builds.cached("roots").is_empty(), "{environment:?}: no command, no root");
        let (files, bytes) = usage(&builds, &["cache", "info"]);
        // files of other users, which only root of their namespace may remove
        let line =
            "RUN mkdir -m 0 /d && chown 1000:1001 /d && date >/d/x && chown -R 33 /home && chmod 000 /home";
        built(&builds, &format!("FROM localhost/busybox\nRUN date >/now\n{line}\n"), &[]);
        assert_eq!(builds.cached("roots").len(), 1, "{environment:?}");
        assert!(builds.cached("work").is_empty(), "{environment:?}: {:?}", builds.cached("work"));
        let all = usage(&builds, &["cache", "info"]);
        let least = unpacked_size(&builds);
        assert!(
            least > 1_000_000 && all.1 >= bytes + least,
            "{environment:?}: {bytes}, then {all:?}, and {least}"
        );
        assert!(all.0 > files + 250, "busybox has that many names: {all:?}");
        assert_eq!(usage(&builds, &["cache", "prune", "--days", "30"]), (0, 0), "{environment:?}");
        assert_eq!(usage(&builds, &["cache", "prune", "--days", "0"]), all, "{environment:?}");
        assert_eq!(usage(&builds, &["cache", "info"]), (0, 0), "{environment:?}");
        for dir in ["roots", "work"] {
            assert!(builds.cached(dir).is_empty(), "{environment:?}: {dir}: {:?}", builds.cached(dir));
        }
        assert_eq!(files_with(&builds.cache(), &["root:x:0:0"]), "", "{environment:?}");
        // by size
        built(&builds, "FROM localhost/busybox\nRUN date >/now\n", &[]);
        usage(&builds, &["cache", "prune", "--max-size", "0"]);
        assert!(builds.cached("roots").is_empty(), "{environment:?}");
    }
}

#[test]
fn a_root_in_use_is_not_removed() {
    for environment in
        [Environment::Root, Environment::Account, Environment::SubordinateIds, Environment::Docker]
    {
        for mode in modes(environment).iter().filter(|mode| **mode != "proot") {
            let builds = Builds::in_place(environment);
            let what = format!("{environment:?}, {mode}");
            // the second command needs files that the first did not read
            let dockerfile = "FROM localhost/busybox\nRUN echo started; sleep 1; date >/x\nRUN cat /usr/share/doc/readme >/y\n";
            builds.place.write("context/Dockerfile", dockerfile);
            let program = builds.place.path("").parent().unwrap().join("tools/lbuild").display().to_string();
            let arguments = builds.arguments("context", &["--run-mode", mode]);
            let mut running = builds.place.start(&[vec![program], arguments].concat());
            running.wait_for("| started");
            for _ in 0..3 {
                usage(&builds, &["cache", "prune", "--days", "0"]);
            }
            assert_eq!(builds.cached("roots").len(), 1, "{what}");
            assert!(!builds.cached("work").is_empty(), "{what}: the directories of the build");
            running.wait_for("out@sha256:");
            drop(running);
            assert_eq!(tree(&builds).line("y").unwrap(), "0644 0:0 file \"read me\\n\"", "{what}");
            usage(&builds, &["cache", "prune", "--days", "0"]);
            assert!(builds.cached("roots").is_empty() && builds.cached("work").is_empty(), "{what}");
        }
    }
}

#[test]
fn stages_can_be_made_again() {
    let builds = Builds::in_place(Environment::Account);
    let dockerfile = "FROM localhost/busybox AS one\nRUN cat /proc/sys/kernel/random/uuid >/one\nFROM localhost/busybox AS two\nRUN cat /proc/sys/kernel/random/uuid >/two\n\
                      FROM localhost/busybox\nCOPY --from=one /one /\nCOPY --from=two /two /\nRUN cat /one /two >/both; cat /proc/sys/kernel/random/uuid >/three\n";
    let build = |more: &[&str], commands: usize| {
        let done = built(&builds, dockerfile, more);
        assert_eq!(commands_of(&done), commands, "{more:?}: {}", done.stderr);
        let tree = tree(&builds);
        ["one", "two", "three"].map(|name| tree.line(name).unwrap())
    };
    let [one, two, three] = build(&[], 3);
    assert_eq!(build(&[], 0), [&*one, &two, &three]);
    // the last command is above the layer that is another one now
    let [newer, same, last] = build(&["--no-cache-filter", "one"], 2);
    assert!(newer != one && same == two && last != three, "{newer}, {same}, {last}");
    // what was made again is what later builds find
    assert_eq!(build(&[], 0), [newer, same, last]);
    let done = built(&builds, dockerfile, &["--no-cache-filter", "tow"]);
    assert!(
        done.stderr.contains("no stage named tow") && done.stderr.contains("one, two"),
        "{}",
        done.stderr
    );
}

/// Lines that mount the files of a stage are made again with it.
#[test]
fn stages_that_are_mounted_can_be_made_again() {
    let builds = Builds::in_place(Environment::Account);
    let dockerfile = "FROM localhost/busybox AS one\nRUN cat /proc/sys/kernel/random/uuid >/one\n\
                      FROM localhost/busybox\nRUN --mount=from=one,source=/one,target=/m cat /m >/ran; date >/dev/null\n\
                      RUN --mount=from=one,source=/one,target=/m cp /m /copied\n";
    let build = |more: &[&str], commands: usize| {
        let done = built(&builds, dockerfile, more);
        assert_eq!(commands_of(&done), commands, "{more:?}: {}", done.stderr);
        let tree = tree(&builds);
        ["ran", "copied"].map(|name| tree.line(name).unwrap())
    };
    let [ran, copied] = build(&[], 2);
    assert_eq!(build(&[], 0), [&*ran, &copied]);
    let newer = build(&["--no-cache-filter", "one"], 2);
    assert!(ran == copied && newer[0] != ran && newer[0] == newer[1], "{ran}, {newer:?}");
}

#[test]
fn noise_can_be_kept() {
    const NOISE: [&str; 4] =
        ["var/log/dpkg.log", "root/.npm/_logs/1.log", "etc/machine-id", "home/app/.cache/pip/http/a"];
    let make = NOISE.map(|path| format!("mkdir -p $(dirname /{path}) && date >/{path}")).join(" && ");
    let dockerfile = format!("FROM localhost/busybox\nRUN {make} && date >/var/log/other.log\n");
    for (environment, mode) in [
        (Environment::Root, "namespaces"),
        (Environment::Root, "chroot"),
        (Environment::Account, "namespaces"),
        (Environment::Account, "copy"),
    ] {
        let builds = Builds::in_place(environment);
        let what = format!("{environment:?}, {mode}");
        for (options, kept) in [(&[][..], false), (&["--keep-noise"], true), (&[], false)] {
            let done = built(&builds, &dockerfile, &[options, &["--run-mode", mode]].concat());
            let tree = tree(&builds);
            for path in NOISE {
                assert_eq!(tree.line(path).is_some(), kept, "{what}, {options:?}: {path}");
            }
            assert!(tree.line("var/log/other.log").is_some() && tree.line("root/.npm").is_some(), "{what}");
            // the layer of the other kind is not used
            let is_first = builds.cached("keys").len() < 3 && !done.stderr.contains("unchanged");
            assert!(is_first || commands_of(&done) == 0, "{what}: {}", done.stderr);
        }
    }
}

/// Files are read, written again with what they have, and removed again.
const NOTHING: &str = "FROM localhost/busybox
RUN cat /etc/passwd >/tmp/x && rm /tmp/x && cp /etc/passwd /etc/group.new && rm /etc/group.new && touch /etc/passwd /etc \
  && chmod 644 /etc/passwd && cp -p /bin/busybox /b && mv /b /bin/busybox && chown -R 0:0 /usr/share && date >/dev/null
";

#[test]
fn a_command_that_changes_nothing_makes_no_layer() {
    for environment in
        [Environment::Root, Environment::Account, Environment::SubordinateIds, Environment::Docker]
    {
        for mode in modes(environment) {
            let builds = Builds::in_place(environment);
            let what = format!("{environment:?}, {mode}");
            for commands in [1, 0] {
                let done = built(&builds, NOTHING, &["--run-mode", mode]);
                assert_eq!(commands_of(&done), commands, "{what}: {}", done.stderr);
                let (manifest, config) = image_of(&builds.out(), "1", debian::ARCHITECTURE);
                assert_eq!(manifest["layers"].as_array().unwrap().len(), 1, "{what}: {}", done.stderr);
                let history = config["history"].as_array().unwrap();
                let last = history.last().unwrap();
                assert_eq!(last["empty_layer"], true, "{what}: {history:#?}");
                assert!(last["created_by"].as_str().unwrap().contains("cat /etc/passwd"), "{what}");
            }
        }
    }
}

/// The tag has the layers: nothing of the base is read, nothing is unpacked, nothing runs.
#[test]
fn an_unchanged_build_on_a_fresh_machine_runs_nothing() {
    let registry = Registry::start(Mode::Plain);
    let base = tempfile::tempdir().unwrap();
    busybox::write(base.path());
    let from = format!("oci:{}:{}", base.path().display(), busybox::TAG);
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let (manifest, _) = image_of(base.path(), busybox::TAG, debian::ARCHITECTURE);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let image = format!("base=docker-image://{}/base:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    let dockerfile = "FROM base AS one\nRUN cat /proc/sys/kernel/random/uuid >/one\nFROM base\nCOPY --from=one /one /\nWORKDIR /app\nCOPY a.txt ./\n\
                      RUN cat /proc/sys/kernel/random/uuid >/two; cat a.txt >>/two\nUSER app\nRUN date >/dev/null\nRUN [\"touch\", \"/tmp/three\"]\n";
    // By another user and in another mode: neither is part of the key.
    let push = |environment: Environment, text: &str, more: &[&str]| {
        let mut place = environment.place();
        place.write("context/Dockerfile", dockerfile);
        place.write("context/a.txt", text);
        let context = place.text("context");
        place.set("AWS_EC2_METADATA_DISABLED", "true");
        let mark = registry.mark();
        let arguments = [
            "push",
            &context,
            "--arch",
            debian::ARCHITECTURE,
            "--build-context",
            &image,
            "--to",
            &to,
            "--no-check",
        ];
        let done = place.lbuild(&[&arguments[..], more].concat());
        assert_eq!(done.code, Some(0), "{environment:?}: {}", done.stderr);
        let log = registry.log_since(mark);
        let reads_base = log.iter().any(|entry| entry.method == "GET" && entry.path.contains(&layer));
        let sent = log.iter().filter(|entry| !["GET", "HEAD"].contains(&entry.method.as_str())).count();
        let roots = place.path("cache/roots").exists() || place.path("cache/work").exists();
        (done.digest(), commands_of(&done), reads_base, sent, roots)
    };
    let (digest, commands, reads_base, _, roots) = push(Environment::Root, "1", &[]);
    assert_eq!((commands, reads_base, roots), (4, true, true));
    for (environment, more) in [
        (Environment::Root, &[][..]),
        (Environment::Account, &["--run-mode", "copy"]),
        (Environment::Docker, &[]),
    ] {
        let found = push(environment, "1", more);
        assert_eq!(found, (digest.clone(), 0, false, 0, false), "{environment:?}, {more:?}");
    }
    // a changed file runs what is above it, and no more
    let (changed, commands, reads_base, ..) = push(Environment::Account, "2", &[]);
    assert!(changed != digest && commands == 3 && reads_base, "{commands}, {reads_base}");
}
