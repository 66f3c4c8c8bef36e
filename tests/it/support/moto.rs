//! moto's server, which imitates AWS's APIs: ECR's control plane, STS, IAM. It has one account, `ACCOUNT`. The expiry of
//! its registry tokens is in the past and has no meaning.

use super::http::{Request, Response, send, send_to_socket};
use super::registry::Registry;
use super::{KillOnDrop, part, tool};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::cell::Cell;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ACCOUNT: &str = "123456789012";

/// The variable that every program with AWS's SDK needs here, so that it does not query the metadata service.
pub const NO_METADATA: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

/// The access key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub id: String,
    pub secret: String,
}

enum Address {
    /// `127.0.0.1:PORT`
    Port(String),
    /// A socket of a server in another network namespace.
    Socket(PathBuf),
}

pub struct Moto {
    address: Address,
    checks: Cell<bool>,
    _process: Option<(KillOnDrop, TempDir)>,
}

/// The command that starts the server, without its address.
pub fn server() -> Vec<String> {
    let path = format!("PYTHONPATH={}", part("moto").display());
    words(&[&path], &tool("python3"), "moto_server.py")
}

/// The same with SAM's packages, and its own CloudFormation and Lambda.
fn server_with_stacks(variables: &[&str]) -> Vec<String> {
    words(variables, &part("sam").join("bin/python"), "moto_stacks.py")
}

fn words(variables: &[&str], python: &Path, script: &str) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support").join(script);
    let (env, python, script) = (tool("env"), python.display().to_string(), script.display().to_string());
    let started = ["PYTHONDONTWRITEBYTECODE=1", &python, "-u", &script];
    [&[&*env.display().to_string()], variables, &started].concat().into_iter().map(str::to_owned).collect()
}

impl Moto {
    /// Starts a server on a free port of 127.0.0.1. Dropping it ends the server.
    pub fn start() -> Moto {
        Moto::with(server())
    }

    /// As [`start`](Moto::start), with CloudFormation and Lambda, which need more packages.
    pub fn with_stacks() -> Moto {
        Moto::with(server_with_stacks(&[]))
    }

    /// As [`with_stacks`](Moto::with_stacks), and the image of a function has to be [in moto's ECR](Moto::put_image).
    pub fn with_images() -> Moto {
        Moto::with(server_with_stacks(&["MOTO_LAMBDA_STUB_ECR=false"]))
    }

    fn with(server: Vec<String>) -> Moto {
        let dir = tempfile::Builder::new().prefix("moto-").tempdir().expect("a temporary directory");
        let words = [server, vec!["--port".into(), "0".into()]].concat();
        let arguments: Vec<&Path> = words[1..].iter().map(Path::new).collect();
        let log = dir.path().join("log");
        let process = KillOnDrop::spawn(Path::new(&words[0]), &arguments, &log);
        let port = wait_for("moto", &log, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let (_, after) = text.split_once("Running on http://127.0.0.1:")?;
            let (port, _) = after.split_once(|c: char| !c.is_ascii_digit())?;
            Some(port.to_owned())
        });
        Moto {
            address: Address::Port(format!("127.0.0.1:{port}")),
            checks: Cell::new(false),
            _process: Some((process, dir)),
        }
    }

    /// The server on this socket; waits until it listens.
    pub fn at(socket: &Path, log: &Path) -> Moto {
        wait_for("moto", log, || UnixStream::connect(socket).ok());
        Moto { address: Address::Socket(socket.to_owned()), checks: Cell::new(false), _process: None }
    }

    /// The value for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        match &self.address {
            Address::Port(address) => format!("http://{address}"),
            Address::Socket(socket) => panic!("{socket:?} is not a URL"),
        }
    }

    /// Makes moto check signatures and IAM policies, except for the calls of this type's functions. These turn the
    /// checks off meanwhile, so do not call them while another program sends requests.
    pub fn check_requests(&self) {
        self.checks.set(true);
        self.check(true);
    }

    fn check(&self, on: bool) {
        // the number of requests that are not checked
        let body = if on { "0" } else { "inf" };
        self.send("/moto-api/reset-auth", &[], body);
    }

    /// Creates a user with the rights in `policy`.
    pub fn user(&self, name: &str, policy: &Value) -> Keys {
        self.iam(&format!("Action=CreateUser&UserName={name}"));
        let document = encode(&policy.to_string());
        self.iam(&format!("Action=PutUserPolicy&UserName={name}&PolicyName=test&PolicyDocument={document}"));
        let text = self.iam(&format!("Action=CreateAccessKey&UserName={name}"));
        Keys { id: element(&text, "AccessKeyId"), secret: element(&text, "SecretAccessKey") }
    }

    /// Calls ECR; panics if the call fails.
    #[track_caller]
    pub fn ecr(&self, region: &str, operation: &str, arguments: &Value) -> Value {
        self.try_ecr(region, operation, arguments).unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    pub fn try_ecr(&self, region: &str, operation: &str, arguments: &Value) -> Result<Value, Value> {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let scope = scope(region, "ecr");
        let headers = [
            ("X-Amz-Target", &*target),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Authorization", &*scope),
        ];
        let response = self.granted(&headers, &arguments.to_string());
        let value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        if response.status == 200 { Ok(value) } else { Err(value) }
    }

    /// Every repository, as DescribeRepositories returns it.
    pub fn repositories(&self, region: &str) -> Vec<Value> {
        let all = self.ecr(region, "DescribeRepositories", &json!({}));
        all["repositories"].as_array().expect("a list").clone()
    }

    /// Makes ECR know an image that was pushed to the registry in its place. The repository exists.
    pub fn put_image(&self, region: &str, registry: &Registry, repository: &str, tag: &str) {
        let (digest, manifest) = registry.manifest(repository, tag);
        let image = json!({
            "repositoryName": repository, "imageTag": tag, "imageManifest": manifest, "imageDigest": digest,
        });
        self.ecr(region, "PutImage", &image);
    }

    /// The text of a repository's policy.
    pub fn policy(&self, region: &str, repository: &str) -> Option<String> {
        let answer = self.try_ecr(region, "GetRepositoryPolicy", &json!({ "repositoryName": repository }));
        answer.ok().map(|answer| answer["policyText"].as_str().expect("a text").to_owned())
    }

    /// The registry's token from GetAuthorizationToken: base64 of `AWS:…`.
    pub fn token(&self, region: &str) -> String {
        let answer = self.ecr(region, "GetAuthorizationToken", &json!({}));
        answer["authorizationData"][0]["authorizationToken"].as_str().expect("a token").to_owned()
    }

    /// Calls CloudFormation with a form; returns the text of the answer.
    pub fn cloudformation(&self, region: &str, form: &str) -> String {
        let scope = scope(region, "cloudformation");
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &*scope)];
        let response = self.granted(&headers, &format!("Version=2010-05-15&{form}"));
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 200, "{form}: {text}");
        text
    }

    /// A function of Lambda, as GetFunction returns it.
    pub fn lambda(&self, region: &str, name: &str) -> Value {
        let scope = scope(region, "lambda");
        let headers = vec![("Authorization".to_owned(), scope)];
        let target = format!("/2015-03-31/functions/{name}");
        let request = Request { method: "GET".into(), target, headers, body: Vec::new() };
        let Address::Port(address) = &self.address else { panic!("a server on a port") };
        let response = send(address, &request).expect("moto answers");
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(&response.body));
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// Creates a role that Lambda may assume; returns its ARN.
    pub fn role(&self, name: &str) -> String {
        self.role_for(name, &json!({ "Service": "lambda.amazonaws.com" }))
    }

    fn role_for(&self, name: &str, principal: &Value) -> String {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        let trust = json!({ "Version": "2012-10-17", "Statement": [statement] });
        let document = encode(&trust.to_string());
        let text =
            self.iam(&format!("Action=CreateRole&RoleName={name}&AssumeRolePolicyDocument={document}"));
        element(&text, "Arn")
    }

    /// Creates a role that trusts every user, with the rights in `policy`.
    pub fn role_with(&self, name: &str, policy: &Value) {
        self.role_for(name, &json!({ "AWS": "*" }));
        let document = encode(&policy.to_string());
        self.iam(&format!("Action=PutRolePolicy&RoleName={name}&PolicyName=test&PolicyDocument={document}"));
    }

    /// Publishes a version of a layer.
    pub fn publish_layer(&self, region: &str, name: &str, zip: &[u8], description: &str, runtime: &str) {
        let body = json!({
            "Content": { "ZipFile": BASE64_STANDARD.encode(zip) },
            "Description": description, "CompatibleRuntimes": [runtime],
        });
        let headers = vec![("Authorization".to_owned(), scope(region, "lambda"))];
        let target = format!("/2018-10-31/layers/{name}/versions");
        let request = Request { method: "POST".into(), target, headers, body: body.to_string().into_bytes() };
        let Address::Port(address) = &self.address else { panic!("a server on a port") };
        let response = send(address, &request).expect("moto answers");
        assert_eq!(response.status, 201, "{}", String::from_utf8_lossy(&response.body));
    }

    fn iam(&self, form: &str) -> String {
        let scope = scope("us-east-1", "iam");
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Authorization", &*scope)];
        let response = self.granted(&headers, &format!("Version=2010-05-08&{form}"));
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert_eq!(response.status, 200, "{form}: {text}");
        text
    }

    fn granted(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let checks = self.checks.get();
        if checks {
            self.check(false);
        }
        let response = self.send("/", headers, body);
        if checks {
            self.check(true);
        }
        response
    }

    fn send(&self, target: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let request =
            Request { method: "POST".into(), target: target.into(), headers, body: body.as_bytes().to_vec() };
        let response = match &self.address {
            Address::Port(address) => send(address, &request),
            Address::Socket(socket) => send_to_socket(socket, &request),
        };
        response.expect("moto answers")
    }
}

/// A policy that allows these actions on everything.
pub fn allow(actions: &[&str]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": actions, "Resource": "*" }] })
}

/// Waits until a server is ready; panics with its log after a minute.
pub fn wait_for<T>(name: &str, log: &Path, ready: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        let text = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < deadline, "{name} does not start:\n{}", text());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// moto reads service and region from the Authorization header, whose signature may be wrong while checks are off.
fn scope(region: &str, service: &str) -> String {
    let scope = format!("AKIAIOSFODNN7EXAMPLE/20260101/{region}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The content of the first element of this name.
fn element(xml: &str, name: &str) -> String {
    let after = xml.split_once(&format!("<{name}>")).map(|(_, after)| after);
    let content = after.and_then(|after| after.split_once(&format!("</{name}>")));
    content.unwrap_or_else(|| panic!("no {name} in {xml}")).0.to_owned()
}
