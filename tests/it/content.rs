//! The files and the config that each flag puts into an image.

use crate::support::lbuild::{Lbuild, function, image_of};
use crate::support::{bases, layers, testdata};
use serde_json::{Value, json};
use std::path::Path;

/// The config of a layout that `Lbuild::layout` built.
fn config(layout: &Path) -> Value {
    image_of(layout, "it", "arm64").1
}

/// The files of each layer above the two of the committed base.
fn added(layout: &Path) -> Vec<Vec<(String, String)>> {
    layers::blobs(layout, "it", "arm64")[2..].iter().map(|blob| layers::files(blob)).collect()
}

fn file(path: &str, content: &str) -> (String, String) {
    (path.to_owned(), content.to_owned())
}

#[test]
fn dependencies_are_below_the_code_and_additions_are_above_it() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", "code"), ("lib/a.py", "a")]);
    let deps = function(&[("boto/__init__.py", "dep")]);
    let tools = function(&[("run*", "tool"), (".git/HEAD", "never packed")]);
    let one = function(&[("settings.json", "{}")]);
    let (deps, tools, one) = (deps.path().display(), tools.path().display(), one.path().display());
    let layout = lbuild.layout(
        "image",
        code.path(),
        &[
            &["--deps", &deps.to_string()][..],
            &["--deps", &format!("{tools}:/opt/tools")],
            &["--add", &format!("{one}/settings.json:/etc/settings.json")],
            &["--add", &format!("{one}/settings.json:/etc/conf.d/")],
            &["--add", &format!("{one}:/srv")],
        ]
        .concat(),
    );
    assert_eq!(
        added(&layout),
        [
            vec![file("var/task/boto/__init__.py", "dep")],
            vec![file("opt/tools/run", "tool")],
            vec![file("var/task/app.py", "code"), file("var/task/lib/a.py", "a")],
            vec![file("etc/settings.json", "{}")],
            vec![file("etc/conf.d/settings.json", "{}")],
            vec![file("srv/settings.json", "{}")],
        ]
    );
    let history = config(&layout)["history"].as_array().unwrap().clone();
    let made: Vec<_> = history.iter().filter_map(|entry| entry["created_by"].as_str()).collect();
    assert_eq!(
        made[made.len() - 6..][..3],
        ["lbuild: files in /var/task", "lbuild: files in /opt/tools", "lbuild: files in /var/task"]
    );
}

#[test]
fn an_addition_needs_a_target() {
    let code = function(&[("app.py", "code")]);
    let code = code.path().to_str().unwrap();
    let all = ["build", code, "--base", "scratch", "--arch", "arm64", "--add", code];
    let error = Lbuild::new().run(&all).failed(2);
    assert!(error.contains("SRC:/PATH"), "{error}");
}

#[test]
fn ignored_files_are_left_out() {
    let lbuild = Lbuild::new();
    let code = function(&[
        (".lambdaignore", "**/*.pyc\ntests\n!tests/keep.py\n"),
        (".dockerignore", "app.py"),
        (".git/HEAD", "x"),
        ("lbuild.toml", ""),
        ("app.py", "code"),
        ("pkg/a.pyc", "x"),
        ("tests/drop.py", "x"),
        ("tests/keep.py", "kept"),
    ]);
    let layout = lbuild.layout("image", code.path(), &[]);
    let expected = vec![file("var/task/app.py", "code"), file("var/task/tests/keep.py", "kept")];
    assert_eq!(added(&layout), [expected]);
}

#[test]
fn every_config_flag_sets_its_field() {
    let (lbuild, code) = (Lbuild::new(), function(&[("app.py", "code")]));
    let layout = lbuild.layout(
        "image",
        code.path(),
        &[
            &["--entrypoint", r#"["/bin/sh", "-c"]"#, "--cmd", "run this"][..],
            &["--workdir", "/srv", "--user", "app", "--label", "a=1", "--label", "b=x=y"],
            &["--env", "PATH=/x:$PATH", "--env", "NEW=${LAMBDA_TASK_ROOT}/n", "--env", "AGAIN=$NEW"],
            &["--env", "PRICE=$$5", "--env", "EMPTY="],
        ]
        .concat(),
    );
    let config = config(&layout);
    let config = &config["config"];
    assert_eq!(config["Entrypoint"], json!(["/bin/sh", "-c"]));
    assert_eq!(config["Cmd"], json!(["run", "this"]));
    assert_eq!(config["WorkingDir"], "/srv");
    assert_eq!(config["User"], "app");
    let labels = &config["Labels"];
    assert_eq!((&labels["a"], &labels["b"]), (&json!("1"), &json!("x=y")));
    assert_eq!(labels["com.amazonaws.lambda.platform.kernel"], "k510ga", "a label of the base");
    let env: Vec<_> = config["Env"].as_array().unwrap().iter().map(|pair| pair.as_str().unwrap()).collect();
    let base = image_of(&testdata("base"), "python3.12", "arm64").1["config"]["Env"].clone();
    let names =
        |env: &[&str]| env.iter().map(|pair| pair.split('=').next().unwrap().to_owned()).collect::<Vec<_>>();
    let base: Vec<_> = base.as_array().unwrap().iter().map(|pair| pair.as_str().unwrap()).collect();
    assert_eq!(names(&env[..base.len()]), names(&base), "the base's order is kept");
    assert!(env.contains(&"PATH=/x:/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"), "{env:?}");
    for expected in ["NEW=/var/task/n", "AGAIN=/var/task/n", "PRICE=$5", "EMPTY=", "LANG=en_US.UTF-8"] {
        assert!(env.contains(&expected), "{expected}: {env:?}");
    }
    // the code goes to LAMBDA_TASK_ROOT, not to --workdir
    assert_eq!(added(&layout), [vec![file("var/task/app.py", "code")]]);
}

#[test]
fn code_goes_to_the_directory_that_the_base_names() {
    let (lbuild, code) = (Lbuild::new(), function(&[("app.py", "code")]));
    for (flags, place) in [
        (&[][..], "var/task/app.py"),
        (&["--workdir", "/srv/app"], "srv/app/app.py"),
        (&["--workdir", "/srv", "--env", "LAMBDA_TASK_ROOT=/code"], "code/app.py"),
    ] {
        let to = format!("oci:{}:it", lbuild.text("image"));
        lbuild
            .push(code.path(), &[&["--base", "scratch", "--arch", "arm64", "--to", &to][..], flags].concat());
        let blobs = layers::blobs(&lbuild.path("image"), "it", "arm64");
        assert_eq!(layers::files(&blobs[0]), [file(place, "code")]);
    }
}

#[test]
fn a_scratch_image_holds_only_the_given_files() {
    let (lbuild, code) = (Lbuild::new(), function(&[("bootstrap*", "#!/bin/sh")]));
    let to = format!("oci:{}:it", lbuild.text("image"));
    lbuild.push(code.path(), &["--base", "scratch", "--arch", "arm64", "--to", &to]);
    let (manifest, config) = image_of(&lbuild.path("image"), "it", "arm64");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["os"], "linux");
    assert_eq!(config["config"], json!({}));
    assert_eq!(config["created"], "1980-01-01T00:00:00Z");
}

#[test]
fn a_platform_that_the_base_lacks_is_refused_with_the_offered_ones() {
    let (lbuild, code) = (Lbuild::new(), function(&[("app.py", "code")]));
    let to = format!("oci:{}:arm", lbuild.text("arm"));
    let base = crate::support::lbuild::tiny_base();
    let code = code.path().to_str().unwrap();
    lbuild.push(Path::new(code), &["--base", &base, "--arch", "aarch64", "--to", &to]);
    let to = format!("oci:{}", lbuild.text("other"));
    let all =
        ["push", code, "--arch", "x86_64", "--base", &format!("oci:{}:arm", lbuild.text("arm")), "--to", &to];
    let error = lbuild.run(&all).failed(4);
    assert!(error.contains("linux/amd64") && error.contains("it offers linux/arm64"), "{error}");
    assert!(!lbuild.path("other/index.json").exists());
    // an image for a single platform is also a base
    assert_eq!(bases::named(&lbuild.path("arm"), "arm")["platform"]["architecture"], "arm64");
}
