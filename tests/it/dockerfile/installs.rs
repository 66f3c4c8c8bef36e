//! `RUN pip install` and `uv pip install` without a process: what they leave in the image, beside the real programs, and
//! what is asked for when nothing has changed.

use crate::support::image_tools::{self, ImageLocation};
use crate::support::image_tree::{self, ImageTree};
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::python::Clients;
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, invoke, run, tool};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Where the interpreter of the tests' bases, which is Debian's, has the packages of pip.
pub const PACKAGES: &str = "usr/local/lib/python3.11/dist-packages";

/// A user whose programs know the index.
pub fn user(index: &Index) -> Lbuild {
    let mut lbuild = Lbuild::new();
    for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
        lbuild.set(name, &index.url());
    }
    lbuild
}

pub fn arguments<'a>(context: &'a TempDir, arch: &'a str, base: &'a str, to: &'a str) -> Vec<&'a str> {
    let path = context.path().to_str().unwrap();
    vec![
        "build",
        path,
        "--arch",
        arch,
        "--build-context",
        base,
        "--to",
        to,
        "--no-check",
        "--run-mode",
        "none",
    ]
}

/// Builds the Dockerfile on the tests' base.
pub fn build(lbuild: &Lbuild, dockerfile: &str, files: &[(&str, &str)], arch: &str) -> RunOutput {
    let text = [("Dockerfile", format!("FROM base\n{dockerfile}"))];
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let context = function(&text.into_iter().chain(files).collect::<Vec<_>>());
    let base = format!("base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    let to = format!("oci:{}:{arch}", lbuild.text("out"));
    lbuild.run(&arguments(&context, arch, &base, &to))
}

/// The files below a directory of the image, except what only an installer's own records have.
pub fn installed(lbuild: &Lbuild, arch: &str, dir: &str) -> ImageTree {
    let tree = image_tree::of(&lbuild.path("out"), arch, arch);
    let below = |path: &str| path.strip_prefix(dir)?.strip_prefix('/').map(str::to_owned);
    tree.into_iter().filter_map(|(path, line)| Some((below(&path)?, line))).collect()
}

#[test]
fn a_function_with_real_packages_answers() {
    const APP: &str = "\
import jmespath, numpy, idna

def handler(event, context):
    return {'nonce': event.get('nonce'), 'sum': int(numpy.arange(5).sum()), 'found': jmespath.search('a', {'a': 2}), 'idna': idna.__file__}
";
    let index = Index::start();
    for arch in ["amd64", "arm64"] {
        let lbuild = user(&index);
        let dockerfile = "\
COPY requirements.txt ./
RUN pip install --upgrade pip && pip install --no-cache-dir -r requirements.txt
RUN python3 -m pip install idna -t \"/opt/${NAME:-python}\" && cd /opt && rm -rf python/bin
COPY app.py ${LAMBDA_TASK_ROOT}
CMD [\"app.handler\"]
";
        let files = [("app.py", APP), ("requirements.txt", "jmespath\nnumpy>=2 # the array\n")];
        let done = build(&lbuild, dockerfile, &files, arch).succeeded();
        assert!(done.stderr.contains("pip: left out") && done.stderr.contains("--compile-bytecode"));
        let answer = invoke::answer(&ImageLocation::layout(&lbuild.path("out"), arch)).unwrap();
        assert_eq!((&answer["sum"], &answer["found"]), (&10.into(), &2.into()), "{answer}");
        assert_eq!(answer["idna"], "/opt/python/idna/__init__.py");
        assert!(!installed(&lbuild, arch, "opt/python").contains_key("bin"));
    }
}

/// The files that a real program installed, as the tree of an image has them.
pub fn tree(dir: &Path) -> ImageTree {
    fn walk(root: &Path, dir: &Path, tree: &mut ImageTree) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            if path.is_dir() {
                tree.insert(name, format!("{mode:04o} 0:0 directory"));
                walk(root, &path, tree);
            } else {
                let content = fs::read(&path).unwrap();
                let content = String::from_utf8_lossy(&content);
                let shown: String = content.chars().take(60).collect();
                tree.insert(name, format!("{mode:04o} 0:0 {shown:?}"));
            }
        }
    }
    let mut tree = ImageTree::new();
    walk(dir, dir, &mut tree);
    tree
}

/// Rows of RECORD differ in their order and in how paths of programs are spelled; their set of files is compared.
pub fn without_records(tree: ImageTree) -> ImageTree {
    let kept = tree.into_iter().filter(|(path, _)| {
        let is_record = path.ends_with("/RECORD");
        let is_of_uv = [".lock", "uv_cache.json"].iter().any(|name| path.ends_with(name));
        // pip has C headers in include/site/pythonX.Y, lbuild and uv in include: nothing compiles in a function.
        let is_header = path.split('/').next() == Some("include");
        !(is_record || is_of_uv || is_header || path.contains("__pycache__"))
    });
    // The first line of a program names the interpreter, which is another one on this machine.
    let line = |(path, line): (String, String)| {
        let line = if path.starts_with("bin/") {
            line.split("#!").next().unwrap_or_default().to_owned()
        } else {
            line
        };
        (path, line)
    };
    kept.map(line).collect()
}

#[test]
fn a_directory_has_the_files_that_pip_and_uv_put_there() {
    let index = Index::start();
    let clients = Clients::new();
    for (number, wanted) in [
        &["jmespath"][..],
        &["idna"],
        &["requests"],
        &["numpy"],
        &["pydantic"],
        &["rig_schemes"],
        &["jmespath", "idna==3.20"],
        &["certifi>2020", "packaging"],
    ]
    .into_iter()
    .enumerate()
    {
        for program in ["pip", "uv pip"] {
            let to = clients.path(&format!("{}{number}", &program[..2]));
            let (place, url) = (to.to_str().unwrap(), index.url());
            let mut command = match program {
                "pip" => {
                    clients.pip(&["install", "--no-compile", "--quiet", "--index-url", &url, "-t", place])
                }
                _ => clients.uv(&["pip", "install", "--quiet", "--default-index", &url, "--target", place]),
            };
            run(command.args(wanted).env("SOURCE_DATE_EPOCH", "315532800")).unwrap();
            let lbuild = user(&index);
            let line = format!("RUN {program} install '{}' -t /opt/python\n", wanted.join("' '"));
            build(&lbuild, &line, &[], "amd64").succeeded();
            let (ours, theirs) =
                (without_records(installed(&lbuild, "amd64", "opt/python")), without_records(tree(&to)));
            let difference = image_tree::difference(&ours, &theirs);
            assert!(difference.is_empty(), "{program} install {wanted:?}:\n{difference}");
        }
    }
}

const WHEELS: &str = r#"
import sys, zipfile
def wheel(name, version, files, requires=()):
    info = f"{name}-{version}.dist-info"
    files = {**files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {other}\n" for other in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(f"{sys.argv[1]}/{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
wheel("aaa", "1.0", {"aaa/__init__.py": "1", "aaa/old/gone.py": ""}, ["bbb>=1"])
wheel("aaa", "2.0", {"aaa/__init__.py": "2", "aaa/new.py": ""}, ["bbb>=2"])
for version in ["1.0", "2.0", "3.0"]:
    wheel("bbb", version, {"bbb.py": version})
wheel("ccc", "1.0", {"ccc.py": ""}, ["bbb"])
"#;

fn made_index(dir: &Lbuild) -> Index {
    let wheels = dir.path("wheels");
    fs::create_dir(&wheels).unwrap();
    run(Command::new(tool("python3")).args(["-c", WHEELS]).arg(&wheels)).unwrap();
    Index::of(&wheels, IndexBehaviour::default())
}

/// The versions that the metadata below a directory name.
fn versions(tree: &ImageTree) -> BTreeMap<String, String> {
    let dirs = tree.keys().filter_map(|path| path.strip_suffix(".dist-info"));
    dirs.filter_map(|stem| stem.split_once('-'))
        .map(|(name, version)| (name.into(), version.into()))
        .collect()
}

/// Rules 167 and 168: what the image has satisfies a requirement; an upgrade removes the old files.
#[test]
fn what_the_image_has_stays_unless_a_requirement_needs_another() {
    let dir = Lbuild::new();
    let index = made_index(&dir);
    for (line, expected) in [
        ("RUN pip install ccc bbb", [("aaa", "1.0"), ("bbb", "1.0"), ("ccc", "1.0")]),
        ("RUN pip install 'aaa>=2' ccc", [("aaa", "2.0"), ("bbb", "3.0"), ("ccc", "1.0")]),
        ("RUN pip install -U ccc aaa==1.0", [("aaa", "1.0"), ("bbb", "1.0"), ("ccc", "1.0")]),
        ("RUN pip install ccc bbb==2.0", [("aaa", "1.0"), ("bbb", "2.0"), ("ccc", "1.0")]),
        ("RUN pip install --no-deps ccc aaa==2.0", [("aaa", "2.0"), ("bbb", "1.0"), ("ccc", "1.0")]),
    ] {
        let lbuild = user(&index);
        let first = "RUN pip install aaa==1.0 bbb==1.0\n";
        build(&lbuild, &format!("{first}{line}\n"), &[], "amd64").succeeded();
        let tree = installed(&lbuild, "amd64", PACKAGES);
        let expected = expected.map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(versions(&tree), BTreeMap::from(expected.clone()), "{line}");
        let is_new = expected[0].1 == "2.0";
        assert_eq!(
            (tree.contains_key("aaa/new.py"), tree.contains_key("aaa/old")),
            (is_new, !is_new),
            "{line}"
        );
    }
    let lbuild = user(&index);
    let lines = "RUN pip install aaa==1.0 -t /opt/p\nRUN pip install aaa==2.0 ccc -t /opt/p\n";
    let done = build(&lbuild, lines, &[], "amd64").succeeded();
    assert!(done.stderr.contains("aaa 1.0 stays in the target directory"), "{}", done.stderr);
    let tree = installed(&lbuild, "amd64", "opt/p");
    assert!(versions(&tree)["aaa"] == "1.0" && tree.contains_key("ccc.py"), "{tree:?}");
}

/// Rule 170: the file is the one in the image at that point, and names others relative to itself.
#[test]
fn requirements_are_read_from_the_image() {
    let dir = Lbuild::new();
    let index = made_index(&dir);
    let lbuild = user(&index);
    let lines = "\
COPY requirements.txt /srv/deep/all.txt
COPY more.txt /srv/deep/parts/more.txt
RUN echo 'bbb<3' > /srv/limits.txt && mkdir /srv/other
RUN cd /srv/other && pip install -r ../deep/all.txt -c ../limits.txt --target=/opt/p
";
    let files = [("requirements.txt", "-r parts/more.txt\n"), ("more.txt", "ccc\n")];
    build(&lbuild, lines, &files, "amd64").succeeded();
    let found = versions(&installed(&lbuild, "amd64", "opt/p"));
    assert_eq!((found["bbb"].as_str(), found["ccc"].as_str(), found.len()), ("2.0", "1.0", 2));
    for (lines, expected) in [
        ("RUN pip install -r missing.txt\n", "`/var/task/missing.txt` does not exist in the image"),
        ("RUN python3.9 -m pip install ccc\n", "the image has no python3.9 in its PATH"),
        (
            "RUN pip install nothing-of-this-name\n",
            "`pip install nothing-of-this-name` cannot install its packages",
        ),
    ] {
        let said = build(&lbuild, lines, &[], "amd64");
        assert!(said.code != Some(0) && said.stderr.contains("Dockerfile:2:"), "{}", said.stderr);
        assert!(said.stderr.contains(expected) && !said.stderr.contains("/root/"), "{}", said.stderr);
    }
}

/// An unchanged build on a fresh machine asks for no package, no list of packages and no layer of the base; after a change
/// of the code below the install, no wheel is fetched or sent.
#[test]
fn an_unchanged_install_asks_for_nothing() {
    let (dir, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let index = made_index(&dir);
    let from = format!("oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    image_tools::skopeo_push(&from, &ImageLocation::registry(&registry, "base:1")).unwrap();
    let text =
        "FROM base\nCOPY app.py requirements.txt ./\nRUN pip install -r requirements.txt\nCOPY late.py ./\n";
    let context = function(&[
        ("Dockerfile", text),
        ("app.py", "a = 1"),
        ("late.py", "b = 1"),
        ("requirements.txt", "ccc\n"),
    ]);
    let base = format!("base=docker-image://{}/base:1", registry.host());
    let to = format!("{}/function:1", registry.host());
    let push = |lbuild: &Lbuild| {
        let (mark, before) = (registry.mark(), index.log().len());
        let mut all = arguments(&context, "amd64", &base, &to);
        all[0] = "push";
        let done = lbuild.ok(&all);
        let sent = registry.log_since(mark).iter().filter(|entry| entry.is_blob_upload()).count();
        let read: u64 = registry.log_since(mark).iter().map(|entry| entry.bytes_sent).sum();
        (done, index.log().len() - before, sent, read)
    };
    let (first, asked, ..) = push(&user(&index));
    assert!(asked > 0);
    let (again, asked, sent, read) = push(&user(&index));
    assert_eq!((again.digest(), asked, sent), (first.digest(), 0, 0));
    assert!(read < 100_000, "{read} bytes were read");
    fs::write(context.path().join("late.py"), "b = 2").unwrap();
    let (_, asked, sent, _) = push(&user(&index));
    assert!(asked == 0 && sent > 0, "{asked} {sent}");
    // The install runs again, as in Docker; its layer is found by the packages.
    fs::write(context.path().join("app.py"), "a = 2").unwrap();
    push(&user(&index));
    assert!(!index.fetched().iter().skip(2).any(|file| file.ends_with(".whl") && file.starts_with("aaa")));
}
