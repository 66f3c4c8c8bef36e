//! Networks that damage what is sent, and registries that say something else than they do: the image is published as it
//! was built, or the push fails and the tag names what it did before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, RunOutput, function, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::tampering::{Tamper, Tampering};

const BLOB: &str = "PUT /v2/function/blobs/uploads/";
const MANIFEST: &str = "PUT /v2/function/manifests/";

struct Setup {
    registry: Registry,
    lbuild: Lbuild,
    code: TempDir,
}

impl Setup {
    fn new() -> Setup {
        let code = function(&[("app.py", "def handler(event, context): pass")]);
        Setup { registry: Registry::start(Mode::Plain), lbuild: Lbuild::new(), code }
    }

    fn proxy(&self, choose: impl Fn(usize, &str) -> Tamper + Send + Sync + 'static) -> Tampering {
        Tampering::of(&self.registry.host(), choose)
    }

    fn push(&self, host: &str, more: &[&str]) -> RunOutput {
        let (code, base, to) =
            (self.code.path().to_str().unwrap(), tiny_base(), format!("{host}/function:1"));
        let all = ["push", code, "--base", &base, "--arch", "arm64", "--to", &to];
        self.lbuild.run(&[&all[..], more].concat())
    }

    fn change(&self, text: &str) {
        std::fs::write(self.code.path().join("app.py"), text).unwrap();
    }

    /// The digest that a tag names, if it names a whole image.
    fn tag(&self, tag: &str) -> Option<Value> {
        let location = ImageLocation::registry(&self.registry, &format!("function:{tag}"));
        image_tools::skopeo_inspect(&location).ok().map(|found| found["Digest"].clone())
    }
}

#[test]
fn every_request_may_end_without_an_answer() {
    let total = {
        let setup = Setup::new();
        let proxy = setup.proxy(|_, _| Tamper::Nothing);
        setup.push(&proxy.host(), &[]).succeeded();
        proxy.count("")
    };
    assert!(total > 8, "{total}");
    for closed in 1..=total {
        let setup = Setup::new();
        let proxy =
            setup.proxy(move |number, _| if number == closed { Tamper::Close } else { Tamper::Nothing });
        let done = setup.push(&proxy.host(), &[]).succeeded();
        assert_eq!(setup.tag("1").unwrap(), done.digest(), "request {closed} of {total}");
        assert!(proxy.count("") > total, "request {closed} of {total} was not sent again");
    }
}

#[test]
fn a_registry_that_answered_in_http_is_not_asked_in_https() {
    let setup = Setup::new();
    let proxy = setup.proxy(|_, line| match line.starts_with(MANIFEST) {
        true => Tamper::Close,
        false => Tamper::Nothing,
    });
    let error = setup.push(&proxy.host(), &[]).failed(5);
    assert!(error.contains("no answer from") && !error.contains("HTTPS"), "{error}");
    assert_eq!(proxy.count(MANIFEST), 6, "it is sent again");
}

#[test]
fn a_registry_that_never_answers_is_a_broken_connection() {
    let setup = Setup::new();
    let proxy = setup.proxy(|_, _| Tamper::Close);
    let error = setup.push(&proxy.host(), &[]).failed(5);
    assert!(error.contains("no answer from") && !error.contains("HTTPS"), "{error}");
}

#[test]
fn a_blob_or_manifest_that_is_damaged_on_its_way_is_sent_again() {
    for (request, at) in [(BLOB, 0), (BLOB, 200), (MANIFEST, 0), (MANIFEST, 100), (MANIFEST, 330)] {
        let (setup, done) = (Setup::new(), Arc::new(AtomicBool::new(false)));
        let once = done.clone();
        let proxy = setup.proxy(move |_, line| {
            match line.starts_with(request) && !once.swap(true, Ordering::SeqCst) {
                true => Tamper::Damage(at),
                false => Tamper::Nothing,
            }
        });
        let pushed = setup.push(&proxy.host(), &[]).succeeded();
        assert!(done.load(Ordering::SeqCst) && pushed.stderr.contains("retry "), "{request} {at}");
        assert_eq!(setup.tag("1").unwrap(), pushed.digest(), "{request} {at}");
    }
}

/// Damages the first manifests that are put to `request`.
fn damage_first(setup: &Setup, request: &'static str, count: usize) -> Tampering {
    let sent = AtomicUsize::new(0);
    setup.proxy(move |_, line| {
        let damaged = line.starts_with(request) && sent.fetch_add(1, Ordering::SeqCst) < count;
        if damaged { Tamper::DamageSize } else { Tamper::Nothing }
    })
}

/// The number of times that lbuild sends a manifest.
const ATTEMPTS: usize = 6;

#[test]
fn a_tag_keeps_its_image_when_every_new_manifest_is_damaged() {
    for tags in [&[][..], &["--tag", "2"]] {
        let setup = Setup::new();
        let old = setup.push(&setup.registry.host(), tags).succeeded().digest();
        setup.change("def handler(event, context): return 2");
        let proxy = damage_first(&setup, MANIFEST, usize::MAX);
        let error = setup.push(&proxy.host(), tags).failed(5);
        assert!(error.contains("DIGEST_INVALID") && !error.contains("names a damaged"), "{error}");
        assert_eq!(proxy.count(MANIFEST), ATTEMPTS, "the tag is not put");
        assert_eq!(setup.tag("1").unwrap(), old);
    }
}

#[test]
fn a_tag_gets_its_image_back_when_it_cannot_be_moved() {
    let setup = Setup::new();
    let old = setup.push(&setup.registry.host(), &[]).succeeded().digest();
    setup.change("def handler(event, context): return 2");
    let proxy = damage_first(&setup, "PUT /v2/function/manifests/1", ATTEMPTS);
    let error = setup.push(&proxy.host(), &[]).failed(5);
    assert!(error.contains("error: the manifest of") && error.contains("is damaged"), "{error}");
    assert_eq!(proxy.count(MANIFEST), 1 + ATTEMPTS + 1, "by digest, under the tag, and the old manifest");
    assert_eq!(setup.tag("1").unwrap(), old);
}

#[test]
fn a_new_tag_that_would_name_a_damaged_manifest_is_removed() {
    let setup = Setup::new();
    let proxy = damage_first(&setup, MANIFEST, usize::MAX);
    let error = setup.push(&proxy.host(), &[]).failed(5);
    assert!(error.contains("error: the manifest of") && error.contains("is damaged"), "{error}");
    assert!(!error.contains("names a damaged manifest"), "{error}");
    assert_eq!(proxy.count("DELETE /v2/function/manifests/"), 1);
    assert!(setup.tag("1").is_none());
}

#[test]
fn a_new_tag_that_names_a_damaged_manifest_is_an_error() {
    let (setup, sent) = (Setup::new(), AtomicUsize::new(0));
    let proxy = setup.proxy(move |_, line| match line {
        line if line.starts_with("DELETE ") => Tamper::Answer(405),
        line if line.starts_with(MANIFEST) && sent.fetch_add(1, Ordering::SeqCst) < ATTEMPTS => {
            Tamper::DamageSize
        }
        _ => Tamper::Nothing,
    });
    let error = setup.push(&proxy.host(), &[]).failed(5);
    assert!(error.contains("function:1 names a damaged manifest"), "{error}");
    assert!(error.contains("hint: push again"), "{error}");
    // The next push repairs it.
    let digest = setup.push(&proxy.host(), &[]).succeeded().digest();
    assert_eq!(setup.tag("1").unwrap(), digest);
}

#[test]
fn names_that_moved_are_printed_although_another_failed() {
    let setup = Setup::new();
    let old = setup.push(&setup.registry.host(), &["--tag", "2"]).succeeded().digest();
    setup.change("def handler(event, context): return 2");
    let proxy = damage_first(&setup, "PUT /v2/function/manifests/2", ATTEMPTS);
    let done = setup.push(&proxy.host(), &["--tag", "2", "--json"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    let digest = done.digest();
    assert_eq!((setup.tag("1").unwrap(), setup.tag("2").unwrap()), (digest.clone().into(), old.into()));
    let lines: Vec<Value> = done.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let published: Vec<_> = lines.iter().filter(|line| line["reason"] == "published").collect();
    assert_eq!(published.len(), 1, "{}", done.stderr);
    assert_eq!(published[0]["names"], serde_json::json!([format!("{}/function:1", proxy.host())]));
    let error = lines.last().unwrap();
    assert!(
        error["reason"] == "error" && error["message"].as_str().unwrap().contains("function:2"),
        "{error}"
    );
}

#[test]
fn a_destination_that_refuses_the_manifest_does_not_hide_the_other() {
    let (setup, other) = (Setup::new(), Registry::start(Mode::Plain));
    let proxy = setup.proxy(|_, line| match line.starts_with(MANIFEST) {
        true => Tamper::Answer(403),
        false => Tamper::Nothing,
    });
    let to = format!("{}/function:1", other.host());
    let done = setup.push(&proxy.host(), &["--to", &to]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("error: cannot put the manifest of"), "{}", done.stderr);
    assert_eq!(done.digests().len(), 1, "{}", done.stdout);
    assert_eq!(done.digests()[0].0, format!("{}/function", other.host()));
    let location = ImageLocation::registry(&other, "function:1");
    assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], done.digest());
    assert!(setup.tag("1").is_none());
}

#[test]
fn no_tag_moves_when_a_destination_lacks_a_blob() {
    let (setup, other) = (Setup::new(), Registry::start(Mode::Plain));
    let proxy = setup.proxy(|_, line| match line.starts_with(BLOB) {
        true => Tamper::Answer(403),
        false => Tamper::Nothing,
    });
    let to = format!("{}/function:1", other.host());
    setup.push(&proxy.host(), &["--to", &to]).failed(6);
    let location = ImageLocation::registry(&other, "function:1");
    image_tools::skopeo_inspect(&location).unwrap_err();
}

#[test]
fn a_registry_that_does_not_report_a_digest_is_asked_for_it() {
    let setup = Setup::new();
    let proxy = setup.proxy(|_, line| match line.starts_with("PUT ") {
        true => Tamper::HideDigest,
        false => Tamper::Nothing,
    });
    let digest = setup.push(&proxy.host(), &[]).succeeded().digest();
    assert_eq!(setup.tag("1").unwrap(), digest);
    assert_eq!(proxy.count("HEAD /v2/function/manifests/1"), 1);
    // Without the header in that answer, the manifest is read.
    setup.change("def handler(event, context): return 2");
    let proxy = setup.proxy(|_, _| Tamper::HideDigest);
    let digest = setup.push(&proxy.host(), &[]).succeeded().digest();
    assert_eq!(setup.tag("1").unwrap(), digest);
    assert_eq!(proxy.count("GET /v2/function/manifests/1"), 2, "before and after the push");
}

#[test]
fn a_manifest_that_was_accepted_but_not_stored_is_put_again() {
    for tag in ["1", "2"] {
        let (setup, once) = (Setup::new(), AtomicBool::new(false));
        setup.push(&setup.registry.host(), &[]).succeeded();
        setup.change(tag);
        let proxy = setup.proxy(move |_, line| {
            let lies = line.starts_with(MANIFEST) && !once.swap(true, Ordering::SeqCst);
            if lies { Tamper::Lie } else { Tamper::Nothing }
        });
        let more: &[&str] = if tag == "1" { &[] } else { &["--tag", "2"] };
        let done = setup.push(&proxy.host(), more).succeeded();
        assert!(done.stderr.contains("retry "), "{}", done.stderr);
        assert_eq!(setup.tag(tag).unwrap(), done.digest());
    }
}

#[test]
fn a_tag_that_is_damaged_while_it_is_read_is_read_again() {
    let (setup, once) = (Setup::new(), AtomicBool::new(false));
    let digest = setup.push(&setup.registry.host(), &[]).succeeded().digest();
    let proxy = setup.proxy(move |_, line| {
        let first = line.starts_with("GET /v2/function/manifests/1") && !once.swap(true, Ordering::SeqCst);
        if first { Tamper::DamageAnswer(100) } else { Tamper::Nothing }
    });
    let done = setup.push(&proxy.host(), &[]).succeeded();
    assert_eq!((done.digest(), proxy.count("PUT ")), (digest, 0), "it is unchanged: {}", done.stderr);
    assert!(done.stderr.contains("retry ") && done.stderr.contains("is corrupt"), "{}", done.stderr);
}
