//! What is built and pushed.

use super::{ARCH, CdkUser, REGION, REPOSITORY, assembly, base, ecr, image, lines, write, writes};
use crate::support::bases;
use crate::support::fake_ecr::{EcrBehaviour, FakeEcr};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{RunOutput, tiny_base};
use crate::support::registry::AccessLogEntry;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// An assembly with two Dockerfiles, one of which has every setting, a tarball, and a nested assembly.
fn full() -> CdkUser {
    let cdk = CdkUser::start();
    let user = &cdk.user;
    cdk.write("asset.plain/app.py", "def handler(event, context): return 1\n");
    cdk.write(
        "asset.plain/Dockerfile",
        "FROM localhost/base\nCOPY app.py /var/task/\nCMD [\"app.handler\"]\n",
    );
    cdk.write("asset.full/src/app.py", "def handler(event, context): return 2\n");
    cdk.write("asset.full/secrets/token", "the secret of full\n");
    cdk.write("asset.full/.dockerignore", "secrets\n");
    cdk.write("lib/lib.py", "x = 1\n");
    cdk.write(
        "asset.full/docker/Lambda.Dockerfile",
        "FROM localhost/base AS final\nARG STAGE\nARG NAME\n\
         RUN --mount=type=secret,id=token,required=true grep -q full /run/secrets/token && echo \"$NAME\" >/name\n\
         COPY src/app.py /var/task/$STAGE/\nCOPY --from=lib lib.py /var/task/\nCMD [\"prod.app.handler\"]\n\
         FROM scratch\nCOPY missing /\n",
    );
    let archive = format!("docker-archive:{}", user.text("cdk.out/asset.tar.tar"));
    write(&user.path("tar"), "app.py", "def handler(event, context): return 3\n");
    let base_flag = format!("--base={}", tiny_base());
    user.ok(&["build", "tar", &base_flag, "--arch", "arm64", "--handler", "app.handler", "--to", &archive]);

    let mut contexts = base();
    contexts["lib"] = json!("../lib");
    let settings = json!({
        "directory": "asset.full", "dockerFile": "docker/Lambda.Dockerfile", "dockerBuildTarget": "final",
        "dockerBuildArgs": { "STAGE": "prod", "NAME": "a b" }, "dockerBuildContexts": contexts,
        "dockerBuildSecrets": { "token": "src=secrets/token" }, "networkMode": "host",
        "platform": format!("linux/{ARCH}"), "dockerOutputs": ["type=docker"],
        "cacheFrom": [{ "type": "registry", "params": { "ref": format!("{}/no/cache:1", cdk.registry.host()) } }, { "type": "gha" }],
        "cacheTo": { "type": "inline" },
    });
    let script = "docker load -i \"$1\" | tail -n 1 | sed \"s/Loaded image[^:]*: //g\"";
    let tar = json!({ "executable": ["sh", "-c", script, "cdk-tarball-image-asset", "asset.tar.tar"] });
    let plain = json!({ "directory": "asset.plain", "dockerBuildContexts": base() });
    assembly(
        &user.path("cdk.out"),
        "Stack",
        [image("full", &settings), image("plain", &plain), image("tar", &tar)],
        &["assembly-Prod"],
    );
    // the other stage has an image of its own, and shares one, which it wants in another region too
    let (id, mut shared) =
        image("plain", &json!({ "directory": "../asset.plain", "dockerBuildContexts": base() }));
    shared["destinations"]["us-east-1"] =
        json!({ "repositoryName": "assets", "imageTag": "plain", "region": "us-east-1" });
    let nested =
        json!({ "directory": "../asset.plain", "dockerBuildContexts": base(), "platform": "linux/arm64" });
    assembly(&user.path("cdk.out/assembly-Prod"), "Prod", [(id, shared), image("nested", &nested)], &[]);
    cdk
}

/// The digest that `lbuild build -f` gives.
fn built(cdk: &CdkUser, arguments: &[&str]) -> String {
    let to = format!("oci:{}:it", cdk.user.text("layout"));
    let base = base()["localhost/base"].as_str().unwrap().to_owned();
    let base = format!("localhost/base={base}");
    let more = ["--build-context", &base, "--format", "docker", "--no-check", "--to", &to];
    cdk.user.ok(&[&["build"], arguments, &more].concat()).digest()
}

#[test]
fn the_images_of_an_assembly_are_built_and_pushed() {
    let cdk = full();
    let done = cdk.publish(&[]).succeeded();
    assert!(!done.stderr.contains("the secret of"), "{}", done.stderr);
    let found = lines(&done.stdout);
    let (repository, other) =
        (format!("{}/{REPOSITORY}", ecr(REGION)), format!("{}/assets", ecr("us-east-1")));
    let platform = format!("linux/{ARCH}");
    let plain = ["cdk.out/asset.plain", "-f", "cdk.out/asset.plain/Dockerfile"];
    let host = built(&cdk, &[&plain[..], &["--platform", &platform]].concat());
    let arm = built(&cdk, &[&plain[..], &["--platform", "linux/arm64"]].concat());
    let settings =
        ["cdk.out/asset.full", "-f", "cdk.out/asset.full/docker/Lambda.Dockerfile", "--platform", &platform];
    let more = ["--target", "final", "--build-arg", "STAGE=prod", "--build-arg", "NAME=a b"];
    let paths =
        ["--build-context", "lib=cdk.out/lib", "--secret", "id=token,src=cdk.out/asset.full/secrets/token"];
    let all = built(&cdk, &[&settings[..], &more, &paths].concat());
    let expected = [
        (format!("{repository}@{all}"), "full"),
        (format!("{repository}@{host}"), "plain"),
        (format!("{other}@{host}"), "plain"),
        (found[3].0.clone(), "tar"),
        (format!("{repository}@{arm}"), "nested"),
    ];
    let expected = expected.map(|(image, id)| (image, id.to_owned()));
    assert_eq!(found, expected);

    // the archive's image is pushed as it is
    let manifest = |tag: &str| {
        image_tools::skopeo_manifest(&ImageLocation::registry(&cdk.registry, &format!("{REPOSITORY}:{tag}")))
            .unwrap()
    };
    let archive = ImageLocation::archive(&cdk.user.path("cdk.out/asset.tar.tar"));
    let config = |location: &ImageLocation| image_tools::skopeo_config(location).unwrap();
    let pushed = ImageLocation::registry(&cdk.registry, &format!("{REPOSITORY}:tar"));
    assert_eq!(config(&pushed), config(&archive));
    assert_eq!(manifest("plain")["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert!(
        done.stderr.contains(&format!(
            "the asset plain/AssetImage (plain) names no platform: building for {platform}"
        ))
    );
    assert!(done.stderr.contains("caches of the type gha"), "{}", done.stderr);
    assert_eq!(done.stderr.matches("warning: cannot use layers of").count(), 1, "{}", done.stderr);

    // again: nothing is sent, and another machine builds nothing
    let mark = cdk.registry.mark();
    fs::remove_dir_all(cdk.user.cache()).unwrap();
    let again = cdk.publish(&[]).succeeded();
    assert_eq!(again.stdout, done.stdout);
    assert!(again.stderr.contains("is in") && !again.stderr.contains("layer "), "{}", again.stderr);
    assert_eq!(writes(&cdk.registry.log_since(mark)), 0);

    let json = cdk.publish(&["--json"]).succeeded();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["images"].as_array().unwrap().len(), 5);
    let first = &json["images"][0];
    let name = format!("{repository}:full");
    let expected = json!({ "asset": "full", "display_name": "full/AssetImage", "image": found[0].0, "name": name,
        "digest": all, "outcome": "present" });
    assert_eq!(*first, expected);
}

/// The ids of the assets on standard output.
fn ids(done: RunOutput) -> Vec<String> {
    lines(&done.succeeded().stdout).into_iter().map(|(_, id)| id).collect()
}

#[test]
fn assets_are_chosen_by_their_ids_and_names() {
    let cdk = full();
    assert_eq!(ids(cdk.publish(&["--asset", "tar"])), ["tar"]);
    assert_eq!(ids(cdk.publish(&["--asset", "nest*/*", "--asset", "t?r"])), ["tar", "nested"]);
    // a nested assembly is one of its own
    assert_eq!(ids(cdk.publish(&["cdk.out/assembly-Prod", "--asset", "nested"])), ["nested"]);
    let error = cdk.publish(&["--asset", "Prod/*"]).failed(2);
    assert!(error.contains("no image asset matches `--asset Prod/*`"), "{error}");
    assert!(
        error.contains("full/AssetImage, plain/AssetImage, tar/AssetImage, nested/AssetImage"),
        "{error}"
    );
}

#[test]
fn a_dry_run_sends_nothing() {
    let cdk = full();
    let dry = cdk.publish(&["--dry-run"]).succeeded();
    assert_eq!(writes(&cdk.registry.log()), 0);
    let json = cdk.publish(&["--dry-run", "--json"]).succeeded();
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let images = json["images"].as_array().unwrap();
    assert!(images.iter().all(|image| image["outcome"] == "would-send"), "{json}");
    assert_eq!(writes(&cdk.registry.log()), 0);
    assert_eq!(cdk.publish(&[]).succeeded().stdout, dry.stdout, "a dry run prints the real digests");
}

#[test]
fn the_failure_of_one_asset_keeps_no_other_from_its_repository() {
    let cdk = CdkUser::start();
    cdk.write("good/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    cdk.write("bad/Dockerfile", "FROM scratch\nCOPY missing /\n");
    cdk.write("worse/Dockerfile", "FROM scratch\nCOPY missing /\n");
    let images = ["bad", "good", "worse"].map(|id| image(id, &json!({ "directory": id })));
    assembly(&cdk.user.path("cdk.out"), "Stack", images, &[]);
    let done = cdk.publish(&["--no-check"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert_eq!(lines(&done.stdout)[0].1, "good", "{}", done.stdout);
    for id in ["bad", "worse"] {
        let message = format!("the image of the asset {id}/AssetImage ({id}) was not built");
        assert!(done.stderr.contains(&message), "{}", done.stderr);
    }
    assert!(done.stderr.contains("bad/Dockerfile:2:6"), "{}", done.stderr);

    // Lambda's check comes before the push
    let mark = cdk.registry.mark();
    cdk.write("bad/Dockerfile", "FROM localhost/base\nCMD [\"missing.handler\"]\n");
    let source = json!({ "directory": "bad", "dockerBuildContexts": base() });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("bad", &source)], &[]);
    let error = cdk.publish(&["--asset", "bad"]).failed(8);
    assert!(error.contains("`lbuild check` found"), "{error}");
    // layers of the base may be sent meanwhile
    assert!(!cdk.registry.log_since(mark).iter().any(AccessLogEntry::is_manifest_put));
}

#[test]
fn a_secret_is_for_its_asset_only() {
    let cdk = CdkUser::start();
    for (id, test) in [("with", "test -s"), ("without", "test ! -e")] {
        let run = format!("RUN --mount=type=secret,id=token {test} /run/secrets/token && echo {id} >/done");
        cdk.write(&format!("{id}/Dockerfile"), &format!("FROM localhost/base\n{run}\n"));
    }
    cdk.write("with/token", "x\n");
    let with = json!({ "directory": "with", "dockerBuildContexts": base(), "dockerBuildSecrets": { "token": "src=token" } });
    let without = json!({ "directory": "without", "dockerBuildContexts": base() });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("with", &with), image("without", &without)], &[]);
    assert_eq!(ids(cdk.publish(&["--no-check"])), ["with", "without"]);
}

#[test]
fn images_on_one_base_share_it() {
    let cdk = CdkUser::start();
    let name = bases::push(&cdk.registry, "oci-index", "base", "1");
    let ids: Vec<String> = (0..6).map(|number| format!("asset-{number}")).collect();
    let images = ids.iter().map(|id| {
        cdk.write(&format!("{id}/app.py"), &format!("# {id}\n"));
        cdk.write(&format!("{id}/Dockerfile"), &format!("FROM {name}\nCOPY app.py /var/task/\n"));
        image(id, &json!({ "directory": id, "platform": "linux/arm64" }))
    });
    assembly(&cdk.user.path("cdk.out"), "Stack", images.collect::<Vec<_>>(), &[]);
    assert_eq!(self::ids(cdk.publish(&["--no-check"])), ids);
    let log = cdk.registry.log();
    // this registry sends a whole layer to a client that only wants its beginning
    let is_layer = |entry: &&AccessLogEntry| {
        entry.path.starts_with("/v2/base/blobs/") && entry.method == "GET" && entry.bytes_sent > 100_000
    };
    let read: Vec<&str> = log.iter().filter(is_layer).map(|entry| &*entry.path).collect();
    let layers: BTreeSet<&str> = read.iter().copied().collect();
    assert!(layers.len() == 4 && read.len() <= 2 * layers.len(), "{read:#?}");
    let sent = log.iter().filter(|entry| entry.is_blob_upload() && entry.method == "PUT").count();
    assert_eq!(sent, 4 + 6 + 6, "the layers of the base once, and those and the configs of the images");
}

#[test]
fn an_immutable_tag_is_left_as_it_is() {
    let registry = FakeEcr::start(EcrBehaviour { immutable_tags: true, ..EcrBehaviour::default() });
    let mut cdk = CdkUser::start();
    let settings = json!({ "repositoryName": REPOSITORY, "imageTagMutability": "IMMUTABLE" });
    cdk.moto.ecr(REGION, "CreateRepository", &settings);
    cdk.user.set("LBUILD_REGISTRY_ENDPOINT", &format!("{}=http://{}", ecr(REGION), registry.host()));
    cdk.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let app = json!({ "directory": "app", "platform": "linux/arm64" });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("app", &app)], &[]);
    let done = cdk.publish(&["--no-check"]).succeeded();
    // other content under the same id: the tag stays, as with `cdk deploy`
    cdk.write("app/Dockerfile", "FROM scratch\nCOPY Dockerfile /changed\n");
    assert_eq!(cdk.publish(&["--no-check"]).succeeded().stdout, done.stdout);
    assert_eq!(registry.log().count("PUT", "/manifests/"), 1);

    // another run publishes the asset between the question and the push
    let archive = format!("docker-archive:{}", cdk.user.text("cdk.out/made.tar"));
    write(&cdk.user.path("code"), "app.py", "x = 1\n");
    cdk.user.ok(&["build", "code", &format!("--base={}", tiny_base()), "--arch", "arm64", "--to", &archive]);
    let script = "touch asked; until [ -e go ]; do sleep 0.05; done; echo made.tar";
    let made = json!({ "executable": ["sh", "-c", script] });
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("made", &made)], &[]);
    let mut command = cdk.user.command(&["cdk", "publish", "--no-check"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !cdk.user.path("cdk.out/asked").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let other = registry.manifest(REPOSITORY, "app").unwrap();
    let digest = registry.seed_manifest(REPOSITORY, Some("made"), &other.media_type, other.content);
    cdk.write("go", "");
    let done = RunOutput::of(running.wait_with_output().unwrap()).succeeded();
    assert_eq!(done.stdout, format!("{}/{REPOSITORY}@{digest}  made\n", ecr(REGION)));
    assert!(done.stderr.contains("another run has published"), "{}", done.stderr);
}
