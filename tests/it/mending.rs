//! Finished images of other tools: what Lambda refuses in them is mended, and they answer as before.

mod refusals;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tar::EntryType;

use crate::support::image_builder::{GZIP, Layer, PLAIN, Tar, ZSTD, gzip};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::Lbuild;
use crate::support::registry::{Mode, Registry};
use crate::support::sample_images::{self, SampleImage, bytes, replace, text, write_index};
use crate::support::{bases, image_tree, invoke, run, tool};

const CODE: &str = "
def handler(event, context):
    return {'word': open('/extra/words/made/word').read(), 'nonce': event.get('nonce')}
";

/// Docker's media type of a gzip layer.
const DOCKER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A layer with the code, and one with the file that it reads.
fn layers() -> [Tar; 2] {
    let code = Tar::new().directory("var/").directory("var/task/").file("var/task/app.py", 0o644, CODE);
    let dirs = Tar::new().directory("extra/").directory("extra/words/");
    [
        code,
        dirs.member("extra/words/made/", EntryType::Directory, 0o775, b"", "").file(
            "extra/words/made/word",
            0o644,
            "x",
        ),
    ]
}

fn zstd(content: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tar");
    std::fs::write(&file, content).unwrap();
    run(Command::new(tool("zstd")).arg("--quiet").arg(&file)).unwrap();
    std::fs::read(dir.path().join("tar.zst")).unwrap()
}

/// The function of hello-python's image, with these layers on top; `edit` may change the manifest.
fn finished(layers: Vec<Layer>, edit: impl FnOnce(&mut Value)) -> SampleImage {
    let image = sample_images::hello("amd64");
    let layout = image.layout();
    let mut entry = bases::named(&layout, sample_images::TAG);
    let mut manifest = bases::read(&bases::blob(&layout, text(&entry["digest"])));
    let mut config = bases::read(&bases::blob(&layout, text(&manifest["config"]["digest"])));
    for layer in layers {
        let mut descriptor = json!({ "mediaType": layer.media_type });
        replace(&layout, &mut descriptor, &layer.stored);
        manifest["layers"].as_array_mut().unwrap().push(descriptor);
        config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(json!(layer.diff_id));
        config["history"].as_array_mut().unwrap().push(json!({ "created_by": "another tool" }));
    }
    // As other tools write it: not in lbuild's form.
    let pretty = serde_json::to_vec_pretty(&config).unwrap();
    replace(&layout, &mut manifest["config"], &pretty);
    edit(&mut manifest);
    replace(&layout, &mut entry, &bytes(&manifest));
    write_index(&layout, &entry);
    image
}

fn of_tars(tars: impl IntoIterator<Item = Tar>) -> Vec<Layer> {
    tars.into_iter().map(Layer::gzip).collect()
}

/// Replaces the layout's image by an index of it and of its provenance, as `docker buildx build --push` writes it.
fn attested(image: &SampleImage) {
    let layout = image.layout();
    let mut entry = bases::named(&layout, sample_images::TAG);
    let name = entry["annotations"].take();
    entry.as_object_mut().unwrap().remove("annotations");
    entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let mut config = json!({ "mediaType": "application/vnd.oci.image.config.v1+json" });
    let unknown = json!({ "os": "unknown", "architecture": "unknown", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] } });
    replace(&layout, &mut config, &bytes(&unknown));
    let mut statement = json!({ "mediaType": "application/vnd.in-toto+json" });
    replace(&layout, &mut statement, b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [statement],
    });
    let mut attestation = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "platform": { "os": "unknown", "architecture": "unknown" },
        "annotations": { "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": entry["digest"] },
    });
    replace(&layout, &mut attestation, &bytes(&manifest));
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry, attestation],
    });
    let mut named = json!({ "mediaType": "application/vnd.oci.image.index.v1+json", "annotations": name });
    replace(&layout, &mut named, &bytes(&index));
    write_index(&layout, &named);
}

fn name_of(layout: &Path) -> String {
    format!("oci:{}:{}", layout.display(), sample_images::TAG)
}

/// The rules of which the check has findings, with their severities.
fn findings(lbuild: &Lbuild, image: &str) -> Vec<(String, String)> {
    let found = lbuild.run(&["check", image, "--json"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"));
    let pair = |finding: &Value| (text(&finding["rule"]).to_owned(), text(&finding["severity"]).to_owned());
    found["findings"].as_array().unwrap().iter().map(pair).collect()
}

fn has(findings: &[(String, String)], rule: &str) -> bool {
    findings.iter().any(|(found, _)| found == rule)
}

/// The word in the function's answer.
fn word(location: &ImageLocation) -> Value {
    invoke::answer(location).unwrap()["word"].take()
}

struct Case {
    name: &'static str,
    image: SampleImage,
    /// The rule that finds the fault.
    rule: &'static str,
    /// A part of what lbuild tells of it.
    says: &'static str,
    /// Whether the image's id stays.
    keeps_id: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, rule, says, keeps_id, image| Case { name, image, rule, says, keeps_id };
    let word = || Tar::new().file("extra/words/made/word", 0o644, "x");
    let [code, plain] = layers();
    let (code, plain) = (code.bytes(), plain.bytes());
    let with = |last: Layer| finished(vec![Layer::of(gzip(&code), GZIP, &code), last], |_| ());
    let late = word().member("extra/words/made/", EntryType::Directory, 0o775, b"", "");
    let late = late.directory("extra/words/").directory("extra/");
    let [_, again] = layers();
    let again = again.member("extra/words/made/", EntryType::Directory, 0o775, b"", "");
    let bare = word().bytes();
    let images = vec![
        case("missing", "parent-directory", "directories extra and 2 more", false, with(Layer::gzip(word()))),
        case("late", "parent-directory", "directories extra and 2 more", false, with(Layer::gzip(late))),
        case("repeated", "parent-directory", "directory extra/words/made", false, with(Layer::gzip(again))),
        case("plain", "layer-compression", "as gzip", true, with(Layer::of(plain.clone(), PLAIN, &plain))),
        case("zstd", "layer-compression", "as gzip", true, with(Layer::of(zstd(&plain), ZSTD, &plain))),
        case("disguised", "layer-compression", "as gzip", true, with(Layer::of(plain.clone(), GZIP, &plain))),
        case(
            "both",
            "parent-directory",
            "directories extra and 2 more",
            false,
            with(Layer::of(zstd(&bare), ZSTD, &bare)),
        ),
        case(
            "mixed",
            "media-types",
            "media types, sizes or fields",
            true,
            with(Layer::of(gzip(&plain), DOCKER_GZIP, &plain)),
        ),
        case(
            "size",
            "descriptor-size",
            "media types, sizes or fields",
            true,
            finished(of_tars(layers()), |manifest| {
                let last = manifest["layers"].as_array_mut().unwrap().last_mut().unwrap();
                last["size"] = json!(last["size"].as_u64().unwrap() + 7);
            }),
        ),
        case("several", "descriptor-size", "as gzip", true, {
            finished(
                vec![Layer::gzip(layers()[0].clone()), Layer::of(plain.clone(), PLAIN, &plain)],
                |manifest| {
                    let last = manifest["layers"].as_array_mut().unwrap().last_mut().unwrap();
                    last["size"] = json!(plain.len() + 7);
                },
            )
        }),
        case("attested", "image-index", "refers to the index sha256:", true, {
            let image = finished(of_tars(layers()), |_| ());
            attested(&image);
            image
        }),
    ];
    images
}

#[test]
fn what_lambda_refuses_is_mended_and_the_function_answers_as_before() {
    let good = finished(of_tars(layers()), |_| ());
    let expected = word(&good.location());
    let tree = image_tree::of(&good.layout(), sample_images::TAG, "amd64");
    let lbuild = Lbuild::new();
    let clean = findings(&lbuild, &name_of(&good.layout()));
    let registry = Registry::start(Mode::Plain);
    for Case { name, image, rule, says, keeps_id } in cases() {
        let from = name_of(&image.layout());
        assert!(has(&findings(&lbuild, &from), rule), "{name}: {:?}", findings(&lbuild, &from));

        let layout = lbuild.path(name);
        let to = [format!("oci:{}:1", layout.display()), format!("{}/{name}:1", registry.host())];
        let done = lbuild.ok(&["push", &from, "--to", &to[0], "--to", &to[1]]);
        assert!(done.stderr.contains(says), "{name}: {}", done.stderr);
        assert_eq!(
            done.stderr.contains("the image's id stays") || name == "attested",
            keeps_id,
            "{name}: {}",
            done.stderr
        );
        let digests = done.digests();
        assert_eq!(digests[0].1, digests[1].1, "{name}");
        for image in &to {
            assert_eq!(findings(&lbuild, image), clean, "{name}: {image}");
        }
        let locations =
            [ImageLocation::layout(&layout, "1"), ImageLocation::registry(&registry, &format!("{name}:1"))];
        for location in &locations {
            image_tools::lambda_importer(location).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
        let mended = image_tree::of(&layout, "1", "amd64");
        // Directories without an entry get the mode that container engines give them.
        let added = |path: &str| name == "missing" || name == "both" && path.starts_with("extra");
        for (path, line) in &tree {
            let line = if path == "extra/words/made" && added(path) { "0755 0:0 directory" } else { line };
            assert_eq!(mended.get(path).map(String::as_str), Some(line), "{name}: {path}");
        }
        assert_eq!(mended.len(), tree.len(), "{name}");
        if ["missing", "zstd", "both", "attested"].contains(&name) {
            // With Podman, under the user and the limits of Lambda.
            assert_eq!(word(&locations[1]), expected, "{name}");
        }

        // A mended image is not mended again, and two machines mend it alike.
        let again = lbuild.ok(&["push", &to[0], "--to", &format!("oci:{}:2", layout.display())]);
        assert_eq!(again.digest(), digests[0].1, "{name}");
        assert!(again.stderr.contains("nothing is mended"), "{name}: {}", again.stderr);
        let other = Lbuild::new();
        let to = format!("oci:{}:1", other.text("image"));
        assert_eq!(other.ok(&["push", &from, "--to", &to, "--quiet"]).digest(), digests[0].1, "{name}");
    }
}

#[test]
fn an_image_without_faults_keeps_its_digest_whatever_wrote_it() {
    let image =
        finished(of_tars(layers()), |manifest| manifest["annotations"] = json!({ "by": "another tool" }));
    let entry = bases::named(&image.layout(), sample_images::TAG);
    let registry = Registry::start(Mode::Plain);
    let lbuild = Lbuild::new();
    let to = format!("{}/clean:1", registry.host());
    let done = lbuild.ok(&["push", &name_of(&image.layout()), "--to", &to]);
    assert_eq!(done.digest(), text(&entry["digest"]));
    assert!(done.stderr.contains("nothing is mended"), "{}", done.stderr);

    // From one registry to another repository of it, mounted; and nothing to do the second time.
    let mark = registry.mark();
    let copy = format!("{}/copy:1", registry.host());
    assert_eq!(lbuild.ok(&["push", &to, "--to", &copy]).digest(), text(&entry["digest"]));
    assert_eq!(registry.log_since(mark).iter().filter(|access| access.method == "PATCH").count(), 0);
    let mark = registry.mark();
    lbuild.ok(&["push", &to, "--to", &copy]);
    assert!(registry.log_since(mark).iter().all(|access| ["GET", "HEAD"].contains(&access.method.as_str())));

    // Another format is another manifest, of the same config.
    let docker = lbuild.ok(&["push", &to, "--to", &copy, "--tag", "docker", "--format", "docker"]);
    assert!(
        docker.stderr.contains("a manifest of another format; the image's id stays"),
        "{}",
        docker.stderr
    );
    assert_ne!(docker.digest(), text(&entry["digest"]));
    image_tools::lambda_importer(&ImageLocation::registry(&registry, "copy:docker")).unwrap();
}

#[test]
fn archives_and_local_images_are_finished_images_too() {
    let [code, _] = layers();
    let image = finished(of_tars([code, Tar::new().file("extra/words/made/word", 0o644, "x")]), |_| ());
    let lbuild = Lbuild::new();
    let archive = lbuild.path("image.tar");
    image_tools::skopeo_copy(&image.location(), &format!("docker-archive:{}:app:1", archive.display()))
        .unwrap();
    let from = format!("docker-archive:{}", archive.display());
    assert!(has(&findings(&lbuild, &from), "parent-directory"));
    let to = format!("oci:{}:1", lbuild.text("out"));
    lbuild.ok(&["push", &from, "--to", &to]);
    assert!(!has(&findings(&lbuild, &to), "parent-directory"));
    image_tools::lambda_importer(&ImageLocation::layout(&lbuild.path("out"), "1")).unwrap();

    // A path of an archive alone says how to name it.
    let wrong = lbuild.run(&["push", "image.tar", "--to", &to]).failed(2);
    assert!(wrong.contains("docker-archive:image.tar"), "{wrong}");

    let local = lbuild.ok(&["push", &from, "--to", "local:app:2"]);
    let registry = Registry::start(Mode::Plain);
    for from in [&from, "local:app:2"] {
        let sent = lbuild.ok(&["push", from, "--to", &format!("{}/app:2", registry.host())]);
        assert_eq!(sent.digest(), local.digest(), "{from}");
    }
    assert_eq!(word(&ImageLocation::registry(&registry, "app:2")), "x");
}

#[test]
fn layers_of_a_registry_are_fetched_once() {
    let image = finished(
        of_tars([layers()[0].clone(), Tar::new().file("extra/words/made/word", 0o644, "x")]),
        |_| (),
    );
    let (from, to) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    bases::seed(&from, &image.layout(), sample_images::TAG, "app", "1");
    let lbuild = Lbuild::new();
    let push = [&format!("{}/app:1", from.host()), "--to", &format!("{}/app:1", to.host())];
    let push = [&["push"][..], &push].concat();
    let mark = from.mark();
    let digest = lbuild.ok(&push).digest();
    let fetched = |mark| {
        let log = from.log_since(mark).into_iter().filter(|access| access.method == "GET");
        let mut blobs: Vec<String> =
            log.filter(|access| access.path.contains("/blobs/")).map(|access| access.path).collect();
        blobs.sort();
        blobs
    };
    let (all, mut unique) = (fetched(mark), fetched(mark));
    unique.dedup();
    assert_eq!(all, unique);
    assert_eq!(all.len(), 8, "config and layers: {all:?}");
    let mark = from.mark();
    assert_eq!(lbuild.ok(&push).digest(), digest);
    assert_eq!(fetched(mark), [""; 0]);
}

#[test]
fn an_image_that_was_pulled_is_mended_too() {
    let [code, _] = layers();
    let image = finished(of_tars([code, Tar::new().file("extra/words/made/word", 0o644, "x")]), |_| ());
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &image.layout(), sample_images::TAG, "app", "1");
    let (lbuild, name) = (Lbuild::new(), format!("{}/app:1", registry.host()));
    lbuild.ok(&["docker", "pull", "--platform", "linux/amd64", &name]);
    let mended = format!("{}/mended:1", registry.host());
    lbuild.ok(&["docker", "tag", &name, &mended]);
    lbuild.ok(&["docker", "push", &mended]);
    assert!(!has(&findings(&lbuild, &mended), "parent-directory"));
    lbuild.ok(&["push", &format!("local:{name}"), "--to", &format!("{}/other:1", registry.host())]);
    assert_eq!(registry.manifest("other", "1").0, registry.manifest("mended", "1").0);
}

#[test]
fn annotations_stay_and_unknown_fields_do_not() {
    let [code, plain] = layers();
    let plain = plain.bytes();
    let annotations = json!({ "org.opencontainers.image.source": "https://git.example/app" });
    let image = finished(vec![Layer::gzip(code), Layer::of(plain.clone(), PLAIN, &plain)], |manifest| {
        manifest["annotations"] = annotations.clone();
    });
    let lbuild = Lbuild::new();
    let to = format!("oci:{}:1", lbuild.text("out"));
    let pushed = |image: &SampleImage| -> (Value, String) {
        let done = lbuild.ok(&["push", &name_of(&image.layout()), "--to", &to]);
        let manifest =
            image_tools::skopeo_manifest(&ImageLocation::layout(&lbuild.path("out"), "1")).unwrap();
        (manifest, done.stderr)
    };
    assert_eq!(pushed(&image).0["annotations"], annotations);
    type Edit = fn(&mut Value);
    let edits: [Edit; 4] = [
        |manifest| manifest["subject"] = manifest["config"].clone(),
        |manifest| manifest["artifactType"] = json!("application/x"),
        // Programs in Go take it for the digest.
        |manifest| manifest["layers"][1]["Digest"] = manifest["layers"][0]["digest"].clone(),
        |manifest| manifest["layers"][1]["urls"] = json!(["https://layers.example/1"]),
    ];
    for edit in edits {
        let (manifest, said) = pushed(&finished(of_tars(layers()), edit));
        assert!(said.contains("sizes or fields of its manifest are mended"), "{said}");
        assert!(manifest.as_object().unwrap().keys().all(|key| key != "subject" && key != "artifactType"));
        assert!(
            manifest["layers"].as_array().unwrap().iter().all(|layer| layer.as_object().unwrap().len() == 3)
        );
    }
}
