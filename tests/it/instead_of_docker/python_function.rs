//! A zip function of CDK's alpha module for Python, whose packages are installed by `docker run`: not served.

use super::rig::Project;
use crate::support::moto::Moto;

#[test]
fn the_bundling_of_a_python_function_names_what_is_missing() {
    let mut project = Project::start(Moto::start());
    project.user.set("BUNDLER", "public.ecr.aws/sam/build-python3.12");
    let synth = ["with", "--", "cdk", "synth", "--app", "node python.js", "--quiet"];
    let error = project.user.run(&synth);
    assert_eq!(error.code, Some(1), "{error:?}");
    assert!(error.stderr.contains("lbuild does not serve `docker run`"), "{}", error.stderr);
    assert!(error.stderr.contains("hint: "), "{}", error.stderr);
    assert!(!project.ecr.log().iter().any(|entry| entry.method != "GET"));
}
