//! The image of `examples/ci/kaniko`, built by lbuild, in a container as Docker starts it.

use crate::recipes::root;
use crate::support::debian::ARCHITECTURE;
use crate::support::environments::{Environment, Place};
use crate::support::lbuild::{Lbuild, image_of};
use crate::support::registry::{Mode, Registry};
use crate::support::root_tree::RootTree;
use crate::support::{bases, busybox, part, run, tool};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// The Dockerfile of a pipeline, on the image HOST/busybox: its line needs a process.
const DOCKERFILE: &str = "FROM HOST/busybox:1\nARG NAME\nCOPY . /app/\nRUN id -u >/user && chown 33:44 /app/file && wc -c /app/file >>/user && \
                          echo \"$NAME\" >>/user && if test -e /kaniko; then exit 1; fi\n";

/// The stage `debug` with this lbuild; the images that it names have busybox alone. Returns its variables.
fn build_image(user: &Lbuild) -> (Value, Vec<String>) {
    busybox::write(&user.path("busybox"));
    let compiled = user.path("compiled");
    for dir in ["etc/ssl/certs", "lbuild/bin"] {
        fs::create_dir_all(compiled.join(dir)).unwrap();
    }
    let authorities = part("ca").join("ca.crt");
    fs::copy(authorities, compiled.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let mut strip = Command::new(tool("strip"));
    strip.arg("-o").arg(compiled.join("lbuild/bin/lbuild")).arg(env!("CARGO_BIN_EXE_lbuild"));
    run(&mut strip).unwrap();
    let project = root().join("examples/ci/kaniko").display().to_string();
    let (compiled, to) =
        (format!("lbuild={}", compiled.display()), format!("oci:{}:debug", user.text("image")));
    let library = "public.ecr.aws/docker/library";
    let stand_in = |name: &str| format!("{library}/{name}=oci:{}:{}", user.text("busybox"), busybox::TAG);
    let (debian, shell) = (stand_in("debian:trixie-slim"), stand_in("busybox:stable-musl"));
    let mut words =
        vec!["build", &project, "--target", "debug", "--arch", ARCHITECTURE, "--no-check", "--to", &to];
    for context in [&compiled, &debian, &shell] {
        words.extend(["--build-context", context]);
    }
    user.ok(&words);
    let (manifest, config) = image_of(&user.path("image"), "debug", ARCHITECTURE);
    let variables = config["config"]["Env"].as_array().unwrap().iter();
    let variables = variables.map(|variable| variable.as_str().unwrap().to_owned()).collect();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/kaniko/executor"]));
    assert_eq!(config["config"]["WorkingDir"], "/workspace");
    (manifest, variables)
}

/// A script that lays the image's own layers over the root of the container, and runs `line` as the image would.
fn in_image(place: &Place, manifest: &Value, variables: &[String], line: &str) -> String {
    let mut script = "set -eu\n".to_owned();
    for layer in &manifest["layers"].as_array().unwrap()[1..] {
        let digest = layer["digest"].as_str().unwrap().replace(':', "/");
        script += &format!("tar -xzf '{}' -C /\n", place.text(&format!("image/blobs/{digest}")));
    }
    let quoted: Vec<String> = variables.iter().map(|variable| format!("'{variable}'")).collect();
    script += &format!("cp -r '{}/.' /workspace/\n", place.text("context"));
    script += "mkdir -p /kaniko/.docker && mv /workspace/config.json /kaniko/.docker/\n";
    script += &format!("cd /workspace\nexec env -i {} /busybox/sh -c '{line}'\n", quoted.join(" "));
    script
}

#[test]
fn the_image_builds_in_a_container_without_privileges() {
    let (user, registry) = (Lbuild::new(), Registry::start(Mode::Basic { user: "me", password: "mine" }));
    let (manifest, variables) = build_image(&user);
    bases::seed(&registry, &user.path("busybox"), busybox::TAG, "busybox", "1");
    let host = registry.host();
    user.log_in(&host, "me", "mine");

    let place = Environment::Docker.place();
    place.copy_in(&user.path("image"), "image");
    place.write("context/Dockerfile", DOCKERFILE.replace("HOST", &host));
    place.write("context/file", "four");
    place.write("context/.dockerignore", "config.json\n");
    place.copy_in(&user.path("docker/config.json"), "context/config.json");
    let digest_file = place.text("digest");
    // with the default context, and the Dockerfile in it
    let line = format!(
        "/kaniko/executor --destination={host}/hello:1 --build-arg=NAME=me --cache=true --digest-file={digest_file}"
    );
    let done = place.script(&in_image(&place, &manifest, &variables, &line));
    assert_eq!((done.code, &*done.stdout), (Some(0), ""), "{}", done.stderr);
    let digest = fs::read_to_string(place.path("digest")).unwrap();
    assert_eq!(registry.manifest("hello", "1").0, digest);

    // the same image as of lbuild itself, from the same files
    place.copy_in(&user.path("docker"), "docker");
    let (context, out) = (place.text("context"), format!("oci:{}:1", place.text("out")));
    let words = ["build", &context, "-f", &format!("{context}/Dockerfile"), "--build-arg", "NAME=me"];
    let rest = ["--arch", ARCHITECTURE, "--no-check", "--format", "docker", "--to", &out];
    let built = place.lbuild(&[&words[..], &rest].concat()).succeeded();
    assert_eq!(built.digest(), digest, "{}", done.stderr);
    let tree = RootTree::of(&place.path("out"), "1", ARCHITECTURE, None);
    assert!(tree.line("user").unwrap().ends_with("\"0\\n4 /app/file\\nme\\n\""), "{:?}", tree.line("user"));
    assert!(tree.line("app/file").unwrap().starts_with("0644 33:44 file"), "{:?}", tree.line("app/file"));
    assert_eq!(tree.line("app/config.json"), None);
}
