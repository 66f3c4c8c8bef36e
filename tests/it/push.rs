//! Pushes of a function onto each kind of base: every image tool accepts the image, and the function answers.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function, hello, image_of};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, invoke, testdata};
use serde_json::{Value, json};

/// The code of `hello`, and an executable script.
fn code() -> tempfile::TempDir {
    let app = std::fs::read(hello().join("app.py")).unwrap();
    function(&[("app.py", &app[..]), ("bin/tool*", b"#!/bin/sh\necho from the tool\n")])
}

/// Pushes onto `flavour` from one registry to another, in this format, and checks the image with every tool.
fn push_is_good(flavour: &str, format: &str, architecture: &str) {
    let registry = Registry::start(Mode::Plain);
    let base = bases::push(&registry, flavour, "lambda/python", "3.11");
    let (lbuild, code) = (Lbuild::new(), code());
    let to = format!("{}/team/function:v1", registry.host());
    let digest = lbuild.push(
        code.path(),
        &[
            "--base",
            &base,
            "--arch",
            architecture,
            "--to",
            &to,
            "--format",
            format,
            "--handler",
            "app.handler",
        ],
    );
    let location = ImageLocation::registry(&registry, &format!("team/function@{digest}"));
    assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Architecture"], architecture);
    image_tools::lambda_importer(&location).unwrap();
    expect_media_types(&image_tools::skopeo_manifest(&location).unwrap(), format);
    expect_config_of_base(flavour, architecture, &image_tools::skopeo_config(&location).unwrap());

    let by_tag = ImageLocation::registry(&registry, "team/function:v1");
    let unpacked = image_tools::umoci_unpack(&by_tag).unwrap();
    let app = std::fs::read(unpacked.rootfs().join("var/task/app.py")).unwrap();
    assert_eq!(app, std::fs::read(hello().join("app.py")).unwrap());
    let script = "id -u; stat -c '%a %u %g %Y' app.py bin/tool; bin/tool; echo x > app.py || true";
    let said = image_tools::podman_run(&by_tag, &["--entrypoint=/bin/sh"], &["-c", script]).unwrap();
    assert_eq!(said, "993\n644 0 0 315532800\n755 0 0 315532800\nfrom the tool\n");
}

fn expect_media_types(manifest: &Value, format: &str) {
    let (image, config, layer) = match format {
        "docker" => (
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
        _ => (
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
    };
    assert_eq!(manifest["mediaType"], image);
    assert_eq!(manifest["config"]["mediaType"], config);
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 5, "four of the base and the code");
    assert!(layers.iter().all(|entry| entry["mediaType"] == layer), "{manifest:#}");
}

/// Fields of the base's config that lbuild does not set are unchanged, including unknown ones.
fn expect_config_of_base(flavour: &str, architecture: &str, config: &Value) {
    let (manifest, mut expected) = image_of(&bases::layout(flavour), bases::TAG, architecture);
    let mut found = config.clone();
    for (name, value) in expected["config"]["Labels"].as_object().unwrap() {
        assert_eq!(&found["config"]["Labels"][name], value);
    }
    assert_eq!(
        found["config"]["Labels"]["org.opencontainers.image.base.digest"],
        manifest_digest(flavour, architecture)
    );
    assert_eq!(found["config"]["Cmd"], json!(["app.handler"]));
    assert_eq!(found["created"], "1980-01-01T00:00:00Z");
    let history = found["history"].as_array().unwrap();
    assert_eq!(history[..history.len() - 1], expected["history"].as_array().unwrap()[..]);
    assert_eq!(history.last().unwrap()["created_by"], "lbuild: files in /var/task");
    let ids = found["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(ids.len(), manifest["layers"].as_array().unwrap().len() + 1);
    assert_eq!(ids[..ids.len() - 1], expected["rootfs"]["diff_ids"].as_array().unwrap()[..]);
    for config in [&mut found, &mut expected] {
        let all = config.as_object_mut().unwrap();
        all.retain(|name, _| !["history", "rootfs", "created"].contains(&name.as_str()));
        all["config"].as_object_mut().unwrap().retain(|name, _| !["Labels", "Cmd"].contains(&name.as_str()));
    }
    assert_eq!(found, expected);
}

fn manifest_digest(flavour: &str, architecture: &str) -> Value {
    let layout = bases::layout(flavour);
    let index = bases::named(&layout, bases::TAG);
    let index = bases::read(&bases::blob(&layout, index["digest"].as_str().unwrap()));
    let mut entries = index["manifests"].as_array().unwrap().iter();
    let entry = entries.find(|entry| entry["platform"]["architecture"] == architecture);
    entry.unwrap()["digest"].clone()
}

#[test]
fn a_push_onto_a_docker_list_is_good() {
    push_is_good("docker-list", "docker", "amd64");
    push_is_good("docker-list", "oci", "arm64");
}

#[test]
fn a_push_onto_an_index_with_attestations_is_good() {
    push_is_good("oci-index", "oci", "amd64");
    push_is_good("oci-index", "docker", "arm64");
}

#[test]
fn a_push_onto_zstd_layers_is_good() {
    push_is_good("zstd", "docker", "amd64");
    push_is_good("zstd", "oci", "arm64");
}

#[test]
fn a_push_onto_plain_layers_is_good() {
    push_is_good("plain", "oci", "amd64");
    push_is_good("plain", "docker", "arm64");
}

fn function_answers(architecture: &str, machine: &str) {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let base = bases::push(&registry, "docker-list", "lambda/python", "3.11");
    let to = format!("{}/hello:1", registry.host());
    let handler = ["--base", &base, "--arch", architecture, "--to", &to, "--handler", "app.handler"];
    let digest = lbuild.push(&hello(), &handler);
    let answer = invoke::answer(&ImageLocation::registry(&registry, &format!("hello@{digest}"))).unwrap();
    assert_eq!(answer["machine"], machine);
    assert_eq!(answer["message"], "hello from python");
    assert_eq!(answer["python"], "3.11");
}

/// A custom runtime, from `lbuild init` to its answer. AWS's `provided` bases lack the runtime that this base has.
/// On amd64 only: under qemu-user, busybox cannot start itself for its commands.
#[test]
fn a_bootstrap_answers() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let base = bases::push(&registry, "docker-list", "lambda/provided", "al2023");
    let bootstrap = std::fs::read(testdata("functions/hello-provided/bootstrap")).unwrap();
    let code = function(&[("bootstrap*", bootstrap)]);
    let dir = code.path().to_str().unwrap();
    lbuild.ok(&["init", dir]);
    let file = code.path().join("lbuild.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (guess, ours) = ("runtime = \"provided.al2023\"", format!("base = \"{base}\""));
    assert!(text.contains(guess), "{text}");
    std::fs::write(&file, text.replace(guess, &ours)).unwrap();
    let to = format!("{}/hello:1", registry.host());
    let digest = lbuild.push(code.path(), &["--arch", "amd64", "--to", &to]);
    let answer = invoke::answer(&ImageLocation::registry(&registry, &format!("hello@{digest}"))).unwrap();
    assert_eq!(answer["machine"], "x86_64");
    assert_eq!(answer["message"], "hello from provided");
}

#[test]
fn files_of_a_node_function_are_where_its_runtime_looks() {
    let (lbuild, node) = (Lbuild::new(), testdata("functions/hello-node"));
    let registry = Registry::start(Mode::Plain);
    let base = bases::push(&registry, "docker-list", "lambda/nodejs", "24");
    let to = format!("{}/hello-node:1", registry.host());
    lbuild.push(&node, &["--base", &base, "--arch", "arm64", "--to", &to, "--handler", "index.handler"]);
    let location = ImageLocation::registry(&registry, "hello-node:1");
    assert_eq!(image_tools::skopeo_config(&location).unwrap()["config"]["Cmd"], json!(["index.handler"]));
    let unpacked = image_tools::umoci_unpack(&location).unwrap();
    for name in ["index.mjs", "package.json"] {
        let file = std::fs::read(unpacked.rootfs().join("var/task").join(name)).unwrap();
        assert_eq!(file, std::fs::read(node.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn a_function_answers_on_amd64() {
    function_answers("amd64", "x86_64");
}

#[test]
fn a_function_answers_on_arm64() {
    function_answers("arm64", "aarch64");
}
