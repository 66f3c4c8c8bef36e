//! `lbuild sam build` and `lbuild sam package`: what is built, pushed and written.

use super::{keyed, new_lines, user, write};
use crate::support::bases;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, noise};
use crate::support::moto::{ACCOUNT, Moto, NO_METADATA};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The machine's architecture, as templates have it.
const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// The `ImageUri`s of a template.
fn uris(text: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix("ImageUri: "));
    values.map(str::to_owned).collect()
}

fn uploads(log: &[AccessLogEntry]) -> usize {
    log.iter().filter(|entry| entry.is_blob_upload() && entry.method == "PUT").count()
}

fn package(user: &Lbuild, more: &[&str]) -> Vec<String> {
    let first = ["sam", "package", "--template", &user.text("template.yaml")];
    first.iter().chain(more).map(|&word| word.to_owned()).collect()
}

/// Whether a repository of the registry has a tag.
fn has_tag(registry: &Registry, repository: &str, tag: &str) -> bool {
    let tags =
        registry.storage().join("docker/registry/v2/repositories").join(repository).join("_manifests/tags");
    tags.join(tag).is_dir()
}

#[test]
fn ten_functions_send_each_blob_once() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    fs::create_dir(dir.join("shared")).unwrap();
    fs::write(dir.join("shared/data"), noise(1, 3_000_000)).unwrap();
    let mut text = "Resources:\n".to_owned();
    for number in 0..10 {
        text += &keyed(&dir, &format!("Function{number}"), "        deps: shared\n");
    }
    write(&dir, "template.yaml", &text);
    let repository = format!("{}/functions", registry.host());
    let done =
        user.ok(&package(&user, &["--image-repository", &repository, "--output-template-file", "out.yaml"]));
    let packaged = fs::read_to_string(user.path("out.yaml")).unwrap();
    let uris = uris(&packaged);
    assert_eq!(uris.len(), 10);
    assert_eq!(done.stdout.lines().collect::<BTreeSet<_>>(), uris.iter().map(String::as_str).collect());
    for (number, uri) in uris.iter().enumerate() {
        let (_, tag) = uri.rsplit_once(':').unwrap();
        assert!(tag.starts_with(&format!("function{number}-")) && tag.ends_with("-latest"), "{tag}");
        assert!(has_tag(&registry, "functions", tag), "{tag}");
    }
    assert!(new_lines(&packaged, &text).iter().all(|line| line.contains("ImageUri: ")), "{packaged}");
    let blobs = registry.storage().join("docker/registry/v2/repositories/functions/_layers/sha256");
    let blobs = fs::read_dir(blobs).unwrap().count();
    // two layers of the base, the shared one, and code and config of each
    assert_eq!((uploads(&registry.log()), blobs), (23, 23));
    let made = done.stderr.lines().filter(|line| line.contains(" 3.0 MB made")).count();
    assert_eq!(made, 1, "the shared layer: {}", done.stderr);

    // again: nothing is sent, and the template is the same
    let mark = registry.mark();
    user.ok(&package(&user, &["--image-repository", &repository, "--output-template-file", "again.yaml"]));
    assert_eq!(fs::read_to_string(user.path("again.yaml")).unwrap(), packaged);
    let log = registry.log_since(mark);
    assert!(!log.iter().any(|entry| entry.is_blob_upload() || entry.is_manifest_put()), "{log:#?}");
}

#[test]
fn functions_of_one_description_have_one_image() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    write(&dir, "app/app.py", "def api(e, c): pass\ndef worker(e, c): pass\n");
    write(&dir, "app/Dockerfile", "FROM scratch\nCOPY app.py /\nCMD [\"app.api\"]\n");
    let function = |id: &str, tag: &str| {
        format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties: {{PackageType: Image}}\n    Metadata:\n      \
             Dockerfile: Dockerfile\n      DockerContext: app\n      DockerTag: {tag}\n"
        )
    };
    let text = format!(
        "Resources:\n{}{}{}",
        function("Api", "v1"),
        function("Worker", "v1"),
        function("Other", "v2")
    );
    write(&dir, "template.yaml", &text);
    let repository = format!("{}/app", registry.host());
    let done = user.ok(&package(&user, &["--image-repository", &repository, "--no-check"]));
    // the name is that of the first function of the same metadata, as `sam build` gives it
    let uris = uris_of_flow(&done.stdout);
    assert_eq!(uris.len(), 3);
    assert_eq!(uris[0], uris[1]);
    assert!(uris[0].contains(":api-") && uris[0].ends_with("-v1"), "{uris:?}");
    assert!(uris[2].contains(":other-") && uris[2].ends_with("-v2"), "{uris:?}");
    assert_eq!(done.layer_counts(), (1, 0), "{}", done.stderr);
    assert_eq!(uploads(&registry.log()), 2, "a layer and a config");
}

/// The `ImageUri`s in braces.
fn uris_of_flow(text: &str) -> Vec<String> {
    let values = text.split("ImageUri: ").skip(1);
    values.map(|rest| rest.split(['}', ',', '\n']).next().unwrap().to_owned()).collect()
}

#[test]
fn a_failure_changes_no_template() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    let good = keyed(&dir, "Good", "");
    let bad = keyed(&dir, "Bad", "        deps: not-there\n");
    write(&dir, "template.yaml", &format!("Resources:\n{good}{bad}"));
    write(&dir, "out.yaml", "old\n");
    let repository = format!("{}/app", registry.host());
    let arguments =
        package(&user, &["--image-repository", &repository, "--output-template-file", "out.yaml"]);
    let error = user.run(&arguments).failed(3);
    assert!(error.contains("the image of Bad was not built") && error.contains("not-there"), "{error}");
    assert_eq!(fs::read_to_string(user.path("out.yaml")).unwrap(), "old\n");
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".lbuild-")), "{left:?}");
}

#[test]
fn one_function_is_packaged_by_its_id_or_name() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    let (first, second) = (keyed(&dir, "First", ""), keyed(&dir, "Second", ""));
    let second =
        second.replace("PackageType: Image\n", "PackageType: Image\n      FunctionName: second-name\n");
    let text = format!("Resources:\n{first}{second}");
    write(&dir, "template.yaml", &text);
    let repository = format!("--image-repository={}/app", registry.host());
    for (name, id) in [("First", "first"), ("second-name", "second")] {
        let packaged = user.ok(&package(&user, &[name, &repository])).stdout;
        let uris = uris(&packaged);
        assert_eq!(uris.len(), 1, "{packaged}");
        assert!(uris[0].contains(&format!(":{id}-")), "{uris:?}");
        assert_eq!(packaged.matches("lbuild:").count(), 1, "{packaged}");
    }
    let error = user.run(&package(&user, &["Third", &repository])).failed(2);
    assert!(error.contains("`Third`") && error.contains("First, Second"), "{error}");
}

#[test]
fn settings_of_sam_count_after_flags() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    write(&dir, "app/app.py", "x = 1\n");
    write(&dir, "app/Dockerfile", "FROM scratch AS final\nARG STAGE\nCOPY app.py /$STAGE/\n");
    let text = "Parameters:\n  Tag: {Type: String, Default: latest}\nResources:\n  Function:\n    Type: AWS::Serverless::Function\n    \
        Properties:\n      PackageType: Image\n    Metadata:\n      Dockerfile: Dockerfile\n      DockerContext: app\n      \
        DockerTag: !Ref Tag\n      DockerBuildArgs: {STAGE: !Sub 'at-${AWS::Region}'}\n      \
        DockerBuildExtraParams: [--target, final]\n";
    write(&dir, "template.yaml", text);
    let host = registry.host();
    let settings = format!(
        "version = 0.1\n[default.deploy.parameters]\nparameter_overrides = \"Tag=\\\"v7\\\"\"\n\
         image_repositories = [\"Function={host}/from-settings\"]\n[default.global.parameters]\nregion = \"eu-west-1\"\n\
         [prod.package.parameters]\nparameter_overrides = {{ Tag = \"prod\" }}\nimage_repository = \"{host}/prod\"\n\
         region = \"eu-central-1\"\n"
    );
    write(&dir, "samconfig.toml", &settings);
    for (flags, repository, tag) in [
        (&[][..], "from-settings", "v7"),
        (&["--parameter-overrides", "Tag=v8"], "from-settings", "v8"),
        (&["--parameter-overrides", "ParameterKey=Tag,ParameterValue=v9"], "from-settings", "v9"),
        (&["--config-env", "prod"], "prod", "prod"),
    ] {
        let packaged = user.ok(&package(&user, &[&["--no-check"], flags].concat())).stdout;
        let uri = uris(&packaged).remove(0);
        assert!(uri.starts_with(&format!("{host}/{repository}:function-")), "{flags:?}: {uri}");
        assert!(uri.ends_with(&format!("-{tag}")), "{flags:?}: {uri}");
    }
    let uri = format!("--image-repository={host}/from-flag");
    let done = user.ok(&package(&user, &["--no-check", &uri]));
    assert!(uris(&done.stdout)[0].starts_with(&format!("{host}/from-flag:")), "{}", done.stdout);
    assert!(done.stderr.contains("--keep-metadata"), "{}", done.stderr);
    let error = user.run(&package(&user, &["--config-env", "none"])).failed(2);
    assert!(error.contains("no environment `none`"), "{error}");
    let error = user.run(&package(&user, &["--parameter-overrides", "Tag"])).failed(2);
    assert!(error.contains("has a word that is not NAME=VALUE"), "{error}");
}

#[test]
fn build_writes_the_template_where_sam_deploy_reads_it() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    let function = keyed(&dir, "Function", "");
    let text = format!(
        "Resources:\n{function}  Zip:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: ./zip  # beside\n      \
         Handler: a.b\n      Runtime: python3.12\n  Api:\n    Type: AWS::Serverless::Api\n    Properties:\n      \
         DefinitionUri: 'api s.yaml'\n"
    );
    write(&dir, "template.yaml", &text);
    let repository = format!("{}/app", registry.host());
    user.ok(&["sam", "build", "--image-repository", &repository]);
    let built = fs::read_to_string(user.path(".aws-sam/build/template.yaml")).unwrap();
    let new = new_lines(&built, &text);
    let expected = [
        "ImageUri: ",
        "SkipBuild: true",
        "CodeUri: ../../zip  # beside",
        "DefinitionUri: '../../api s.yaml'",
    ];
    assert_eq!(new.len(), 4, "{new:?}");
    assert!(new.iter().zip(expected).all(|(line, expected)| line.trim().starts_with(expected)), "{new:?}");

    // without a repository, the images stay here
    let user = super::user();
    let function = keyed(&user.path(""), "Function", "");
    write(&user.path(""), "template.yaml", &format!("Resources:\n{function}"));
    let done = user.ok(&["sam", "build"]);
    assert_eq!(done.stdout, "oci:.aws-sam/build/images/Function:latest\n");
    assert!(user.path(".aws-sam/build/images/Function/index.json").is_file());
    assert!(!user.path(".aws-sam/build/template.yaml").exists());
    assert!(done.stderr.contains("no repository is given"), "{}", done.stderr);
}

#[test]
fn repositories_are_made_after_stack_and_function() {
    const REGION: &str = "eu-west-1";
    let (registry, moto, mut user) = (Registry::start(Mode::Plain), Moto::start(), user());
    let ecr = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com");
    for (name, value) in [
        NO_METADATA,
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_ENDPOINT_URL", &moto.url()),
        ("LBUILD_REGISTRY_ENDPOINT", &format!("{ecr}=http://{}", registry.host())),
    ] {
        user.set(name, value);
    }
    let dir = user.path("");
    let text = format!("Resources:\n{}{}", keyed(&dir, "ApiFunction", ""), keyed(&dir, "Worker", ""));
    write(&dir, "template.yaml", &text);
    let arguments = package(&user, &["--resolve-image-repos", "--region", REGION]);
    let error = user.run(&arguments).failed(2);
    assert!(error.contains("--stack-name"), "{error}");
    let arguments =
        package(&user, &["--resolve-image-repos", "--region", REGION, "--stack-name", "My_Stack-1"]);
    for _ in 0..2 {
        let packaged = user.ok(&arguments).stdout;
        let uris = uris(&packaged);
        assert!(uris[0].starts_with(&format!("{ecr}/my-stack-1/apifunction:apifunction-")), "{uris:?}");
        assert!(uris[1].starts_with(&format!("{ecr}/my-stack-1/worker:worker-")), "{uris:?}");
    }
    assert_eq!(moto.repositories(REGION).len(), 2);
    let policy = moto.policy(REGION, "my-stack-1/worker").unwrap();
    assert!(policy.contains("lambda.amazonaws.com"), "{policy}");
}

#[test]
fn the_repository_of_an_image_uri_is_used_again() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    let function = keyed(&dir, "Function", "");
    let uri = format!("{}/own:old", registry.host());
    let text = format!("Resources:\n{function}")
        .replace("PackageType: Image\n", &format!("PackageType: Image\n      ImageUri: {uri}\n"));
    write(&dir, "template.yaml", &text);
    let packaged = user.ok(&package(&user, &[])).stdout;
    assert!(uris(&packaged)[0].starts_with(&format!("{}/own:function-", registry.host())), "{packaged}");
    assert!(Path::new(&registry.storage().join("docker/registry/v2/repositories/own")).is_dir());
}

#[test]
fn the_secrets_of_a_function_are_no_others() {
    let user = user();
    let dir = user.path("");
    let mut text = "Resources:\n".to_owned();
    for id in ["A", "B"] {
        write(&dir, &format!("{id}/secret"), &format!("secret of {id}\n"));
        let run = "RUN --mount=type=secret,id=token,required=true cat /run/secrets/token >/token";
        write(&dir, &format!("{id}/Dockerfile"), &format!("FROM localhost/base\n{run}\nENV NAME={id}\n"));
        text += &format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties: {{PackageType: Image, Architectures: [{ARCH}]}}\n    \
             Metadata:\n      Dockerfile: Dockerfile\n      DockerContext: {id}\n      \
             DockerBuildExtraParams: [--secret, 'id=token,src={id}/secret']\n"
        );
    }
    write(&dir, "template.yaml", &text);
    let base = format!("localhost/base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    let done = user.ok(&["sam", "build", "--no-check", "--build-context", &base]);
    assert!(!done.stderr.contains("secret of"), "{}", done.stderr);
    for id in ["A", "B"] {
        let image = ImageLocation::layout(&user.path(&format!(".aws-sam/build/images/{id}")), "latest");
        let tree = image_tools::umoci_unpack(&image).unwrap();
        let token = fs::read_to_string(tree.rootfs().join("token")).unwrap();
        assert_eq!(token, format!("secret of {id}\n"));
    }
}

#[test]
fn a_command_that_differs_each_time_runs_once() {
    let (registry, user) = (Registry::start(Mode::Plain), user());
    let dir = user.path("");
    write(&dir, "app/Dockerfile", "FROM localhost/base\nRUN head -c 8 /dev/urandom >/random\n");
    let text = format!(
        "Resources:\n  Function:\n    Type: AWS::Serverless::Function\n    Properties:\n      PackageType: Image\n      \
         Architectures: [{ARCH}]\n    Metadata: {{Dockerfile: Dockerfile, DockerContext: app}}\n"
    );
    write(&dir, "template.yaml", &text);
    let base = format!("localhost/base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    let repository = format!("{}/app", registry.host());
    let flags = ["--no-check", "--no-cache", "--build-context", &base, "--image-repository", &repository];
    let done = user.ok(&package(&user, &flags));
    assert_eq!(done.stderr.matches("run      ").count(), 1, "{}", done.stderr);
    let uri = uris(&done.stdout).remove(0);
    assert!(has_tag(&registry, "app", uri.rsplit_once(':').unwrap().1), "{uri}");
}
