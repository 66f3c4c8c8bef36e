//! Layers of Node packages: what is asked for and sent when little or nothing has changed.

use super::node::{PACKAGE, arguments, lock, packages};
use crate::support::bases;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, files, function, noise};
use crate::support::npm_registry::{NpmPackage, NpmRegistry};
use crate::support::registry::{Mode, Registry};
use serde_json::{Value, json};
use std::fs;

/// A project of many packages, of which one is of this version.
fn many(upgraded: &str) -> (NpmRegistry, String, String) {
    let name = |number: u64| format!("p{number}");
    let mut all: Vec<NpmPackage> = (0..60)
        .map(|number| {
            let version = if number == 7 { upgraded } else { "1.0.0" };
            let content = noise(number, 200_000);
            NpmPackage::new(&name(number), version, &json!({}), &[("data", &content)])
        })
        .collect();
    all.push(NpmPackage::new("large", "1.0.0", &json!({}), &[("data", &noise(99, 6 << 20))]));
    let mut wanted: serde_json::Map<String, Value> =
        (0..60).map(|number| (name(number), json!("*"))).collect();
    wanted.insert("large".to_owned(), json!("*"));
    let package = json!({ "name": "f", "version": "1.0.0", "dependencies": wanted }).to_string();
    let registry = NpmRegistry::of(all);
    let lock = lock(&registry, &package);
    (registry, package, lock)
}

/// One upgraded package sends its own group of small packages, from a machine with an empty cache; without a change
/// nothing is asked for, by `--npm` and by `npm ci` alike.
#[test]
fn an_upgraded_package_moves_alone() {
    for is_dockerfile in [false, true] {
        let registry = Registry::start(Mode::Plain);
        let from = format!("oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG);
        image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
        let stored = || files(&registry.storage()).values().map(|bytes| bytes.len() as u64).sum::<u64>();
        let dockerfile = "FROM base\nCOPY package*.json ./\nRUN npm ci\nCOPY index.js ./\n";
        let push = |npm: &NpmRegistry, package: &str, lock: &str| {
            let mut own =
                vec![("package.json", package), ("package-lock.json", lock), ("index.js", "exports.a = 1\n")];
            own.extend(is_dockerfile.then_some(("Dockerfile", dockerfile)));
            let (context, lbuild) = (function(&own), npm.user());
            let image = format!("{}/base:1", registry.host());
            let (base, to) = (format!("base=docker-image://{image}"), format!("{}/f:1", registry.host()));
            let path = context.path().to_str().unwrap();
            let mut all = vec!["push", path, "--arch", "amd64", "--to", &to, "--no-check"];
            match is_dockerfile {
                true => all.extend(["--build-context", &base]),
                false => all.extend(["--base", &image, "--npm", "--handler", "index.a"]),
            }
            let before = stored();
            npm.asked();
            let done = lbuild.ok(&all);
            (done, npm.asked().len(), stored() - before)
        };
        let (npm, package, lock) = many("1.0.0");
        let (first, asked, sent) = push(&npm, &package, &lock);
        assert!(asked > 60 && sent > 18_000_000, "{asked} {sent}");
        let mark = registry.mark();
        let (again, asked, sent) = push(&npm, &package, &lock);
        assert_eq!((again.digest(), asked), (first.digest(), 0));
        assert!(sent < 20_000, "{sent}");
        let log = registry.log_since(mark);
        assert!(!log.iter().any(|entry| entry.is_blob_upload()), "{log:?}");
        let read: u64 = log.iter().map(|entry| entry.bytes_sent).sum();
        assert!(read < 100_000, "{read}");

        let mark = registry.mark();
        let (npm, package, lock) = many("1.0.1");
        let (_, asked, sent) = push(&npm, &package, &lock);
        assert!(asked > 0 && (200_000..5_000_000).contains(&sent), "{asked} {sent}");
        let uploads = registry
            .log_since(mark)
            .into_iter()
            .filter(|entry| entry.method == "PUT" && entry.path.contains("/blobs/uploads/"));
        // The group, npm's list with the links of programs, the lock (in the code, or a COPY), and the config.
        assert!(uploads.count() <= 4, "{:?}", registry.log_since(mark));
    }
}

/// A machine without npm finds the layers by the line and what is below it.
#[test]
fn an_unchanged_line_needs_no_npm() {
    let registry = Registry::start(Mode::Plain);
    let npm = NpmRegistry::of(packages());
    let lock = lock(&npm, PACKAGE);
    let text = "FROM base\nCOPY package*.json ./\nRUN npm ci\nCOPY index.js ./\n";
    let own =
        [("Dockerfile", text), ("package.json", PACKAGE), ("package-lock.json", &*lock), ("index.js", "1")];
    let context = function(&own);
    let base = format!("base=oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG);
    let to = format!("{}/f:1", registry.host());
    let push_to = |to: &str, lbuild: &Lbuild| {
        let mut all = arguments(&context, "amd64", &base, to);
        all[0] = "push";
        lbuild.ok(&all)
    };
    let push = |lbuild: &Lbuild| push_to(&to, lbuild);
    let first = push(&npm.user());
    let mut none = Lbuild::new();
    none.set("PATH", "/nonexistent");
    assert_eq!(push(&none).digest(), first.digest());
    fs::write(context.path().join("index.js"), "2").unwrap();
    let changed = push(&none);
    assert!(changed.digest() != first.digest() && changed.layer_counts().0 == 1, "{}", changed.stderr);
    // The same lock above other files: npm does not run again on this machine.
    let (user, new) = (npm.user(), format!("{}/f:2", registry.host()));
    push_to(&new, &user);
    assert!(!npm.asked().is_empty());
    fs::write(context.path().join("Dockerfile"), text.replace("COPY package", "COPY index.js package"))
        .unwrap();
    push_to(&new, &user);
    assert!(npm.asked().is_empty());
}
