//! Errors in templates name file, line and column; nothing is built then.

use super::{keyed, user, write};
use crate::support::lbuild::Lbuild;

/// The message of `lbuild sam package` for a template.
#[track_caller]
fn refused(user: &Lbuild, text: &str, more: &[&str]) -> String {
    write(&user.path(""), "template.yaml", text);
    let first = ["sam", "package", "--image-repository", "localhost:1/app"];
    let all: Vec<&str> = first.iter().chain(more).copied().collect();
    let error = user.run(&all).failed(2);
    assert!(!user.path("cache").join("blobs").exists(), "nothing is built: {error}");
    error
}

fn docker(metadata: &str) -> String {
    format!(
        "Resources:\n  Function:\n    Type: AWS::Serverless::Function\n    Properties:\n      PackageType: Image\n    Metadata:\n{metadata}"
    )
}

#[test]
fn faults_of_the_template_have_a_place() {
    let user = user();
    write(&user.path(""), "app/Dockerfile", "FROM scratch AS one\nCOPY Dockerfile /\n");
    let build = "      Dockerfile: Dockerfile\n      DockerContext: app\n";
    for (text, more, expected, hint) in [
        (
            docker("      Dockerfile: None\n      DockerContext: app\n"),
            &[][..],
            "template.yaml:7:19: there is no Dockerfile app/None",
            "relative to DockerContext",
        ),
        (
            docker("      Dockerfile: Dockerfile\n      DockerContext: none\n"),
            &[],
            "template.yaml:8:22: there is no directory none",
            "relative to the template",
        ),
        (
            docker(&format!("{build}      DockerBuildTarget: two\n")),
            &[],
            "template.yaml:9:26: app/Dockerfile has no stage `two`",
            "the stages are one",
        ),
        (
            docker(&format!("{build}      DockerBuildExtraParams: [--secret, 'id=a,env=A', --privileged]\n")),
            &[],
            "template.yaml:9:56: unexpected argument '--privileged'",
            "--build-context",
        ),
        (
            docker(build)
                .replace("PackageType: Image\n", "PackageType: Image\n      ImageUri: !GetAtt Repo.Uri\n"),
            &[],
            "template.yaml:6:17: GetAtt cannot be resolved here",
            "--parameter-overrides",
        ),
        (
            docker(&format!("{build}      DockerTag: !Ref Tag\n"))
                .replace("Resources:", "Parameters: {Tag: {Type: String}}\nResources:"),
            &[],
            "template.yaml:10:18: the parameter `Tag` has no value",
            "--parameter-overrides Tag=VALUE",
        ),
        (
            docker(build).replace(
                "PackageType: Image\n",
                "PackageType: Image\n      Architectures: [arm64, x86_64]\n",
            ),
            &[],
            "template.yaml:6:22: a function has one architecture",
            "[arm64] or [x86_64]",
        ),
        (
            docker(build),
            &["--image-repositories", "Functoin=localhost:1/a"],
            "names `Functoin`, which has no image",
            "Function",
        ),
        (
            docker(build),
            &["--image-repositories", "Function=localhost:1/a:tag"],
            "is not a repository",
            "without a tag",
        ),
        ("Resources:\n\tFunction: {}\n".to_owned(), &[], "template.yaml:2:", "spaces"),
        (
            "Resources: {}\n".to_owned(),
            &[],
            "has no function whose image is to be built",
            "PackageType: Image",
        ),
    ] {
        let error = refused(&user, &text, more);
        assert!(error.contains(expected) && error.contains(hint), "{expected}: {error}");
    }
}

#[test]
fn faults_of_the_keys_have_a_place() {
    let user = user();
    for (key, expected) in [
        ("        handlr: app.handler\n", "template.yaml:12:9: unknown field `handlr`"),
        ("        slim: maybe\n", "template.yaml:12:15: "),
        ("        to: localhost:1/x\n", "the key `to` has no meaning in Metadata"),
    ] {
        let text = format!("Resources:\n{}", keyed(&user.path(""), "Function", key));
        let error = refused(&user, &text, &[]);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_project_without_a_template_says_what_is_missing() {
    let user = user();
    let error = user.run(&["sam", "package"]).failed(2);
    assert!(error.contains("template.yaml") && error.contains("--template"), "{error}");
    write(&user.path(""), "template.yaml", &format!("Resources:\n{}", keyed(&user.path(""), "Function", "")));
    let error = user.run(&["sam", "package"]).failed(2);
    assert!(error.contains("no repository") && error.contains("--image-repository"), "{error}");
    let error = user
        .run(&[
            "sam",
            "package",
            "--image-repository=localhost:1/a",
            "--output-template-file",
            "./template.yaml",
        ])
        .failed(2);
    assert!(error.contains("the template itself"), "{error}");
}
