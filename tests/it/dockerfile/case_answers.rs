//! Cases that are functions of the tests' own bases, with their commands as they are: the images answer invocations.

use super::cases::wheels;
use crate::support::bases;
use crate::support::debian::ARCHITECTURE;
use crate::support::http::{Response, Server};
use crate::support::image_tools::ImageLocation;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::invoke::Function;
use crate::support::lbuild::{Lbuild, function};
use crate::support::{part, run, testdata, tool};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Programs that the cases' commands, and the stand-ins for package managers, call.
const TOOLS: [&str; 10] = ["mkdir", "rm", "cp", "sed", "grep", "chmod", "touch", "date", "tar", "true"];

/// Builds a base with more programs, whose image has the name `name` in the layout `bases`.
fn furnish(lbuild: &Lbuild, name: &str, base: &str) {
    let context = function(&[("Dockerfile", "FROM localhost/base\nCOPY bin/ /usr/local/bin/\n")]);
    let bin = context.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, stand_in) in [("npm", "npm"), ("dnf", "packages"), ("microdnf", "packages")] {
        fs::copy(testdata("dockerfile/stand-ins").join(stand_in), bin.join(name)).unwrap();
        run(Command::new(tool("chmod")).arg("755").arg(bin.join(name))).unwrap();
    }
    for name in TOOLS.iter().filter(|name| !bin.join(name).exists()) {
        symlink("/usr/bin/busybox", bin.join(name)).unwrap();
    }
    build(lbuild, context.path(), &[("localhost/base", base)], &format!("bases:{name}"), &[]);
}

fn build(lbuild: &Lbuild, context: &Path, images: &[(&str, &str)], to: &str, more: &[&str]) {
    let to = format!("oci:{}", lbuild.text(to));
    let mut arguments =
        vec!["build", context.to_str().unwrap(), "--arch", ARCHITECTURE, "--to", &to, "--no-check"];
    let images: Vec<String> = images.iter().map(|(name, image)| format!("{name}=oci:{image}")).collect();
    arguments.extend(images.iter().flat_map(|image| ["--build-context", image]));
    arguments.extend(more);
    lbuild.ok(&arguments);
}

/// Builds a case and invokes it.
fn answer(lbuild: &Lbuild, name: &str, images: &[&str], base: &str, more: &[&str]) -> Value {
    let context = lbuild.path(name);
    run(Command::new(tool("cp")).arg("-rT").arg(testdata("dockerfile/cases").join(name)).arg(&context))
        .unwrap();
    let base = format!("{}:{base}", lbuild.text("bases"));
    let images: Vec<(&str, &str)> = images.iter().map(|name| (*name, &*base)).collect();
    build(lbuild, &context, &images, &format!("out:{name}"), more);
    let function = Function::start(&ImageLocation::layout(&lbuild.path("out"), name));
    let function = function.unwrap_or_else(|error| panic!("{name}: {error}"));
    function.invoke(&json!({ "a": 1 })).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub const PYTHON: &[&str] = &["public.ecr.aws/lambda/python:3.12"];
pub const NODE: &[&str] = &["public.ecr.aws/lambda/nodejs:20", "public.ecr.aws/docker/library/node:20-slim"];

/// Builds the bases `python` and `node` in the layout `bases`, and starts an index for the cases.
pub fn furnished(lbuild: &mut Lbuild) -> Index {
    let dir = lbuild.path("wheels");
    run(Command::new(tool("cp")).arg("-rT").arg(part("wheels")).arg(&dir)).unwrap();
    wheels(&dir, &["idna", "six"]);
    let index = Index::of(&dir, IndexBehaviour::default());
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        lbuild.set(name, &index.url());
    }
    for (name, flavour, tag) in [("python", "oci-index", bases::TAG), ("node", "nodejs", bases::NODE_TAG)] {
        furnish(lbuild, name, &format!("{}:{tag}", bases::layout(flavour).display()));
    }
    index
}

#[test]
fn functions_with_commands_answer() {
    let mut lbuild = Lbuild::new();
    let _index = furnished(&mut lbuild);
    let event = json!({ "ok": true, "event": { "a": 1 } });
    for (name, images, base, expected) in [
        ("24-dnf-compiler", PYTHON, "python", event.clone()),
        ("30-heredocs", PYTHON, "python", event),
        ("07-node-no-lock-script", NODE, "node", json!("DIST")),
        ("08-node-esbuild-multistage", NODE, "node", json!(1)),
    ] {
        assert_eq!(answer(&lbuild, name, images, base, &[]), expected, "{name}");
    }

    // the emulator is downloaded; on the addresses of this test
    let emulator = "#!/bin/sh\nexec /usr/local/bin/aws-lambda-rie --runtime-interface-emulator-address $TEST_EMULATOR_ADDRESS \
                    --runtime-api-address $TEST_RUNTIME_API_ADDRESS \"$@\"\n";
    let server = Server::start("127.0.0.1", move |_| Response { status: 200, body: emulator.into() });
    let rie = format!("RIE=http://{}/aws-lambda-rie", server.address);
    let answer = answer(&lbuild, "s1-own-base", &["python:3.12"], "python", &["--build-arg", &rie]);
    assert_eq!(answer, json!({ "six": "1.17.0" }));
}
