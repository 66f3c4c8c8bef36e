//! AWS under its real host names in a private network: a user, mount and network namespace that has only its own
//! loopback. nginx listens on port 443 with a certificate of the test authority, and forwards to a real registry that
//! requires ECR's login, to moto, and to a substitute for S3, which serves the registry's blobs and refuses logins.

use super::lbuild::{Lbuild, RunOutput};
use super::moto::{self, Keys, Moto, wait_for};
use super::{http, part, run, tool};
use serde_json::Value;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub const REGION: &str = "eu-west-1";
pub const REGISTRY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
/// The host to which ECR redirects requests for blobs.
pub const OBJECTS: &str = "prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com";
const APIS: [&str; 5] = [
    "api.ecr.eu-west-1.amazonaws.com",
    "ecr.eu-west-1.api.aws",
    "sts.eu-west-1.amazonaws.com",
    "sts.amazonaws.com",
    "iam.amazonaws.com",
];

/// The network; dropping it stops everything in it.
pub struct AwsNetwork {
    pub moto: Moto,
    namespace: Namespace,
}

/// A request that reached nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxRequest {
    pub host: String,
    pub method: String,
    /// With its query.
    pub path: String,
    pub status: u64,
    /// The scheme of the Authorization header, such as `Basic`; empty without one.
    pub login: String,
    /// The action of a call to AWS, such as `CreateRepository`.
    pub action: String,
}

impl NginxRequest {
    pub fn is_for_aws(&self) -> bool {
        APIS.contains(&&*self.host)
    }

    /// Whether the request changes something in the registry or in AWS.
    pub fn is_write(&self) -> bool {
        match self.is_for_aws() {
            true => {
                ["Create", "Set", "Put", "Tag", "Delete"].iter().any(|verb| self.action.starts_with(verb))
            }
            false => ["POST", "PATCH", "PUT", "DELETE"].contains(&&*self.method),
        }
    }

    fn parse(line: &str) -> NginxRequest {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        // the JSON protocol names the action in a header, the query protocol in the body
        let action = match text("target").rsplit_once('.') {
            Some((_, action)) => action.to_owned(),
            None => text("action"),
        };
        NginxRequest {
            host: text("host"),
            method: text("method"),
            path: text("path"),
            status: value["status"].as_u64().expect("a number"),
            login: text("login"),
            action,
        }
    }
}

impl AwsNetwork {
    pub fn start() -> AwsNetwork {
        let mut namespace = Namespace::start();
        let dir = namespace.dir.path().to_owned();
        let socket = dir.join("moto.sock");
        namespace.serve(&format!("{} --host unix://{}", moto::server().join(" "), socket.display()), "moto");
        namespace.write("nginx.conf", &nginx_configuration(&dir));
        namespace.serve(&format!("{} -e stderr -p . -c nginx.conf", tool("nginx").display()), "nginx");

        let moto = Moto::at(&socket, &namespace.path("moto.log"));
        let login = decode(&moto.token(REGION));
        let (user, password) = login.split_once(':').expect("user:password");
        let line = run(Command::new(tool("htpasswd")).args(["-nbB", "-C", "4", user, password]));
        namespace.write("htpasswd", &line.expect("htpasswd hashes"));
        namespace.write("registry.yml", &registry_configuration(&dir));
        namespace.serve(&format!("{} serve registry.yml", tool("docker-registry").display()), "registry");
        for (name, socket) in [("nginx", "nginx.sock"), ("registry", "registry.sock")] {
            let (socket, log) = (dir.join(socket), namespace.path(&format!("{name}.log")));
            wait_for(name, &log, || UnixStream::connect(&socket).ok());
        }
        AwsNetwork { moto, namespace }
    }

    /// A user without keys.
    pub fn user_without_keys(&self) -> Lbuild {
        let mut user = Lbuild::new();
        user.set("SSL_CERT_FILE", &self.authority().display().to_string());
        user.set(moto::NO_METADATA.0, moto::NO_METADATA.1);
        user.set("AWS_REGION", REGION);
        // for skopeo: every user is root in the namespace, and skopeo would use root's directories
        user.set("_CONTAINERS_ROOTLESS_UID", "1");
        user
    }

    /// A user who has only these keys.
    pub fn user(&self, keys: &Keys) -> Lbuild {
        let mut user = self.user_without_keys();
        user.set("AWS_ACCESS_KEY_ID", &keys.id);
        user.set("AWS_SECRET_ACCESS_KEY", &keys.secret);
        user
    }

    /// Runs lbuild in the namespace.
    pub fn run<S: AsRef<OsStr>>(&self, user: &Lbuild, arguments: &[S]) -> RunOutput {
        let output = self.command(user, Path::new(env!("CARGO_BIN_EXE_lbuild")), arguments).output();
        RunOutput::of(output.expect("nsenter starts"))
    }

    /// A program in the namespace, with a user's environment.
    pub fn command<S: AsRef<OsStr>>(&self, user: &Lbuild, program: &Path, arguments: &[S]) -> Command {
        let target = format!("--target={}", self.namespace.child.id());
        let directory = format!("--wdns={}", user.path("").display());
        let entrance = [&*target, "--user", "--preserve-credentials", "--mount", "--net", &directory];
        let mut command = user.program("nsenter", &entrance);
        command.arg(program).args(arguments);
        command
    }

    /// Copies with skopeo, in the namespace.
    pub fn skopeo(&self, user: &Lbuild, arguments: &[&str]) -> Result<String, String> {
        run(&mut self.command(user, &tool("skopeo"), &[&["copy"], arguments].concat()))
    }

    /// The certificate that clients must trust.
    fn authority(&self) -> PathBuf {
        part("ca").join("ca.crt")
    }

    /// The directory that holds `docker/registry/v2`.
    pub fn storage(&self) -> PathBuf {
        self.namespace.path("storage")
    }

    /// Every request so far. nginx serves requests one after the other and logs each before the next one, so its answer
    /// to this request shows that the log is complete.
    pub fn log(&self) -> Vec<NginxRequest> {
        let request =
            http::Request { method: "GET".into(), target: "/".into(), headers: Vec::new(), body: Vec::new() };
        http::send_to_socket(&self.namespace.path("nginx.sock"), &request).expect("nginx answers");
        let text = std::fs::read_to_string(self.namespace.path("access")).expect("nginx has a log");
        text.lines().map(NginxRequest::parse).collect()
    }

    /// The requests after the first `length` ones.
    pub fn log_since(&self, length: usize) -> Vec<NginxRequest> {
        self.log().split_off(length)
    }
}

/// Keeps the namespaces open; the servers in them end with it.
struct Namespace {
    child: Child,
    dir: TempDir,
}

impl Namespace {
    fn start() -> Namespace {
        let dir = tempfile::Builder::new().prefix("aws-network-").tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join("storage")).expect("ours");
        let log = std::fs::File::create(dir.path().join("network.log")).expect("ours");
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        for name in [REGISTRY, OBJECTS].iter().chain(&APIS) {
            let _ = writeln!(hosts, "127.0.0.1 {name}");
        }
        std::fs::write(dir.path().join("hosts"), hosts).expect("ours");
        std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\n").expect("ours");
        certificate(dir.path());
        let child = Command::new(tool("unshare"))
            .args(["--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child"])
            .args(["bash", "-c", include_str!("aws_network.sh"), "network"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log is a file"))
            .stderr(log)
            .spawn();
        let namespace = Namespace { child: child.expect("unshare starts"), dir };
        wait_for("the namespace", &namespace.path("network.log"), || {
            namespace.path("ready").exists().then_some(())
        });
        namespace
    }

    /// Starts a server in the namespace's directory.
    fn serve(&mut self, command: &str, log: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "exec {command} >{log}.log 2>&1").expect("the namespace lives");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).expect("ours");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A certificate of the test authority for every host name of this network.
fn certificate(dir: &Path) {
    let names: Vec<String> =
        [REGISTRY, OBJECTS].iter().chain(&APIS).map(|name| format!("DNS:{name}")).collect();
    let (ca, mut openssl) = (part("ca"), Command::new(tool("openssl")));
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", "3650", "-subj", "/CN=test network", "-keyout"]).arg(dir.join("key.pem"));
    openssl.arg("-out").arg(dir.join("certificate.pem"));
    openssl.arg("-CA").arg(ca.join("ca.crt")).arg("-CAkey").arg(ca.join("ca-key.pem"));
    openssl.args(["-addext", &format!("subjectAltName={}", names.join(","))]);
    openssl.args(["-addext", "extendedKeyUsage=serverAuth", "-addext", "basicConstraints=CA:FALSE"]);
    run(&mut openssl).expect("openssl signs");
}

fn nginx_configuration(dir: &Path) -> String {
    let template = include_str!("aws_network.nginx");
    let values = [("DIR", &*dir.display().to_string()), ("REGISTRY", REGISTRY), ("OBJECTS", OBJECTS)];
    let text = template.replace("@APIS@", &APIS.join(" "));
    values.iter().fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value))
}

fn registry_configuration(dir: &Path) -> String {
    let path = |name: &str| dir.join(name);
    format!(
        "version: 0.1\nlog: {{level: info}}\n\
         storage:\n  filesystem: {{rootdirectory: {:?}}}\n  delete: {{enabled: true}}\n\
         http: {{net: unix, addr: {:?}, secret: test}}\n\
         auth:\n  htpasswd: {{realm: \"https://{REGISTRY}/\", path: {:?}}}\n\
         middleware:\n  storage:\n    - {{name: redirect, options: {{baseurl: \"https://{OBJECTS}\"}}}}\n",
        path("storage"),
        path("registry.sock"),
        path("htpasswd"),
    )
}

/// The login in a token, as `AWS:…`.
pub fn decode(token: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_STANDARD.decode(token).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}
