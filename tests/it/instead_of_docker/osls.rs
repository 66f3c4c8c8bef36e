//! osls, the maintained Serverless Framework 3.

use super::rig::{ECR, PROFILE, Project, with_words};
use crate::support::moto::Moto;

const REPOSITORY: &str = "serverless-hello-dev";

#[test]
fn osls_packages_and_deploys_a_function_from_an_image() {
    let project = Project::start(Moto::with_images());
    // without keys for lbuild, so that `docker push` fails first, and osls logs in
    project.with(&["osls", "package", "--aws-profile", PROFILE]);
    assert_eq!(project.writers().len(), 1);
    let digest = project.digest(REPOSITORY, "hello");
    let template = project.json(".serverless/cloudformation-template-update-stack.json");
    let uri = &template["Resources"]["HelloLambdaFunction"]["Properties"]["Code"]["ImageUri"];
    assert_eq!(*uri, format!("{ECR}/{REPOSITORY}@{digest}"));

    project.record(REPOSITORY, "hello");
    let done = project.with(&["osls", "deploy", "--aws-profile", PROFILE]);
    assert!(done.stderr.contains("Service deployed to stack hello-dev"), "{}{}", done.stdout, done.stderr);
    let image = project.image_of("hello", "arm64");
    assert_eq!(image, format!("{REPOSITORY}@{digest}"));
    project.judge(&image, "arm64", &with_words());
}
