//! Programs that read or run an image, and so show whether it is valid. None detects every fault of `faulty_images`:
//! `test_support.rs` has a table of the tools that detect each.

use super::registry::Registry;
use super::sandbox::Sandbox;
use super::{bases, run, tool};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The location of an image, with the login and the certificate for it.
#[derive(Clone, Debug)]
pub struct ImageLocation {
    /// As skopeo and Podman write it: `docker://127.0.0.1:5000/name:tag`, `oci:DIR:TAG`, `docker-archive:FILE`.
    pub name: String,
    /// The directory or file of an image outside a registry.
    local: Option<PathBuf>,
    login: Option<String>,
    ca: Option<PathBuf>,
}

impl ImageLocation {
    /// The location of `image`: `repository:tag` or `repository@digest`.
    pub fn registry(registry: &Registry, image: &str) -> ImageLocation {
        let login = registry.login().map(|(user, password)| format!("{user}:{password}"));
        let name = format!("docker://{}/{image}", registry.host());
        ImageLocation { name, local: None, login, ca: registry.is_tls().then(|| registry.ca_path()) }
    }

    /// Replaces the registry's login; `None` removes it.
    pub fn with_login(mut self, login: Option<(&str, &str)>) -> ImageLocation {
        self.login = login.map(|(user, password)| format!("{user}:{password}"));
        self
    }

    /// Removes the authority that signed the registry's certificate.
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

    /// A copy of the image that the sandbox's account can read, with a path relative to the sandbox: Podman derives a
    /// name from the path, and refuses upper case.
    fn copied_into(&self, sandbox: &Sandbox) -> ImageLocation {
        let mut location = self.clone();
        if let Some(local) = &self.local {
            sandbox.copy_in(local, "image");
            location.name = self.name.replace(&local.display().to_string(), "image");
        }
        if let Some(ca) = &self.ca {
            sandbox.copy_in(ca.parent().expect("ca.crt lies in a directory"), "ca");
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

/// The config's original bytes, parsed.
pub fn skopeo_config(location: &ImageLocation) -> Result<Value, String> {
    inspect(location, &["--config", "--raw"])
}

/// The original manifest or index.
pub fn skopeo_manifest(location: &ImageLocation) -> Result<Value, String> {
    inspect(location, &["--raw"])
}

fn inspect(location: &ImageLocation, options: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.arg("inspect").args(options).args(location.options("")).arg(&location.name))?;
    // for a wrong command line, skopeo prints its usage and exits with 0
    serde_json::from_str(&text).map_err(|error| format!("{command:?}: {error}\n{text}"))
}

/// Copies an image with skopeo. `to`: `dir:DIR`, `oci:DIR:TAG`, `docker-archive:FILE`.
pub fn skopeo_copy(location: &ImageLocation, to: &str) -> Result<(), String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.arg("copy").args(location.options("src-")).arg(&location.name).arg(to))?;
    let done = text.contains("Writing manifest to image destination");
    done.then_some(()).ok_or_else(|| format!("{command:?} did nothing:\n{text}"))
}

/// Pushes with skopeo, to test the registries. `from`: like `ImageLocation::name`.
pub fn skopeo_push(from: &str, to: &ImageLocation) -> Result<(), String> {
    let mut command = Command::new(tool("skopeo"));
    let text = run(command.args(["copy", "--all"]).args(to.options("dest-")).arg(from).arg(&to.name))?;
    let done = text.contains("Writing manifest");
    done.then_some(()).ok_or_else(|| format!("{command:?} did nothing:\n{text}"))
}

/// An image unpacked by umoci; removed when dropped.
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
        // without skopeo, which would refuse or repair faults that umoci should detect
        Some(_) => location.copied_into(&sandbox).name.trim_start_matches("oci:").to_owned(),
        None => {
            let copy = tempfile::tempdir().expect("a temporary directory");
            skopeo_copy(location, &format!("oci:{}:copy", copy.path().display()))?;
            sandbox.copy_in(copy.path(), "image");
            "image:copy".to_owned()
        }
    };
    run(sandbox.command("umoci").args(["unpack", "--rootless", "--image", &image, "bundle"]))?;
    Ok(Unpacked { sandbox })
}

/// Pulls with rootless Podman and runs the image like Lambda: read-only, as a user that owns no files. `options`, such
/// as `--entrypoint=/bin/ls`, precede the image. Returns standard output.
pub fn podman_run(location: &ImageLocation, options: &[&str], arguments: &[&str]) -> Result<String, String> {
    let sandbox = Sandbox::new();
    let all = podman_arguments(&sandbox, location, options, arguments);
    sandbox.run(PODMAN, &all.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `podman save`, as an archive for Docker.
pub fn podman_save(location: &ImageLocation, to: &Path) -> Result<(), String> {
    let sandbox = Sandbox::new();
    let script = "podman save --quiet --format docker-archive --output image.tar $(pull \"$1\")";
    sandbox.run(script, &[&location.copied_into(&sandbox).name])?;
    std::fs::copy(sandbox.path().join("image.tar"), to).map(drop).map_err(|error| error.to_string())
}

/// Arguments: the image, the numbers of options for pulling and for running, these options, the program's arguments.
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
    let location = location.copied_into(sandbox);
    let pulling = location.options("");
    let mut all = vec![location.name, pulling.len().to_string(), options.len().to_string()];
    all.extend(pulling);
    all.extend(options.iter().chain(arguments).map(|&text| text.to_owned()));
    all
}

/// Detects the faults for which Lambda's importer refuses an image but container engines do not: an index, mixed media
/// types, a layer that is not gzip, a missing parent directory, a duplicate entry.
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
