//! Tests of the test support: an image tool that accepts every image proves nothing, nor does a registry that hides a
//! request.

use crate::support::faulty_images::{self, ImageFault};
use crate::support::http::{self, Request};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, invoke, sample_images};

const USER: &str = "AWS";
const PASSWORD: &str = "a token, as ECR gives";

#[test]
fn a_function_answers_on_both_architectures() {
    let registry = Registry::start(Mode::Plain);
    for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let image = sample_images::hello(architecture);
        bases::seed(&registry, &image.layout(), sample_images::TAG, "hello", architecture);
        let answer =
            invoke::answer(&ImageLocation::registry(&registry, &format!("hello:{architecture}"))).unwrap();
        assert_eq!(answer["machine"], machine);
        assert_eq!(answer["python"], "3.11");
    }
}

#[test]
fn a_function_in_node_answers_on_both_architectures() {
    for (architecture, machine) in [("amd64", "x64"), ("arm64", "arm64")] {
        let answer = invoke::answer(&sample_images::hello_node(architecture).location()).unwrap();
        assert_eq!(answer["machine"], machine);
        assert_eq!(answer["node"].as_str().unwrap().split('.').next(), Some("18"));
    }
}

#[test]
fn a_function_runs_as_a_user_that_owns_nothing() {
    let image = sample_images::tiny();
    let script = |script| image_tools::podman_run(&image.location(), &[], &["sh", "-c", script]);
    assert_eq!(script("busybox id -u; busybox id -g").unwrap(), "993\n990\n");
    let error = script("echo > /tmp/ours && echo > /etc/theirs").expect_err("only /tmp is writable");
    assert!(error.contains("/etc/theirs: Read-only file system"), "{error}");
}

#[test]
fn a_function_ends_when_it_is_dropped() {
    let image = sample_images::hello("amd64");
    let function = invoke::Function::start(&image.location()).unwrap();
    let address = function.address().to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(function);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn every_tool_accepts_a_good_image() {
    let (dir, image) = (tempfile::tempdir().unwrap(), sample_images::tiny());
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &image.layout(), sample_images::TAG, "tiny", "good");
    for location in [image.location(), ImageLocation::registry(&registry, "tiny:good")] {
        assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Os"], "linux");
        assert_eq!(image_tools::skopeo_config(&location).unwrap()["os"], "linux");
        let unpacked = image_tools::umoci_unpack(&location).unwrap();
        assert!(unpacked.rootfs().join("etc/hello").exists());
        assert_eq!(image_tools::podman_run(&location, &[], &["cat", "/etc/hello"]).unwrap(), "hello\n");
        image_tools::lambda_importer(&location).unwrap();
        let oci = dir.path().join("oci");
        image_tools::skopeo_copy(&location, &format!("oci:{}:copy", oci.display())).unwrap();
        image_tools::umoci_unpack(&ImageLocation::layout(&oci, "copy")).unwrap();
        let archive = dir.path().join("archive");
        image_tools::skopeo_copy(&location, &format!("docker-archive:{}", archive.display())).unwrap();
        image_tools::podman_run(&ImageLocation::archive(&archive), &[], &["true"]).unwrap();
        std::fs::remove_file(archive).unwrap();
    }
}

/// The tools that detect each fault, in any location. A newer tool may detect more faults, but not fewer.
const DETECTED_BY: [(ImageFault, &[&str]); 10] = [
    (ImageFault::LayerSize, &["umoci"]),
    (ImageFault::LayerByte, &["skopeo", "umoci", "podman", "importer"]),
    (ImageFault::LayerTruncated, &["skopeo", "umoci", "podman", "importer"]),
    (ImageFault::LayerMissing, &["skopeo", "umoci", "podman", "importer"]),
    (ImageFault::DiffId, &["umoci"]),
    (ImageFault::ConfigSize, &["skopeo", "umoci", "podman", "importer"]),
    (ImageFault::ConfigByte, &["skopeo", "umoci", "podman", "importer"]),
    (ImageFault::ManifestByte, &["umoci"]),
    (ImageFault::NoParent, &["importer"]),
    (ImageFault::DoubledEntry, &["podman", "importer"]),
];

#[test]
fn every_fault_is_rejected_by_its_tools() {
    let good = sample_images::tiny();
    for (fault, tools) in DETECTED_BY {
        let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start(Mode::Plain));
        let image = dir.path().join("image");
        faulty_images::layout(&good.layout(), sample_images::TAG, fault, &image);
        let digest = bases::seed(&registry, &image, sample_images::TAG, "broken", "1");
        for location in [
            ImageLocation::layout(&image, sample_images::TAG),
            ImageLocation::registry(&registry, &format!("broken@{digest}")),
        ] {
            let copy = tempfile::tempdir().unwrap();
            for tool in tools {
                let result = match *tool {
                    "skopeo" => {
                        image_tools::skopeo_copy(&location, &format!("dir:{}", copy.path().display()))
                    }
                    "umoci" => image_tools::umoci_unpack(&location).map(drop),
                    "podman" => image_tools::podman_run(&location, &[], &["true"]).map(drop),
                    _ => image_tools::lambda_importer(&location),
                };
                assert!(result.is_err(), "{tool} accepts {location:?} with {fault:?}");
            }
        }
    }
}

#[test]
fn a_base_keeps_its_media_types_in_every_registry() {
    let login = (USER, PASSWORD);
    let (user, password) = login;
    for mode in [
        Mode::Plain,
        Mode::Basic { user, password },
        Mode::Tls,
        Mode::Bearer { user, password },
        Mode::Redirect { user, password },
    ] {
        let registry = Registry::start(mode);
        for flavour in bases::FLAVOURS {
            bases::push(&registry, flavour, "lambda/python", flavour);
            let location = ImageLocation::registry(&registry, &format!("lambda/python:{flavour}"));
            let index = image_tools::skopeo_manifest(&location).unwrap();
            let expected = match flavour {
                "docker-list" => "application/vnd.docker.distribution.manifest.list.v2+json",
                _ => "application/vnd.oci.image.index.v1+json",
            };
            assert_eq!(index["mediaType"], expected);
            assert_eq!(
                index["manifests"].as_array().unwrap().len(),
                if flavour == "oci-index" { 4 } else { 2 }
            );
            let config = image_tools::skopeo_config(&location).unwrap();
            assert_eq!(config["config"]["Healthcheck"]["Test"][0], "NONE", "{mode:?} {flavour}: {config}");
        }
        let dir = tempfile::tempdir().unwrap();
        let location = ImageLocation::registry(&registry, "lambda/python:docker-list");
        image_tools::skopeo_copy(&location, &format!("dir:{}", dir.path().display())).unwrap();
    }
}

#[test]
fn a_basic_registry_requires_its_login() {
    let registry = Registry::start(Mode::Basic { user: USER, password: PASSWORD });
    bases::push(&registry, "docker-list", "base", "1");
    let location = ImageLocation::registry(&registry, "base:1");
    image_tools::skopeo_manifest(&location).unwrap();
    image_tools::skopeo_manifest(&location.clone().with_login(None)).unwrap_err();
    image_tools::skopeo_manifest(&location.with_login(Some((USER, "wrong")))).unwrap_err();
}

#[test]
fn a_tls_registry_is_trusted_only_with_its_ca() {
    let registry = Registry::start(Mode::Tls);
    bases::push(&registry, "docker-list", "base", "1");
    let location = ImageLocation::registry(&registry, "base:1");
    image_tools::skopeo_manifest(&location).unwrap();
    let error = image_tools::skopeo_manifest(&location.without_ca()).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn a_bearer_registry_lets_everyone_pull_and_the_login_push() {
    let registry = Registry::start(Mode::Bearer { user: USER, password: PASSWORD });
    let image = sample_images::tiny();
    let location = ImageLocation::registry(&registry, "tiny:1");
    image_tools::skopeo_push(&image.location().name, &location.clone().with_login(None)).unwrap_err();
    image_tools::skopeo_push(&image.location().name, &location.clone().with_login(Some((USER, "wrong"))))
        .unwrap_err();
    image_tools::skopeo_push(&image.location().name, &location).unwrap();
    let before = registry.token_service().requests().len();
    image_tools::skopeo_manifest(&location.with_login(None)).unwrap();
    let requests = registry.token_service().requests();
    assert_eq!(requests.len(), before + 1);
    assert_eq!(requests[before].query("scope"), ["repository:tiny:pull"]);
}

#[test]
fn a_redirecting_registry_sends_blobs_from_a_host_that_refuses_logins() {
    let registry = Registry::start(Mode::Redirect { user: USER, password: PASSWORD });
    let (image, dir) = (sample_images::tiny(), tempfile::tempdir().unwrap());
    let location = ImageLocation::registry(&registry, "tiny:1");
    image_tools::skopeo_push(&image.location().name, &location).unwrap();
    image_tools::skopeo_copy(&location, &format!("dir:{}", dir.path().display())).unwrap();
    assert_eq!(registry.blob_host().requests().len(), 3);
    assert_eq!(registry.blob_host().leaked_logins(), 0);

    let seen = registry.blob_host().requests()[0].clone();
    let headers = vec![("Authorization".to_owned(), "Basic QVdTOng=".to_owned())];
    let host = seen.header("host").unwrap().to_owned();
    let refused = http::send(&host, &Request { headers, ..seen }).unwrap();
    assert_eq!(refused.status, 400);
    assert_eq!(registry.blob_host().leaked_logins(), 1);
}

#[test]
fn the_log_has_every_upload_of_a_push() {
    let registry = Registry::start(Mode::Plain);
    let image = sample_images::tiny();
    let location = ImageLocation::registry(&registry, "tiny:1");
    image_tools::skopeo_push(&image.location().name, &location).unwrap();
    let first = registry.log();
    // two layers and a config, each with POST, PATCH and PUT
    assert_eq!(first.iter().filter(|access| access.is_blob_upload()).count(), 9);
    assert_eq!(first.iter().filter(|access| access.is_manifest_put()).count(), 1);
    assert!(first.iter().all(|access| access.user_agent.starts_with("skopeo/")));

    let mark = registry.mark();
    image_tools::skopeo_push(&image.location().name, &location).unwrap();
    let second = registry.log_since(mark);
    assert_eq!(second.iter().filter(|access| access.is_blob_upload()).count(), 0);
    assert!(second.iter().any(|access| access.method == "HEAD" && access.status == 200));
}
