//! The Debian image of the tests: its package managers work with the settings of this machine.

use crate::support::buildah::{Buildah, Driver};
use crate::support::lbuild::function;
use crate::support::root_tree::RootTree;
use crate::support::{debian, lbuild};
use std::fs;

/// A package of each kind, downloaded by the package managers in the image.
const INSTALLS: &str = "COPY settings/ /
RUN apt-get -qq update && apt-get -qq install --yes --no-install-recommends jq >/dev/null && rm -rf /var/lib/apt/lists/*
RUN pip install --quiet --break-system-packages --root-user-action=ignore --no-cache-dir idna==3.10
WORKDIR /srv/app
RUN npm install --silent left-pad@1.3.0 && rm -rf /root/.npm
RUN echo '[1]' | jq -c . >/srv/said && python3 -c 'print(__import__(\"idna\").__version__)' >>/srv/said && \\
    node -p 'require(\"left-pad\")(7, 3)' >>/srv/said
";

#[test]
fn package_managers_of_the_image_reach_the_package_sources_of_this_machine() {
    let context = function(&[("Dockerfile", format!("FROM localhost/debian\n{INSTALLS}"))]);
    debian::write_settings(&context.path().join("settings"));
    let buildah = Buildah::new(Driver::Overlay);
    buildah.add("localhost/debian", &debian::layout(), debian::TAG);
    let out = tempfile::tempdir().unwrap();
    let file = context.path().join("Dockerfile");
    let to = format!("{}:theirs", out.path().display());
    buildah.build(context.path(), &file, &to, &["--disable-compression"]).unwrap();
    let tree = RootTree::of(out.path(), "theirs", debian::ARCHITECTURE, Some((debian::tree(), 1)));
    assert_eq!(tree.line("srv/said").unwrap(), r#"0644 0:0 file "[1]\n3.10\n  7\n""#);
    assert!(tree.line("usr/bin/jq").unwrap().starts_with("0755 0:0 file"));
}

/// The image names no package source, and has nothing of this machine.
#[test]
fn the_image_has_nothing_of_this_machine() {
    let (_, config) = lbuild::image_of(&debian::layout(), debian::TAG, debian::ARCHITECTURE);
    assert_eq!(config["architecture"], debian::ARCHITECTURE);
    let lines = debian::tree().lines();
    assert!(lines.len() > 5000, "{} files", lines.len());
    for path in
        ["etc/resolv.conf", "etc/hostname", "etc/apt/sources.list.d/host.list", "etc/pip.conf", "dev/null"]
    {
        assert_eq!(lines.get(path), None, "{path}");
    }
    let sources: Vec<_> = lines.keys().filter(|path| path.starts_with("etc/apt/sources.list")).collect();
    assert!(sources.is_empty(), "{sources:?}");
    for (path, line) in [
        ("usr/bin/perl", "0755 0:0 file"),
        ("usr/bin/passwd", "4755 0:0 file"),
        ("etc/shadow", "0640 0:42 file"),
        ("tmp", "1777 0:0 directory"),
        ("bin", "0:0 -> usr/bin"),
        ("usr/bin/npm", "0:0 -> ../lib/node_modules/npm/bin/npm-cli.js"),
    ] {
        let found = lines.get(path).unwrap_or_else(|| panic!("no {path}"));
        assert!(found.starts_with(line), "{path}: {found}");
    }
    assert!(lines["usr/bin/perl5.36.0"].ends_with(" = usr/bin/perl"), "hard links are kept");
    let settings = tempfile::tempdir().unwrap();
    debian::write_settings(settings.path());
    let list = fs::read_to_string(settings.path().join("etc/apt/sources.list.d/host.list")).unwrap();
    assert!(list.starts_with("deb "), "{list}");
}
