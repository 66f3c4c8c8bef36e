//! Destinations: registries, layouts and archives, several in one push and under several names.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, files, function, image_of};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, sample_images};

/// A base that every image tool can run on this machine, as `oci:…`, and its architecture.
fn runnable() -> (sample_images::SampleImage, String, String) {
    let image = sample_images::tiny();
    let base = format!("oci:{}:{}", image.layout().display(), sample_images::TAG);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    (image, base, architecture.to_owned())
}

fn says_hello(location: &ImageLocation) {
    image_tools::skopeo_inspect(location).unwrap();
    let cat = image_tools::podman_run(location, &[], &["cat", "/var/task/greeting"]).unwrap();
    assert_eq!(cat, "hello", "{location:?}");
}

#[test]
fn one_push_writes_to_every_kind_of_destination() {
    let (_image, base, architecture) = runnable();
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    let (one, two) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    let destinations = [
        format!("{}/team/function:v1", one.host()),
        format!("{}/elsewhere", two.host()),
        format!("oci:{}:v1", lbuild.text("layout")),
        format!("docker-archive:{}:example.test/hello:v1", lbuild.text("image.tar")),
    ];
    let mut all = vec!["push", code.path().to_str().unwrap(), "--base", &base, "--arch", &architecture];
    destinations.iter().for_each(|to| all.extend(["--to", to]));
    all.extend(["--tag", "stable", "--tag", "v1"]);
    let done = lbuild.ok(&all);
    let (names, digests): (Vec<_>, Vec<_>) = done.digests().into_iter().unzip();
    assert_eq!(
        names,
        [
            format!("{}/team/function", one.host()),
            format!("{}/elsewhere", two.host()),
            format!("oci:{}", lbuild.text("layout")),
            format!("docker-archive:{}", lbuild.text("image.tar")),
        ]
    );
    assert_eq!(digests[0], digests[1]);
    for (registry, name) in [(&one, "team/function"), (&two, "elsewhere")] {
        for tag in ["v1", "stable"] {
            let location = ImageLocation::registry(registry, &format!("{name}:{tag}"));
            assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], digests[0]);
        }
        let latest = ImageLocation::registry(registry, &format!("{name}:latest"));
        image_tools::skopeo_inspect(&latest).expect_err("a tag was named");
    }
    for tag in ["v1", "stable"] {
        assert_eq!(bases::named(&lbuild.path("layout"), tag)["digest"], digests[2]);
    }
    says_hello(&ImageLocation::registry(&one, "team/function:stable"));
    says_hello(&ImageLocation::layout(&lbuild.path("layout"), "stable"));
    image_tools::umoci_unpack(&ImageLocation::layout(&lbuild.path("layout"), "v1")).unwrap();
    image_tools::skopeo_inspect(&ImageLocation::archive(&lbuild.path("image.tar"))).unwrap();
    let config = image_tools::skopeo_config(&ImageLocation::archive(&lbuild.path("image.tar"))).unwrap();
    assert_eq!(config, image_of(&lbuild.path("layout"), "v1", "").1);
}

#[test]
fn an_archive_is_loaded_with_or_without_a_name() {
    let (_image, base, architecture) = runnable();
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    for name in ["", ":example.test/hello:v1"] {
        let to = format!("docker-archive:{}{name}", lbuild.text("image.tar"));
        let digest = lbuild.push(code.path(), &["--base", &base, "--arch", &architecture, "--to", &to]);
        says_hello(&ImageLocation::archive(&lbuild.path("image.tar")));
        // a second push replaces the archive with an equal one
        let before = std::fs::read(lbuild.path("image.tar")).unwrap();
        let again = lbuild.push(code.path(), &["--base", &base, "--arch", &architecture, "--to", &to]);
        assert_eq!(again, digest);
        assert!(std::fs::read(lbuild.path("image.tar")).unwrap() == before);
        let tags = ["1", "2"].map(|tag| ["--tag", tag]).concat();
        let all =
            ["push", code.path().to_str().unwrap(), "--base", &base, "--arch", &architecture, "--to", &to];
        if name.is_empty() {
            let error = lbuild.run(&[&all[..], &tags].concat()).failed(2);
            assert!(error.contains("a tag needs a name"), "{error}");
        }
    }
}

#[test]
fn every_destination_gets_the_requested_format() {
    let (_image, base, architecture) = runnable();
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    let registry = Registry::start(Mode::Plain);
    let (docker, oci) = (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    );
    for (flags, in_registry, in_layout) in
        [(&[][..], docker, oci), (&["--format", "docker"], docker, docker), (&["--format", "oci"], oci, oci)]
    {
        let to = [format!("{}/f:1", registry.host()), format!("oci:{}:it", lbuild.text("layout"))];
        let mut all = vec!["push", code.path().to_str().unwrap(), "--base", &base, "--arch", &architecture];
        all.extend(["--to", &to[0], "--to", &to[1]]);
        all.extend(flags);
        lbuild.ok(&all);
        let manifest = image_tools::skopeo_manifest(&ImageLocation::registry(&registry, "f:1")).unwrap();
        assert_eq!(manifest["mediaType"], in_registry, "{flags:?}");
        let manifest = image_of(&lbuild.path("layout"), "it", "").0;
        assert_eq!(manifest["mediaType"], in_layout, "{flags:?}");
    }
}

#[test]
fn build_writes_a_layout_into_the_code_directory_and_does_not_pack_it() {
    let (_image, base, architecture) = runnable();
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    let all = ["build", code.path().to_str().unwrap(), "--base", &base, "--arch", &architecture];
    let first = lbuild.ok(&all).digest();
    assert_eq!(lbuild.ok(&all).digest(), first, "the second run sees the layout of the first");
    let layout = code.path().join(".lbuild/image");
    let index = bases::read(&layout.join("index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(index["manifests"][0]["digest"], first);
}

#[test]
fn a_layout_keeps_its_other_images() {
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "one")]));
    lbuild.layout("layout", code.path(), &["--tag", "first"]);
    let before = bases::named(&lbuild.path("layout"), "first");
    std::fs::write(code.path().join("greeting"), "two").unwrap();
    lbuild.layout("layout", code.path(), &[]);
    assert_eq!(bases::named(&lbuild.path("layout"), "first"), before);
    assert_ne!(bases::named(&lbuild.path("layout"), "it")["digest"], before["digest"]);
    image_tools::umoci_unpack(&ImageLocation::layout(&lbuild.path("layout"), "first")).unwrap();
    image_tools::umoci_unpack(&ImageLocation::layout(&lbuild.path("layout"), "it")).unwrap();
}

#[test]
fn a_damaged_layout_is_refused_as_a_base() {
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "one")]));
    let layout = lbuild.layout("layout", code.path(), &[]);
    let manifest = image_of(&layout, "it", "").0;
    let layer = bases::blob(&layout, manifest["layers"][2]["digest"].as_str().unwrap());
    let mut bytes = std::fs::read(&layer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let (base, to) = (format!("oci:{}:it", layout.display()), format!("oci:{}", lbuild.text("other")));
    let all = ["push", code.path().to_str().unwrap(), "--arch", "arm64", "--base", &base, "--to", &to];
    let error = lbuild.run(&all).failed(7);
    assert!(error.contains(&layer.display().to_string()) && error.contains("corrupt"), "{error}");
    assert!(!lbuild.path("other/index.json").exists(), "an incomplete image is not written");
}

#[test]
fn a_damaged_blob_of_a_layout_is_written_again() {
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "one")]));
    let layout = lbuild.layout("layout", code.path(), &[]);
    let before = files(&layout.join("blobs"));
    for (name, bytes) in &before {
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(layout.join("blobs").join(name), damaged).unwrap();
    }
    lbuild.layout("layout", code.path(), &[]);
    assert!(files(&layout.join("blobs")) == before);
}

#[test]
fn base_layers_are_streamed_between_registries_without_touching_the_disk() {
    let (from, to) = (Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    let base = bases::push(&from, "oci-index", "lambda/python", "3.11");
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    let destination = format!("{}/function:1", to.host());
    lbuild.push(code.path(), &["--base", &base, "--arch", "amd64", "--to", &destination]);
    image_tools::umoci_unpack(&ImageLocation::registry(&to, "function:1")).unwrap();
    let held: usize = files(&lbuild.cache().join("blobs")).values().map(Vec::len).sum();
    assert!(held < 64 << 10, "the cache holds {held} bytes: a layer of the base is in it");
}

#[test]
fn a_base_is_found_by_its_digest() {
    let registry = Registry::start(Mode::Plain);
    let base = bases::push(&registry, "docker-list", "lambda/python", "3.11");
    let (lbuild, code) = (Lbuild::new(), function(&[("greeting", "hello")]));
    let list = bases::named(&bases::layout("docker-list"), bases::TAG)["digest"].clone();
    let by_digest = format!("{}/lambda/python@{}", registry.host(), list.as_str().unwrap());
    let both = format!("{base}@{}", list.as_str().unwrap());
    let to = format!("{}/function:1", registry.host());
    let push = |base: &str| {
        lbuild.push(code.path(), &["--base", base, "--arch", "arm64", "--to", &to]);
        image_tools::skopeo_config(&ImageLocation::registry(&registry, "function:1")).unwrap()
    };
    let [mut tagged, mut pinned, both] = [push(&base), push(&by_digest), push(&both)];
    let name = "org.opencontainers.image.base.name";
    assert_eq!(tagged["config"]["Labels"][name], base.as_str());
    assert_eq!(both["config"]["Labels"][name], base.as_str());
    for config in [&mut tagged, &mut pinned] {
        config["config"]["Labels"].as_object_mut().unwrap().remove(name);
    }
    assert_eq!(tagged, pinned);
    let missing = format!("{}/lambda/python@sha256:{}", registry.host(), "0".repeat(64));
    let all = ["push", code.path().to_str().unwrap(), "--arch", "arm64", "--base", &missing, "--to", &to];
    assert!(lbuild.run(&all).failed(4).contains("does not exist"));
}
