//! Mounts as people write them: the examples of Docker's documentation and the case `20-uv-mounts`, with the real programs,
//! in the modes that have all of them.

use super::cases::wheels;
use crate::support::command_builds::commands_of;
use crate::support::debian;
use crate::support::environments::{Environment, Place};
use crate::support::faults;
use crate::support::image_builder::{Tar, image};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::RunOutput;
use crate::support::root_tree::RootTree;
use crate::support::{part, testdata};
use std::collections::BTreeMap;
use std::fs;

const MODES: [&str; 3] = ["namespaces", "copy", "chroot"];

fn build(place: &Place, context: &str, tag: &str, more: &[&str]) -> RunOutput {
    let (context, to) = (place.text(context), format!("oci:{}:{tag}", place.text("out")));
    let debian = format!("=oci:{}:{}", place.part("debian/image"), debian::TAG);
    let names =
        ["localhost/debian", "public.ecr.aws/lambda/python:3.13"].map(|name| format!("{name}{debian}"));
    let mut arguments = vec!["build", &context, "--arch", debian::ARCHITECTURE, "--no-check", "--to", &to];
    arguments.extend(names.iter().flat_map(|name| ["--build-context", name]));
    place.lbuild(&[&arguments[..], more].concat())
}

fn tree(place: &Place, tag: &str) -> RootTree {
    RootTree::of(&place.path("out"), tag, debian::ARCHITECTURE, Some((debian::tree(), 1)))
}

/// <https://docs.docker.com/reference/dockerfile/#run---mount>, with the names of this image's packages and programs.
const EXAMPLES: &str = r#"FROM localhost/debian
COPY settings/ /
RUN rm -f /etc/apt/apt.conf.d/docker-clean; echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /etc/apt/apt.conf.d/keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
  --mount=type=cache,target=/var/lib/apt,sharing=locked \
  apt-get -qq update && apt-get -qq --no-install-recommends install -y jq >/dev/null && ls /var/cache/apt/archives/*.deb >/debs
RUN --mount=type=cache,target=/root/.cache/pip pip install --break-system-packages --root-user-action=ignore six==1.16.0
RUN --mount=type=tmpfs,target=/scratch,size=1m dd if=/dev/zero of=/scratch/x bs=1k count=500 2>/dev/null
RUN --mount=type=secret,id=aws,target=/root/.aws/credentials grep -c key /root/.aws/credentials >/secret
RUN --mount=type=secret,id=API_KEY,env=API_KEY echo ${#API_KEY} >>/secret
RUN mkdir -p -m 0700 ~/.ssh && ls -ld ~/.ssh | cut -c-10 >/ssh
"#;

#[test]
fn the_documented_examples_of_mounts_work() {
    let mut place = Environment::Root.place();
    let settings = tempfile::tempdir().unwrap();
    debian::write_settings(settings.path());
    place.copy_in(settings.path(), "context/settings");
    place.write("context/Dockerfile", EXAMPLES);
    place.write("credentials", "[default]\nkey = 1\n");
    place.set("API_KEY", "twelve-chars");
    let aws = format!("id=aws,src={}", place.text("credentials"));
    for mode in faults::sample(MODES, 1) {
        let options =
            ["--run-mode", mode, "--no-cache", "--secret", &aws, "--secret", "id=API_KEY,env=API_KEY"];
        for round in ["first", "second"] {
            let done = build(&place, "context", "examples", &options);
            assert_eq!(done.code, Some(0), "{mode}, {round}: {}", done.stderr);
        }
        let tree = tree(&place, "examples");
        for (path, line) in [
            ("usr/bin/jq", "0755 0:0 file"),
            ("usr/local/lib/python3.11/dist-packages/six.py", "0644 0:0 file"),
            ("secret", "0644 0:0 file \"1\\n12\\n\""),
            ("ssh", "0644 0:0 file \"drwx------\\n\""),
            ("debs", "0644 0:0 file \"/var/cache/apt/archives/jq_"),
        ] {
            let found = tree.line(path).unwrap_or_default();
            assert!(found.starts_with(line), "{mode}: {path}: {found}");
        }
        for path in
            ["root/.aws", "root/.cache", "scratch", "var/cache/apt/archives/lock", "var/lib/apt/lists/lock"]
        {
            assert_eq!(tree.line(path), None, "{mode}: {path}");
        }
    }
}

/// uv itself comes from an image, and the mounts leave nothing.
#[test]
fn uv_with_mounts_leaves_what_its_translation_leaves() {
    let mut place = Environment::Root.place();
    let dir = tempfile::tempdir().unwrap();
    wheels(dir.path(), &["idna"]);
    let index = Index::of(dir.path(), IndexBehaviour::default());
    // lbuild resolves with whichever of the two there is
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        place.set(name, &index.url());
    }
    let case = testdata("dockerfile/cases/20-uv-mounts");
    place.copy_in(&case, "context");
    for name in ["uv.lock", "pyproject.toml"] {
        // Debian's Python is older
        let text = fs::read_to_string(case.join(name)).unwrap().replace(">=3.13", ">=3.11");
        place.write(
            &format!("context/{name}"),
            text.replace("http://index.example/", &format!("http://{}/", index.host())),
        );
    }
    let dockerfile = fs::read_to_string(case.join("Dockerfile")).unwrap();
    // lbuild takes the index of its caller, and the command that of the image
    let text = |variables: &str| {
        let start = format!("ENV LAMBDA_TASK_ROOT=/var/task {variables}\nWORKDIR /var/task\n");
        let lines = dockerfile.split_inclusive('\n');
        let lines = lines
            .map(|line| if line.starts_with("FROM") { format!("{line}{start}") } else { line.to_owned() });
        lines.collect::<String>()
    };
    let uv = tempfile::tempdir().unwrap();
    let program = fs::read(part("packages/clients").join("bin/uv")).unwrap();
    let layer = crate::support::image_builder::Layer::gzip(Tar::new().file("uv", 0o755, &program));
    image(uv.path(), &[layer], |config, _| config["architecture"] = debian::ARCHITECTURE.into());
    place.copy_in(uv.path(), "uv");
    let uv = format!("ghcr.io/astral-sh/uv:0.9.26=oci:{}", place.text("uv"));

    let below = |tag: &str| -> BTreeMap<String, String> {
        let lines = tree(&place, tag).lines().into_iter();
        // uv's own lock: `real_installs/differences.md` has it
        let is_own = |path: &str| path.starts_with("var/task/") && path != "var/task/.lock";
        // the rows of a RECORD have another order, and bytecode says in another way whether its source is compared
        let lines = lines.filter(|(path, _)| is_own(path) && !path.ends_with("/RECORD"));
        lines
            .map(|(path, line)| if path.ends_with(".pyc") { (path, String::new()) } else { (path, line) })
            .collect()
    };
    place.write("context/Dockerfile", text(""));
    build(&place, "context", "translated", &["--translate", "always"]).succeeded();
    place.write("context/Dockerfile", text(&format!("UV_DEFAULT_INDEX={}", index.url())));
    let translated = below("translated");
    assert!(translated.contains_key("var/task/idna/__init__.py"), "{translated:#?}");
    for mode in faults::sample(MODES, 1) {
        let done = build(
            &place,
            "context",
            "ran",
            &["--translate", "never", "--run-mode", mode, "--no-cache", "--build-context", &uv],
        );
        assert_eq!((done.code, commands_of(&done)), (Some(0), 1), "{mode}: {}", done.stderr);
        let ran = below("ran");
        assert_eq!(ran, translated, "{mode}");
        for path in ["var/task/uv.lock", "var/task/pyproject.toml", "usr/bin/uv", "root/.cache"] {
            assert_eq!(tree(&place, "ran").line(path), None, "{mode}: {path}");
        }
    }
}
