//! Assemblies and settings that cannot be used.

use super::{CdkUser, assembly, image, writes};
use serde_json::{Value, json};

#[test]
fn a_directory_that_is_no_assembly_is_one_clear_error() {
    let cdk = CdkUser::start();
    let manifest = |artifacts: &str| {
        format!("{{\n  \"version\": \"55.0.0\",\n  \"artifacts\": {{\n    {artifacts}\n  }}\n}}\n")
    };
    let assets = r#""A": { "type": "cdk:asset-manifest", "properties": { "file": "A.assets.json" } }"#;
    let nested = r#""N": { "type": "cdk:cloud-assembly", "properties": { "directoryName": "assembly-N" } }"#;
    let error = cdk.publish(&[]).failed(2);
    assert!(
        error.contains("there is no directory cdk.out") && error.contains("hint: run `cdk synth` first"),
        "{error}"
    );
    cdk.write("tree.json", "{}");
    let error = cdk.publish(&[]).failed(2);
    assert!(
        error.contains("cdk.out is not a cloud assembly: it has no manifest.json\nhint: name the directory"),
        "{error}"
    );
    for (text, expected) in [
        ("", "cdk.out/manifest.json:1:1: it is not JSON"),
        ("{ \"version\": \"55", "cdk.out/manifest.json:1:1: it is not JSON"),
        ("{}", "cdk.out/manifest.json:1:1: missing field `version`"),
        (
            &manifest(assets),
            "there is no asset manifest cdk.out/A.assets.json, which cdk.out/manifest.json names",
        ),
        (&manifest(nested), "there is no assembly cdk.out/assembly-N, which cdk.out/manifest.json names"),
        (
            &manifest(r#""A": { "type": "cdk:asset-manifest" }"#),
            "cdk.out/manifest.json:4:5: the artifact `A` has no `file`",
        ),
    ] {
        cdk.write("manifest.json", text);
        let error = cdk.publish(&[]).failed(2);
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.matches("\nhint: run `cdk synth` again").count(), 1, "{error}");
    }
    cdk.write("manifest.json", &manifest(assets));
    cdk.write("A.assets.json", "{\n  \"version\": \"55.0.0\",\n  \"dockerImages\": {\n    \"x\": {\n      \"source\": \"hunter2\"\n    }\n  }\n}\n");
    let error = cdk.publish(&[]).failed(2);
    assert!(
        error.contains("cdk.out/A.assets.json:5:7: this must be an object\n  5 |       \"source\":\n"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_newer_schema_is_a_warning() {
    let cdk = CdkUser::start();
    cdk.write(
        "manifest.json",
        r#"{ "version": "99.1.0", "new": 1, "artifacts": { "New": { "type": "cdk:new" } } }"#,
    );
    let done = cdk.publish(&[]).succeeded();
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("has schema 99.1.0, which is newer than"), "{}", done.stderr);
    assert!(done.stderr.contains("cdk.out has no image assets"), "{}", done.stderr);
    let json = cdk.publish(&["--json"]).succeeded().stdout;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!({ "schema": 1, "images": [] }));
}

#[test]
fn a_setting_that_cannot_be_honoured_names_asset_and_field() {
    let cdk = CdkUser::start();
    cdk.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    cdk.write("empty/kept", "");
    for (settings, expected) in [
        (json!({ "networkMode": "my-network" }), "networkMode: `my-network` is a network of Docker's daemon"),
        (json!({ "dockerOutputs": ["type=local,dest=out"] }), "dockerOutputs: `type=local,dest=out`: "),
        (
            json!({ "dockerOutputs": ["type=image,compression=zstd"] }),
            "layers in zstd, which Lambda does not take",
        ),
        (json!({ "dockerBuildNew": true }), "dockerBuildNew: lbuild does not know this setting"),
        (json!({ "cacheFrom": [{ "type": "registry" }] }), "cacheFrom: it has the type registry, and no ref"),
        (json!({ "directory": "none" }), "directory: there is no directory cdk.out/none"),
        (json!({ "directory": "empty" }), "dockerFile: there is no Dockerfile cdk.out/empty/Dockerfile"),
        (json!({ "dockerFile": "Other" }), "dockerFile: there is no Dockerfile cdk.out/app/Other"),
        (json!({ "platform": "linux/arm/v7" }), "Lambda does not run the platform `linux/arm/v7`"),
        (json!({ "dockerBuildTarget": "none" }), "none"),
        (
            json!({ "dockerBuildSecrets": { "s": "src=none" } }),
            "cannot read the file cdk.out/app/none of --secret id=s",
        ),
        (
            json!({ "dockerBuildContexts": { "lib": "./none" } }),
            "the build context `lib` does not exist: cdk.out/app/./none",
        ),
    ] {
        let mut source = json!({ "directory": "app" });
        source.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        assembly(&cdk.user.path("cdk.out"), "Stack", [image("a", &source)], &[]);
        let error = cdk.publish(&["--no-check"]).failed(2);
        assert!(error.contains(expected), "{settings}: {error}");
        assert!(error.contains("the asset a/AssetImage (a)"), "{settings}: {error}");
    }
    assert_eq!(writes(&cdk.registry.log()), 0);
}

#[test]
fn settings_without_a_meaning_here_are_accepted() {
    let cdk = CdkUser::start();
    cdk.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let source = json!({
        "directory": "app", "networkMode": "default", "platform": "linux/arm64",
        "dockerOutputs": ["type=image,push=true,oci-mediatypes=true"], "cacheDisabled": true,
        "cacheFrom": [{ "type": "local", "params": { "src": "/x" } }],
        "cacheTo": { "type": "gha", "params": { "mode": "max" } },
    });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("a", &source)], &[]);
    for _ in 0..2 {
        let done = cdk.publish(&["--no-check", "--dry-run"]).succeeded();
        assert_eq!(done.layer_counts(), (1, 0), "{}", done.stderr);
    }
    cdk.publish(&["--no-check"]).succeeded();
    let pushed = crate::support::image_tools::ImageLocation::registry(
        &cdk.registry,
        &format!("{}:a", super::REPOSITORY),
    );
    let manifest = crate::support::image_tools::skopeo_manifest(&pushed).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
}

#[test]
fn a_network_of_none_is_that_of_commands() {
    let cdk = CdkUser::start();
    let command = "RUN test \"$(ls /sys/class/net)\" = lo && touch /alone";
    cdk.write("app/Dockerfile", &format!("FROM localhost/base\n{command}\n"));
    let mut source =
        json!({ "directory": "app", "dockerBuildContexts": super::base(), "networkMode": "none" });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("alone", &source)], &[]);
    cdk.publish(&["--no-check"]).succeeded();
    source["networkMode"] = json!("host");
    cdk.write("app/Dockerfile", &format!("FROM localhost/base\n{}\n", command.replace("alone", "host")));
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("host", &source)], &[]);
    let error = cdk.publish(&["--no-check"]).failed(3);
    assert!(error.contains("the asset host/AssetImage (host)"), "{error}");
}
