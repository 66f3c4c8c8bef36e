//! The rig itself: a judge that cannot say no, or a registry that hides a request, proves nothing.

use crate::support::broken::{self, Fault};
use crate::support::http::{self, Request};
use crate::support::judges::{self, Place};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, handmade, invoke};

const USER: &str = "AWS";
const PASSWORD: &str = "a token, as ECR gives";

#[test]
fn a_function_answers_on_both_architectures() {
    let registry = Registry::start(Mode::Plain);
    for (architecture, machine) in [("amd64", "x86_64"), ("arm64", "aarch64")] {
        let image = handmade::hello(architecture);
        bases::seed(&registry, &image.layout(), handmade::TAG, "hello", architecture);
        let answer = invoke::answer(&Place::registry(&registry, &format!("hello:{architecture}"))).unwrap();
        assert_eq!(answer["machine"], machine);
        assert_eq!(answer["python"], "3.11");
    }
}

#[test]
fn a_function_in_node_answers_on_both_architectures() {
    for (architecture, machine) in [("amd64", "x64"), ("arm64", "arm64")] {
        let answer = invoke::answer(&handmade::hello_node(architecture).place()).unwrap();
        assert_eq!(answer["machine"], machine);
        assert_eq!(answer["node"].as_str().unwrap().split('.').next(), Some("18"));
    }
}

#[test]
fn a_function_runs_as_a_user_that_owns_nothing() {
    let image = handmade::tiny();
    let script = |script| judges::podman_run(&image.place(), &[], &["sh", "-c", script]);
    assert_eq!(script("busybox id -u; busybox id -g").unwrap(), "993\n990\n");
    let error = script("echo > /tmp/ours && echo > /etc/theirs").expect_err("only /tmp is writable");
    assert!(error.contains("/etc/theirs: Read-only file system"), "{error}");
}

#[test]
fn a_function_ends_with_its_test() {
    let image = handmade::hello("amd64");
    let function = invoke::Function::start(&image.place()).unwrap();
    let address = function.address().to_owned();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(function);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn every_judge_accepts_a_good_image() {
    let (dir, image) = (tempfile::tempdir().unwrap(), handmade::tiny());
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &image.layout(), handmade::TAG, "tiny", "good");
    for place in [image.place(), Place::registry(&registry, "tiny:good")] {
        assert_eq!(judges::skopeo_inspect(&place).unwrap()["Os"], "linux");
        assert_eq!(judges::skopeo_config(&place).unwrap()["os"], "linux");
        let unpacked = judges::umoci_unpack(&place).unwrap();
        assert!(unpacked.rootfs().join("etc/hello").exists());
        assert_eq!(judges::podman_run(&place, &[], &["cat", "/etc/hello"]).unwrap(), "hello\n");
        judges::importer(&place).unwrap();
        let oci = dir.path().join("oci");
        judges::skopeo_copy(&place, &format!("oci:{}:copy", oci.display())).unwrap();
        judges::umoci_unpack(&Place::layout(&oci, "copy")).unwrap();
        let archive = dir.path().join("archive");
        judges::skopeo_copy(&place, &format!("docker-archive:{}", archive.display())).unwrap();
        judges::podman_run(&Place::archive(&archive), &[], &["true"]).unwrap();
        std::fs::remove_file(archive).unwrap();
    }
}

/// Which judge sees which fault, wherever the image lies. A judge may learn to see more; it must not see less.
const SEEN: [(Fault, &[&str]); 10] = [
    (Fault::LayerSize, &["umoci"]),
    (Fault::LayerByte, &["skopeo", "umoci", "podman", "importer"]),
    (Fault::LayerTruncated, &["skopeo", "umoci", "podman", "importer"]),
    (Fault::LayerMissing, &["skopeo", "umoci", "podman", "importer"]),
    (Fault::DiffId, &["umoci"]),
    (Fault::ConfigSize, &["skopeo", "umoci", "podman", "importer"]),
    (Fault::ConfigByte, &["skopeo", "umoci", "podman", "importer"]),
    (Fault::ManifestByte, &["umoci"]),
    (Fault::NoParent, &["importer"]),
    (Fault::DoubledEntry, &["podman", "importer"]),
];

#[test]
fn every_judge_rejects_a_broken_image() {
    let good = handmade::tiny();
    for (fault, seen) in SEEN {
        let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start(Mode::Plain));
        let image = dir.path().join("image");
        broken::layout(&good.layout(), handmade::TAG, fault, &image);
        let digest = bases::seed(&registry, &image, handmade::TAG, "broken", "1");
        for place in
            [Place::layout(&image, handmade::TAG), Place::registry(&registry, &format!("broken@{digest}"))]
        {
            let copy = tempfile::tempdir().unwrap();
            for judge in seen {
                let verdict = match *judge {
                    "skopeo" => judges::skopeo_copy(&place, &format!("dir:{}", copy.path().display())),
                    "umoci" => judges::umoci_unpack(&place).map(drop),
                    "podman" => judges::podman_run(&place, &[], &["true"]).map(drop),
                    _ => judges::importer(&place),
                };
                assert!(verdict.is_err(), "{judge} calls {place:?} with {fault:?} good");
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
            let place = Place::registry(&registry, &format!("lambda/python:{flavour}"));
            let index = judges::skopeo_manifest(&place).unwrap();
            let expected = match flavour {
                "docker-list" => "application/vnd.docker.distribution.manifest.list.v2+json",
                _ => "application/vnd.oci.image.index.v1+json",
            };
            assert_eq!(index["mediaType"], expected);
            assert_eq!(
                index["manifests"].as_array().unwrap().len(),
                if flavour == "oci-index" { 4 } else { 2 }
            );
            let config = judges::skopeo_config(&place).unwrap();
            assert_eq!(config["config"]["Healthcheck"]["Test"][0], "NONE", "{mode:?} {flavour}: {config}");
        }
        let dir = tempfile::tempdir().unwrap();
        let place = Place::registry(&registry, "lambda/python:docker-list");
        judges::skopeo_copy(&place, &format!("dir:{}", dir.path().display())).unwrap();
    }
}

#[test]
fn a_basic_registry_wants_its_login() {
    let registry = Registry::start(Mode::Basic { user: USER, password: PASSWORD });
    bases::push(&registry, "docker-list", "base", "1");
    let place = Place::registry(&registry, "base:1");
    judges::skopeo_manifest(&place).unwrap();
    judges::skopeo_manifest(&place.clone().with_login(None)).unwrap_err();
    judges::skopeo_manifest(&place.with_login(Some((USER, "wrong")))).unwrap_err();
}

#[test]
fn a_tls_registry_is_trusted_by_its_authority_only() {
    let registry = Registry::start(Mode::Tls);
    bases::push(&registry, "docker-list", "base", "1");
    let place = Place::registry(&registry, "base:1");
    judges::skopeo_manifest(&place).unwrap();
    let error = judges::skopeo_manifest(&place.without_ca()).unwrap_err();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn a_bearer_registry_lets_everyone_pull_and_the_login_push() {
    let registry = Registry::start(Mode::Bearer { user: USER, password: PASSWORD });
    let image = handmade::tiny();
    let place = Place::registry(&registry, "tiny:1");
    judges::skopeo_push(&image.place().name, &place.clone().with_login(None)).unwrap_err();
    judges::skopeo_push(&image.place().name, &place.clone().with_login(Some((USER, "wrong")))).unwrap_err();
    judges::skopeo_push(&image.place().name, &place).unwrap();
    let before = registry.token_service().requests().len();
    judges::skopeo_manifest(&place.with_login(None)).unwrap();
    let requests = registry.token_service().requests();
    assert_eq!(requests.len(), before + 1);
    assert_eq!(requests[before].query("scope"), ["repository:tiny:pull"]);
}

#[test]
fn a_redirecting_registry_sends_blobs_from_a_host_that_refuses_logins() {
    let registry = Registry::start(Mode::Redirect { user: USER, password: PASSWORD });
    let (image, dir) = (handmade::tiny(), tempfile::tempdir().unwrap());
    let place = Place::registry(&registry, "tiny:1");
    judges::skopeo_push(&image.place().name, &place).unwrap();
    judges::skopeo_copy(&place, &format!("dir:{}", dir.path().display())).unwrap();
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
fn the_log_counts_what_a_push_sends() {
    let registry = Registry::start(Mode::Plain);
    let image = handmade::tiny();
    let place = Place::registry(&registry, "tiny:1");
    judges::skopeo_push(&image.place().name, &place).unwrap();
    let first = registry.log();
    // two layers and a config, each opened, filled and ended
    assert_eq!(first.iter().filter(|access| access.is_blob_upload()).count(), 9);
    assert_eq!(first.iter().filter(|access| access.is_manifest_put()).count(), 1);
    assert!(first.iter().all(|access| access.user_agent.starts_with("skopeo/")));

    let mark = registry.mark();
    judges::skopeo_push(&image.place().name, &place).unwrap();
    let second = registry.log_since(mark);
    assert_eq!(second.iter().filter(|access| access.is_blob_upload()).count(), 0);
    assert!(second.iter().any(|access| access.method == "HEAD" && access.status == 200));
}
