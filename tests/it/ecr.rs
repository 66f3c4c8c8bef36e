//! Behaviour that is specific to ECR.

use crate::support::bases;
use crate::support::fake_ecr::{
    Auth, EcrBehaviour, ExpiredAnswer, Expiry, ExpiryTrigger, FakeEcr, MissingRepository,
};
use crate::support::lbuild::{Lbuild, function, tiny_base};
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;

fn code() -> TempDir {
    function(&[("app.py", "def handler(event, context): pass")])
}

/// The arguments that push `code` to the repository `function`.
fn arguments(registry: &FakeEcr, code: &Path, base: &str) -> Vec<String> {
    let to = format!("{}/function:1", registry.host());
    ["push", code.to_str().unwrap(), "--base", base, "--arch", "arm64", "--to", &to]
        .map(str::to_owned)
        .to_vec()
}

#[test]
fn a_missing_repository_is_reported_with_a_hint() {
    let registry = FakeEcr::start(EcrBehaviour {
        missing_repository: MissingRepository::NameUnknown,
        ..EcrBehaviour::default()
    });
    let (lbuild, code) = (Lbuild::new(), code());
    let all = arguments(&registry, code.path(), &tiny_base());
    let error = lbuild.run(&all).failed(5);
    assert!(error.contains("The repository with name 'function' does not exist"), "{error}");
    assert!(error.contains("hint: create the repository first"), "{error}");
    assert_eq!(registry.log().blob_bytes(), 0);
    registry.create_repository("function");
    lbuild.ok(&all);
}

#[test]
fn a_missing_repository_is_reported_when_the_registry_closes_the_connection() {
    let registry = FakeEcr::start(EcrBehaviour {
        missing_repository: MissingRepository::Reset,
        ..EcrBehaviour::default()
    });
    let (lbuild, code) = (Lbuild::new(), code());
    let error = lbuild.run(&arguments(&registry, code.path(), &tiny_base())).failed(5);
    assert!(error.contains("function") && error.contains("hint: create the repository first"), "{error}");
}

#[test]
fn an_immutable_tag_accepts_only_the_same_image_again() {
    let registry = FakeEcr::start(EcrBehaviour { immutable_tags: true, ..EcrBehaviour::default() });
    let (lbuild, code) = (Lbuild::new(), code());
    let all = arguments(&registry, code.path(), &tiny_base());
    let digest = lbuild.ok(&all).digest();
    assert_eq!(lbuild.ok(&all).digest(), digest);
    assert_eq!(Lbuild::new().ok(&all).digest(), digest);
    assert_eq!(registry.log().count("PUT", "/manifests/"), 1);

    std::fs::write(code.path().join("app.py"), "changed").unwrap();
    let error = lbuild.run(&all).failed(5);
    assert!(error.contains("cannot be overwritten") && error.contains("push under a new tag"), "{error}");
    assert_eq!(registry.tags("function")["1"], digest);
    lbuild.ok(&[&all[..7], &[format!("{}/function:2", registry.host())]].concat());
    assert_eq!(registry.tags("function").len(), 2);
}

#[test]
fn a_token_that_expires_during_a_push_is_renewed() {
    for answer in [ExpiredAnswer::Challenge, ExpiredAnswer::Forbidden, ExpiredAnswer::BadRequest] {
        for after in [ExpiryTrigger::BlobPuts(1), ExpiryTrigger::BlobPuts(3), ExpiryTrigger::Requests(6)] {
            let auth = Auth::Bearer { password: Some("good".into()), anonymous_pull: false, denial: None };
            let expires = Some(Expiry { after, answer, next_password: None });
            let registry = FakeEcr::start(EcrBehaviour { auth, expires, ..EcrBehaviour::default() });
            let (lbuild, code) = (Lbuild::new(), code());
            lbuild.log_in(&registry.host(), "AWS", "good");
            let digest = lbuild.ok(&arguments(&registry, code.path(), &tiny_base())).digest();
            assert_eq!(registry.tags("function")["1"], digest, "{answer:?} {after:?}");
            assert!(registry.log().count("GET", "/token") >= 2, "{answer:?} {after:?}");
        }
    }
}

#[test]
fn an_expired_password_is_requested_again() {
    for answer in [ExpiredAnswer::Challenge, ExpiredAnswer::Forbidden, ExpiredAnswer::BadRequest] {
        let auth = Auth::Basic { password: "first".into() };
        let expires =
            Some(Expiry { after: ExpiryTrigger::BlobPuts(2), answer, next_password: Some("second".into()) });
        let registry = FakeEcr::start(EcrBehaviour { auth, expires, ..EcrBehaviour::default() });
        let (mut lbuild, code) = (Lbuild::new(), code());
        // like ECR's credential helper, this one prints another password each time
        let script = format!(
            "#!/bin/sh\ncat >>{0}\necho >>{0}\n[ $(wc -l <{0}) = 1 ] && secret=first || secret=second\n\
             echo '{{\"ServerURL\":\"\",\"Username\":\"AWS\",\"Secret\":\"'$secret'\"}}'\n",
            lbuild.text("asked")
        );
        let bin = lbuild.program_of("docker-credential-renewing", &script);
        let config = json!({ "credHelpers": { registry.host(): "renewing" } });
        std::fs::write(lbuild.path("docker/config.json"), config.to_string()).unwrap();
        lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
        let digest = lbuild.ok(&arguments(&registry, code.path(), &tiny_base())).digest();
        assert_eq!(registry.tags("function")["1"], digest, "{answer:?}");
        assert_eq!(std::fs::read_to_string(lbuild.path("asked")).unwrap().lines().count(), 2, "{answer:?}");
    }
}

#[test]
fn a_password_that_cannot_be_renewed_is_an_error() {
    let auth = Auth::Basic { password: "first".into() };
    let expires = Some(Expiry {
        after: ExpiryTrigger::BlobPuts(1),
        answer: ExpiredAnswer::Forbidden,
        next_password: None,
    });
    let registry = FakeEcr::start(EcrBehaviour { auth, expires, ..EcrBehaviour::default() });
    let (lbuild, code) = (Lbuild::new(), code());
    lbuild.log_in(&registry.host(), "AWS", "first");
    let error = lbuild.run(&arguments(&registry, code.path(), &tiny_base())).failed(6);
    assert!(error.contains("answered 403") && error.contains("hint: the credentials"), "{error}");
    assert!(registry.tags("function").is_empty());
}

#[test]
fn headers_that_the_specification_makes_optional_are_not_needed() {
    let registry = FakeEcr::start(EcrBehaviour {
        no_manifest_location: true,
        relative_location: true,
        ecr_patch: true,
        refuse_mount: true,
        ..EcrBehaviour::default()
    });
    bases::seed_base(&registry, "lambda/python", "3.12");
    let (lbuild, code) = (Lbuild::new(), code());
    let base = format!("{}/lambda/python:3.12", registry.host());
    let digest = lbuild.ok(&arguments(&registry, code.path(), &base)).digest();
    assert_eq!(registry.tags("function")["1"], digest);
    let log = registry.log();
    assert_eq!((log.mounts(), log.blob_uploads()), (0, 4));
    // the upload session that a refused mount opens is used
    assert_eq!(log.count("POST", "/blobs/uploads/"), 4);
}

#[test]
fn a_mount_uses_one_token_for_both_repositories() {
    let auth = Auth::Bearer { password: Some("good".into()), anonymous_pull: false, denial: None };
    let registry = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    bases::seed_base(&registry, "lambda/python", "3.12");
    let (lbuild, code) = (Lbuild::new(), code());
    lbuild.log_in(&registry.host(), "AWS", "good");
    let base = format!("{}/lambda/python:3.12", registry.host());
    lbuild.ok(&arguments(&registry, code.path(), &base));
    let log = registry.log();
    assert_eq!((log.mounts(), log.blob_uploads()), (2, 2));
}

#[test]
fn a_blob_that_is_missing_despite_a_head_is_sent_again_with_the_manifest() {
    let registry = FakeEcr::start(EcrBehaviour::default());
    let (lbuild, code) = (Lbuild::new(), code());
    let all = arguments(&registry, code.path(), &tiny_base());
    lbuild.ok(&all);
    let manifest = registry.manifest("function", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.content).unwrap();
    let digests: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["digest"].as_str().unwrap().to_owned())
        .collect();
    for lost in [&digests[2..], &digests[..2], &digests[..]] {
        registry.change(|behaviour| behaviour.loses = lost.to_vec());
        registry.clear_log();
        let label = format!("lost={}", lost.len());
        let digest = lbuild.ok(&[&all[..], &["--label".to_owned(), label]].concat()).digest();
        assert_eq!(registry.tags("function")["1"], digest);
        let log = registry.log();
        assert_eq!(log.blob_uploads(), lost.len() + 1, "the lost blobs and the config");
        assert_eq!(log.manifest_puts(), 2, "by its digest, because this is plain HTTP, and under the tag");
        assert!(log.answered(400) >= 1);
        assert!(digests.iter().all(|digest| registry.blob("function", digest).is_some()));
    }
}

#[test]
fn a_failed_upload_starts_again_with_a_new_session() {
    let registry = FakeEcr::start(EcrBehaviour { fail_blob_puts: 3, ..EcrBehaviour::default() });
    let (lbuild, code) = (Lbuild::new(), code());
    let digest = lbuild.ok(&arguments(&registry, code.path(), &tiny_base())).digest();
    assert_eq!(registry.tags("function")["1"], digest);
    let log = registry.log();
    assert_eq!((log.answered(500), log.blob_uploads()), (3, 4));
    assert_eq!(log.count("POST", "/blobs/uploads/"), 7);
    assert_eq!(log.answered(416), 0, "no session was used twice");
}

#[test]
fn several_tags_move_only_after_the_manifest_is_stored() {
    let registry = FakeEcr::start(EcrBehaviour::default());
    let (lbuild, code) = (Lbuild::new(), code());
    let all = arguments(&registry, code.path(), &tiny_base());
    let digest = lbuild.ok(&[&all[..], &["--tag".to_owned(), "2".to_owned()]].concat()).digest();
    let log = registry.log();
    let references = log.manifest_references();
    assert_eq!(references[0], digest, "by digest first");
    assert_eq!(references.len(), 3);
    assert_eq!(registry.tags("function").values().collect::<Vec<_>>(), [&digest, &digest]);
}
