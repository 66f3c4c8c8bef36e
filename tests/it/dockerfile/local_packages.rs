//! `RUN pip install .`: packages that are directories and archives of the image.

use super::installs::{PACKAGES, arguments, installed, tree, user, without_records};
use crate::support::image_tree;
use crate::support::index::Index;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::python::Clients;
use crate::support::{bases, part, run};
use std::fs;
use tempfile::TempDir;

const PROJECT: &str = "\
[build-system]
requires = ['setuptools']
build-backend = 'setuptools.build_meta'
[project]
name = 'own-tool'
version = '1.0'
dependencies = ['jmespath']
[project.optional-dependencies]
more = ['idna']
[project.scripts]
own-tool = 'own_tool.main:run'
[tool.setuptools]
packages = ['own_tool']
";

/// A project of pure Python, an archive of pure Python, and a wheel.
fn context(dockerfile: &str) -> TempDir {
    let native = "from setuptools import Extension, setup\n\nsetup(name='native', version='1', ext_modules=[Extension('native', ['native.c'])])\n";
    let index = part("packages/index");
    let bytes = |name: &str| fs::read(index.join(name)).unwrap();
    let text = |text: &str| text.as_bytes().to_vec();
    function(&[
        ("Dockerfile", text(&format!("FROM base\n{dockerfile}"))),
        ("own/pyproject.toml", text(PROJECT)),
        ("own/own_tool/__init__.py", text("")),
        ("own/own_tool/main.py", text("def run():\n    return 0\n")),
        ("native/setup.py", text(native)),
        ("native/native.c", text("int native;\n")),
        ("docopt-0.6.2.tar.gz", bytes("docopt-0.6.2.tar.gz")),
        ("idna-3.20-py3-none-any.whl", bytes("idna-3.20-py3-none-any.whl")),
    ])
}

fn build(lbuild: &Lbuild, dockerfile: &str) -> RunOutput {
    let context = context(dockerfile);
    let base = format!("base=oci:{}:{}", bases::layout("oci-index").display(), bases::TAG);
    let to = format!("oci:{}:amd64", lbuild.text("out"));
    lbuild.run(&arguments(&context, "amd64", &base, &to))
}

#[test]
fn directories_and_archives_are_installed_as_pip_installs_them() {
    let index = Index::start();
    let files = context("");
    for (number, wanted) in
        ["./own", "./own[more]", "docopt-0.6.2.tar.gz", "./idna-3.20-py3-none-any.whl jmespath"]
            .into_iter()
            .enumerate()
    {
        let clients = Clients::new();
        let to = clients.path(&number.to_string());
        let (place, url) = (to.to_str().unwrap(), index.url());
        let mut pip = clients.pip(&["install", "--no-compile", "--quiet", "--index-url", &url, "-t", place]);
        pip.args(wanted.split(' ')).current_dir(files.path());
        run(pip.env("SOURCE_DATE_EPOCH", "315532800")).unwrap();
        let lbuild = user(&index);
        let line = format!(
            "COPY . /src/\nRUN cd /src && pip install '{}' -t /opt/python\n",
            wanted.replace(' ', "' '")
        );
        build(&lbuild, &line).succeeded();
        // The path of the package in the image is not noted; WHEEL names the builder, which is lbuild.
        let compared = |mut tree: image_tree::ImageTree| {
            tree.retain(|path, _| {
                !path.ends_with("/direct_url.json") && !path.ends_with("own_tool-1.0.dist-info/WHEEL")
            });
            tree.retain(|path, _| !path.ends_with("docopt-0.6.2.dist-info/WHEEL"));
            without_records(tree)
        };
        let (ours, theirs) = (compared(installed(&lbuild, "amd64", "opt/python")), compared(tree(&to)));
        assert!(ours.len() > 4, "{wanted}: {ours:?}");
        let difference = image_tree::difference(&ours, &theirs);
        assert!(difference.is_empty(), "{wanted}:\n{difference}");
    }
}

#[test]
fn the_directory_of_the_line_is_a_package() {
    let index = Index::start();
    let lbuild = user(&index);
    build(&lbuild, "WORKDIR /src\nCOPY own .\nRUN pip install --no-cache-dir .\n").succeeded();
    let tree = installed(&lbuild, "amd64", PACKAGES);
    assert!(tree.contains_key("own_tool/main.py") && tree.contains_key("jmespath/__init__.py"), "{tree:?}");
    let script = &installed(&lbuild, "amd64", "usr/local/bin")["own-tool"];
    assert!(script.starts_with("0755 0:0 \"#!/var/lang/bin/python3.11\\n"), "{script}");
}

#[test]
fn a_package_that_cannot_be_built_is_named() {
    let index = Index::start();
    for (lines, expected) in [
        ("COPY native /src\nRUN pip install /src\n", "native 1 has no wheel for Python 3.11"),
        ("RUN pip install /nothing\n", "/nothing"),
        (
            "COPY own /src\nRUN cd /src && echo '-e .' > r.txt && pip install -r r.txt\n",
            "`-e .` installs a package in its directory",
        ),
    ] {
        let said = build(&user(&index), lines);
        assert!(said.code != Some(0) && said.stderr.contains("Dockerfile:"), "{lines}: {}", said.stderr);
        assert!(
            said.stderr.contains(expected) && !said.stderr.contains("/root/"),
            "{lines}: {}",
            said.stderr
        );
    }
}
