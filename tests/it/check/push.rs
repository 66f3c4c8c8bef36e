//! The check before a push: an image with findings is not sent.

use super::*;
use crate::support::bases;
use crate::support::lbuild::{RunOutput, function};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use std::path::Path;
use tempfile::TempDir;

const SECRET: &str = "AWS_KEY=AKIAQ3EGRIXW5Z7TNZ4K\n";

/// Pushes a function on top of the good image, with a separate layer of dependencies.
fn push(lbuild: &Lbuild, code: &Path, deps: &Path, to: &str, more: &[&str]) -> RunOutput {
    let (base, deps) = (good(lbuild), format!("{}:/opt", deps.display()));
    let code = code.to_str().unwrap();
    let all = ["push", code, "--base", &base, "--arch=amd64", "--handler=app.handler", "--deps", &deps];
    lbuild.run(&[&all[..], &["--to", to], more].concat())
}

fn app(version: u8) -> String {
    format!("def handler(event, context): return {version}\n")
}

#[test]
fn an_image_that_fails_the_check_is_not_sent() {
    let (lbuild, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let (code, deps) = (function(&[("app.py", app(1))]), function(&[("python/.env", SECRET)]));
    let name = format!("{}/function:v1", registry.host());
    let (layout, archive) = (lbuild.path("out"), lbuild.path("out.tar"));
    let to = ["oci:", "docker-archive:"].into_iter().zip([&layout, &archive]);
    let to: Vec<String> = to.map(|(scheme, path)| format!("--to={scheme}{}", path.display())).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let said = push(&lbuild, code.path(), deps.path(), &name, &to).failed(8);
    assert!(said.contains("secret-file") && said.contains("opt/python/.env"), "{said}");
    // The registry may have layers of the base, but no layer, config or manifest of the image.
    let base = std::fs::read_dir(lbuild.path("good/blobs/sha256")).unwrap();
    let base: Vec<String> = base.map(|blob| blob.unwrap().file_name().into_string().unwrap()).collect();
    let is_of_base =
        |access: &&AccessLogEntry| base.iter().any(|digest| access.path.contains(digest.as_str()));
    let log = registry.log();
    let written = log.iter().find(|access| access.method == "PUT" && !is_of_base(access));
    assert!(written.is_none() && !layout.exists() && !archive.exists(), "{written:?}");
    let allowed = [&to[..], &["--allow", "secret-file"]].concat();
    push(&lbuild, code.path(), deps.path(), &name, &allowed).succeeded();
    assert!(layout.join("index.json").is_file() && archive.is_file());
}

#[test]
fn findings_in_a_cached_layer_are_reported_again_with_other_code() {
    let lbuild = Lbuild::new();
    let (code, deps) = (function(&[("app.py", app(1))]), function(&[("python/.env", SECRET)]));
    let to = format!("oci:{}", lbuild.text("out"));
    push(&lbuild, code.path(), deps.path(), &to, &["--allow", "secret-file"]).succeeded();
    for version in 2..4 {
        std::fs::write(code.path().join("app.py"), app(version)).unwrap();
        let said = push(&lbuild, code.path(), deps.path(), &to, &[]).failed(8);
        assert!(said.contains("opt/python/.env"), "{said}");
    }
    std::fs::write(deps.path().join("python/.env"), "LOG_LEVEL=debug\n").unwrap();
    push(&lbuild, code.path(), deps.path(), &to, &[]).succeeded();
}

/// The layer's bytes are the same whether its directories are entries of the tree or added by the writer.
#[test]
fn findings_in_a_cached_layer_are_reported_again_for_another_tree_with_its_bytes() {
    let lbuild = Lbuild::new();
    let (code, deps) = (function(&[("app.py", app(1))]), function(&[(".env", SECRET)]));
    let (base, file) = (good(&lbuild), deps.path().join(".env"));
    let to = format!("oci:{}", lbuild.text("out"));
    for place in ["/opt/python/.env", "/opt/python/"] {
        let code = code.path().to_str().unwrap();
        let add = format!("{}:{place}", file.display());
        let all = [
            "push",
            code,
            "--base",
            &base,
            "--arch=amd64",
            "--handler=app.handler",
            "--add",
            &add,
            "--to",
            &to,
        ];
        let said = lbuild.run(&all).failed(8);
        assert!(said.contains("opt/python/.env"), "{place}: {said}");
    }
}

/// A function without its handler's file, on a base whose name is one of Lambda's and that has this code.
struct OnLambdaBase {
    registry: Registry,
    code: TempDir,
    base: String,
}

impl OnLambdaBase {
    fn new(dir: &Lbuild, in_base: Tar) -> OnLambdaBase {
        let (registry, code) = (Registry::start(Mode::Plain), function(&[("other.py", "")]));
        image(&dir.path("base"), &[Layer::gzip(runtime()), Layer::gzip(in_base)], |config, _| {
            settings(config)
        });
        bases::seed(&registry, &dir.path("base"), image_builder::TAG, "lambda/python", "3.12");
        let base = format!("{}/lambda/python:3.12", registry.host());
        OnLambdaBase { registry, code, base }
    }

    fn push(&self, to: &str, more: &[&str]) -> RunOutput {
        let code = self.code.path().to_str().unwrap();
        let all = ["push", code, "--base", &self.base, "--arch=amd64", "--handler=app.handler", "--to", to];
        Lbuild::new().run(&[&all[..], more].concat())
    }
}

#[test]
fn a_handler_in_the_base_is_found_there() {
    let dir = Lbuild::new();
    let setup = OnLambdaBase::new(&dir, code());
    for to in ["oci:out:v1".to_owned(), format!("{}/function:1", setup.registry.host())] {
        let said = setup.push(&to, &[]).succeeded().stderr;
        assert!(!said.contains("warning") && !said.contains("app.handler"), "{said}");
    }
}

#[test]
fn a_missing_handler_is_a_finding_with_the_others() {
    let dir = Lbuild::new();
    let setup = OnLambdaBase::new(&dir, Tar::new().directory("srv/"));
    let secret = ["--env", "TOKEN=ghp_0123456789abcdefghijklmnopqrstuvwxyz"];
    for to in ["oci:out:v1".to_owned(), format!("{}/function:1", setup.registry.host())] {
        let said = setup.push(&to, &secret).failed(8);
        assert!(said.contains("python-handler") && said.contains("secret-config"), "{said}");
        let said = setup.push(&to, &["--allow", "python-handler"]).succeeded().stderr;
        assert!(!said.contains("app.handler"), "{said}");
        let said = setup.push(&to, &["--no-check"]).succeeded().stderr;
        assert!(said.contains("warning: the handler `app.handler` does not exist"), "{said}");
    }
}

#[test]
fn a_push_says_how_many_layers_it_has_not_read() {
    let dir = Lbuild::new();
    let setup = OnLambdaBase::new(
        &dir,
        Tar::new().directory("var/").directory("var/task/").file("var/task/.env", 0o644, SECRET),
    );
    std::fs::write(setup.code.path().join("app.py"), app(1)).unwrap();
    let to = format!("{}/function:1", setup.registry.host());
    let said = setup.push(&to, &[]).succeeded().stderr;
    assert!(
        said.contains("note: 2 layers of the base were not read") && said.contains("`lbuild check IMAGE`"),
        "{said}"
    );
    assert!(!said.contains("warning"), "{said}");
    let said = setup.push(&to, &["--json"]).succeeded().stderr;
    assert!(
        said.lines().any(|line| line.contains(r#""reason":"note""#) && line.contains("2 layers")),
        "{said}"
    );
    // Layers that are read are not counted.
    let said = setup.push("oci:out:v1", &["--allow", "secret-file"]).succeeded().stderr;
    assert!(!said.contains("not read"), "{said}");
    let checked = Lbuild::new().run(&["check", &to]);
    assert!(checked.code == Some(8) && checked.stdout.contains("secret-file"), "{checked:?}");
}

#[test]
fn each_registry_is_judged() {
    let (lbuild, code) = (Lbuild::new(), function(&[("app.py", app(1))]));
    let base = good(&lbuild);
    let all =
        ["check", code.path().to_str().unwrap(), "--base", &base, "--arch=amd64", "--handler=app.handler"];
    let to =
        |service: &str, region: &str| format!("--to=123456789012.dkr.{service}.{region}.amazonaws.com/a:1");
    let to = [
        to("ecr", "us-east-1"),
        to("ecr-fips", "us-east-1"),
        to("ecr-fips", "us-west-2"),
        to("ecr-fips", "us-west-2"),
    ];
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let report = report_of(&lbuild, &[&all[..], &to].concat());
    let fips: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["rule"] == "fips-registry")
        .collect();
    assert_eq!(fips.len(), 2, "{report:#}");
}

fn report_of(lbuild: &Lbuild, all: &[&str]) -> Value {
    serde_json::from_str(&lbuild.run(&[all, &["--json"]].concat()).stdout).unwrap()
}
