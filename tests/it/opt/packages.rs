//! `lbuild layer push` with Python packages: the cases `19-extension-from-scratch` and `s2-function-with-layer-image`, and
//! the guide's commands.

use super::build;
use crate::deploy::guide::Reader;
use crate::dockerfile::cases::{stand_ins, wheels};
use crate::guide::Page;
use crate::invoke::rig::python_base;
use crate::support::index::{Index, IndexBehaviour};
use crate::support::lambda_api::REGION;
use crate::support::lbuild::{Lbuild, function};
use crate::support::root_tree::RootTree;
use crate::support::{run, testdata, tool};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// An extension that needs its package.
const EXTENSION: &str = "#!/var/lang/bin/python3
import http.client, json, os, sys
sys.path.insert(0, '/opt/extensions/lib')
import idna.core

def call(method, path, headers, body=None):
    connection = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
    connection.request(method, '/2020-01-01/extension/' + path, body, headers)
    answer = connection.getresponse()
    return answer.getheader('Lambda-Extension-Identifier'), json.loads(answer.read())

events = json.dumps({'events': ['INVOKE', 'SHUTDOWN']})
own, _ = call('POST', 'register', {'Lambda-Extension-Name': os.path.basename(sys.argv[0])}, events)
kind = ''
while kind != 'SHUTDOWN':
    _, event = call('GET', 'event/next', {'Lambda-Extension-Identifier': own})
    kind = event['eventType']
    print('extension with idna', idna.core.x, 'is told of', kind, flush=True)
";

/// In the case's directory of extensions, the real one instead of its two scripts.
fn with_real_extension(extensions: &Path) {
    fs::write(extensions.join("logs.py"), EXTENSION).unwrap();
    fs::remove_file(extensions.join("run.sh")).unwrap();
}

#[track_caller]
fn is_told_of_both_events(log: &str) {
    for event in ["INVOKE", "SHUTDOWN"] {
        assert!(log.contains(&format!("extension with idna 1 is told of {event}\n")), "{log}");
    }
}

/// A user with an index, and the case 19 with programs that may be executed.
struct Project {
    lbuild: Lbuild,
    _index: Index,
}

impl Project {
    fn new() -> Project {
        let mut lbuild = Lbuild::new();
        let dir = lbuild.path("wheels");
        fs::create_dir(&dir).unwrap();
        wheels(&dir, &["idna"]);
        let index = Index::of(&dir, IndexBehaviour::default());
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            lbuild.set(name, &index.url());
        }
        let case = testdata("dockerfile/cases/19-extension-from-scratch");
        run(Command::new(tool("cp")).arg("-rT").arg(case).arg(lbuild.path("19"))).unwrap();
        let project = Project { lbuild, _index: index };
        for (name, mode) in [("logs.py", "755"), ("run.sh", "744")] {
            run(Command::new(tool("chmod")).arg(mode).arg(project.extensions().join(name))).unwrap();
        }
        project
    }

    fn extensions(&self) -> std::path::PathBuf {
        self.lbuild.path("19/extension/extensions")
    }

    /// Pushes the layer's image with flags alone; returns its name.
    fn layer(&self) -> String {
        let image = format!("oci:{}:flags", self.lbuild.text("layer"));
        let files = format!("{}:/opt/extensions", self.extensions().display());
        let requirements = self.lbuild.text("19/extension/requirements.txt");
        let all = ["layer", "push", &files, "--requirements", &requirements, "--python-version", "3.12"];
        let more = ["--packages-to", "/opt/extensions/lib", "--arch", "amd64", "--to", &image];
        self.lbuild.ok(&[&all[..], &more].concat());
        image
    }

    fn tree(&self, layout: &str, tag: &str) -> RootTree {
        RootTree::of(&self.lbuild.path(layout), tag, "amd64", None)
    }
}

/// What differs from the tree of the Dockerfile, where `chmod` and `pip` were.
#[track_caller]
fn differs_by_its_rules(ours: &RootTree, theirs: &RootTree) {
    let info = "opt/extensions/lib/idna-3.10.dist-info";
    let installer = format!("{info}/INSTALLER");
    let difference = ours.difference(theirs);
    let paths: Vec<&str> = difference.iter().map(|(path, _)| path.as_str()).collect();
    // RECORD lists INSTALLER with its hash
    assert_eq!(paths, [&installer, &format!("{info}/RECORD"), "opt/extensions/run.sh"]);
    let mode = "0755 0:0 file \"#!/bin/sh\\n\" instead of 0744 0:0 file \"#!/bin/sh\\n\"";
    assert_eq!(difference[2].1, mode, "a file that somebody may execute");
    let said = "0644 0:0 file \"lbuild\" instead of 0644 0:0 file \"pip\\n\"";
    assert_eq!(difference[0].1, said);
}

#[test]
fn a_layer_and_a_function_with_it_have_the_trees_of_their_dockerfiles() {
    let project = Project::new();
    let lbuild = &project.lbuild;
    let bases = stand_ins(lbuild, "amd64");
    let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
    build(lbuild, &lbuild.path("19"), "layer:dockerfile", &bases);
    let image = project.layer();
    differs_by_its_rules(&project.tree("layer", "flags"), &project.tree("layer", "dockerfile"));

    let case = testdata("dockerfile/cases/s2-function-with-layer-image");
    let name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/log-extension-image:latest";
    let layer = format!("{name}=oci:{}:dockerfile", lbuild.text("layer"));
    let base = format!("public.ecr.aws/lambda/python:3.12={}", python_base());
    build(lbuild, &case, "out:dockerfile", &["--build-context", &layer, "--build-context", &base]);
    let code = function(&[("app.py", fs::read_to_string(case.join("app.py")).unwrap())]);
    for (tag, flag) in [("layer", "--layer-image"), ("extension", "--extension")] {
        let flags = ["--base", &python_base(), "--handler", "app.lambda_handler", flag, &image];
        build(lbuild, code.path(), &format!("out:{tag}"), &flags);
        differs_by_its_rules(&project.tree("out", tag), &project.tree("out", "dockerfile"));
    }
}

#[test]
fn an_extension_with_its_packages_is_told_of_invocations_and_of_the_end() {
    let project = Project::new();
    with_real_extension(&project.extensions());
    // the packages would be in the image twice
    fs::create_dir(project.extensions().join("env")).unwrap();
    fs::write(project.extensions().join("env/pyvenv.cfg"), "").unwrap();
    let image = project.layer();
    assert_eq!(project.tree("layer", "flags").line("opt/extensions/env/pyvenv.cfg"), None);
    let code = testdata("dockerfile/cases/s2-function-with-layer-image/app.py");
    let code = function(&[("app.py", fs::read_to_string(code).unwrap())]);
    for flag in ["--layer-image", "--extension"] {
        let all = ["invoke", code.path().to_str().unwrap(), "--base", &python_base(), "--arch", "amd64"];
        let more = ["--handler", "app.lambda_handler", flag, &image, "-d", "{}"];
        let done = project.lbuild.ok(&[&all[..], &more].concat());
        assert_eq!(done.stdout, "{\"ok\": true}\n", "{done:?}");
        is_told_of_both_events(&done.stderr);
    }
}

#[test]
fn the_guide_makes_an_extension_with_its_packages() {
    let reader = Reader::new();
    with_real_extension(&reader.user.path("hello/extension/extensions"));
    for repository in ["hello", "log-extension", "shared-code"] {
        reader.moto.ecr(REGION, "CreateRepository", &json!({ "repositoryName": repository }));
    }
    let blocks = Page::read("src/guide/layers.md").blocks("sh");
    let blocks = blocks.iter().filter(|block| block.contains("lbuild layer push"));
    let commands: Vec<String> = blocks.flat_map(|block| block.lines().map(str::to_owned)).collect();
    assert_eq!(commands.len(), 6, "{commands:#?}");
    let done = reader.run(&commands);
    assert!(done.stdout.ends_with("{\"six\": \"1.17.0\"}\n"), "{done:?}");
    is_told_of_both_events(&done.stderr);
    // the packages of a layer, where the runtimes look
    let shared = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shared-code:v1";
    let tree = reader.user.ok(&["inspect", shared, "--tree"]).stdout;
    assert!(tree.contains("/opt/python/six.py"), "{tree}");
}

#[test]
fn packages_without_a_place_or_a_version_are_refused() {
    let project = Project::new();
    let (requirements, dir) = (project.lbuild.text("19/extension/requirements.txt"), project.extensions());
    let elsewhere = format!("{}:/var/task", dir.display());
    let version = ["--python-version", "3.12"];
    let given = ["--requirements", &*requirements];
    let to = |to| [&given[..], &version, &["--packages-to", to]].concat();
    let none: &[&str] = &[];
    for (more, message) in [
        (none, "required arguments were not provided"),
        (&given, "the version of Python that the packages are for is not known"),
        (&[dir.to_str().unwrap(), "--packages-to", "/opt/lib"], "--packages-to /opt/lib is for packages"),
        (&[&elsewhere], "/var/task is not in /opt"),
        (&to("/optional"), "/optional is not in /opt"),
        (&to("/opt/../var"), "/opt/../var is not in /opt"),
        (&["--lock", &requirements, "--python-version", "3.12"], "is not a lock file that lbuild knows"),
    ] {
        let to = format!("oci:{}:1", project.lbuild.text("out"));
        let all = [&["layer", "push", "--arch", "amd64", "--to", &to][..], more].concat();
        let error = project.lbuild.run(&all).failed(2);
        assert!(error.contains(message), "{more:?}: {error}");
    }
}
