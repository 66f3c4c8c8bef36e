//! The real `sam` accepts the templates, without a container engine, and moto's CloudFormation what it deploys.

use super::{user, write};
use crate::dockerfile::cases::wheels;
use crate::support::bases;
use crate::support::debian::ARCHITECTURE;
use crate::support::image_tools::ImageLocation;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::invoke;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::moto::{ACCOUNT, Moto, NO_METADATA};
use crate::support::registry::{Mode, Registry};
use crate::support::{part, run, testdata, tool};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

pub const REGION: &str = "eu-west-1";

/// A SAM user with a registry in ECR's place, and no container engine.
pub struct SamUser {
    pub user: Lbuild,
    pub registry: Registry,
    moto: Moto,
    _index: Index,
}

impl SamUser {
    /// With the tutorial's project, for an architecture.
    pub fn start(arch: &str) -> SamUser {
        SamUser::of(arch, Moto::with_stacks())
    }

    fn of(arch: &str, moto: Moto) -> SamUser {
        let (registry, mut user) = (Registry::start(Mode::Plain), user());
        let dir = user.path("wheels");
        run(Command::new(tool("cp")).arg("-rT").arg(part("wheels")).arg(&dir)).unwrap();
        wheels(&dir, &["idna"]);
        let index = Index::of(&dir, IndexBehaviour::default());
        let host = registry.host();
        let registries = ["public.ecr.aws", &format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com")]
            .map(|name| format!("{name}=http://{host}"));
        for (name, value) in [
            NO_METADATA,
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ENDPOINT_URL", &moto.url()),
            ("LBUILD_REGISTRY_ENDPOINT", &registries.join(",")),
            ("PIP_INDEX_URL", &index.url()),
            ("UV_DEFAULT_INDEX", &index.url()),
            ("DOCKER_HOST", "unix:///nonexistent"),
            ("SAM_CLI_TELEMETRY", "0"),
            ("SAM_CLI_POLL_DELAY", "0.2"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            user.set(name, value);
        }
        user.set("__SAM_CLI_APP_DIR", &user.text("home/.aws-sam"));
        let case = testdata("dockerfile/cases/s0-sam-tutorial");
        for name in ["Dockerfile", "app.py", "requirements.txt", "samconfig.toml", "template.yaml"] {
            fs::copy(case.join(name), user.path(name)).unwrap();
        }
        let project = SamUser { user, registry, moto, _index: index };
        project.seed_base(arch);
        let template =
            project.read("template.yaml").replace("arm64", if arch == "arm64" { arch } else { "x86_64" });
        write(&project.user.path(""), "template.yaml", &template);
        project
    }

    /// Puts the tests' Python base, with the programs that the Dockerfile calls, in the place of AWS's.
    fn seed_base(&self, arch: &str) {
        let context = function(&[
            ("Dockerfile", "FROM localhost/base\nCOPY pip python3.12 /usr/local/bin/\n"),
            ("pip*", "#!/bin/sh\nexit 1\n"),
            ("python3.12*", "#!/bin/sh\nexec python3 \"$@\"\n"),
        ]);
        let base = format!("localhost/base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
        let (user, path) = (Lbuild::new(), context.path().to_str().unwrap());
        let to = format!("oci:{}:{arch}", user.text("base"));
        user.ok(&["build", path, "--arch", arch, "--build-context", &base, "--to", &to, "--no-check"]);
        bases::seed(&self.registry, &user.path("base"), arch, "lambda/python", "3.12");
    }

    fn sam(&self, arguments: &[&str]) -> RunOutput {
        let mut command = self.user.program(part("sam").join("bin/sam").to_str().unwrap(), arguments);
        RunOutput::of(command.output().expect("sam starts"))
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.user.path(name)).unwrap()
    }

    /// The template of a stack, as CloudFormation has it.
    fn deployed(&self, stack: &str) -> String {
        self.moto.cloudformation(REGION, &format!("Action=GetTemplate&StackName={stack}"))
    }
}

/// The image in a packaged template.
fn uri_in(packaged: &str) -> String {
    let (_, rest) = packaged.split_once("ImageUri: ").unwrap();
    rest.lines().next().unwrap().to_owned()
}

fn diff(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
    let only = |text: &str, other: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !other.lines().any(|other| other == *line));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    (only(old, new), only(new, old))
}

#[test]
fn the_tutorial_goes_from_template_to_stack() {
    let project = SamUser::of(ARCHITECTURE, Moto::with_images());
    let user = &project.user;
    user.ok(&["repo", "create", "name-encoder"]);
    // the wheel is one of the tests, with little in it
    let code = "import idna.core\n\ndef lambda_handler(event, context):\n    \
        return {'name': event['name'].encode('idna').decode(), 'x': idna.core.x}\n";
    write(&user.path(""), "app.py", code);
    user.ok(&["sam", "package", "--output-template-file", "packaged.yaml"]);
    let (template, packaged) = (project.read("template.yaml"), project.read("packaged.yaml"));
    let (removed, added) = diff(&template, &packaged);
    assert_eq!(removed, ["Metadata:", "Dockerfile: Dockerfile", "DockerContext: .", "DockerTag: !Ref Tag"]);
    assert_eq!(added.len(), 1, "{added:?}");
    let uri = added[0].strip_prefix("ImageUri: ").unwrap();
    let (repository, tag) = uri.rsplit_once(':').unwrap();
    assert_eq!(repository, format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/name-encoder"));
    assert!(tag.starts_with("function-") && tag.ends_with("-v7"), "{tag}");

    for arguments in
        [&["validate", "-t", "packaged.yaml"][..], &["validate", "--lint", "-t", "packaged.yaml"]]
    {
        let done = project.sam(arguments).succeeded();
        assert!(done.stdout.contains("is a valid SAM Template"), "{}", done.stdout);
    }
    let done = project.sam(&["package", "-t", "packaged.yaml", "--image-repository", repository]).succeeded();
    assert!(done.stdout.contains(uri), "{}", done.stdout);
    project.moto.put_image(REGION, &project.registry, "name-encoder", tag);
    // samconfig.toml has image_repositories, which would need the keys of the build
    write(&user.path(""), "plain.toml", "version = 0.1\n");
    let deploy = [
        "deploy",
        "-t",
        "packaged.yaml",
        "--config-file",
        "plain.toml",
        "--stack-name",
        "name-encoder",
        "--region",
        REGION,
    ];
    let more =
        ["--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--parameter-overrides", "Tag=v7"];
    let done = project.sam(&[&deploy[..], &more, &["--image-repository", repository]].concat()).succeeded();
    assert!(done.stdout.contains("Successfully created/updated stack"), "{}{}", done.stdout, done.stderr);
    assert!(project.deployed("name-encoder").contains(uri));
    let shown = user.ok(&["status", "name-encoder"]).stdout;
    assert!(shown.contains("state       Active") && shown.contains("300 s"), "{shown}");
    assert!(shown.contains("tag         names this image") && !shown.contains("a zip"), "{shown}");

    let location = ImageLocation::registry(&project.registry, &format!("name-encoder:{tag}"));
    let answer = invoke::Function::start(&location).unwrap().invoke(&json!({ "name": "bücher.example" }));
    assert_eq!(answer.unwrap(), json!({ "name": "xn--bcher-kva.example", "x": 1 }));
}

#[test]
fn the_guide_goes_from_template_to_stack() {
    let project = SamUser::of("arm64", Moto::with_images());
    let user = &project.user;
    fs::remove_file(user.path("samconfig.toml")).unwrap();
    write(&user.path(""), "requirements.txt", "idna==3.10\n");
    let page = crate::guide::Page::read("src/guide/sam.md");
    for (name, language) in [("template.yaml", "yaml"), ("Dockerfile", "dockerfile"), ("app.py", "python")] {
        write(&user.path(""), name, &page.blocks(language)[0]);
    }
    let commands = page.blocks("sh").concat();
    let mut last = String::new();
    for command in commands.lines() {
        let words: Vec<&str> = command.split_whitespace().collect();
        if words[0] == "sam" {
            let uri = uri_in(&project.read("packaged.yaml"));
            let (_, tag) = uri.rsplit_once(':').unwrap();
            project.moto.put_image(REGION, &project.registry, "name-encoder", tag);
            let done = project.sam(&words[1..]).succeeded();
            let (out, err) = (done.stdout, done.stderr);
            assert!(out.contains("Successfully created/updated stack"), "{out}{err}");
        } else {
            last = user.ok(&words[1..]).stdout;
        }
    }
    let packaged = project.read("packaged.yaml");
    let uri = uri_in(&packaged);
    assert!(uri.contains("/name-encoder:function-") && uri.ends_with("-v8"), "{uri}");
    assert!(project.deployed("name-encoder").contains(&uri));
    // the last command shows the function that SAM's transform describes
    for line in ["state       Active", "arch        arm64", "tag         names this image"] {
        assert!(last.contains(line), "{last}");
    }
    assert!(last.contains(&format!("image       {uri}\n")) && !last.contains("a zip"), "{last}");
    let shown = &page.blocks("text")[0];
    let without_id = |text: &str| text.replace(|c: char| c.is_ascii_hexdigit(), "");
    assert!(without_id(&packaged).contains(&without_id(shown)), "{packaged}");
}

#[test]
fn a_template_that_keeps_its_metadata_goes_on_with_sam_build() {
    let project = SamUser::start(ARCHITECTURE);
    let user = &project.user;
    user.ok(&["sam", "package", "--keep-metadata", "--output-template-file", "packaged.yaml"]);
    let packaged = project.read("packaged.yaml");
    let (removed, added) = diff(&project.read("template.yaml"), &packaged);
    assert_eq!((removed.len(), added.len()), (0, 2), "{removed:?} {added:?}");
    assert_eq!(added[1], "SkipBuild: true");
    let uri = added[0].strip_prefix("ImageUri: ").unwrap();
    // `sam build` leaves the function alone, and `sam deploy` takes samconfig.toml as it is
    project.sam(&["build", "-t", "packaged.yaml"]).succeeded();
    assert!(project.read(".aws-sam/build/template.yaml").contains(uri));
    let done = project.sam(&["deploy", "-t", "packaged.yaml", "--no-confirm-changeset"]).succeeded();
    assert!(done.stdout.contains("Successfully created/updated stack"), "{}{}", done.stdout, done.stderr);
    assert!(project.deployed("name-encoder").contains(uri));
}

#[test]
fn build_is_followed_by_sam_deploy() {
    let project = SamUser::start(ARCHITECTURE);
    let user = &project.user;
    user.ok(&["sam", "build", "--parameter-overrides", "Tag=v8"]);
    let built = project.read(".aws-sam/build/template.yaml");
    assert!(built.contains("-v8\n") && built.contains("DockerContext: ../../."), "{built}");
    let done = project.sam(&["deploy", "--no-confirm-changeset"]).succeeded();
    assert!(done.stdout.contains("Successfully created/updated stack"), "{}{}", done.stdout, done.stderr);
    assert!(project.deployed("name-encoder").contains("-v8"));
}

#[test]
fn cloudformation_takes_a_packaged_lambda_function() {
    let project = SamUser::start(ARCHITECTURE);
    let template = "Resources:\n  Role:\n    Type: AWS::IAM::Role\n    Properties:\n      RoleName: encoder\n      \
        AssumeRolePolicyDocument:\n        Version: '2012-10-17'\n        Statement:\n          - Effect: Allow\n            \
        Principal: {Service: lambda.amazonaws.com}\n            Action: sts:AssumeRole\n  Function:\n    \
        Type: AWS::Lambda::Function\n    Properties:\n      FunctionName: encoder\n      PackageType: Image\n      \
        Role: !GetAtt Role.Arn\n      Architectures: [ARCH]\n    Metadata:\n      Dockerfile: Dockerfile\n      DockerContext: .\n";
    let template = template.replace("ARCH", if ARCHITECTURE == "arm64" { "arm64" } else { "x86_64" });
    write(&project.user.path(""), "cfn.yaml", &template);
    let repository = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/name-encoder");
    project.user.ok(&[
        "sam",
        "package",
        "-t",
        "cfn.yaml",
        "--output-template-file",
        "packaged.yaml",
        "--image-repository",
        &repository,
    ]);
    let packaged = project.read("packaged.yaml");
    let body: String = packaged.bytes().map(|byte| format!("%{byte:02X}")).collect();
    project.moto.cloudformation(REGION, &format!("Action=CreateStack&StackName=plain&TemplateBody={body}"));
    let uri = uri_in(&packaged);
    let function = project.moto.lambda(REGION, "encoder");
    assert_eq!(function["Code"]["ImageUri"], uri, "{function}");
}

#[test]
fn the_names_of_a_shared_image_are_those_of_sam() {
    // `sam build` gives functions of one description the name of the first: see `SharedImage::tag`
    let project = SamUser::start(ARCHITECTURE);
    let template = project.read("template.yaml");
    let (_, function) = template.split_once("Resources:\n  Function:\n").unwrap();
    let (function, _) = function.split_once("\nOutputs:").unwrap();
    let function = function.replace("FunctionName: name-encoder", "Description: x");
    let more = format!("\n  Second:\n{function}\nOutputs:");
    write(&project.user.path(""), "template.yaml", &template.replace("\nOutputs:", &more));
    let repository = format!("--image-repository={ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/name-encoder");
    project.user.ok(&[
        "sam",
        "package",
        "--keep-metadata",
        "--output-template-file",
        "packaged.yaml",
        &repository,
    ]);
    let packaged = project.read("packaged.yaml");
    assert_eq!(packaged.matches(":function-").count(), 2, "{packaged}");
    project.sam(&["validate", "-t", "packaged.yaml"]).succeeded();
    assert!(Path::new(&project.user.path("packaged.yaml")).is_file());
}
