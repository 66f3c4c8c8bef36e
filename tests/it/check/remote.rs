//! The check of images and bases in registries: what is fetched, and that the findings do not depend on it.

use super::verdict::{
    ARM64, Findings, KEY, TestBase, command, library, of_check, of_push, test_bases, without_notes,
};
use super::{code, runtime, settings};
use crate::support::bases;
use crate::support::image_builder::{self, Layer, Tar, image};
use crate::support::lbuild::{Lbuild, function};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

/// Stores an image of a layout in a registry.
fn seeded(registry: &Registry, dir: &Lbuild, name: &str) -> String {
    bases::seed(registry, &dir.path(name), image_builder::TAG, name, "1");
    format!("{}/{name}:1", registry.host())
}

/// The number of times that each layer was fetched. A push also reads the first bytes of a layer that it does not send,
/// which show the compression.
fn fetched(log: &[AccessLogEntry], dir: &Lbuild, name: &str) -> Vec<usize> {
    let manifest = bases::named(&dir.path(name), image_builder::TAG);
    let manifest = bases::read(&bases::blob(&dir.path(name), manifest["digest"].as_str().unwrap()));
    let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
    let count = |digest: &str| {
        let is_get = |access: &&AccessLogEntry| {
            access.method == "GET" && access.path.ends_with(digest) && access.bytes_sent > 4
        };
        log.iter().filter(is_get).count()
    };
    layers.map(count).collect()
}

fn app() -> TempDir {
    function(&[("app.py", "def handler(e, c): return e\n")])
}

#[test]
fn a_wrong_size_is_a_finding_each_time_and_fetched_once() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let wrong = |name: &str, pointer: &str, by: i64| {
        image(&dir.path(name), &[Layer::gzip(runtime()), Layer::gzip(code())], |config, manifest| {
            settings(config);
            let size = manifest.pointer_mut(pointer).unwrap();
            *size = json!(size.as_i64().unwrap() + by);
        })
    };
    for (name, pointer, by, field) in [
        ("longer", "/layers/0/size", 1, "layers[0].size"),
        ("shorter", "/layers/1/size", -1, "layers[1].size"),
        ("tiny", "/layers/1/size", -100, "layers[1].size"),
    ] {
        let local = wrong(name, pointer, by);
        let remote = seeded(&registry, &dir, name);
        let (user, mark) = (Lbuild::new(), registry.mark());
        for (state, user, image) in [
            ("cold", &user, &remote),
            ("warm", &user, &remote),
            ("local", &Lbuild::new(), &local),
            ("both", &user, &local),
        ] {
            let report = user.run(&["check", image, "--json"]);
            assert_eq!(report.code, Some(8), "{}{}", report.stdout, report.stderr);
            let report: Value = serde_json::from_str(&report.stdout).unwrap();
            let fields: Vec<&Value> =
                report["findings"].as_array().unwrap().iter().map(|found| &found["field"]).collect();
            assert_eq!(fields, [field], "{name}, {state}: {report:#}");
        }
        assert_eq!(fetched(&registry.log_since(mark), &dir, name), [1, 1], "{name}");
    }
}

/// `image` replaces the size of the config, so this manifest is written afterwards.
#[test]
fn a_wrong_size_of_the_config_is_a_finding_and_a_warning_about_a_base() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let layout = dir.path("config");
    image(&layout, &[Layer::gzip(runtime()), Layer::gzip(code())], |config, _| settings(config));
    let entry = bases::named(&layout, image_builder::TAG);
    let mut manifest = bases::read(&bases::blob(&layout, entry["digest"].as_str().unwrap()));
    let size = manifest["config"]["size"].as_u64().unwrap();
    manifest["config"]["size"] = json!(size + 1);
    let local = image_builder::stored(&layout, manifest.to_string().as_bytes());
    let (remote, code, user) = (seeded(&registry, &dir, "config"), app(), Lbuild::new());
    for (user, image) in [(&user, &remote), (&user, &remote), (&Lbuild::new(), &local), (&user, &local)] {
        let report = user.run(&["check", image, "--json"]);
        let found = of_check(&report);
        let expected = format!("the config has {size} bytes, but the manifest gives the size {}", size + 1);
        assert!(found.len() == 1 && found.first().unwrap().contains(&expected), "{found:?}");
        let push = user.run(&command("push", code.path().to_str().unwrap(), image, "oci:out:v1"));
        assert_eq!(push.code, Some(0), "the image has a config of its own: {}", push.stderr);
        let warning = format!("has {size} bytes, but its manifest gives the size {}", size + 1);
        assert!(push.stderr.contains(&warning), "{}", push.stderr);
    }
    let digest = manifest["config"]["digest"].as_str().unwrap();
    let log = registry.log();
    let gets = log.iter().filter(|access| access.method == "GET" && access.path.ends_with(digest)).count();
    assert_eq!(gets, 1, "{log:?}");
}

fn is_unreadable(found: &Findings) -> bool {
    found.iter().any(|finding| finding.contains("layer-content") && finding.contains("cannot read the layer"))
}

/// Digest and size are right, but the bytes are not those of a layer.
#[test]
fn an_unreadable_layer_is_the_same_finding_each_way() {
    let (dir, from, to) = (Lbuild::new(), Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    let (whole, code) = (Layer::gzip(code()), app());
    let cut = whole.stored[..whole.stored.len() - 20].to_vec();
    let garbage = image_builder::gzip(&[b'x'; 2000]);
    let path = code.path().to_str().unwrap();
    for (name, stored) in [("cut", cut), ("garbage", garbage)] {
        let layer = Layer { stored, media_type: image_builder::GZIP, diff_id: whole.diff_id.clone() };
        let local = image(&dir.path(name), &[layer], |config, _| settings(config));
        let (remote, user) = (seeded(&from, &dir, name), Lbuild::new());
        for (number, image) in [&local, &remote].into_iter().enumerate() {
            // The second push of the same user finds the layer at the destination.
            for (fresh, user) in [(true, &Lbuild::new()), (false, &user), (false, &user)] {
                let elsewhere = format!("{}/{name}-{number}-{fresh}:1", to.host());
                let found = of_check(&user.run(&["check", image, "--json"]));
                assert!(is_unreadable(&found), "{found:?}");
                for (verb, to) in [("check", "oci:out:v1"), ("push", "oci:out:v1"), ("push", &elsewhere)] {
                    let done = user.run(&command(verb, path, image, to));
                    let found = if verb == "check" { of_check(&done) } else { of_push(&done) };
                    assert!(done.code == Some(8) && is_unreadable(&found), "{verb}: {found:?}");
                }
            }
        }
    }
}

/// What is wrong with a layer, and the other finding about the image, which the fault must not hide.
#[track_caller]
fn assert_found(found: &Findings, fault: &str, other: &str) {
    let has = |text: &str| found.iter().any(|finding| finding.contains(text));
    assert!(has(fault) && has(other), "no {fault:?} or {other:?} in {found:?}");
}

/// The cache has the scan of the layer and knows its file, but the image no longer has the layer: a finding with the
/// rest. The damaged file has its size and the time of its last change.
#[test]
fn a_layer_that_a_layout_has_lost_is_a_finding_also_with_a_warm_cache() {
    let (dir, warm, app) = (Lbuild::new(), Lbuild::new(), app());
    let whole = Layer::gzip(code());
    let digest = image_builder::hex(&whole.stored);
    let local = image(&dir.path("lost"), &[Layer::gzip(runtime()), whole], |config, _| {
        settings(config);
        config["config"]["User"] = json!("nobody");
    });
    let path = app.path().to_str().unwrap();
    let push = [command("push", path, &local, "oci:out:v1"), vec!["--dry-run"]].concat();
    // Nothing is stored about a file that was written just now.
    std::thread::sleep(Duration::from_millis(150));
    warm.ok(&["check", &local]);
    warm.run(&push);
    let file = bases::blob(&dir.path("lost"), &format!("sha256:{digest}"));
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let flipped: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 40)).collect();
    for (damaged, fault) in [
        (Some([&bytes[..], &[0]].concat()), "the layer is damaged"),
        (Some(flipped), "the layer is damaged"),
        (None, "the layer is missing"),
    ] {
        match damaged {
            None => std::fs::remove_file(&file).unwrap(),
            Some(bytes) => {
                std::fs::write(&file, bytes).unwrap();
                std::fs::File::open(&file).unwrap().set_modified(written).unwrap();
            }
        }
        for user in [&Lbuild::new(), &warm] {
            assert_found(&of_check(&user.run(&["check", &local, "--json"])), fault, "user-set");
            let built = command("check", path, &local, "oci:out:v1");
            assert_found(&of_check(&user.run(&built)), fault, "user-set");
            assert_found(&of_push(&user.run(&push)), fault, "user-set");
        }
    }
}

#[test]
fn a_layer_that_a_registry_has_lost_is_a_finding_also_with_a_warm_cache() {
    let (dir, registry, warm) = (Lbuild::new(), Registry::start(Mode::Plain), Lbuild::new());
    let whole = Layer::gzip(code());
    let digest = image_builder::hex(&whole.stored);
    image(&dir.path("lost"), &[Layer::gzip(runtime()), whole], |config, _| {
        settings(config);
        config["config"]["User"] = json!("nobody");
    });
    let remote = seeded(&registry, &dir, "lost");
    warm.ok(&["check", &remote]);
    let blobs = registry.storage().join("docker/registry/v2/blobs/sha256");
    std::fs::remove_file(blobs.join(&digest[..2]).join(&digest).join("data")).unwrap();
    for user in [&Lbuild::new(), &warm] {
        let found = of_check(&user.run(&["check", &remote, "--json"]));
        assert_found(&found, "the layer is missing", "user-set");
    }
}

#[test]
fn a_base_of_a_wrong_size_is_sent_once_and_refused() {
    let (dir, from, to) = (Lbuild::new(), Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    test_bases(&dir);
    let (base, code) = (seeded(&from, &dir, "layer-size"), app());
    let to = format!("{}/function:1", to.host());
    let mut push = command("push", code.path().to_str().unwrap(), &base, &to);
    push.push("--no-check");
    let said = Lbuild::new().run(&push).failed(4);
    assert!(said.contains("bytes, but its descriptor gives the size"), "{said}");
    assert_eq!(fetched(&from.log(), &dir, "layer-size")[0], 1);
}

/// Each base is read once, whether the layers pass through lbuild or not.
#[test]
fn a_base_in_a_registry_has_the_findings_of_a_local_base() {
    let (dir, from, to) = (Lbuild::new(), Registry::start(Mode::Plain), Registry::start(Mode::Plain));
    let code = app();
    let path = code.path().to_str().unwrap();
    for TestBase { name, image, sends } in test_bases(&dir) {
        let expected = of_check(&Lbuild::new().run(&command("check", path, &image, "r.example/f:1")));
        let base = seeded(&from, &dir, name);
        let mark = from.mark();
        let user = Lbuild::new();
        let check = command("check", path, &base, "r.example/f:1");
        assert_eq!(of_check(&user.run(&check)), expected, "check on {name}");
        assert_eq!(of_check(&user.run(&check)), expected, "check on {name}, again");
        let elsewhere = format!("{}/{name}:1", to.host());
        let mut push = command("push", path, &base, &elsewhere);
        push.push("--dry-run");
        assert_eq!(of_push(&user.run(&push)), without_notes(&expected), "dry run on {name}, warm");
        let log = from.log_since(mark);
        assert!(fetched(&log, &dir, name).iter().all(|gets| *gets <= 1), "{name}: {log:?}");
        assert_eq!(of_push(&Lbuild::new().run(&push)), without_notes(&expected), "dry run on {name}, cold");
        if !sends {
            continue;
        }
        // The layers pass through lbuild, and are fetched once for both purposes.
        push.pop();
        let (mark, user) = (from.mark(), Lbuild::new());
        assert_eq!(of_push(&user.run(&push)), without_notes(&expected), "push on {name}");
        let log = from.log_since(mark);
        assert!(fetched(&log, &dir, name).iter().all(|gets| *gets <= 1), "{name}: {log:?}");
    }
}

#[test]
fn a_base_that_is_not_sent_is_read_only_if_a_finding_depends_on_it() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    test_bases(&dir);
    let to = format!("{}/function:1", registry.host());
    let missing = function(&[("other.py", "")]);
    let native = function(&[
        ("app.py", b"def handler(e, c): return e\n".to_vec()),
        ("bootstrap*", b"#!/bin/false\n".to_vec()),
    ]);
    for (name, code, rule, is_read) in [
        ("good", app(), None, false),
        // The runtime is not known without the base.
        ("handler", app(), None, false),
        ("good", missing, Some("python-handler"), true),
        ("good", native, None, false),
    ] {
        let base = seeded(&registry, &dir, name);
        let (path, mark) = (code.path().to_str().unwrap(), registry.mark());
        let done = Lbuild::new().run(&command("push", path, &base, &to));
        let found = of_push(&done);
        assert_eq!(
            found.iter().any(|found| rule.is_some_and(|rule| found.contains(rule))),
            rule.is_some(),
            "{found:?}"
        );
        assert_eq!(done.code, Some(if rule.is_some() { 8 } else { 0 }), "{}", done.stderr);
        let read = fetched(&registry.log_since(mark), &dir, name);
        assert_eq!(read.iter().any(|gets| *gets > 0), is_read, "{name}: {read:?}");
    }
    // The base has the function.
    let (base, empty, mark) =
        (seeded(&registry, &dir, "handler"), function(&[("readme", "")]), registry.mark());
    let done = Lbuild::new().run(&command("push", empty.path().to_str().unwrap(), &base, &to));
    assert_eq!((of_push(&done).len(), done.code), (0, Some(0)), "{}", done.stderr);
    assert!(fetched(&registry.log_since(mark), &dir, "handler").iter().all(|gets| *gets == 1));
}

/// The path of the file depends on a link of the base, and the layer is found in the earlier image.
#[test]
fn a_layer_behind_a_link_of_the_base_is_checked_on_a_fresh_machine() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let linked = Tar::new().directory("usr/").directory("usr/bin/").symlink("tools", "usr/bin");
    image(&dir.path("linked"), &[Layer::gzip(runtime()), Layer::gzip(linked)], |config, _| settings(config));
    let (base, to) = (seeded(&registry, &dir, "linked"), format!("{}/function:1", registry.host()));
    let (code, tool) = (app(), function(&[("tool*", library(ARM64)), ("home/.aws/credentials", KEY.into())]));
    let path = code.path().to_str().unwrap();
    let small = format!("{}:/tools/tool", tool.path().join("tool").display());
    let secret = format!("{}:/tools/home/", tool.path().join("home").display());
    let mut push = command("push", path, &base, &to);
    push.extend(["--add", &small, "--add", &secret]);
    let mut forced = push.clone();
    forced.push("--no-check");
    Lbuild::new().ok(&forced);
    let mut check = command("check", path, &base, &to);
    check.extend(["--add", &small, "--add", &secret]);
    let expected = without_notes(&of_check(&Lbuild::new().run(&check)));
    assert!(expected.iter().any(|found| found.contains("usr/bin/tool")), "{expected:?}");
    assert_eq!(of_push(&Lbuild::new().run(&push)), expected);
}
