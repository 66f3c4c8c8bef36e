//! Pushes of a Dockerfile from a machine with an empty cache: what is read and sent, counted at the registry.

use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, RunOutput, function, image_of};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use std::fs;
use tempfile::TempDir;

/// A stage that files are taken from, owners by name, directories that the base has and has not, and an optional file.
const DOCKERFILE: &str = "\
FROM base AS assets
WORKDIR /usr/assets
COPY --chown=app:app assets .

FROM base
WORKDIR /srv/data
COPY --from=assets /usr/assets /opt/assets
COPY requirements.txt optional* ./
WORKDIR /app/new
COPY --chown=app app.py .
COPY handler.py lib/
CMD [\"lib.handler.main\"]
";

struct Setup {
    registry: Registry,
    context: TempDir,
    /// The digests of the base's layers.
    layers: Vec<String>,
}

impl Setup {
    fn new() -> Setup {
        let registry = Registry::start(Mode::Plain);
        let text = |text: &str| text.as_bytes().to_vec();
        let context = function(&[
            ("Dockerfile", text(DOCKERFILE)),
            ("assets/a", text("a")),
            ("assets/b/c", text("c")),
            ("requirements.txt", text("boto3")),
            ("app.py", text("app")),
            ("handler.py", text("def main(event, context): return 1")),
        ]);
        let seeding = Lbuild::new();
        let files = Tar::new()
            .directory("etc/")
            .file("etc/passwd", 0o644, "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n")
            .file("etc/group", 0o644, "app:x:1001:\n")
            .directory("srv/")
            .directory("srv/data/")
            .directory("usr/");
        let more = Tar::new().directory("lib/").file("lib/large", 0o644, vec![7; 100_000]);
        image(&seeding.path("base"), &[Layer::gzip(files), Layer::gzip(more)], |_, _| ());
        let from = format!("oci:{}:{TAG}", seeding.path("base").display());
        image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
        let (manifest, _) = image_of(&seeding.path("base"), TAG, "amd64");
        let layers = manifest["layers"].as_array().unwrap().iter();
        let layers = layers.map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect();
        Setup { registry, context, layers }
    }

    fn is_of_base(&self, entry: &AccessLogEntry) -> bool {
        self.layers.iter().any(|layer| entry.path.contains(layer))
    }

    /// Pushes from a machine with an empty cache; also returns what the registry was asked for meanwhile.
    fn push(&self, lbuild: &Lbuild) -> (RunOutput, Vec<AccessLogEntry>) {
        let mark = self.registry.mark();
        let path = self.context.path().to_str().unwrap();
        let base = format!("base=docker-image://{}/base:1", self.registry.host());
        let to = format!("{}/function:1", self.registry.host());
        let arguments =
            ["push", path, "--arch", "amd64", "--build-context", &base, "--to", &to, "--no-check"];
        (lbuild.ok(&arguments), self.registry.log_since(mark))
    }
}

fn blobs(log: &[AccessLogEntry], method: &str) -> usize {
    log.iter().filter(|entry| entry.method == method && entry.path.contains("/blobs/")).count()
}

#[test]
fn an_unchanged_dockerfile_reads_no_layer_and_sends_nothing() {
    let setup = Setup::new();
    let (first, _) = setup.push(&Lbuild::new());
    let (again, log) = setup.push(&Lbuild::new());
    assert_eq!(again.digest(), first.digest());
    // The configs of the base and of the function, and the layer of the directory that the build makes: not the base's.
    assert!(blobs(&log, "GET") <= 3, "{log:?}");
    assert!(!log.iter().any(|entry| entry.method == "GET" && setup.is_of_base(entry)), "{log:?}");
    assert!(log.iter().all(|entry| ["GET", "HEAD"].contains(&entry.method.as_str())), "{log:?}");
}

#[test]
fn one_changed_line_sends_one_small_layer() {
    let setup = Setup::new();
    setup.push(&Lbuild::new());
    fs::write(setup.context.path().join("handler.py"), "def main(event, context): return 2").unwrap();
    let (done, log) = setup.push(&Lbuild::new());
    // The layer and the config; and no layer of the base is read, because this build made the directory.
    assert_eq!(blobs(&log, "PUT"), 2, "{log:?}");
    assert!(!log.iter().any(|entry| entry.method == "GET" && setup.is_of_base(entry)), "{log:?}");
    assert_eq!(done.layer_counts().0, 1, "{}", done.stderr);
}

#[test]
fn a_layer_that_is_copied_to_its_own_place_is_used_as_it_is() {
    let lbuild = Lbuild::new();
    let (etc, opt) = (
        Tar::new().directory("etc/").file("etc/x", 0o644, "x"),
        Tar::new().directory("opt/").directory("opt/python/").file("opt/python/lib.py", 0o644, "lib"),
    );
    let opt = Layer::gzip(opt);
    let stored = opt.stored.clone();
    image(&lbuild.path("layer"), &[Layer::gzip(etc), opt], |_, _| ());
    let context = function(&[(
        "Dockerfile",
        b"FROM layer AS layer\nFROM plain\nWORKDIR /opt\nCOPY --from=layer /opt/ .\n".to_vec(),
    )]);
    image(&lbuild.path("plain"), &[Layer::gzip(Tar::new().directory("opt/"))], |_, _| ());
    let named = |name: &str| format!("{name}=oci:{}:{TAG}", lbuild.path(name).display());
    let (layer, plain) = (named("layer"), named("plain"));
    let to = format!("oci:{}:1", lbuild.path("out").display());
    let path = context.path().to_str().unwrap();
    lbuild.ok(&[
        "build",
        "--run-mode",
        "none",
        path,
        "--arch",
        "amd64",
        "--build-context",
        &layer,
        "--build-context",
        &plain,
        "--to",
        &to,
        "--no-check",
    ]);
    let layers = crate::support::layers::blobs(&lbuild.path("out"), "1", "amd64");
    assert!(layers.contains(&stored), "the layer was made again");
}
