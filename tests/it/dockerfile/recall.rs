//! Installs below which a file has changed: on a fresh machine neither an index nor the base is asked for, unless the
//! install reads what has changed.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, function};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, run, tool};
use std::fs;
use std::process::Command;

const WHEEL: &str = r#"
import sys, zipfile
info = "aaa-1.0.dist-info"
files = {"aaa.py": "", f"{info}/METADATA": "Metadata-Version: 2.1\nName: aaa\nVersion: 1.0\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
with zipfile.ZipFile(f"{sys.argv[1]}/aaa-1.0-py3-none-any.whl", "w") as archive:
    for path, content in files.items():
        archive.writestr(path, content)
"#;

const DOCKERFILE: &str = "\
FROM base
WORKDIR /app/new
COPY first.py ./
COPY src ./
COPY requirements.txt more.txt ./
RUN pip install -r requirements.txt -t python
COPY late.py ./
";

/// The requests to the index, and the bytes that the registry has sent, of a push from a fresh machine.
#[derive(Debug)]
struct Asked {
    index: usize,
    read: u64,
    digest: String,
}

#[test]
fn a_change_that_an_install_does_not_read_asks_for_nothing() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let wheels = dir.path("wheels");
    fs::create_dir(&wheels).unwrap();
    run(Command::new(tool("python3")).args(["-c", WHEEL]).arg(&wheels)).unwrap();
    let index = Index::of(&wheels, IndexBehaviour::default());
    let from = format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let base = format!("base=docker-image://{}/base:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    let context = function(&[
        ("Dockerfile", DOCKERFILE),
        ("first.py", "a = 1"),
        ("src/app.py", "a = 1"),
        ("src/lib/deep.py", "a = 1"),
        ("requirements.txt", "-r more.txt\n"),
        ("more.txt", "aaa\n"),
        ("late.py", "a = 1"),
    ]);
    let path = context.path().to_str().unwrap();
    let flags = ["--arch", "amd64", "--build-context", &base, "--to", &to, "--no-check"];
    let push = |more: &[&str]| {
        let mut lbuild = Lbuild::new();
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            lbuild.set(name, &index.url());
        }
        let (mark, before) = (registry.mark(), index.log().len());
        let digest = lbuild.ok(&[&["push", path][..], &flags, more].concat()).digest();
        let read = registry.log_since(mark).iter().map(|entry| entry.bytes_sent).sum();
        Asked { index: index.log().len() - before, read, digest }
    };
    assert!(push(&[]).index > 0);
    let mut number = 1;
    for (what, file, is_read) in [
        ("nothing", None, false),
        ("a file above", Some("late.py"), false),
        ("a file below", Some("src/app.py"), false),
        ("a file in a directory below", Some("src/lib/deep.py"), false),
        ("the first file", Some("first.py"), false),
        ("the requirements", Some("requirements.txt"), true),
        ("a file below, again", Some("src/app.py"), false),
        ("requirements that others name", Some("more.txt"), true),
        ("a name", Some("src/new.py"), true),
        ("a file of that name", Some("src/new.py"), false),
    ] {
        if let Some(file) = file {
            number += 1;
            let path = context.path().join(file);
            let before = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, format!("{before}\n# {number}\n")).unwrap();
        }
        let asked = push(&[]);
        assert_eq!(asked.index > 0, is_read, "{what}: {asked:?}");
        assert!(is_read || asked.read < 100_000, "{what}: {asked:?}");
        // The image is the one that an install gives.
        assert_eq!(push(&["--no-cache"]).digest, asked.digest, "{what}");
    }
}
