//! `lbuild layer`: images that hold a layer, and the list of layers.

use super::zip;
use crate::support::lambda_layers::{LambdaLayersApi, StoredLayer};
use crate::support::lbuild::{Lbuild, function, image_of};
use crate::support::moto::{Moto, NO_METADATA};
use crate::support::root_tree::RootTree;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:layer:shared-code:3";

/// A user with keys for the server of AWS at this URL.
fn user(aws: &str) -> Lbuild {
    let mut user = Lbuild::new();
    for (name, value) in [
        NO_METADATA,
        ("AWS_ENDPOINT_URL", aws),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ] {
        user.set(name, value);
    }
    user
}

#[test]
fn an_image_of_a_layer_is_the_same_from_each_source() {
    let api = LambdaLayersApi::start();
    let user = user(&api.url());
    let dir = function(&[("python/shared.py", "value = 1\n"), ("extensions/agent*", "#!/bin/sh\n")]);
    let zipped = user.path("layer.zip");
    // the bits of a zip's members are those of the files
    let pack = "import sys, zipfile, os\narchive = zipfile.ZipFile(sys.argv[1], 'w')\n\
                for name in ('python/shared.py', 'extensions/agent'): archive.write(os.path.join(sys.argv[2], name), name)\n\
                archive.close()\n";
    let mut python = std::process::Command::new(crate::support::tool("python3"));
    crate::support::run(python.args(["-c", pack]).arg(&zipped).arg(dir.path())).unwrap();
    api.put(ARN, StoredLayer { zip: std::fs::read(&zipped).unwrap(), ..StoredLayer::default() });
    let out = user.text("out");
    let sources = [dir.path().to_str().unwrap(), zipped.to_str().unwrap(), ARN];
    for (tag, source) in ["dir", "zip", "arn"].into_iter().zip(sources) {
        let done =
            user.ok(&["layer", "push", source, "--arch", "arm64", "--to", &format!("oci:{out}:{tag}")]);
        assert!(done.stdout.contains("sha256:"), "{done:?}");
        let (manifest, config) = image_of(&user.path("out"), tag, "arm64");
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        assert_eq!((&config["architecture"], &config["os"]), (&json!("arm64"), &json!("linux")));
    }
    let tree = |tag: &str| RootTree::of(&user.path("out"), tag, "arm64", None);
    assert!(tree("dir").line("opt/extensions/agent").is_some_and(|line| line.starts_with("0755 ")));
    assert_eq!((tree("zip"), tree("arn")), (tree("dir"), tree("dir")));
    // others take it
    let code = function(&[("app.py", "")]);
    let image = format!("oci:{out}:arn");
    let flags = ["--base", "scratch", "--layer-image", &image, "--arch", "arm64", "--no-check"];
    let to = format!("oci:{out}:function");
    user.ok(&[&["build", code.path().to_str().unwrap(), "--to", &to][..], &flags].concat());
    assert!(tree("function").line("opt/python/shared.py").is_some());
}

#[test]
fn what_is_no_layer_is_refused() {
    let user = user("http://127.0.0.1:9");
    let file = user.path("file.py");
    std::fs::write(&file, "").unwrap();
    let to = format!("oci:{}:1", user.text("out"));
    let push = |layer: &str| user.run(&["layer", "push", layer, "--arch", "arm64", "--to", &to]);
    let error = push(file.to_str().unwrap()).failed(2);
    assert!(error.contains("is neither a directory nor a zip") && error.contains("hint: "), "{error}");
    assert!(push("/none").failed(3).contains("cannot read /none"));
    let error = user.run(&["layer", "push", ".", "--arch", "arm64"]).failed(2);
    assert!(error.contains("no destination is given"), "{error}");
}

#[test]
fn layers_are_listed_with_the_arns_of_their_versions() {
    let moto = Moto::with_stacks();
    let user = user(&moto.url());
    assert_eq!(user.ok(&["layer", "list"]).stdout, "");
    let zipped = user.path("layer.zip");
    zip(&zipped, &[("python/shared.py", "value = 1\n")]);
    for (name, about, runtime) in
        [("shared", "first", "python3.12"), ("shared", "second", "python3.12"), ("tools", "", "nodejs22.x")]
    {
        moto.publish_layer("eu-west-1", name, &std::fs::read(&zipped).unwrap(), about, runtime);
    }
    let arn = |name: &str| format!("arn:aws:lambda:eu-west-1:123456789012:layer:{name}");
    let listed = user.ok(&["layer", "list"]).stdout;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert_eq!(lines[0], format!("{}  python3.12  second", arn("shared:2")));
    let versions = user.ok(&["layer", "list", "shared", "--json"]).stdout;
    let versions: Value = serde_json::from_str(&versions).unwrap();
    let numbers: Vec<_> = versions.as_array().unwrap().iter().map(|version| &version["version"]).collect();
    assert!(numbers.contains(&&json!(1)) && numbers.contains(&&json!(2)), "{versions}");
    assert_eq!(versions[0]["runtimes"], json!(["python3.12"]));
    let error = user.run(&["layer", "list", &arn("shared:1")]).failed(2);
    assert!(error.contains("leave the version out"), "{error}");
}
