//! Builds that end while a command runs: nothing of the command is left, and the next build works. In the modes without a
//! PID namespace, it is the next build that ends what is left.

use crate::support::busybox;
use crate::support::environments::{Environment, Place};
use std::path::Path;

/// A command with processes that nothing waits for: one in a session of its own, one that ignores signals.
const DAEMONS: &str = "RUN setsid sleep 4242 & (trap '' HUP INT TERM; exec sleep 4242) & sleep 4242\n";

/// Arguments: lbuild's mode (`kernel` ends the processes, or the `next` build does), the signal, then delays in seconds. Each
/// delay is a build that gets the signal after it, and a build that must succeed. Prints what is wrong.
const SCRIPT: &str = r#"
ends=$1 signal=$2
shift 2
left() {
  for file in /proc/[0-9]*/cmdline; do
    tr '\0' ' ' <"$file" 2>/dev/null | grep -E 'sleep 424[2]|lbuil[d] build'
  done
}
# in a process of its own: the signal is for lbuild, not for a shell that waits for it
build() {
  exec "$LBUILD" build "$@" --build-context "localhost/busybox=oci:$PWD/busybox:built" --arch "$ARCH" --no-check --to "oci:$PWD/out:1"
}
mounts=$(wc -l </proc/self/mountinfo)
(build quick) >/dev/null 2>log || { echo "the first build fails:"; cat log; exit 0; }
for delay; do
  build slow >/dev/null 2>log &
  sleep "$delay"
  kill "-$signal" $!
  wait $!
  code=$?
  [ $code != 0 ] || echo "$delay: the build succeeds"
  if [ "$ends" = kernel ]; then
    sleep 0.3
    found=$(left)
    [ -z "$found" ] || echo "$delay: after the signal: $found"
  fi
  (build quick --no-cache) >/dev/null 2>log || { echo "$delay: the next build fails:"; cat log; }
  found=$(left)
  [ -z "$found" ] || echo "$delay: after the next build: $found"
  [ "$(wc -l </proc/self/mountinfo)" = "$mounts" ] || echo "$delay: mounts are left"
  [ -z "$(ls -A "$TMPDIR")" ] || echo "$delay: left in TMPDIR: $(ls -A "$TMPDIR")"
done
"$LBUILD" cache info >/dev/null 2>log || cat log
"#;

fn place(environment: Environment) -> Place {
    let mut place = environment.place();
    let base = tempfile::tempdir().unwrap();
    busybox::write(base.path());
    place.copy_in(base.path(), "busybox");
    place.write("slow/Dockerfile", format!("FROM localhost/busybox\n{DAEMONS}"));
    place.write(
        "quick/Dockerfile",
        "FROM localhost/busybox\nRUN (setsid sleep 4242 >/dev/null 2>&1 &); date >/now\n",
    );
    place.write("kill.sh", SCRIPT);
    place.set("ARCH", crate::support::debian::ARCHITECTURE);
    place
}

#[test]
fn nothing_of_a_killed_build_is_left() {
    let delays = ["0.002", "0.01", "0.03", "0.05", "0.08", "0.12", "0.2", "0.4", "0.7", "1.1"];
    let mut wrong = String::new();
    for (environment, ends) in [
        (Environment::Account, "kernel"),
        (Environment::SubordinateIds, "kernel"),
        (Environment::Root, "kernel"),
        (Environment::Unconfined, "kernel"),
        (Environment::Docker, "next"),
        (Environment::Restricted, "next"),
    ] {
        for signal in ["KILL", "INT", "TERM"] {
            let place = place(environment);
            let script = place.text("kill.sh");
            assert!(Path::new(&script).exists());
            let arguments = [&["/bin/bash", &script, ends, signal], &delays[..]].concat();
            let done = place.run(&arguments);
            if done.code != Some(0) || !done.stdout.is_empty() {
                wrong += &format!("{environment:?}, {signal}: {}{}\n", done.stdout, done.stderr);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
