//! Assets whose image a command makes.

use super::{CdkUser, REGION, REPOSITORY, assembly, ecr, image, lines, writes};
use crate::support::lbuild::tiny_base;
use serde_json::json;

/// A user with one asset, whose command is this.
fn with(words: &[&str]) -> CdkUser {
    let cdk = CdkUser::start();
    assembly(&cdk.user.path("cdk.out"), "Stack", [image("made", &json!({ "executable": words }))], &[]);
    cdk
}

#[test]
fn a_command_prints_the_path_of_an_archive() {
    for (printed, file) in [("out/image.tar", "out/image.tar"), ("docker-archive:$PWD/x.tar", "x.tar")] {
        let cdk = with(&[
            "sh",
            "-c",
            &format!("cp \"$BUILT\" {file}; echo noise >&2; echo; echo \"{printed}\"; echo"),
        ]);
        cdk.write("out/kept", "");
        let mut cdk = cdk;
        let archive = cdk.user.text("built.tar");
        super::write(&cdk.user.path("code"), "app.py", "def handler(event, context): return 3\n");
        let (base, to) = (format!("--base={}", tiny_base()), format!("docker-archive:{archive}"));
        cdk.user.ok(&["build", "code", &base, "--arch", "arm64", "--handler", "app.handler", "--to", &to]);
        cdk.user.set("BUILT", &archive);
        let done = cdk.publish(&[]).succeeded();
        let found = lines(&done.stdout);
        assert_eq!(found.len(), 1, "{}", done.stdout);
        assert!(found[0].0.starts_with(&format!("{}/{REPOSITORY}@sha256:", ecr(REGION))), "{found:?}");
        // it is not run for an image that is there
        cdk.user.set("BUILT", "/nonexistent");
        assert_eq!(cdk.publish(&[]).succeeded().stdout, done.stdout);
    }
}

#[test]
fn errors_name_the_command_and_the_asset() {
    for (words, code, expected) in [
        (
            &["sh", "-c", "echo my-image:latest"][..],
            2,
            "printed `my-image:latest`, which is neither the path of a Docker archive nor an image",
        ),
        (
            &["sh", "-c", "echo one; echo two >&2; exit 7"],
            3,
            "failed (exit status: 7)\nits last lines:\n  | two",
        ),
        (&["sh", "-c", "true"], 3, "printed nothing"),
        (
            &["no-such-program", "x"],
            3,
            "`no-such-program x` cannot be run: there is no program no-such-program",
        ),
        (&["./build.sh"], 3, "`./build.sh` cannot be run: there is no program ./build.sh"),
        (&["sh", "-c", "echo text >x.tar; echo x.tar"], 4, "x.tar is not a Docker archive"),
    ] {
        let cdk = with(words);
        let error = cdk.publish(&[]).failed(code);
        assert!(error.contains("the image of the asset made/AssetImage (made) was not built"), "{error}");
        assert!(error.contains(expected), "{words:?}: {error}");
        assert_eq!(writes(&cdk.registry.log()), 0);
    }
}

#[test]
fn a_tarball_that_is_missing_is_named() {
    let script = "docker load -i asset.1.tar | tail -n 1 | sed \"s/Loaded image: //g\"";
    let cdk = with(&["sh", "-c", script]);
    let error = cdk.publish(&[]).failed(4);
    assert!(
        error.contains("cdk.out/asset.1.tar is not a Docker archive: the file does not exist"),
        "{error}"
    );
}
