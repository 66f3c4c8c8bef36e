//! `lbuild cdk publish`.

mod executables;
mod publishing;
mod refusals;
mod roles;

use crate::support::bases;
use crate::support::lbuild::Lbuild;
use crate::support::moto::{ACCOUNT, Moto, NO_METADATA};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const REGION: &str = "eu-west-1";

/// The machine's architecture: commands of Dockerfiles run on it.
const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The repository of the assembly's images, as the bootstrap of the CDK names it.
const REPOSITORY: &str = "cdk-hnb659fds-container-assets-123456789012-eu-west-1";

/// Writes a file below a directory.
fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A destination as the default synthesizer writes it for a stack without an environment.
fn destination(tag: &str) -> Value {
    json!({
        "repositoryName": "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}",
        "imageTag": tag,
        "assumeRoleArn":
            "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/cdk-hnb659fds-image-publishing-role-${AWS::AccountId}-${AWS::Region}",
    })
}

/// The entry of an image asset.
fn image(id: &str, source: &Value) -> (String, Value) {
    let entry = json!({
        "displayName": format!("{id}/AssetImage"), "source": source,
        "destinations": { "current_account-current_region": destination(id) },
    });
    (id.to_owned(), entry)
}

/// Writes an assembly with one stack and these images.
fn assembly(dir: &Path, stack: &str, images: impl IntoIterator<Item = (String, Value)>, nested: &[&str]) {
    let images: serde_json::Map<String, Value> = images.into_iter().collect();
    let assets = json!({ "version": "55.0.0", "files": {}, "dockerImages": images });
    write(dir, &format!("{stack}.assets.json"), &format!("{assets:#}"));
    let mut artifacts = json!({
        format!("{stack}.assets"):
            { "type": "cdk:asset-manifest", "properties": { "file": format!("{stack}.assets.json") } },
        stack: { "type": "aws:cloudformation:stack", "properties": { "templateFile": format!("{stack}.template.json") } },
        "Tree": { "type": "cdk:tree", "properties": { "file": "tree.json" } },
    });
    for name in nested {
        let directory = json!({ "type": "cdk:cloud-assembly", "properties": { "directoryName": name } });
        artifacts[*name] = directory;
    }
    let manifest = json!({ "version": "55.0.0", "artifacts": artifacts });
    write(dir, "manifest.json", &format!("{manifest:#}"));
}

/// A user of the CDK with moto in AWS's place and a registry in ECR's.
struct CdkUser {
    user: Lbuild,
    registry: Registry,
    moto: Moto,
}

impl CdkUser {
    fn start() -> CdkUser {
        let (registry, moto, mut user) = (Registry::start(Mode::Plain), Moto::start(), Lbuild::new());
        let endpoints =
            [REGION, "us-east-1"].map(|region| format!("{}=http://{}", ecr(region), registry.host()));
        for (name, value) in [
            NO_METADATA,
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ENDPOINT_URL", &moto.url()),
            ("LBUILD_REGISTRY_ENDPOINT", &endpoints.join(",")),
        ] {
            user.set(name, value);
        }
        CdkUser { user, registry, moto }
    }

    /// Writes a file of `cdk.out`.
    fn write(&self, name: &str, text: &str) {
        write(&self.user.path("cdk.out"), name, text);
    }

    fn publish(&self, more: &[&str]) -> crate::support::lbuild::RunOutput {
        self.user.run(&[&["cdk", "publish"], more].concat())
    }
}

/// The host of ECR.
fn ecr(region: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{region}.amazonaws.com")
}

/// The lines of standard output: the names of images, and the ids of their assets.
fn lines(stdout: &str) -> Vec<(String, String)> {
    let split = |line: &str| {
        let (image, id) = line.split_once("  ").unwrap_or_else(|| panic!("{line}"));
        (image.to_owned(), id.to_owned())
    };
    stdout.lines().map(split).collect()
}

/// The base of the tests, as a context of a Dockerfile.
fn base() -> Value {
    json!({ "localhost/base": format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG) })
}

fn writes(log: &[AccessLogEntry]) -> usize {
    log.iter().filter(|entry| !["GET", "HEAD"].contains(&&*entry.method)).count()
}
