//! A command that searches for the caller's secrets finds none, and nothing that a build leaves has one: layers, history,
//! config, cache, and all output.

use crate::support::bases;
use crate::support::busybox;
use crate::support::command_builds::{Builds, commands_of, files_with, modes};
use crate::support::environments::Environment;
use crate::support::faults;
use crate::support::index::Index;
use crate::support::layers::inflate;
use crate::support::registry::{Mode, Registry};
use crate::support::{debian, nonce};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Reads what there is of other processes, and of the files that the caller's programs keep secrets in.
const DOCKERFILE: &str = r#"FROM python AS packages
COPY requirements.txt /
RUN pip install -r /requirements.txt -t /opt/python

FROM busybox
ENV SEEN=seen-by-the-command
COPY --from=packages /opt/python /opt/python
RUN <<'EOF'
mkdir /search && cd /search
for process in /proc/[0-9]*; do
  number=${process#/proc/}
  cat "$process/environ" >>environ
  cat "$process/cmdline" >>cmdline
  [ "$number" = $$ ] && continue
  for fd in "$process"/fd/*; do
    readlink "$fd" >>fds
    timeout 1 head -c 100000 "$fd" </dev/null >>fds
  done
  timeout 1 head -c 100000 "$process/root$HOME/.aws/credentials" >>files
  timeout 1 head -c 100000 "$process/cwd/context/Dockerfile" >>files
done 2>/dev/null
for file in /dev/fd/* /proc/self/fd/*; do readlink "$file"; done >>fds 2>/dev/null
for number in 3 4 5 6 7 8 9 10 11 12 13 14 15; do
  eval "timeout 1 head -c 100000 <&$number" >>fds
done 2>/dev/null
env >variables
find / -xdev >names 2>/dev/null
find / -xdev -type f ! -path '/search/*' -size -100 -exec cat {} + >contents 2>/dev/null
cat variables environ
EOF
RUN cat /search/variables; date >/later
"#;

/// The values of secrets, and the ways in which they may appear.
struct Secrets {
    nonce: String,
    values: Vec<String>,
}

impl Secrets {
    fn new() -> Secrets {
        Secrets { nonce: nonce().replace('-', ""), values: Vec::new() }
    }

    /// A new one. It has letters and digits only, so that no encoding changes it.
    fn value(&mut self, name: &str) -> String {
        let value = format!("secret{name}{}", self.nonce);
        self.values.push(value.clone());
        value
    }

    fn texts(&self) -> Vec<&str> {
        self.values.iter().map(String::as_str).collect()
    }

    /// Those that a text has.
    fn found(&self, bytes: &[u8]) -> Vec<&str> {
        let has = |value: &&str| bytes.windows(value.len()).any(|window| window == value.as_bytes());
        self.texts().into_iter().filter(has).collect()
    }
}

/// All files below a directory, gzip also as what is in it.
pub fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            found.push((format!("{} (unpacked)", path.display()), inflate(&bytes)));
        }
        found.push((path.display().to_string(), bytes));
    }
    found
}

#[test]
fn a_command_finds_no_secret_of_the_caller() {
    let mut wrong = String::new();
    let environments = [
        Environment::Root,
        Environment::Account,
        Environment::SubordinateIds,
        Environment::Docker,
        Environment::Unconfined,
    ];
    // proot is no boundary
    let modes = |environment| modes(environment).iter().filter(|mode| **mode != "proot");
    let all = environments
        .into_iter()
        .flat_map(|environment| modes(environment).map(move |mode| (environment, *mode)));
    for (environment, mode) in faults::sample(all, 3) {
        for fault in searched(environment, mode) {
            wrong += &format!("{environment:?}, {mode}: {fault}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn searched(environment: Environment, mode: &str) -> Vec<String> {
    let mut secrets = Secrets::new();
    let mut builds = Builds::in_place(environment);
    let place = &mut builds.place;
    // a registry and an index that the build uses with its logins
    let password = secrets.value("Registry");
    let registry = Registry::start(Mode::Basic { user: "user", password: &password });
    let auth = BASE64_STANDARD.encode(format!("user:{password}"));
    place.write("docker/config.json", json!({ "auths": { registry.host(): { "auth": auth } } }).to_string());
    secrets.values.push(auth);
    bases::seed(&registry, &place.path("busybox"), busybox::TAG, "busybox", "1");
    bases::push(&registry, "oci-index", "python", "1");
    let password = secrets.value("Index");
    let index = Index::with_login("user", &password);
    for name in ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
        place.set(name, &index.url_with_login());
    }
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "UV_INDEX_PRIVATE_PASSWORD",
        "PIP_EXTRA_TOKEN",
        "GITHUB_TOKEN",
        "NPM_TOKEN",
        "SOME_PASSWORD",
    ] {
        let value = secrets.value(&name.replace('_', ""));
        place.set(name, &value);
    }
    let in_files = secrets.value("File");
    place.write("home/.aws/credentials", format!("[default]\naws_secret_access_key={in_files}\n"));
    place.write("home/.netrc", format!("machine example.com login a password {in_files}\n"));
    place.write("context/requirements.txt", "idna\n");
    place.write("context/Dockerfile", DOCKERFILE);

    let image = |name: &str| format!("{name}=docker-image://{}/{name}:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    let context = place.text("context");
    let run = |more: &[&str]| {
        let arguments =
            ["build", &context, "--build-context", &image("python"), "--build-context", &image("busybox")];
        let rest = ["--arch", debian::ARCHITECTURE, "--no-check", "--run-mode", mode];
        place.lbuild(&[&arguments[..], &rest, more].concat())
    };
    let push = run(&["--to", &to]);
    assert_eq!(push.code, Some(0), "{environment:?}, {mode}: {}", push.stderr);
    assert_eq!(commands_of(&push), 2, "{}", push.stderr);
    assert!(index.log().iter().any(|request| request.status == Some(200)), "the index is used");
    let json = run(&["--json", "--no-cache", "--to", &format!("oci:{}:1", place.text("out"))]);
    assert_eq!(json.code, Some(0), "{}", json.stderr);

    let mut faults = Vec::new();
    let mut seen = [false; 3];
    for (what, output) in [("output", &push), ("JSON", &json)] {
        let text = format!("{}{}", output.stdout, output.stderr);
        seen[0] |= text.contains("seen-by-the-command");
        for value in secrets.found(text.as_bytes()) {
            faults.push(format!("{what} has {value}"));
        }
    }
    let storage = registry.storage().join("docker/registry/v2");
    for (path, bytes) in contents(&storage).into_iter().chain(contents(&builds.out())) {
        let text = b"SEEN=seen-by-the-command\n";
        seen[1] |= path.ends_with("(unpacked)") && bytes.windows(text.len()).any(|window| window == text);
        for value in secrets.found(&bytes) {
            faults.push(format!("{path} has {value}"));
        }
    }
    seen[2] = !files_with(&builds.cache(), &["root:x:0:0"]).is_empty();
    assert_eq!(seen, [true; 3], "the search finds what there is: output, layers, cache");
    for dir in ["cache", "tmp", "out", "context"] {
        let dir = builds.place.path(dir);
        let files = if dir.exists() { files_with(&dir, &secrets.texts()) } else { String::new() };
        faults.extend(files.lines().map(|file| format!("{file} has a secret")));
    }
    // The control: these files do have secrets.
    assert_eq!(files_with(&builds.place.path("home"), &secrets.texts()).lines().count(), 2);
    faults
}

/// Arguments: the mode. Ends a build while its command has the secret, then builds something else.
const KILLED: &str = r#"
"$LBUILD" build context --run-mode "$1" --secret id=s,src=secret --ssh "default=$PWD/agent" \
  --build-context "localhost/busybox=oci:$PWD/busybox:built" --arch "$ARCH" --no-check --to "oci:$PWD/out:1" >log 2>&1 &
for try in $(seq 500); do grep -q 'has 9 bytes' log && break; sleep 0.02; done
grep -q 'has 9 bytes' log || cat log
kill -9 $!
wait $! 2>/dev/null
"$LBUILD" build next --run-mode "$1" --build-context "localhost/busybox=oci:$PWD/busybox:built" --arch "$ARCH" --no-check \
  --to "oci:$PWD/out:2" 2>log2 || cat log2
ls -A "$TMPDIR" "$LBUILD_CACHE/work" | grep -v :$ | grep .
for file in /proc/[0-9]*; do tr '\0' ' ' <"$file/cmdline"; done 2>/dev/null | grep -o 'sleep 424[2]'
true
"#;

/// A build that is killed while its command has a secret and an agent leaves neither, after the next build at the latest.
#[test]
fn nothing_of_a_secret_is_left_of_a_killed_build() {
    for (environment, mode) in [
        (Environment::Root, "namespaces"),
        (Environment::Account, "copy"),
        (Environment::Docker, "chroot"),
        (Environment::Restricted, "proot"),
    ] {
        let mut builds = Builds::in_place(environment);
        builds.place.set("ARCH", debian::ARCHITECTURE);
        let _agent = std::os::unix::net::UnixListener::bind(builds.place.path("agent")).unwrap();
        fs::set_permissions(builds.place.path("agent"), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .unwrap();
        builds.place.write("secret", "secret-42");
        builds.place.write(
            "context/Dockerfile",
            "FROM localhost/busybox\nRUN --mount=type=secret,id=s --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && \
             echo has $(wc -c </run/secrets/s) bytes; sleep 4242\n",
        );
        builds
            .place
            .write("next/Dockerfile", "FROM localhost/busybox\nRUN date >/dev/null; ls -A /run >/run-has\n");
        builds.place.write("killed.sh", KILLED);
        let done = builds.place.run(&["/bin/bash", "killed.sh", mode]).succeeded();
        let lines: Vec<_> = done.stdout.lines().filter(|line| !line.contains("@sha256:")).collect();
        assert_eq!(lines, [""; 0], "{environment:?}, {mode}");
        for dir in ["cache", "tmp", "out"] {
            assert_eq!(files_with(&builds.place.path(dir), &["secret-42"]), "", "{environment:?}, {mode}");
        }
    }
}
