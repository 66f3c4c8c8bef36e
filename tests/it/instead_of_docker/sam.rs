//! `sam build --use-buildkit`, and `lbuild sam package` of the same project.

use crate::sam::with_sam::{REGION, SamUser};
use crate::support::debian::ARCHITECTURE;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::moto::ACCOUNT;
use crate::support::part;
use std::fs;

#[test]
fn sam_builds_the_image_that_lbuild_packages() {
    let project = SamUser::start(ARCHITECTURE);
    let (user, registry) = (&project.user, &project.registry);
    let code = "def lambda_handler(event, context):\n    return event\n";
    fs::write(user.path("app.py"), code).unwrap();
    let sam = part("sam").join("bin/sam").display().to_string();
    let done = user.ok(&["with", "--", &sam, "build", "--use-buildkit", "--parameter-overrides", "Tag=v7"]);
    assert!(done.stderr.contains("Build Succeeded") || done.stdout.contains("Build Succeeded"), "{done:?}");
    let built = project.read(".aws-sam/build/template.yaml");
    assert!(built.contains("ImageUri: function:v7"), "{built}");

    let repository = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/name-encoder");
    let local = format!("{repository}:by-docker");
    user.ok(&["docker", "tag", "function:v7", &local]);
    let pushed = user.ok(&["docker", "push", &local]);
    let location = ImageLocation::registry(registry, "name-encoder:by-docker");
    let inspected = image_tools::skopeo_inspect(&location).unwrap();
    let digest = inspected["Digest"].as_str().unwrap();
    let last = pushed.stdout.lines().last().unwrap();
    assert!(last.starts_with(&format!("by-docker: digest: {digest} size: ")), "{last}");
    let answer = user.ok(&["invoke", &local, "--arch", ARCHITECTURE, "-d", r#"{"name": "x"}"#]).stdout;
    assert_eq!(answer.trim(), r#"{"name": "x"}"#);

    for template in ["template.yaml", ".aws-sam/build/template.yaml"] {
        let out = user.text("packaged.yaml");
        user.ok(&[
            "sam",
            "package",
            "-t",
            template,
            "--output-template-file",
            &out,
            "--image-repository",
            &repository,
        ]);
        let packaged = fs::read_to_string(&out).unwrap();
        let (_, rest) = packaged.split_once("ImageUri: ").unwrap();
        let tag = rest.lines().next().unwrap().rsplit_once(':').unwrap().1;
        let location = ImageLocation::registry(registry, &format!("name-encoder:{tag}"));
        assert_eq!(image_tools::skopeo_inspect(&location).unwrap()["Digest"], digest, "{template}");
    }
}
