//! The assets of CDK, published by `lbuild cdk publish` and by `cdk-assets`, and a deployment that finds them.

use super::rig::{ECR, PROFILE, Project, REGION, functions};
use crate::support::moto::Moto;
use std::collections::BTreeMap;
use std::fs;

const REPOSITORY: &str = "cdk-hnb659fds-container-assets-123456789012-eu-west-1";
const MANIFEST: &str = "cdk.out/Images.assets.json";

/// The digests of assets, from lines of `repository@sha256:…  <asset>`.
fn published(lines: &str) -> BTreeMap<String, String> {
    let split = |line: &str| {
        let (image, asset) = line.split_once("  ").unwrap_or_else(|| panic!("{line}"));
        let digest = image.strip_prefix(&format!("{ECR}/{REPOSITORY}@")).unwrap_or_else(|| panic!("{line}"));
        (asset.to_owned(), digest.to_owned())
    };
    lines.lines().map(split).collect()
}

/// cdk-assets 4.7.3 refuses manifests of the version that aws-cdk-lib 2.276 writes, with nothing new for images.
fn lower_version(project: &Project) {
    let text = fs::read_to_string(project.user.path(MANIFEST)).unwrap();
    assert!(text.contains("\"version\": \"55.0.0\""), "{text}");
    fs::write(project.user.path(MANIFEST), text.replace("\"55.0.0\"", "\"54.0.0\"")).unwrap();
}

#[test]
fn published_assets_have_one_digest_and_cdk_deploy_finds_them() {
    let mut project = Project::start(Moto::with_images());
    project.user.set("AWS_PROFILE", PROFILE);
    project.bootstrap();
    project.build_archive();
    // CDK writes $CDK_DOCKER of this run into the assembly, for the archive
    project.with(&["cdk", "synth", "Images", "--quiet"]);

    let assets = published(&project.user.ok(&["cdk", "publish"]).stdout);
    assert_eq!(assets.len(), 3, "{assets:?}");
    for (asset, digest) in &assets {
        assert_eq!(project.digest(REPOSITORY, asset), *digest);
    }

    project.start_again();
    lower_version(&project);
    let publish = ["cdk-assets", "publish", "--path", MANIFEST];
    let done = project.with(&publish);
    assert!(done.stderr.contains("Published native/AssetImage"), "{}", done.stderr);
    for (asset, digest) in &assets {
        assert_eq!(project.digest(REPOSITORY, asset), *digest, "{asset}");
    }
    // ECR does not know them yet, so that `docker push` runs again, for what is in the image store
    let mark = project.ecr.mark();
    let done = project.with(&publish);
    assert!(!done.stderr.lines().any(|line| line.starts_with("layer ")), "{}", done.stderr);
    assert!(!project.ecr.log_since(mark).iter().any(|entry| entry.is_blob_upload()));
    assets.keys().for_each(|asset| project.record(REPOSITORY, asset));

    // nothing is left to do, for lbuild and for a deployment
    let mark = project.ecr.mark();
    assert_eq!(published(&project.user.ok(&["cdk", "publish", "cdk.out"]).stdout), assets);
    assert!(!project.ecr.log_since(mark).iter().any(|entry| entry.is_manifest_put()));
    project.without(&["cdk", "deploy", "Images", "--app", "cdk.out", "--require-approval", "never"]);
    for (name, architecture, answer) in functions() {
        let image = project.image_of(name, architecture);
        let asset = image.strip_prefix(&format!("{REPOSITORY}:")).unwrap();
        let sum = &project.moto.lambda(REGION, name)["Configuration"]["CodeSha256"];
        assert_eq!(format!("sha256:{}", sum.as_str().unwrap()), assets[asset], "{name}");
        project.judge(&image, architecture, &answer);
    }
}
