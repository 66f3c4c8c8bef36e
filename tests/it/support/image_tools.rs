//! Programs that say whether an image is good. None sees every fault: `broken.rs` tells which sees what, and
//! `rig.rs` proves it.

use super::registry::Registry;
use super::sandbox::Sandbox;
use super::{bases, run, tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image, where it lies, and how to get at it.
#[derive(Clone, Debug)]
pub struct ImageLocation {
    /// As skopeo and Podman write it: `docker://127.0.0.1:5000/name:tag`, `oci:DIR:TAG`, `docker-archive:FILE`.
    pub name: String,
    /// The directory or file of an image that is in no registry.
    local: Option<PathBuf>,
    login: Option<String>,
    ca: Option<PathBuf>,
}

impl ImageLocation {
    /// `image`: `repository:tag` or `repository@digest`.
    pub fn registry(registry: &Registry, image: &str) -> ImageLocation {
        let login = registry.login().map(|(user, password)| format!("{user}:{password}"));
        let name = format!("docker://{}/{image}", registry.host());
        ImageLocation { name, local: None, login, ca: registry.is_tls().then(|| registry.ca_path()) }
    }

    /// With another login than the registry's own, or with none.
    pub fn with_login(mut self, login: Option<(&str, &str)>) -> ImageLocation {
        self.login = login.map(|(user, password)| format!("{user}:{password}"));
        self
    }

    /// Without the certificate that the registry's own needs.
    pub fn without_ca(mut self) -> ImageLocation {
        self.ca = Some(PathBuf::from("/nonexistent/ca.crt"));
        self
    }

    pub fn layout(dir: &Path, tag: &str) -> ImageLocation {
        let name = format!("oci:{}:{tag}", dir.display());
        ImageLocation { name, local: Some(dir.to_owned()), login: None, ca: None }
    }

    pub fn archive(file: &Path) -> ImageLocation {
        let name = format!("docker-archive:{}", file.display());
        ImageLocation { name, local: Some(file.to_owned()), login: None, ca: None }
    }

    /// The same image at a place that the sandbox's account can read, named as seen from the sandbox's directory: Podman
    /// makes a name for the image out of the path, and minds upper case.
    fn inside(&self, sandbox: &Sandbox) -> ImageLocation {
        let mut location = self.clone();
        if let Some(local) = &self.local {
            sandbox.adopt(local, "image");
            location.name = self.name.replace(&local.display().to_string(), "image");
        }
        if let Some(ca) = &self.ca {
            sandbox.adopt(ca.parent().expect("ca.crt lies in a directory"), "ca");
            location.ca = Some(sandbox.path().join("ca/ca.crt"));
        }
        location
    }

    /// Options for a registry's login and certificate; `prefix`: "" or, for `skopeo copy`, "src-" or "dest-".
    fn options(&self, prefix: &str) -> Vec<String> {
        let mut options = Vec::new();
        options.extend(self.login.iter().map(|login| format!("--{prefix}creds={login}")));
        match &self.ca {
            Some(ca) => {
                options.push(format!("--{prefix}cert-dir={}", ca.parent().expect("in a directory").display()))
            }
            None if self.local.is_none() => options.push(format!("--{prefix}tls-verify=false")),
            None => {}
        }
        options
    }
}

/// `skopeo inspect`: name, digest, architecture, layers.
pub fn skopeo_inspect(location: &ImageLocation) -> Result<Value, String> {
    inspect(location, &[])
}

/// The config, as its author wrote it.
pub fn skopeo_config(location: &ImageLocation) -> Result<Value, String> {
    inspect(location, &["--config", "--raw"])
}

/// The manifest or index, as its author wrote it.
pub fn skopeo_manifest(location: &ImageLocation) -> Result<Value, String> {
    inspect(location, &["--raw"])
}

fn inspect(location: &ImageLocation, options: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.arg("inspect").args(options).args(location.options("")).arg(&location.name))?;
    // skopeo answers a wrong command line with its usage, and with success
    serde_json::from_str(&text).map_err(|error| format!("{command:?}: {error}\n{text}"))
}

/// `to`: `dir:DIR`, `oci:DIR:TAG`, `docker-archive:FILE`.
pub fn skopeo_copy(location: &ImageLocation, to: &str) -> Result<(), String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.arg("copy").args(location.options("src-")).arg(&location.name).arg(to))?;
    let done = text.contains("Writing manifest to image destination");
    done.then_some(()).ok_or_else(|| format!("{command:?} did nothing:\n{text}"))
}

/// Pushes with skopeo, to see what a registry makes of a client. `from`: as `ImageLocation::name`.
pub fn skopeo_push(from: &str, to: &ImageLocation) -> Result<(), String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.args(["copy", "--all"]).args(to.options("dest-")).arg(from).arg(&to.name))?;
    let done = text.contains("Writing manifest");
    done.then_some(()).ok_or_else(|| format!("{command:?} did nothing:\n{text}"))
}

/// What umoci unpacked, until dropped.
pub struct Unpacked {
    sandbox: Sandbox,
}

impl Unpacked {
    pub fn rootfs(&self) -> PathBuf {
        self.sandbox.path().join("bundle/rootfs")
    }
}

pub fn umoci_unpack(location: &ImageLocation) -> Result<Unpacked, String> {
    let sandbox = Sandbox::new();
    let image = match location.name.strip_prefix("oci:") {
        // as it is: skopeo would refuse, or mend, what umoci shall judge
        Some(_) => location.inside(&sandbox).name.trim_start_matches("oci:").to_owned(),
        None => {
            let copy = tempfile::tempdir().expect("a temporary directory");
            skopeo_copy(location, &format!("oci:{}:judged", copy.path().display()))?;
            sandbox.adopt(copy.path(), "image");
            "image:judged".to_owned()
        }
    };
    run(sandbox.command("umoci").args(["unpack", "--rootless", "--image", &image, "bundle"]))?;
    Ok(Unpacked { sandbox })
}

/// Pulls with rootless Podman and runs as Lambda would: read-only, as a user that owns nothing. `options` go
/// before the image, such as `--entrypoint=/bin/ls`; returns what the program prints.
pub fn podman_run(location: &ImageLocation, options: &[&str], arguments: &[&str]) -> Result<String, String> {
    let sandbox = Sandbox::new();
    let all = podman_arguments(&sandbox, location, options, arguments);
    sandbox.run(PODMAN, &all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `podman save`, as an archive for Docker.
pub fn podman_save(location: &ImageLocation, to: &Path) -> Result<(), String> {
    let sandbox = Sandbox::new();
    let script = "podman save --quiet --format docker-archive --output image.tar $(pull \"$1\")";
    sandbox.run(script, &[&location.inside(&sandbox).name])?;
    std::fs::copy(sandbox.path().join("image.tar"), to).map(drop).map_err(|error| error.to_string())
}

/// Takes the numbers of options for pulling and for running, then all of them, then the program's arguments.
pub(super) const PODMAN: &str = r#"
    image=$1 pulling=$2 running=$3; shift 3
    id=$(pull "$image" "${@:1:pulling}"); shift "$pulling"
    start "${@:1:running}" "$id" "${@:running+1}"
"#;

pub(super) fn podman_arguments(
    sandbox: &Sandbox,
    location: &ImageLocation,
    options: &[&str],
    arguments: &[&str],
) -> Vec<String> {
    let location = location.inside(sandbox);
    let pulling = location.options("");
    let mut all = vec![location.name, pulling.len().to_string(), options.len().to_string()];
    all.extend(pulling);
    all.extend(options.iter().chain(arguments).map(|&text| text.to_owned()));
    all
}

/// The faults for which Lambda's importer is known to refuse an image, and which no container engine minds: an
/// index, mixed media types, a layer that is not gzip, a parent directory that is missing, an entry that is doubled.
pub fn lambda_importer(location: &ImageLocation) -> Result<(), String> {
    let copy = tempfile::tempdir().expect("a temporary directory");
    let dir = copy.path().join("image");
    skopeo_copy(location, &format!("dir:{}", dir.display()))?;
    let manifest = bases::read(&dir.join("manifest.json"));
    let (config, layer) = match manifest["mediaType"].as_str() {
        Some("application/vnd.docker.distribution.manifest.v2+json") => (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
        Some("application/vnd.oci.image.manifest.v1+json") => {
            ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip")
        }
        other => return Err(format!("importer: the manifest's media type is {other:?}")),
    };
    if manifest["config"]["mediaType"] != config {
        return Err(format!("importer: the config's media type is {}", manifest["config"]["mediaType"]));
    }
    for descriptor in manifest["layers"].as_array().ok_or("importer: no layers")? {
        if descriptor["mediaType"] != layer {
            return Err(format!("importer: a layer's media type is {}", descriptor["mediaType"]));
        }
        let digest = descriptor["digest"].as_str().ok_or("importer: a layer has no digest")?;
        layer_rules(&dir.join(digest.trim_start_matches("sha256:")))
            .map_err(|fault| format!("importer: layer {digest}: {fault}"))?;
    }
    Ok(())
}

fn layer_rules(file: &Path) -> Result<(), String> {
    let list = run(Command::new(tool("tar")).arg("--list").arg("--gzip").arg("--file").arg(file))?;
    let mut seen = BTreeSet::new();
    for name in list.lines() {
        let path = name.trim_start_matches("./").trim_end_matches('/');
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        if parent.is_some_and(|parent| !seen.contains(parent)) {
            return Err(format!("{name} has no parent directory before it"));
        }
        if !seen.insert(path) {
            return Err(format!("{name} occurs twice"));
        }
    }
    Ok(())
}
