//! Finished images that are not pushed.

use std::process::Command;

use serde_json::{Value, json};

use super::{finished, layers, name_of, of_tars};
use crate::support::image_builder::{Layer, Tar};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::Lbuild;
use crate::support::registry::{Mode, Registry};
use crate::support::sample_images::{self, SampleImage, bytes, text};
use crate::support::{bases, run, tool};

/// The layout of an image with two platforms.
fn two_platforms() -> (SampleImage, SampleImage) {
    let images = ["amd64", "arm64"].map(sample_images::hello);
    let layout = images[0].layout();
    let entries: Vec<Value> = images
        .iter()
        .zip(["amd64", "arm64"])
        .map(|(image, architecture)| {
            let mut entry = bases::named(&image.layout(), sample_images::TAG);
            entry["platform"] = json!({ "os": "linux", "architecture": architecture });
            entry
        })
        .collect();
    run(Command::new(tool("cp")).arg("-rn").arg(images[1].layout().join("blobs")).arg(&layout)).unwrap();
    std::fs::write(layout.join("index.json"), bytes(&json!({ "schemaVersion": 2, "manifests": entries })))
        .unwrap();
    let [first, second] = images;
    (first, second)
}

#[test]
fn one_platform_is_pushed() {
    let (image, _other) = two_platforms();
    let lbuild = Lbuild::new();
    let to = format!("oci:{}:1", lbuild.text("out"));
    let wrong = lbuild.run(&["push", &name_of(&image.layout()), "--to", &to]).failed(2);
    assert!(wrong.contains("linux/amd64, linux/arm64") && wrong.contains("--arch"), "{wrong}");
    lbuild.ok(&["push", &name_of(&image.layout()), "--to", &to, "--arch", "arm64"]);
    let config = image_tools::skopeo_config(&ImageLocation::layout(&lbuild.path("out"), "1")).unwrap();
    assert_eq!(config["architecture"], "arm64");
    // The config decides, whatever the flag or an index says.
    let one = finished(of_tars(layers()), |_| ());
    let error = lbuild.run(&["push", &name_of(&one.layout()), "--to", &to, "--arch", "arm64"]).failed(4);
    assert!(error.contains("linux/arm64") && error.contains("linux/amd64"), "{error}");
}

#[test]
fn what_cannot_be_mended_is_refused_and_nothing_is_sent() {
    let lbuild = Lbuild::new();
    let registry = Registry::start(Mode::Plain);
    let to = format!("{}/app:1", registry.host());
    let library = [&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[3, 0, 183, 0, 1, 0, 0, 0], &[0; 40]].concat();
    let [code, _] = layers();
    let foreign = Tar::new().file("opt/lib/x.so", 0o644, library);
    let image = finished(of_tars([code, foreign]), |_| ());
    let refused = |from: &str, code: i32| -> String {
        let mark = registry.mark();
        let error = lbuild.run(&["push", from, "--to", &to]).failed(code);
        let sent = registry.log_since(mark).into_iter().filter(|access| access.method == "PUT").count();
        assert_eq!(sent, 0, "{error}");
        error
    };
    let error = refused(&name_of(&image.layout()), 8);
    assert!(error.contains("elf-machine") && error.contains("opt/lib/x.so"), "{error}");
    assert!(!error.contains("parent-directory"), "it would be mended: {error}");
    lbuild.ok(&["push", &name_of(&image.layout()), "--to", &to, "--allow", "elf-machine", "--dry-run"]);

    // A damaged layer, and one with another diff id, as `lbuild check` finds them.
    let damaged = finished(of_tars(layers()), |_| ());
    let manifest = bases::named(&damaged.layout(), sample_images::TAG);
    let manifest = bases::read(&bases::blob(&damaged.layout(), text(&manifest["digest"])));
    let last = manifest["layers"].as_array().unwrap().last().unwrap();
    let blob = bases::blob(&damaged.layout(), text(&last["digest"]));
    let mut content = std::fs::read(&blob).unwrap();
    content[40] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, content).unwrap();
    let error = refused(&name_of(&damaged.layout()), 8);
    assert!(error.contains("layer-content"), "{error}");
    let lied = finished(
        vec![Layer { diff_id: format!("sha256:{}", "1".repeat(64)), ..Layer::gzip(layers()[1].clone()) }],
        |_| (),
    );
    let error = refused(&name_of(&lied.layout()), 8);
    assert!(error.contains("layer-descriptors"), "{error}");

    // Nor are layers of another registry: they may not be public there.
    let secret = Tar::new().file("var/task/.env", 0o644, "KEY=AKIAQ3EGRIXW5Z7TNZ4K\n");
    let image = finished(of_tars([layers()[0].clone(), secret]), |_| ());
    let private = Registry::start(Mode::Plain);
    bases::seed(&private, &image.layout(), sample_images::TAG, "app", "1");
    let error = refused(&format!("{}/app:1", private.host()), 8);
    assert!(error.contains("secret-file"), "{error}");
}

#[test]
fn flags_of_a_build_are_refused() {
    let image = finished(of_tars(layers()), |_| ());
    let (lbuild, name) = (Lbuild::new(), name_of(&image.layout()));
    for flags in
        [&["--handler", "app.handler"][..], &["--base", "scratch"], &["-f", "Dockerfile"], &["--no-cache"]]
    {
        let arguments = [&["push", &name, "--to", "oci:out:1"][..], flags].concat();
        let error = lbuild.run(&arguments).failed(2);
        assert!(error.contains("is a finished image") && error.contains(flags[0]), "{error}");
    }
    let error = lbuild.run(&["push", &name]).failed(2);
    assert!(error.contains("no destination is given"), "{error}");
    // A path that was mistyped is not looked for in a registry.
    for path in ["functoin", "app.v2/functoin"] {
        let error =
            lbuild.run(&["push", path, "--runtime", "python3.12", "--arch", "arm64", "--to", "oci:out:1"]);
        assert!(error.code != Some(0) && !error.stderr.contains("docker.io"), "{error:?}");
        assert!(error.stderr.contains(path) && !error.stderr.contains("finished image"), "{error:?}");
    }
    for (name, hint) in [
        ("docker://registry.example/app", "the name alone"),
        ("oci-archive:image.tar", "oci:DIR"),
        ("ubuntu:22.04", "docker.io/library/hello:v1"),
    ] {
        let error = lbuild.run(&["push", name, "--to", "oci:out:1"]).failed(2);
        assert!(error.contains(name) && error.contains(hint), "{error}");
    }
}
