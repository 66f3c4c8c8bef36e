//! The project in `testdata/instead_of_docker`, its user, and AWS.

use crate::support::aws_network::decode;
use crate::support::debian::ARCHITECTURE;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::moto::{Moto, NO_METADATA};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, nonce, part, run, testdata, tool};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

pub const REGION: &str = "eu-west-1";
pub const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// The AWS profile that has keys.
pub const PROFILE: &str = "deployer";

/// A project with tools of Node, whose user has keys for AWS in a profile, and no `docker`.
pub struct Project {
    pub user: Lbuild,
    pub moto: Moto,
    /// In ECR's place. It wants the password that is in moto's tokens.
    pub ecr: Registry,
    public: Registry,
}

impl Project {
    pub fn start(moto: Moto) -> Project {
        let (public, mut user) = (Registry::start(Mode::Plain), Lbuild::new());
        bases::push(&public, "oci-index", "lambda/python", "3.12");
        let path = format!("{}:/usr/bin:/bin", part("cdk").join("bin").display());
        for (name, value) in [
            NO_METADATA,
            ("PATH", &*path),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &moto.url()),
            ("CDK_DISABLE_CLI_TELEMETRY", "true"),
            ("SLS_TELEMETRY_DISABLED", "1"),
            ("SLS_NOTIFICATIONS_MODE", "off"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            user.set(name, value);
        }
        fs::create_dir(user.path("home/.aws")).unwrap();
        let keys = format!("[{PROFILE}]\naws_access_key_id = testing\naws_secret_access_key = testing\n");
        fs::write(user.path("home/.aws/credentials"), keys).unwrap();
        let files = testdata("instead_of_docker");
        run(Command::new(tool("cp")).arg("-rT").arg(files).arg(user.path(""))).unwrap();
        symlink(part("cdk").join("node_modules"), user.path("node_modules")).unwrap();
        moto.role("hello");
        let ecr = registry(&moto);
        let mut project = Project { user, moto, ecr, public };
        project.map_hosts();
        project
    }

    fn map_hosts(&mut self) {
        let hosts = format!("public.ecr.aws=http://{},{ECR}=http://{}", self.public.host(), self.ecr.host());
        self.user.set("LBUILD_REGISTRY_ENDPOINT", &hosts);
    }

    /// Puts an empty registry in ECR's place, and makes the user one without logins, images and cache. moto's ECR stays as
    /// it is.
    pub fn start_again(&mut self) {
        self.ecr = registry(&self.moto);
        self.map_hosts();
        let _ = fs::remove_file(self.user.path("docker/config.json"));
        let cache = self.user.text("another-cache");
        self.user.set("LBUILD_CACHE", &cache);
    }

    /// Runs a tool with lbuild in Docker's place.
    #[track_caller]
    pub fn with(&self, words: &[&str]) -> RunOutput {
        self.user.ok(&[&["with", "--"], words].concat())
    }

    /// Runs a tool where a call of Docker fails.
    #[track_caller]
    pub fn without(&self, words: &[&str]) -> RunOutput {
        let program = part("cdk").join("bin").join(words[0]);
        let mut command = self.user.program(program.to_str().unwrap(), &words[1..]);
        RunOutput::of(command.env("CDK_DOCKER", "/bin/false").output().unwrap()).succeeded()
    }

    /// `cdk bootstrap`: the bucket, the repository, the roles and the parameter that CDK expects. Not in the project, whose
    /// app it would run.
    pub fn bootstrap(&self) {
        let program = part("cdk").join("bin/cdk");
        let words = ["bootstrap", "aws://123456789012/eu-west-1", "--no-notices", "--profile", PROFILE];
        let mut command = self.user.program(program.to_str().unwrap(), &words);
        RunOutput::of(command.current_dir(self.user.path("tmp")).output().unwrap()).succeeded();
    }

    /// Builds `archive.tar`, an image without a name.
    pub fn build_archive(&self) {
        let arguments = ["build", "hello", "--target", "code", "--arch", "arm64", "--to"];
        self.user.ok(&[&arguments[..], &["docker-archive:archive.tar"]].concat());
    }

    pub fn json(&self, name: &str) -> Value {
        bases::read(&self.user.path(name))
    }

    /// The digest of a tag in the registry.
    pub fn digest(&self, repository: &str, tag: &str) -> String {
        self.ecr.manifest(repository, tag).0
    }

    /// Tells moto's ECR of an image in the registry.
    pub fn record(&self, repository: &str, tag: &str) {
        self.moto.put_image(REGION, &self.ecr, repository, tag);
    }

    /// The names of the programs that have written manifests to the registry, with a version.
    pub fn writers(&self) -> Vec<String> {
        let log = self.ecr.log();
        log.into_iter().filter(|entry| entry.is_manifest_put()).map(|entry| entry.user_agent).collect()
    }

    /// The name of the image of a deployed function, without its registry.
    #[track_caller]
    pub fn image_of(&self, function: &str, architecture: &str) -> String {
        let found = self.moto.lambda(REGION, function);
        let config = &found["Configuration"];
        let expected = if architecture == "amd64" { "x86_64" } else { architecture };
        assert_eq!((&config["PackageType"], &config["Architectures"]), (&json!("Image"), &json!([expected])));
        let uri = found["Code"]["ImageUri"].as_str().unwrap_or_else(|| panic!("{found}"));
        uri.strip_prefix(ECR).unwrap_or_else(|| panic!("{uri}"))[1..].to_owned()
    }

    /// Other programs and Lambda's rules accept an image, and its function answers with `expected`.
    #[track_caller]
    pub fn judge(&self, image: &str, architecture: &str, expected: &Value) {
        let location = ImageLocation::registry(&self.ecr, image);
        let found = image_tools::skopeo_inspect(&location).unwrap();
        assert_eq!(found["Architecture"], architecture, "{image}");
        image_tools::lambda_importer(&location).unwrap();
        let event = json!({ "nonce": nonce() }).to_string();
        let done = self.user.ok(&["invoke", &format!("{ECR}/{image}"), "-d", &event]);
        let mut answer: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(answer["event"].to_string(), event, "{image}");
        answer.as_object_mut().unwrap().remove("event");
        assert_eq!(answer, *expected, "{image}");
    }
}

/// An empty registry that wants the password in moto's tokens.
fn registry(moto: &Moto) -> Registry {
    let login = decode(&moto.token(REGION));
    let (user, password) = login.split_once(':').expect("user:password");
    Registry::start(Mode::Basic { user, password })
}

const MACHINE: &str = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" };

/// The functions of the stack `Images`: name, architecture, answer.
pub fn functions() -> [(&'static str, &'static str, Value); 3] {
    [
        ("native", ARCHITECTURE, json!({ "greeting": "secret", "words": null, "machine": MACHINE })),
        ("arm", "arm64", with_words()),
        ("archive", "arm64", json!({ "greeting": null, "words": null, "machine": "aarch64" })),
    ]
}

/// The answer of the function in `hello/words.Dockerfile`.
pub fn with_words() -> Value {
    json!({ "greeting": "good morning", "words": "words of another context", "machine": "aarch64" })
}
