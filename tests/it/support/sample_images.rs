//! Valid images that are built without lbuild, to test the test support.

use super::image_tools::ImageLocation;
use super::{bases, digest, part, run, tool};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The name of the image in its layout.
pub const TAG: &str = "sample";

/// An OCI layout with one manifest; removed when dropped.
pub struct SampleImage {
    dir: TempDir,
}

impl SampleImage {
    pub fn layout(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub fn location(&self) -> ImageLocation {
        ImageLocation::layout(&self.layout(), TAG)
    }
}

/// hello-python on the Lambda-like base; `architecture` as in a config: amd64 or arm64.
pub fn hello(architecture: &str) -> SampleImage {
    let base = format!("oci:{}:{}", bases::layout("plain").display(), bases::TAG);
    function(&base, architecture, "hello-python/app.py", "app.handler")
}

/// hello-node on the base for Node; `architecture` as in a config.
pub fn hello_node(architecture: &str) -> SampleImage {
    let base = format!("oci:{}:{}", bases::layout("nodejs").display(), bases::NODE_TAG);
    function(&base, architecture, "hello-node/index.mjs", "index.handler")
}

/// A file of `testdata/functions` on a base, with this handler.
fn function(base: &str, architecture: &str, code: &str, handler: &str) -> SampleImage {
    let image = SampleImage { dir: tempfile::tempdir().expect("a temporary directory") };
    let to = format!("oci:{}:{TAG}", image.layout().display());
    let mut skopeo = Command::new(tool("skopeo"));
    skopeo.args(["--override-arch", architecture, "copy", "--quiet", base, &to]);
    run(&mut skopeo).expect("skopeo copies the base");

    let root = image.dir.path().join("root");
    std::fs::create_dir_all(root.join("var/task")).expect("ours");
    let code = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/functions").join(code);
    let name = Path::new("var/task").join(code.file_name().expect("a file"));
    std::fs::copy(code, root.join(&name)).expect("ours");
    append(&image, &root, &["var", "var/task", name.to_str().expect("UTF-8")], |config| {
        config["config"]["Cmd"] = json!([handler]);
    });
    image
}

/// A layer with a shell for this machine's architecture and a layer with a file: quick to copy and to run.
pub fn tiny() -> SampleImage {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let image = SampleImage { dir: tempfile::tempdir().expect("a temporary directory") };
    let (root, layout) = (image.dir.path().join("root"), image.layout());
    for dir in [&root.join("bin"), &root.join("etc"), &root.join("tmp"), &layout.join("blobs/sha256")] {
        std::fs::create_dir_all(dir).expect("ours");
    }
    // runc gives a tmpfs the mode of the directory under it
    std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777)).expect("ours");
    let script =
        "dpkg-deb --fsys-tarfile busybox-static_*.deb | tar --extract --directory \"$1\" ./bin/busybox";
    let debs = part("debs").join(architecture);
    let mut shell = Command::new(tool("bash"));
    run(shell.args(["-o", "pipefail", "-c", script, "bash"]).arg(&root).current_dir(debs)).expect("unpacked");
    std::fs::write(root.join("etc/hello"), "hello\n").expect("ours");

    let config = json!({
        "architecture": architecture, "os": "linux", "created": "1980-01-01T00:00:00Z",
        "config": { "Entrypoint": ["/bin/busybox"], "Labels": { "com.amazonaws.lambda.probe": "1" } },
        "rootfs": { "type": "layers", "diff_ids": [] }, "history": [],
    });
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json" },
    });
    replace(&layout, &mut manifest["config"], &bytes(&config));
    let mut entry = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "annotations": { "org.opencontainers.image.ref.name": TAG },
    });
    replace(&layout, &mut entry, &bytes(&manifest));
    write_index(&layout, &entry);
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("ours");
    append(&image, &root, &["bin", "bin/busybox", "tmp"], |_| ());
    append(&image, &root, &["etc", "etc/hello"], |_| ());
    image
}

fn append(image: &SampleImage, root: &Path, names: &[&str], edit: impl FnOnce(&mut Value)) {
    let layout = image.layout();
    let mut entry = bases::named(&layout, TAG);
    let mut manifest = bases::read(&bases::blob(&layout, text(&entry["digest"])));
    let mut config = bases::read(&bases::blob(&layout, text(&manifest["config"]["digest"])));
    let (layer, diff_id) = layer(root, names);
    let list = |value: &mut Value, item: Value| value.as_array_mut().expect("a list").push(item);
    let mut descriptor = json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip" });
    replace(&layout, &mut descriptor, &layer);
    list(&mut manifest["layers"], descriptor);
    list(&mut config["rootfs"]["diff_ids"], json!(diff_id));
    list(&mut config["history"], json!({ "created_by": "by hand" }));
    edit(&mut config);
    replace(&layout, &mut manifest["config"], &bytes(&config));
    replace(&layout, &mut entry, &bytes(&manifest));
    write_index(&layout, &entry);
}

/// A compressed layer of exactly these names below `root`, in this order, and its diff id.
pub fn layer(root: &Path, names: &[&str]) -> (Vec<u8>, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let tar = dir.path().join("layer.tar");
    let mut command = Command::new(tool("tar"));
    // without --hard-dereference, the second of two equal names would be a link to the first
    command.args([
        "--create",
        "--no-recursion",
        "--hard-dereference",
        "--format=ustar",
        "--owner=0",
        "--group=0",
    ]);
    command.arg("--file").arg(&tar).arg("--directory").arg(root).args(names);
    run(&mut command).expect("tar writes");
    let diff_id = digest(&tar);
    run(Command::new(tool("gzip")).arg("--no-name").arg(&tar)).expect("gzip writes");
    (std::fs::read(dir.path().join("layer.tar.gz")).expect("gzip wrote it"), diff_id)
}

/// Stores content as a blob of the layout, and sets the descriptor's digest and size.
pub fn replace(layout: &Path, descriptor: &mut Value, content: &[u8]) {
    let file = layout.join("new");
    std::fs::write(&file, content).expect("ours");
    let digest = digest(&file);
    std::fs::rename(&file, bases::blob(layout, &digest)).expect("ours");
    descriptor["digest"] = json!(digest);
    descriptor["size"] = json!(content.len());
}

pub fn write_index(layout: &Path, entry: &Value) {
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    std::fs::write(layout.join("index.json"), bytes(&index)).expect("ours");
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

pub fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
