//! A zip function of CDK's alpha module for Python, whose packages are installed by `docker run`.

use super::rig::{PROFILE, Project, REGION};
use crate::dockerfile::cases::wheels;
use crate::invoke::rig::python_base;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::moto::Moto;
use crate::support::{part, run, tool};
use serde_json::{Value, json};
use std::process::Command;

#[test]
fn cdk_deploys_a_python_function() {
    let mut project = Project::start(Moto::with_stacks());
    let dir = project.user.path("wheels");
    run(Command::new(tool("cp")).arg("-rT").arg(part("wheels")).arg(&dir)).unwrap();
    wheels(&dir, &["idna"]);
    let index = Index::of(&dir, IndexBehaviour::default());
    project.user.set("PIP_INDEX_URL", &index.url());
    project.bootstrap();
    project.with(&[
        "cdk",
        "deploy",
        "--app",
        "node python.js",
        "--require-approval",
        "never",
        "--profile",
        PROFILE,
    ]);

    let manifest = project.json("cdk.out/Zip.assets.json");
    let mut files = manifest["files"].as_object().unwrap().values();
    let code = files.find(|file| file["source"]["packaging"] == "zip").unwrap();
    let code = format!("cdk.out/{}", code["source"]["path"].as_str().unwrap());
    for name in ["index.py", "requirements.txt", "idna/core.py", "idna-3.10.dist-info/METADATA"] {
        assert!(project.user.path(&code).join(name).is_file(), "{name}");
    }
    let event = json!({ "name": "bücher.example" }).to_string();
    let done = project.user.ok(&[
        "invoke",
        &code,
        "--base",
        &python_base(),
        "--handler",
        "index.handler",
        "-d",
        &event,
    ]);
    let answer: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(answer, json!({ "name": "xn--bcher-kva.example", "x": 1 }));

    let function = project.moto.lambda(REGION, "zip");
    assert_eq!(function["Configuration"]["Handler"], "index.handler");
    let zipped = function["Configuration"]["CodeSize"].as_u64().unwrap();
    assert!(zipped > 500, "{function}");
}
