//! `lbuild deploy`, `status` and `invoke --remote`, against a server that imitates Lambda's states and faults, and moto.

mod faults;
pub mod guide;
mod remote;
pub mod rig;
mod status;
mod with_moto;

use self::rig::Rig;
use crate::support::lambda_api::{LambdaBehaviour, REGISTRY, ROLE};
use crate::support::lbuild::function;
use serde_json::json;

#[test]
fn a_function_is_created_and_then_nothing_is_to_do() {
    let rig = Rig::new(LambdaBehaviour { looks: 2, new_role: 1, ..LambdaBehaviour::default() });
    let settings =
        ["--memory", "512", "--timeout", "30", "--env", "A=secret-value", "--ephemeral-storage", "1024"];
    let create = [&["--create", "--role", ROLE, "--cmd", "app.other"][..], &settings].concat();
    let done = rig.deploy("v1", &create).succeeded();
    assert_eq!(done.stdout, "arn:aws:lambda:eu-west-1:123456789012:function:hello\n");
    for told in ["is created", "cannot use the role yet", "waiting: Pending (Creating: it is being created)"]
    {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    assert!(!done.stderr.contains("secret-value"), "{}", done.stderr);
    assert_eq!(rig.api.changes(), ["CreateFunction", "CreateFunction"]);
    assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v1));
    for (pointer, value) in [
        ("/PackageType", json!("Image")),
        ("/Architectures", json!(["x86_64"])),
        ("/MemorySize", json!(512)),
        ("/Timeout", json!(30)),
        ("/EphemeralStorage/Size", json!(1024)),
        ("/Environment/Variables", json!({ "A": "secret-value" })),
        ("/ImageConfigResponse/ImageConfig/Command", json!(["app.other"])),
        ("/Role", json!(ROLE)),
    ] {
        assert_eq!(rig.api.config("hello", pointer), value, "{pointer}");
    }
    let again = rig.deploy("v1", &create).succeeded();
    assert!(again.stderr.contains("nothing to do"), "{}", again.stderr);
    assert_eq!((rig.api.changes(), again.stdout), (Vec::new(), done.stdout));
}

/// Lambda refuses settings while it is at work on the image.
#[test]
fn the_image_comes_first_and_then_the_settings() {
    let rig = Rig::with_function(LambdaBehaviour { looks: 1, ..LambdaBehaviour::default() });
    rig.api.set("hello", "Environment", json!({ "Variables": { "OLD": "1", "GONE": "2" } }));
    let more = ["--memory", "256", "--env", "NEW=3", "--unset-env", "GONE", "--json"];
    let done = rig.deploy("v2", &more).succeeded();
    let result: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&result["digest"], &result["changed"]), (&json!(rig.v2), &json!(true)));
    assert_eq!(rig.api.changes(), ["UpdateFunctionCode", "UpdateFunctionConfiguration"]);
    assert_eq!(rig.api.image("hello"), format!("{REGISTRY}/hello@{}", rig.v2));
    assert_eq!(rig.api.config("hello", "/Environment/Variables"), json!({ "OLD": "1", "NEW": "3" }));
    // settings that lbuild does not know, and variables that it cannot read, stay
    rig.api.set(
        "hello",
        "Environment",
        json!({ "Error": { "ErrorCode": "AccessDeniedException", "Message": "kms" } }),
    );
    rig.deploy("v2", &["--timeout", "9"]).succeeded();
    assert_eq!(rig.api.config("hello", "/Environment/Error/Message"), "kms");
    let error = rig.deploy("v2", &["--env", "A=1"]).failed(6);
    assert!(error.contains("cannot be read") && error.contains("kms:Decrypt"), "{error}");
    rig.api.changes();
    // only the settings, which are removed again
    let done = rig.deploy("v2", &["--workdir", "/app"]).succeeded();
    assert!(done.stderr.contains("gets another working directory"), "{}", done.stderr);
    assert_eq!(rig.api.changes(), ["UpdateFunctionConfiguration"]);
    rig.deploy("v2", &["--workdir", ""]).succeeded();
    assert_eq!(rig.api.config("hello", "/ImageConfigResponse/ImageConfig"), json!({}));
}

#[test]
fn an_alias_moves_last() {
    let rig = Rig::with_function(LambdaBehaviour { looks: 1, ..LambdaBehaviour::default() });
    let done = rig.deploy("v1", &["--alias", "live"]).succeeded();
    assert_eq!(done.stdout, "arn:aws:lambda:eu-west-1:123456789012:function:hello:live\n");
    assert_eq!(rig.api.changes(), ["PublishVersion", "CreateAlias"]);
    let done = rig.deploy("v1", &["--alias", "live"]).succeeded();
    assert!(done.stderr.contains("nothing to do"), "{}", done.stderr);
    // for the same code and settings, Lambda names the version that exists
    assert_eq!((rig.api.changes(), rig.api.versions()), (vec!["PublishVersion".to_owned()], 1));
    // settings that lbuild does not know reach the alias, too
    rig.api.set("hello", "VpcConfig", json!({ "VpcId": "vpc-1" }));
    rig.deploy("v1", &["--alias", "live"]).succeeded();
    assert_eq!(rig.api.alias("hello", "live").as_deref(), Some("2"));
    // an alias that names two versions names one afterwards
    rig.api.split("hello", "live");
    rig.deploy("v1", &["--alias", "live"]).succeeded();
    assert!(!rig.api.is_split("hello", "live"));
    rig.api.changes();
    let done = rig.deploy("v2", &["--alias", "live"]).succeeded();
    assert!(done.stderr.contains("the alias live names version 3"), "{}", done.stderr);
    assert_eq!(rig.api.changes(), ["UpdateFunctionCode", "PublishVersion", "UpdateAlias"]);
    assert_eq!(rig.api.alias("hello", "live").as_deref(), Some("3"));
    let done = rig.deploy("v2", &["--publish"]).succeeded();
    assert!(done.stdout.ends_with("function:hello:3\n"), "{}", done.stdout);
    assert!(done.stderr.contains("nothing to do") && rig.api.versions() == 3, "{}", done.stderr);
    for alias in ["7", "$LATEST", "a.b", ""] {
        let error = rig.deploy("v2", &["--alias", alias]).failed(2);
        assert!(error.contains("an alias has letters"), "{error}");
    }
}

/// A directory is built and pushed first.
#[test]
fn a_directory_is_built_pushed_and_deployed() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    let code = function(&[("app.py", "def handler(event, context): return 3\n")]);
    let to = format!("{REGISTRY}/hello:v3");
    let path = code.path().to_str().unwrap();
    let base = crate::invoke::rig::python_base();
    let build = ["--arch", "amd64", "--base", &base, "--handler", "app.handler", "--to", &to];
    let done = rig.user.ok(&[&["deploy", "hello", path][..], &build, &["--env", "A=1"]].concat());
    assert_eq!(done.stdout, "arn:aws:lambda:eu-west-1:123456789012:function:hello\n");
    let image = rig.api.image("hello");
    assert!(image.starts_with(&format!("{REGISTRY}/hello@sha256:")) && !image.contains(&rig.v1), "{image}");
    assert_eq!(rig.api.config("hello", "/Environment/Variables"), json!({ "A": "1" }));
    // the handler is the image's own
    assert_eq!(rig.api.config("hello", "/ImageConfigResponse"), json!(null));
    // what Lambda would refuse is refused before the build
    rig.api.set("hello", "PackageType", json!("Zip"));
    let error = rig.user.run(&[&["deploy", "hello", path][..], &build].concat()).failed(2);
    assert!(error.contains("package type Zip") && !error.contains("pushed"), "{error}");
}

#[test]
fn lambda_is_allowed_to_pull_on_request() {
    let rig = Rig::new(LambdaBehaviour::default());
    let create = ["--create", "--role", ROLE];
    let done = rig.deploy("v1", &create).succeeded();
    assert!(done.stderr.contains("does not let Lambda pull"), "{}", done.stderr);
    let allow = ["--allow-lambda", "--allow-account", "210987654321"];
    let done = rig.deploy("v1", &[&create[..], &allow].concat()).succeeded();
    assert!(done.stderr.contains("allowed  Lambda to pull"), "{}", done.stderr);
    assert_eq!(rig.api.policies(), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let rig = Rig::with_function(LambdaBehaviour::default());
    let done = rig.deploy("v2", &["--dry-run", "--allow-lambda", "--memory", "256"]).succeeded();
    assert!(done.stderr.contains("nothing was changed") && done.stdout.is_empty(), "{done:?}");
    assert_eq!((rig.api.changes(), rig.api.policies()), (Vec::new(), 0));
    // flags of a push have no meaning for a finished image
    for (flag, value) in [("--tag", "x"), ("--label", "a=b"), ("--digest-file", "file"), ("--repo", "hello")]
    {
        let error = rig.deploy("v2", &[flag, value]).failed(2);
        assert!(error.contains(&format!("{flag} is for an image to build and push")), "{error}");
    }
}
