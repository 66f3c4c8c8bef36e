//! The check before a push: an image with findings is not sent.

use super::*;
use crate::support::lbuild::{RunOutput, function};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use std::path::Path;

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
