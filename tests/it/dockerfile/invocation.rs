//! A function with a layer image, as AWS's tutorial has it, built from its Dockerfile and invoked.

use crate::support::bases;
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tools::ImageLocation;
use crate::support::invoke;
use crate::support::lbuild::{Lbuild, function};
use crate::support::testdata;
use serde_json::json;
use std::fs;

const APP: &str = "\
import shared

def lambda_handler(event, context):
    return {'event': event, 'from': shared.NAME}
";

#[test]
fn a_function_with_a_layer_image_answers() {
    let lbuild = Lbuild::new();
    let case = testdata("dockerfile/cases/s2-function-with-layer-image");
    let dockerfile = fs::read(case.join("Dockerfile")).unwrap();
    let context = function(&[("Dockerfile", dockerfile), ("app.py", APP.as_bytes().to_vec())]);
    let layer = Tar::new().directory("opt/").directory("opt/python/").file(
        "opt/python/shared.py",
        0o644,
        "NAME = 'the layer'\n",
    );
    image(&lbuild.path("layer"), &[Layer::gzip(layer)], |config, _| config["architecture"] = json!("arm64"));
    let layer = format!(
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/log-extension-image:latest=oci:{}:{TAG}",
        lbuild.path("layer").display()
    );
    let base = bases::layout("oci-index");
    let base = format!("public.ecr.aws/lambda/python:3.12=oci:{}:{}", base.display(), bases::TAG);
    let (path, to) = (context.path().to_str().unwrap(), format!("oci:{}:1", lbuild.path("out").display()));
    let arguments =
        ["build", path, "--arch", "arm64", "--build-context", &layer, "--build-context", &base, "--to", &to];
    lbuild.ok(&arguments);
    let answer = invoke::answer(&ImageLocation::layout(&lbuild.path("out"), "1")).unwrap();
    assert_eq!(answer["from"], "the layer", "{answer}");
}
