//! Every kind of registry and login: lbuild authenticates, and sends each login only to its own host.

use crate::support::fake_ecr::{Auth, EcrBehaviour, FakeEcr};
use crate::support::http::Request;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, hello};
use crate::support::proxy::Proxy;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, testdata};
use base64::Engine as _;
use serde_json::json;

const USER: &str = "AWS";
const PASSWORD: &str = "a token: as ECR gives";

const BASIC: Mode = Mode::Basic { user: USER, password: PASSWORD };
const BEARER: Mode = Mode::Bearer { user: USER, password: PASSWORD };
const REDIRECT: Mode = Mode::Redirect { user: USER, password: PASSWORD };

/// A registry with the committed base, and the base's reference.
fn registry_with_base(mode: Mode) -> (Registry, String) {
    let registry = Registry::start(mode);
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let base = format!("{}/lambda/python:3.12", registry.host());
    (registry, base)
}

/// The arguments that push `hello` from `base` to `to`.
fn arguments<'a>(base: &'a str, to: &'a str) -> Vec<&'a str> {
    let hello: &'static str = Box::leak(hello().display().to_string().into_boxed_str());
    vec!["push", hello, "--arch", "arm64", "--base", base, "--to", to]
}

#[test]
fn a_stored_login_works_with_every_registry() {
    for mode in [Mode::Plain, BASIC, Mode::Tls, BEARER, REDIRECT] {
        let (registry, base) = registry_with_base(mode);
        let to = format!("{}/team/hello:1", registry.host());
        let lbuild = Lbuild::for_registry(&registry);
        let digest = lbuild.ok(&arguments(&base, &to)).digest();
        let location = ImageLocation::registry(&registry, "team/hello:1");
        assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], digest, "{mode:?}");
        let dir = tempfile::tempdir().unwrap();
        image_tools::skopeo_copy(&location, &format!("dir:{}", dir.path().display())).unwrap();
    }
}

#[test]
fn a_password_on_standard_input_is_for_the_destination_only() {
    let (theirs, base) = registry_with_base(BASIC);
    let ours = Registry::start(Mode::Basic { user: "me", password: "mine" });
    let to = format!("{}/hello:1", ours.host());
    let lbuild = Lbuild::for_registry(&theirs);
    let mut all = arguments(&base, &to);
    all.extend(["--username", "me", "--password-stdin"]);
    let digest = lbuild.run_with("mine\n", &all).succeeded().digest();
    assert_eq!(
        image_tools::skopeo_inspect(&ImageLocation::registry(&ours, "hello:1")).unwrap()["Digest"],
        digest
    );

    // the password on standard input is not for the base, which needs its stored login
    let error = Lbuild::new().run_with("mine\n", &all).failed(6);
    assert!(error.contains(&theirs.host()) && error.contains("the registry requires a login"), "{error}");
}

#[test]
fn a_wrong_password_is_reported_and_not_retried() {
    for mode in [BASIC, BEARER] {
        let (registry, base) = registry_with_base(mode);
        let to = format!("{}/team/hello:1", registry.host());
        let mut all = arguments(&base, &to);
        all.extend(["--username", "AWS", "--password-stdin"]);
        let error = Lbuild::new().run_with("wrong-secret", &all).failed(6);
        assert!(error.contains("login of `AWS` from the caller"), "{error}");
        assert!(error.contains(&registry.host()) && error.contains("hint:"), "{error}");
        assert!(!error.contains("wrong-secret"), "{error}");
        image_tools::skopeo_inspect(&ImageLocation::registry(&registry, "team/hello:1")).unwrap_err();
    }
}

#[test]
fn an_unknown_authority_is_reported_with_a_hint() {
    let (registry, base) = registry_with_base(Mode::Tls);
    let to = format!("{}/team/hello:1", registry.host());
    let error = Lbuild::new().run(&arguments(&base, &to)).failed(5);
    assert!(error.contains("certificate") && error.contains("SSL_CERT_FILE"), "{error}");
}

#[test]
fn a_public_base_needs_no_login() {
    let (registry, base) = registry_with_base(BEARER);
    let lbuild = Lbuild::new();
    let to = format!("oci:{}:it", lbuild.text("image"));
    let done = lbuild.ok(&arguments(&base, &to));
    assert!(!done.stderr.contains("login"), "{}", done.stderr);
    let requests = registry.token_service().requests();
    assert!(!requests.is_empty() && requests.iter().all(|request| request.header("authorization").is_none()));
    assert!(requests.iter().all(|request| request.query("scope") == ["repository:lambda/python:pull"]));
}

#[test]
fn a_stale_login_does_not_block_a_public_base() {
    let (registry, base) = registry_with_base(BEARER);
    let lbuild = Lbuild::new();
    lbuild.log_in(&registry.host(), USER, "long gone");
    let to = format!("oci:{}:it", lbuild.text("image"));
    let done = lbuild.ok(&arguments(&base, &to));
    assert!(done.stderr.contains("continuing without it"), "{}", done.stderr);
    let shown = |request: &Request| request.header("authorization").is_some();
    let requests = registry.token_service().requests();
    assert!(requests.iter().any(shown) && !requests.iter().all(shown), "first with the login, then without");

    let error = lbuild.run(&arguments(&base, &format!("{}/team/hello:1", registry.host()))).failed(6);
    assert!(error.contains("login of `AWS` from Docker's configuration"), "{error}");
}

#[test]
fn a_stale_login_that_public_ecr_refuses_with_403_is_skipped() {
    let auth = Auth::Bearer { password: None, anonymous_pull: true, denial: None };
    let registry = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    let manifest = empty_base(&registry);
    let lbuild = Lbuild::new();
    lbuild.log_in(&registry.host(), USER, "expired");
    let base = format!("{}/base@{manifest}", registry.host());
    let to = format!("oci:{}:it", lbuild.text("image"));
    let done = lbuild.ok(&arguments(&base, &to));
    assert!(done.stderr.contains("continuing without it"), "{}", done.stderr);
}

/// The smallest possible base, for arm64: a config without layers.
fn empty_base(registry: &FakeEcr) -> String {
    let config = json!({
        "architecture": "arm64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let config = config.to_string();
    let digest = registry.seed_blob("base", config.clone());
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "layers": [],
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest, "size": config.len(),
        },
    });
    registry.seed_manifest("base", Some("1"), media_type, manifest.to_string())
}

#[test]
fn an_identity_token_is_exchanged_for_an_access_token() {
    let auth = Auth::Bearer { password: Some("refresh me".to_owned()), anonymous_pull: false, denial: None };
    let registry = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    empty_base(&registry);
    let lbuild = Lbuild::new();
    // base64 of `00000000-0000-0000-0000-000000000000:`, as az writes it
    let auth = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==";
    let config = json!({ "auths": { registry.host(): { "auth": auth, "identitytoken": "refresh me" } } });
    std::fs::write(lbuild.path("docker/config.json"), config.to_string()).unwrap();
    let (base, to) = (format!("{}/base:1", registry.host()), format!("{}/hello:1", registry.host()));
    let digest = lbuild.ok(&arguments(&base, &to)).digest();
    assert_eq!(registry.tags("hello")["1"], digest);
    let log = registry.log();
    assert!(log.count("POST", "/token") > 0 && log.count("GET", "/token") == 0);
}

#[test]
fn a_credential_helper_provides_the_login_of_its_registry() {
    let (registry, base) = registry_with_base(BASIC);
    for config in [json!({ "credHelpers": { registry.host(): "probe" } }), json!({ "credsStore": "probe" })] {
        let mut lbuild = Lbuild::new();
        let answer = json!({ "ServerURL": registry.host(), "Username": USER, "Secret": PASSWORD });
        let script =
            format!("#!/bin/sh\n[ \"$1\" = get ] && cat >{} && echo '{answer}'\n", lbuild.text("asked"));
        let bin = lbuild.program_of("docker-credential-probe", &script);
        std::fs::write(lbuild.path("docker/config.json"), config.to_string()).unwrap();
        lbuild.set("PATH", &format!("{bin}:/usr/bin:/bin"));
        lbuild.ok(&arguments(&base, &format!("{}/hello:1", registry.host())));
        let asked = std::fs::read_to_string(lbuild.path("asked")).unwrap();
        assert_eq!(asked.trim(), registry.host());
    }
}

#[test]
fn a_credential_helper_that_is_missing_is_named() {
    let (registry, base) = registry_with_base(BASIC);
    let lbuild = Lbuild::new();
    let to = format!("{}/hello:1", registry.host());
    for config in [
        json!({ "credsStore": "desktop", "auths": { registry.host(): {} } }),
        json!({ "credHelpers": { registry.host(): "desktop" } }),
    ] {
        std::fs::write(lbuild.path("docker/config.json"), config.to_string()).unwrap();
        let error = lbuild.run(&arguments(&base, &to)).failed(6);
        assert!(error.contains("docker-credential-desktop, which"), "{error}");
        assert!(error.contains("is not on the PATH") && error.contains(&lbuild.text("docker/config.json")));
        assert!(error.contains("hint: install docker-credential-desktop"), "{error}");
    }
}

#[test]
fn each_part_of_a_registry_has_its_login() {
    let passwords = [("org-a", "pa"), ("org-b", "pb")].map(|(part, word)| (part.to_owned(), word.to_owned()));
    let auth = Auth::Parts { passwords: passwords.into() };
    let registry = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    bases::seed_base(&registry, "org-a/python", "3.12");
    let mut lbuild = Lbuild::new();
    let auth = |text: &str| json!({ "auth": base64::prelude::BASE64_STANDARD.encode(text) });
    let host = registry.host();
    let logins = json!({ "auths": {
        format!("{host}/org-a"): auth("a:pa"),
        format!("{host}/org-b/team/"): auth("b:pb"),
        format!("{host}/org-b"): auth("b:another"),
    } });
    std::fs::write(lbuild.path("auth.json"), logins.to_string()).unwrap();
    lbuild.set("REGISTRY_AUTH_FILE", &lbuild.text("auth.json"));
    let (base, to) = (format!("{host}/org-a/python:3.12"), format!("{host}/org-b/team/hello:1"));
    let digest = lbuild.ok(&arguments(&base, &to)).digest();
    assert_eq!(registry.tags("org-b/team/hello")["1"], digest);

    for (repository, reason) in [("org-b/other", "refused the login of `b`"), ("org-c/x", "requires a login")]
    {
        let error = lbuild.run(&arguments(&base, &format!("{host}/{repository}:1"))).failed(6);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn bodies_have_a_length_and_answers_need_none() {
    let behaviour = EcrBehaviour { needs_length: true, chunked: true, ..EcrBehaviour::default() };
    let auth = Auth::Bearer { password: Some("good".into()), anonymous_pull: false, denial: None };
    for auth in [Auth::Open, auth] {
        let registry = FakeEcr::start(EcrBehaviour { auth, ..behaviour.clone() });
        bases::seed_base(&registry, "lambda/python", "3.12");
        let lbuild = Lbuild::new();
        lbuild.log_in(&registry.host(), "AWS", "good");
        let base = format!("{}/lambda/python:3.12", registry.host());
        // Without a mount the layers are streamed from one answer to the next request.
        registry.change(|behaviour| behaviour.refuse_mount = true);
        let digest = lbuild.ok(&arguments(&base, &format!("{}/hello:1", registry.host()))).digest();
        assert_eq!(registry.tags("hello")["1"], digest);
        assert_eq!(registry.log().answered(411), 0);
        // A second push reads the first image, and sends nothing.
        registry.clear_log();
        lbuild.ok(&arguments(&base, &format!("{}/hello:1", registry.host())));
        assert_eq!((registry.log().blob_uploads(), registry.log().manifest_puts()), (0, 0));
    }
}

#[test]
fn podmans_login_is_found_besides_dockers() {
    let (registry, base) = registry_with_base(BASIC);
    let mut lbuild = Lbuild::new();
    // a config.json with a login for another registry
    lbuild.log_in("registry.example", "someone", "else");
    let all = arguments(&base, "oci:image:1");
    lbuild.run(&all).failed(6);
    let auth = Lbuild::for_registry(&registry);
    std::fs::create_dir_all(lbuild.path("run/containers")).unwrap();
    std::fs::copy(auth.path("docker/config.json"), lbuild.path("run/containers/auth.json")).unwrap();
    lbuild.set("XDG_RUNTIME_DIR", &lbuild.text("run"));
    lbuild.ok(&all);
    // a malformed file is an error, not a missing login
    std::fs::write(lbuild.path("docker/config.json"), "{\"auths\": {\"s3cret\"").unwrap();
    let error = lbuild.run(&all).failed(6);
    assert!(error.contains(&lbuild.text("docker/config.json")) && !error.contains("s3cret"), "{error}");
}

#[test]
fn a_login_is_not_sent_after_a_redirect() {
    let (registry, base) = registry_with_base(REDIRECT);
    let other = Registry::start(Mode::Plain);
    let lbuild = Lbuild::for_registry(&registry);
    let to = format!("{}/hello:1", other.host());
    lbuild.ok(&arguments(&base, &to));
    assert!(registry.blob_host().requests().len() >= 3, "a config and two layers");
    assert_eq!(registry.blob_host().leaked_logins(), 0);
    image_tools::umoci_unpack(&ImageLocation::registry(&other, "hello:1")).unwrap();
}

/// The target of a redirect may be any host.
#[test]
fn the_target_of_a_redirect_cannot_get_the_login() {
    let auth = Auth::Bearer { password: Some("good".into()), anonymous_pull: false, denial: None };
    let other = FakeEcr::start(EcrBehaviour { auth, ..EcrBehaviour::default() });
    let auth = Auth::Basic { password: "good".into() };
    let blobs_at = Some(other.host());
    let registry = FakeEcr::start(EcrBehaviour { auth, blobs_at, ..EcrBehaviour::default() });
    bases::seed_base(&registry, "lambda/python", "3.12");
    let lbuild = Lbuild::new();
    lbuild.log_in(&registry.host(), "AWS", "good");
    let to = format!("oci:{}:it", lbuild.text("image"));
    let base = format!("{}/lambda/python:3.12", registry.host());
    let error = lbuild.run(&arguments(&base, &to)).failed(6);
    assert!(error.contains("401") && error.contains("cannot read blob"), "{error}");
    let log = other.log();
    assert!(log.answered(401) > 0 && log.count("GET", "/token") == 0, "{log:?}");
    assert!(log.0.iter().all(|entry| entry.authorization.is_none()), "{log:?}");
}

#[test]
fn no_proxy_may_name_a_port() {
    let (registry, _) = registry_with_base(Mode::Plain);
    let proxy = Proxy::forward();
    proxy.route("registry.test", registry.host().parse().unwrap());
    let mut lbuild = Lbuild::new();
    lbuild.set("HTTP_PROXY", &format!("http://{}", proxy.host()));
    let mut all = arguments("registry.test/lambda/python:3.12", "oci:image:1");
    all.extend(["--insecure", "registry.test"]);
    // `NO_PROXY` is empty, so `no_proxy` counts.
    for (no_proxy, proxied) in
        [("registry.test:443", true), ("other.test", true), ("registry.test:80", false), ("*.TEST", false)]
    {
        lbuild.set("NO_PROXY", "");
        lbuild.set("no_proxy", no_proxy);
        proxy.clear();
        let done = lbuild.run(&all);
        assert_eq!(done.code, if proxied { Some(0) } else { Some(5) }, "{no_proxy}: {}", done.stderr);
        assert_eq!(!proxy.hosts().is_empty(), proxied, "{no_proxy}");
    }
}

#[test]
fn a_proxy_is_used_for_hosts_outside_no_proxy() {
    let (registry, _) = registry_with_base(Mode::Plain);
    let proxy = Proxy::forward();
    proxy.route("registry.test", registry.host().parse().unwrap());
    let mut lbuild = Lbuild::new();
    lbuild.set("HTTP_PROXY", &format!("http://{}", proxy.host()));
    lbuild.set("NO_PROXY", "127.0.0.1");
    let to = format!("{}/hello:1", registry.host());
    let mut all = arguments("registry.test/lambda/python:3.12", &to);
    all.extend(["--insecure", "registry.test"]);
    lbuild.ok(&all);
    assert!(proxy.count("GET", "/v2/lambda/python/manifests/") >= 2);
    assert_eq!(proxy.count("PUT", ""), 0, "{:?}", proxy.hosts());
}
