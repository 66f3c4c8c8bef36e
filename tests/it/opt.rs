//! Lambda layers, extensions and the wrapper: `/opt` by flags, without a Dockerfile.

mod arns;
mod clients;
mod images;
mod packages;

use crate::invoke::rig::{HANDLERS, Served, python_base};
use crate::support::lbuild::{Lbuild, function};
use crate::support::root_tree::RootTree;
use crate::support::{run, testdata, tool};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A runtime that starts its program by the wrapper, as those of AWS's bases do.
const BOOTSTRAP: &str = "#!/bin/sh
cd \"${LAMBDA_TASK_ROOT:?}\" || exit 1
export PYTHONPATH=\"/opt/python:${LAMBDA_RUNTIME_DIR:?}\"
exec $AWS_LAMBDA_EXEC_WRAPPER /var/lang/bin/python3 -m awslambdaric \"$_HANDLER\"
";

/// Writes a zip of these files, in this order.
fn zip(path: &Path, files: &[(&str, &str)]) {
    let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as archive:\n    \
                  for name, content in zip(sys.argv[2::2], sys.argv[3::2]):\n        archive.writestr(name, content)\n";
    let mut python = Command::new(tool("python3"));
    python.args(["-c", script]).arg(path).args(files.iter().flat_map(|(name, content)| [name, content]));
    run(&mut python).unwrap();
}

fn build(lbuild: &Lbuild, path: &Path, to: &str, more: &[&str]) {
    let to = format!("oci:{}", lbuild.text(to));
    let all = ["build", path.to_str().unwrap(), "--arch", "amd64", "--no-check", "--to", &to];
    lbuild.ok(&[&all[..], more].concat());
}

/// The case `s2-function-with-layer-image`, and the same by flags.
#[test]
fn an_extension_image_is_added_as_its_dockerfile_adds_it() {
    let lbuild = Lbuild::new();
    let extension = function(&[
        ("Dockerfile", "FROM scratch\nWORKDIR /opt/extensions\nCOPY extensions .\n"),
        ("extensions/logs.py*", "#!/var/lang/bin/python3\n"),
        ("extensions/lib/data", "data"),
    ]);
    build(&lbuild, extension.path(), "extension:1", &[]);
    let case = testdata("dockerfile/cases/s2-function-with-layer-image");
    let image = format!("oci:{}:1", lbuild.text("extension"));
    let name = format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/log-extension-image:latest={image}");
    let base = format!("public.ecr.aws/lambda/python:3.12={}", python_base());
    build(&lbuild, &case, "out:dockerfile", &["--build-context", &name, "--build-context", &base]);
    let code = function(&[("app.py", std::fs::read_to_string(case.join("app.py")).unwrap())]);
    let flags = ["--base", &python_base(), "--handler", "app.lambda_handler", "--layer-image", &image];
    build(&lbuild, code.path(), "out:flags", &flags);
    let tree = |tag: &str| RootTree::of(&lbuild.path("out"), tag, "amd64", None);
    let (theirs, ours) = (tree("dockerfile"), tree("flags"));
    assert!(ours.line("opt/extensions/logs.py").is_some_and(|line| line.starts_with("0755 0:0 file")));
    assert_eq!(ours, theirs);
    // an extension by itself is the same
    let flags = ["--base", &python_base(), "--handler", "app.lambda_handler", "--extension", &image];
    build(&lbuild, code.path(), "out:extension", &flags);
    assert_eq!(tree("extension"), theirs);
}

#[test]
fn layers_an_extension_and_a_wrapper_work_together() {
    let lbuild = Lbuild::new();
    let (one, two) = (lbuild.path("one.zip"), lbuild.path("two.zip"));
    zip(&one, &[("python/shared.py", "value = 'one'\n"), ("python/first.py", "value = 1\n")]);
    zip(&two, &[("python/shared.py", "value = 'two'\n"), ("python/second.py", "value = 2\n")]);
    let app = format!(
        "import os, first, second, shared\n{HANDLERS}\ndef layers(event, context):\n    \
         return [first.value, second.value, shared.value, os.environ['WRAPPED']]\n"
    );
    let code = function(&[("app.py", app.as_str()), ("bootstrap*", BOOTSTRAP)]);
    let tools = function(&[
        ("extensions/observer*", include_str!("invoke/extension.py")),
        ("wrapper", "#!/bin/sh\nexport WRAPPED=\"$(basename \"$1\")\"\nexec \"$@\"\n"),
    ]);
    // an image that holds the extension
    let extension = function(&[("extensions/observer*", include_str!("invoke/extension.py"))]);
    let image = format!("oci:{}:1", lbuild.text("extension"));
    let path = extension.path().to_str().unwrap();
    lbuild.ok(&["layer", "push", path, "--arch", "amd64", "--to", &image]);
    let path = |name: &str| tools.path().join(name).display().to_string();
    let bootstrap = format!("{}:/var/runtime/bootstrap", code.path().join("bootstrap").display());
    let (one, two) = (one.display().to_string(), two.display().to_string());
    std::fs::create_dir(lbuild.path("context")).unwrap();
    let arguments: Vec<String> = [
        "run",
        code.path().to_str().unwrap(),
        "--base",
        &python_base(),
        "--handler",
        "app.handler",
        "--add",
        &bootstrap,
        "--layer",
        &one,
        "--layer",
        &two,
        "--extension",
        &image,
        "--wrapper",
        &path("wrapper"),
    ]
    .map(str::to_owned)
    .into();
    // a Dockerfile that does the same has the same tree
    let more: Vec<&str> = arguments[2..].iter().map(String::as_str).collect();
    build(&lbuild, code.path(), "out:flags", &more);
    let unpacked = |zip: &str, to: &str| {
        let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
        run(Command::new(tool("python3")).args(["-c", script, zip]).arg(lbuild.path("context").join(to)))
            .unwrap();
    };
    unpacked(&one, "one");
    unpacked(&two, "two");
    for (from, to) in [(code.path().join("app.py"), "app.py"), (code.path().join("bootstrap"), "bootstrap")] {
        run(Command::new(tool("cp")).arg("-p").arg(from).arg(lbuild.path("context").join(to))).unwrap();
    }
    run(Command::new(tool("cp")).arg("-p").arg(path("wrapper")).arg(lbuild.path("context"))).unwrap();
    let dockerfile = "FROM base\nCOPY one/ two/ /opt/\nCOPY --from=extension /opt/extensions /opt/extensions\n\
                      COPY --chmod=755 wrapper /opt/\nENV AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper\n\
                      COPY app.py bootstrap /var/task/\nCOPY bootstrap /var/runtime/\nCMD [\"app.handler\"]\n";
    std::fs::write(lbuild.path("context").join("Dockerfile"), dockerfile).unwrap();
    let (base, extension) = (format!("base={}", python_base()), format!("extension={image}"));
    let contexts = ["--build-context", &base, "--build-context", &extension];
    build(&lbuild, &lbuild.path("context"), "out:dockerfile", &contexts);
    let tree = |tag: &str| RootTree::of(&lbuild.path("out"), tag, "amd64", None);
    assert_eq!(tree("flags").difference(&tree("dockerfile")), []);
    // one invocation, with the extension and the wrapper
    let mut once = arguments.clone();
    once[0] = "invoke".to_owned();
    once.extend(["-d".to_owned(), "{\"do\":\"layers\"}".to_owned()]);
    let done = lbuild.ok(&once);
    assert_eq!(done.stdout, "[1,2,\"two\",\"python3\"]\n".replace(',', ", "), "{done:?}");
    assert!(done.stderr.contains("extension: SHUTDOWN spindown\n"), "{}", done.stderr);
    let served = Served::start(&lbuild, &arguments);
    // the later layer is on top
    assert_eq!(
        served.invoke(&json!({ "do": "layers" })),
        json!([1, 2, "two", "python3"]),
        "{}",
        served.log()
    );
    let noted = served.invoke(&json!({ "do": "notes", "file": "events", "until": "INVOKE" }));
    assert!(noted.as_str().unwrap().contains("\"eventType\":\"INVOKE\""), "{noted}");
    let log = served.log_path();
    assert_eq!(served.interrupt(), Some(130));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("extension: SHUTDOWN spindown\n"), "{log}");
}

/// A Dockerfile that has the same files.
#[test]
fn the_tree_is_that_of_a_dockerfile() {
    let lbuild = Lbuild::new();
    let zipped = lbuild.path("layer.zip");
    zip(&zipped, &[("python/module.py", "value = 1\n"), ("bin/tool", "tool")]);
    let code = function(&[("app.py", "def handler(event, context): return 1\n")]);
    let tools = function(&[("agent", "#!/bin/sh\n"), ("start", "#!/bin/sh\nexec \"$@\"\n")]);
    let path = |name: &str| tools.path().join(name).display().to_string();
    let flags = [
        "--base",
        &python_base(),
        "--handler",
        "app.handler",
        "--layer",
        zipped.to_str().unwrap(),
        "--extension",
        &path("agent"),
        "--wrapper",
        &path("start"),
    ];
    build(&lbuild, code.path(), "out:flags", &flags);
    let dockerfile = "FROM base\nCOPY layer/ /opt/\nCOPY --chmod=755 agent /opt/extensions/\nCOPY --chmod=755 start /opt/\n\
                      ENV AWS_LAMBDA_EXEC_WRAPPER=/opt/start\nCOPY app.py /var/task/\nCMD [\"app.handler\"]\n";
    let context = function(&[
        ("Dockerfile", dockerfile),
        ("layer/python/module.py", "value = 1\n"),
        ("layer/bin/tool", "tool"),
        ("agent", "#!/bin/sh\n"),
        ("start", "#!/bin/sh\nexec \"$@\"\n"),
        ("app.py", "def handler(event, context): return 1\n"),
    ]);
    let base = format!("base={}", python_base());
    build(&lbuild, context.path(), "out:dockerfile", &["--build-context", &base]);
    let tree = |tag: &str| RootTree::of(&lbuild.path("out"), tag, "amd64", None);
    assert_eq!(tree("flags"), tree("dockerfile"));
    let config = |tag: &str| {
        let (_, config) = crate::support::lbuild::image_of(&lbuild.path("out"), tag, "amd64");
        (config["config"]["Env"].clone(), config["config"]["Cmd"].clone())
    };
    assert_eq!(config("flags"), config("dockerfile"));
}

#[test]
fn arguments_that_cannot_be_added_are_refused() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", "")]);
    let to = format!("oci:{}:1", lbuild.text("out"));
    let all =
        ["build", code.path().to_str().unwrap(), "--arch", "amd64", "--base", &python_base(), "--to", &to];
    for (more, code, message) in [
        (["--layer", "arn:aws:lambda:eu-west-1:123456789012:layer:shared"], 2, "it has no version"),
        (["--layer", "/none.zip"], 3, "cannot read /none.zip"),
        (["--layer", "/tmp"], 2, "--layer /tmp is a directory"),
        (["--layer-image", "oci:/none:1"], 4, "/none"),
        (["--extension", "./none"], 2, "--extension ./none is not a file"),
        (["--wrapper", "none"], 2, "--wrapper none is not a file"),
    ] {
        let error = lbuild.run(&[&all[..], &more].concat()).failed(code);
        assert!(error.contains(message), "{more:?}: {error}");
    }
    // a wrapper of a layer is only named
    lbuild.ok(&[&all[..], &["--wrapper", "/opt/otel-handler", "--no-check"]].concat());
    let (_, config) = crate::support::lbuild::image_of(&lbuild.path("out"), "1", "amd64");
    let variables: Vec<&str> =
        config["config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(variables.contains(&"AWS_LAMBDA_EXEC_WRAPPER=/opt/otel-handler"), "{variables:?}");
}

/// lbuild.toml has the flags, too; its paths are relative to it.
#[test]
fn a_file_of_settings_has_the_flags() {
    let lbuild = Lbuild::new();
    let settings = "arch = \"amd64\"\nhandler = \"app.handler\"\nlayer = \"layer.zip\"\nextension = [\"agent\"]\nwrapper = \"start\"\nlayer-image = \"oci:layers:1\"\n";
    let code = function(&[
        ("app.py", ""),
        ("agent", "#!/bin/sh\n"),
        ("start", "#!/bin/sh\n"),
        ("lbuild.toml", settings),
    ]);
    zip(&code.path().join("layer.zip"), &[("python/module.py", "")]);
    // names of layouts are relative to the file, too
    let (files, image) = (function(&[("bin/tool", "")]), format!("oci:{}/layers:1", code.path().display()));
    lbuild.ok(&["layer", "push", files.path().to_str().unwrap(), "--arch", "amd64", "--to", &image]);
    let to = format!("oci:{}:1", lbuild.text("out"));
    lbuild.ok(&["build", code.path().to_str().unwrap(), "--base", &python_base(), "--to", &to, "--no-check"]);
    let tree = RootTree::of(&lbuild.path("out"), "1", "amd64", None);
    for path in ["opt/python/module.py", "opt/extensions/agent", "opt/start", "opt/bin/tool"] {
        assert!(tree.line(path).is_some(), "{path}");
    }
}
