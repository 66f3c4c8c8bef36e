//! Recipes of several stages, and files taken from other images.

use crate::support::image_builder::{Layer, PLAIN, TAG, Tar, image};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function};
use crate::support::registry::{Mode, Registry};
use lbuild::error::Error;
use lbuild::image::{Arch, Format, Platform};
use lbuild::recipe::{Add, Base, ImageFiles, Recipe, Source, Stage, Step};
use lbuild::{Destination, Engine, Published};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tar::EntryType;

fn add(source: Source, to: &str) -> Step {
    Step::Add(Add { source, to: Some(to.to_owned()) })
}

fn files(image: Base, path: &str) -> Source {
    Source::Image(ImageFiles { image, path: path.to_owned() })
}

fn directory(path: &Path) -> Source {
    Source::Directory { path: path.to_owned(), ignore: false, without: Vec::new() }
}

fn stage(base: Base, steps: Vec<Step>) -> Stage {
    Stage { name: None, base, platform: None, finished: false, steps }
}

/// Builds the stages into the layout `out`.
fn build(lbuild: &Lbuild, stages: Vec<Stage>) -> Result<Published, Error> {
    let recipe = Recipe { stages, ..Recipe::new(Platform::linux(Arch::Amd64), Base::Scratch, Vec::new()) };
    let engine = Engine::builder().cache(lbuild.cache()).build().unwrap();
    let to = Destination::Layout { path: lbuild.path("out"), tags: vec!["v1".to_owned()] };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut published = runtime.block_on(engine.push(&recipe, &[(to, Format::Oci)]))?;
    Ok(published.remove(0))
}

fn unpacked(lbuild: &Lbuild) -> image_tools::Unpacked {
    image_tools::umoci_unpack(&ImageLocation::layout(&lbuild.path("out"), "v1")).unwrap()
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An image with entries of every kind, in three layers.
fn other(lbuild: &Lbuild) -> Base {
    let below = Tar::new()
        .directory("opt/")
        .directory("opt/tool/")
        .file("opt/tool/run", 0o4755, "run")
        .file("opt/tool/old", 0o644, "old")
        .file("opt/tool/gone", 0o644, "gone")
        .symlink("opt/tool/link", "run")
        .member("opt/tool/second", EntryType::Link, 0o4755, b"", "opt/tool/run")
        .symlink("current", "opt/tool");
    let middle = Tar::new().file("opt/tool/.wh.gone", 0, "").file("opt/tool/old", 0o600, "new");
    let above = Tar::new().file("etc/unrelated", 0o644, "unrelated");
    let middle = middle.bytes();
    let plain = Layer::of(middle.clone(), PLAIN, &middle);
    image(&lbuild.path("other"), &[Layer::gzip(below), plain, Layer::gzip(above)], |_, _| ());
    Base::Layout { path: lbuild.path("other"), tag: Some(TAG.to_owned()), digest: None }
}

#[test]
fn files_of_an_image_keep_their_kinds_and_modes() {
    let lbuild = Lbuild::new();
    let other = other(&lbuild);
    let steps = vec![
        add(files(other.clone(), "/current"), "/usr/tool"),
        add(files(other.clone(), "/opt/tool/run"), "/bin/renamed"),
        add(files(other, "/opt/tool/second"), "/bin/"),
    ];
    build(&lbuild, vec![stage(Base::Scratch, steps)]).unwrap();
    let image = unpacked(&lbuild);
    let root = image.rootfs();
    for (path, content) in [
        ("usr/tool/run", "run"),
        ("usr/tool/second", "run"),
        ("usr/tool/old", "new"),
        ("bin/renamed", "run"),
        ("bin/second", "run"),
    ] {
        assert_eq!(read(&root, path), content, "{path}");
    }
    let found = |path: &str| fs::symlink_metadata(root.join(path));
    assert!(found("usr/tool/gone").is_err(), "it was deleted");
    assert_eq!(fs::read_link(root.join("usr/tool/link")).unwrap(), Path::new("run"));
    let (run, second) = (found("usr/tool/run").unwrap(), found("usr/tool/second").unwrap());
    assert_eq!(run.ino(), second.ino(), "a hard link stays a hard link");
    assert_eq!(run.mode() & 0o7777, 0o4755);
    assert_eq!(found("usr/tool/old").unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_stage_can_use_an_earlier_one_and_unneeded_stages_are_not_built() {
    let lbuild = Lbuild::new();
    let (first, second) = (function(&[("made/a", "a")]), function(&[("b", "b")]));
    let stages = vec![
        stage(Base::Scratch, vec![add(directory(first.path()), "/build")]),
        // No other stage needs it, so its base is not fetched.
        stage("127.0.0.1:1/missing:latest".parse().unwrap(), Vec::new()),
        stage(Base::Stage(0), vec![add(directory(second.path()), "/more")]),
        stage(
            Base::Scratch,
            vec![
                add(files(Base::Stage(2), "/build/made"), "/var/task"),
                add(files(Base::Stage(2), "/more/b"), "/var/task/"),
            ],
        ),
    ];
    let published = build(&lbuild, stages.clone()).unwrap();
    let image = unpacked(&lbuild);
    assert_eq!(
        (read(&image.rootfs(), "var/task/a"), read(&image.rootfs(), "var/task/b")),
        ("a".into(), "b".into())
    );
    assert!(!image.rootfs().join("build").exists());
    // The digest is the same with an empty cache and with a full one.
    let fresh = Lbuild::new();
    assert_eq!(build(&fresh, stages.clone()).unwrap().digest, published.digest);
    assert_eq!(build(&lbuild, stages).unwrap().digest, published.digest);
}

#[test]
fn files_of_an_image_in_a_registry_are_read_once() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    other(&lbuild);
    let layout = format!("oci:{}:{TAG}", lbuild.path("other").display());
    image_tools::skopeo_push(&layout, &ImageLocation::registry(&registry, "other:1")).unwrap();
    let name: Base = format!("{}/other:1", registry.host()).parse().unwrap();
    let stages = vec![stage(Base::Scratch, vec![add(files(name, "/opt"), "/opt")])];
    build(&lbuild, stages.clone()).unwrap();
    assert_eq!(read(&unpacked(&lbuild).rootfs(), "opt/tool/old"), "new");
    let mark = registry.mark();
    build(&lbuild, stages).unwrap();
    let log = registry.log_since(mark);
    assert!(log.iter().all(|access| !access.path.contains("/blobs/")), "{log:?}");
}

#[test]
fn paths_and_stages_that_do_not_exist_are_named() {
    let lbuild = Lbuild::new();
    let missing = stage(Base::Scratch, vec![add(files(other(&lbuild), "/opt/none"), "/opt")]);
    let error = build(&lbuild, vec![missing]).unwrap_err();
    assert!(matches!(&error, Error::NoSuchPath { path, .. } if path == "/opt/none"), "{error}");
    let later = stage(Base::Scratch, vec![add(files(Base::Stage(0), "/opt"), "/opt")]);
    let error = build(&lbuild, vec![later]).unwrap_err();
    assert!(matches!(error, Error::Recipe { stage: 0, step: 0, .. }), "{error}");
    let relative = stage(Base::Scratch, vec![add(files(other(&lbuild), "opt"), "/opt")]);
    assert!(matches!(build(&lbuild, vec![relative]).unwrap_err(), Error::Recipe { .. }));
}
