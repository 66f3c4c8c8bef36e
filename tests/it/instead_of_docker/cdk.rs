//! `cdk deploy` of functions from images.

use super::rig::{ECR, PROFILE, Project, functions};
use crate::support::moto::Moto;

#[test]
fn cdk_deploys_functions_from_images() {
    let project = Project::start(Moto::with_stacks());
    project.bootstrap();
    project.build_archive();
    // the keys are in a profile that only `cdk` knows, so that lbuild has to push with the login of `docker login`
    let done =
        project.with(&["cdk", "deploy", "Images", "--require-approval", "never", "--profile", PROFILE]);
    for asset in ["native/AssetImage", "arm/AssetImage", "Archive"] {
        assert!(done.stderr.contains(&format!("success: Published {asset}")), "{}", done.stderr);
    }
    let logins = project.json("docker/config.json");
    assert!(logins["auths"][ECR].is_object(), "{logins}");
    let writers = project.writers();
    assert!(writers.len() == 3 && writers.iter().all(|name| name.starts_with("lbuild/")), "{writers:?}");
    for (name, architecture, answer) in functions() {
        project.judge(&project.image_of(name, architecture), architecture, &answer);
    }
}
