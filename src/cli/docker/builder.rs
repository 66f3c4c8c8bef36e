//! The answers of `docker version`, `docker info` and `docker buildx`, in the lines that tools read.

use serde_json::{Value, json};

use super::template;
use crate::cli::output::exit::Failure;
use crate::cli::output::report::print;

/// The versions of Docker and Buildx whose calls are understood.
const DOCKER: &str = "28.2.2";
const BUILDX: &str = "v0.22.0";
const API: &str = "1.50";

/// The name of the only builder.
pub const NAME: &str = "lbuild";
/// The name of the only context.
pub const CONTEXT: &str = "default";
/// The word by which Docker's command asks a plugin for its name.
pub const METADATA: &str = "docker-cli-plugin-metadata";

const LBUILD: &str = env!("CARGO_PKG_VERSION");

fn arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// `docker --version`
pub fn short_version() -> Result<(), Failure> {
    print(&format!("Docker version {DOCKER}, build lbuild-{LBUILD}"))
}

/// `docker version`
pub fn version(format: Option<&str>) -> Result<(), Failure> {
    let side = || {
        json!({
            "Version": DOCKER, "ApiVersion": API, "MinAPIVersion": "1.24", "GitCommit": format!("lbuild-{LBUILD}"),
            "Os": "linux", "Arch": arch(),
        })
    };
    let text = || {
        let side = format!(
            " Version:           {DOCKER}\n API version:       {API}\n Git commit:        lbuild-{LBUILD}\n OS/Arch:           linux/{}\n",
            arch()
        );
        format!(
            "Client: lbuild\n{side} Context:           {CONTEXT}\n\nServer: lbuild, without a daemon\n{side}"
        )
    };
    document(format, &json!({ "Client": side(), "Server": side() }), text)
}

/// `docker info`
pub fn info(format: Option<&str>) -> Result<(), Failure> {
    let architecture = std::env::consts::ARCH;
    let info = json!({
        "ServerVersion": DOCKER, "OSType": "linux", "Architecture": architecture, "Name": NAME, "Driver": NAME,
        "OperatingSystem": format!("lbuild {LBUILD}, without a daemon"), "Containers": 0, "ServerErrors": [],
        "ClientInfo": { "Version": DOCKER, "Context": CONTEXT },
        "RegistryConfig": { "InsecureRegistryCIDRs": ["127.0.0.0/8"] },
    });
    let text = || {
        format!(
            "Client: lbuild\n Version:    {DOCKER}\n Context:    {CONTEXT}\n\nServer:\n Containers: 0\n Server Version: {DOCKER}\n \
             Storage Driver: {NAME}\n Operating System: lbuild {LBUILD}, without a daemon\n OSType: linux\n \
             Architecture: {architecture}\n Name: {NAME}\n"
        )
    };
    document(format, &info, text)
}

/// Prints a document with a template, as JSON, or as text.
fn document(format: Option<&str>, document: &Value, text: impl Fn() -> String) -> Result<(), Failure> {
    match format {
        None | Some("") => print(text().trim_end()),
        Some("json") => print(&document.to_string()),
        Some(template) => print(&template::filled(template, document)?),
    }
}

/// `docker buildx version`
pub fn buildx_version() -> Result<(), Failure> {
    print(&format!("github.com/docker/buildx {BUILDX} lbuild-{LBUILD}"))
}

/// The answer of a plugin to Docker's command:
/// <https://pkg.go.dev/github.com/docker/cli/cli-plugins/metadata>.
pub fn metadata() -> Result<(), Failure> {
    print(
        &json!({
            "SchemaVersion": "0.1.0", "Vendor": "lbuild", "Version": BUILDX, "ShortDescription": "Docker Buildx",
        })
        .to_string(),
    )
}

/// `docker buildx inspect`: any name is that of the only builder.
pub fn inspect(name: Option<&str>) -> Result<(), Failure> {
    let name = name.unwrap_or(NAME);
    print(&format!(
        "Name:          {name}\nDriver:        docker-container\n\nNodes:\nName:                  {name}0\n\
         Endpoint:              {CONTEXT}\nStatus:                running\nBuildKit version:      v0.21.0\n\
         Platforms:             linux/amd64, linux/arm64"
    ))
}

/// `docker buildx ls`
pub fn list() -> Result<(), Failure> {
    print(&format!(
        "NAME/NODE     DRIVER/ENDPOINT     STATUS    BUILDKIT   PLATFORMS\n{NAME}*       docker-container\n \
         \\_ {NAME}0    \\_ {CONTEXT}          running   v0.21.0    linux/amd64, linux/arm64"
    ))
}

/// `docker context inspect`
pub fn context(format: Option<&str>) -> Result<(), Failure> {
    let context = json!({
        "Name": CONTEXT, "Metadata": {},
        "Endpoints": { "docker": { "Host": "unix:///var/run/docker.sock", "SkipTLSVerify": false } },
    });
    match format {
        None | Some("json") => print(&format!("{:#}", json!([context]))),
        Some(template) => print(&template::filled(template, &context)?),
    }
}

/// `docker context ls`
pub fn contexts() -> Result<(), Failure> {
    print(&format!(
        "NAME        DESCRIPTION             DOCKER ENDPOINT\n{CONTEXT} *   lbuild, without a daemon"
    ))
}
