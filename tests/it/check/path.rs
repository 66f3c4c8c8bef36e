//! `lbuild check PATH`: checks the image that a push would send, without a push.

use super::*;
use crate::support::lbuild::function;

/// `lbuild check` of a directory, with the good image as its base.
fn check(lbuild: &Lbuild, dir: &str, more: &[&str], code: i32) -> Value {
    let base = good(lbuild);
    report(lbuild, dir, &[&["--base", &base, "--arch", "amd64"], more].concat(), code)
}

#[test]
fn the_image_of_a_push_is_checked_and_not_sent() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", "def handler(event, context): return 1\n")]);
    let dir = code.path().to_str().unwrap();
    let good = check(&lbuild, dir, &["--handler", "app.handler", "--deny", "warnings"], 0);
    assert_eq!((&good["image"], &good["findings"]), (&json!(dir), &json!([])));
    let bad = check(
        &lbuild,
        dir,
        &["--handler", "app.handle", "--env", "TOKEN=ghp_0123456789abcdefghijklmnopqrstuvwxyz"],
        8,
    );
    assert_eq!(rules(&bad), BTreeSet::from(["python-handler", "secret-config"]), "{bad}");
    assert!(!bad.to_string().contains("0123456789abcdefghij"), "{bad}");
    // settings in lbuild.toml are used, and nothing is written to the directory
    std::fs::write(code.path().join("lbuild.toml"), "arch = \"amd64\"\nhandler = \"app.handle\"\n").unwrap();
    let base = super::good(&lbuild);
    let done = lbuild.run(&["check", dir, "--base", &base]);
    assert!(done.code == Some(8) && done.stdout.contains("python-handler"), "{}{}", done.stdout, done.stderr);
    let names = std::fs::read_dir(code.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<BTreeSet<_>>(), ["app.py", "lbuild.toml"].map(Into::into).into());
}

#[test]
fn the_destination_is_checked() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", "def handler(event, context): return 1\n")]);
    let to = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/hello:1";
    let more = ["--handler", "app.handler", "--to", to, "--region"];
    let dir = code.path().to_str().unwrap();
    assert_eq!(check(&lbuild, dir, &[&more[..], &["eu-west-1"]].concat(), 0)["findings"], json!([]));
    let elsewhere = check(&lbuild, dir, &[&more[..], &["us-east-1"]].concat(), 8);
    assert_eq!(rules(&elsewhere), BTreeSet::from(["registry-region"]), "{elsewhere}");
}

#[test]
fn images_and_code_directories_are_distinguished() {
    let lbuild = Lbuild::new();
    let image = good(&lbuild);
    let error = lbuild.run(&["check", &image, "--handler", "app.handler"]).failed(2);
    assert!(error.contains("--handler describes an image to build") && error.contains("hint: "), "{error}");
    let error = lbuild.run(&["check", "./none", "--base", &image, "--arch", "amd64"]).failed(3);
    assert!(error.contains("none"), "{error}");
    std::fs::write(lbuild.path("image.tar"), "").unwrap();
    let error = lbuild.run(&["check", &lbuild.text("image.tar")]).failed(2);
    assert!(error.contains("docker-archive:"), "{error}");
}
