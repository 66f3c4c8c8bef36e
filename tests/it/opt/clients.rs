//! `--runtime-client` and `--web-adapter`: what a base needs that is not AWS's.

use crate::dockerfile::case_answers;
use crate::invoke::rig::{node_base, python_base};
use crate::support::lbuild::{Lbuild, function, image_of};
use crate::support::registry::{Mode, Registry};
use crate::support::root_tree::RootTree;
use crate::support::{bases, testdata};
use serde_json::{Value, json};

const APP: &str = "def handler(event, context):\n    return {'seen': event}\n";

#[test]
fn a_python_base_gets_its_client_without_a_process() {
    let mut lbuild = Lbuild::new();
    let _index = case_answers::furnished(&mut lbuild);
    let code = function(&[("app.py", APP)]);
    for arch in ["amd64", "arm64"] {
        let to = format!("oci:{}:{arch}", lbuild.text("out"));
        lbuild.ok(&[
            "build",
            code.path().to_str().unwrap(),
            "--base",
            &python_base(),
            "--runtime-client=python",
            "--handler",
            "app.handler",
            "--run-mode",
            "none",
            "--arch",
            arch,
            "--to",
            &to,
        ]);
        let (_, config) = image_of(&lbuild.path("out"), arch, arch);
        let config = &config["config"];
        assert_eq!(config["Entrypoint"], json!(["python3", "-m", "awslambdaric"]));
        assert_eq!((&config["Cmd"], &config["WorkingDir"]), (&json!(["app.handler"]), &json!("/var/task")));
        let tree = RootTree::of(&lbuild.path("out"), arch, arch, None);
        assert!(tree.line("var/task/app.py").is_some());
        let done = lbuild.ok(&["invoke", &to, "--arch", arch, "-d", r#"{"x": 1}"#]);
        assert_eq!(done.stdout, "{\"seen\": {\"x\": 1}}\n", "{done:?}");
    }
    // lbuild.toml has it, too
    let settings = format!(
        "arch = \"amd64\"\nbase = \"{}\"\nhandler = \"app.handler\"\nruntime-client = \"python\"\n",
        python_base()
    );
    let code = function(&[("app.py", APP), ("lbuild.toml", &settings)]);
    let done = lbuild.ok(&["invoke", code.path().to_str().unwrap(), "-d", "2"]);
    assert_eq!(done.stdout, "{\"seen\": 2}\n", "{done:?}");
}

/// npm compiles the client: it is brought by commands, in a stage with a compiler, which is not in the image.
#[test]
fn a_node_base_gets_its_client_by_commands() {
    let lbuild = Lbuild::new();
    let apt = "#!/bin/sh\necho \"$@\" >>/etc/apt-was-here\n";
    let npm = "#!/bin/sh\n[ \"$1 $2\" = 'install aws-lambda-ric' ] && [ -s /etc/apt-was-here ] || exit 1\n\
               dir=$PWD/node_modules/aws-lambda-ric/bin\nmkdir -p $dir\necho \"import '/var/runtime/index.mjs'\" >$dir/index.mjs\n";
    let base = function(&[
        ("Dockerfile", "FROM localhost/base\nCOPY bin/ /usr/local/bin/\n"),
        ("bin/apt-get*", apt),
        ("bin/npm*", npm),
    ]);
    std::os::unix::fs::symlink("/usr/bin/busybox", base.path().join("bin/mkdir")).unwrap();
    let (context, to) =
        (format!("localhost/base={}", node_base()), format!("oci:{}:node", lbuild.text("bases")));
    let path = base.path().to_str().unwrap();
    lbuild.ok(&["build", path, "--build-context", &context, "--arch", "amd64", "--no-check", "--to", &to]);
    let node = testdata("functions/hello-node");
    let code = ["invoke", node.to_str().unwrap(), "--base", &to, "--handler", "index.handler"];
    let client = ["--runtime-client=nodejs", "--arch", "amd64", "-d", "{\"nonce\":\"n\"}"];
    let done = lbuild.ok(&[&code[..], &client].concat());
    assert!(done.stdout.contains("\"nonce\":\"n\""), "{done:?}");
    let to = format!("oci:{}:1", lbuild.text("out"));
    let build =
        ["build", node.to_str().unwrap(), "--base", code[3], "--handler", "index.handler", "--to", &to];
    lbuild.ok(&[&build[..], &client[..3], &["--no-check"]].concat());
    let tree = RootTree::of(&lbuild.path("out"), "1", "amd64", None);
    assert!(tree.line("opt/runtime-client/node_modules/aws-lambda-ric/bin/index.mjs").is_some());
    assert!(tree.line("etc/apt-was-here").is_none());
    // where no command runs, that is said
    let other = Lbuild::new();
    let error = other.run(&[&build[..], &client[..3], &["--run-mode", "none"]].concat()).failed(2);
    assert!(error.contains("RUN apt-get update") && error.contains("hint: "), "{error}");
}

#[test]
fn a_client_that_is_not_needed_or_not_known_is_refused() {
    let lbuild = Lbuild::new();
    let code = function(&[("app.py", APP)]);
    let run = |more: &[&str]| {
        let to = format!("oci:{}:1", lbuild.text("out"));
        let all = ["build", code.path().to_str().unwrap(), "--arch", "amd64", "--to", &to];
        lbuild.run(&[&all[..], more].concat()).failed(2)
    };
    for (more, message) in [
        (&["--runtime", "python3.12", "--runtime-client"][..], "python3.12 has a client already"),
        (&["--base", &python_base(), "--runtime-client"], "the language of the base oci:"),
        (&["--base", "golang:1.26", "--runtime-client"], "the language of the base golang:1.26 is not known"),
        (&["--base", "golang:1.26", "--runtime-client=go"], "adds no runtime client for `go`"),
        (&["--base", "python:3.12", "--runtime-client", "--entrypoint", "x"], "cannot be used with"),
        (&["--runtime-client"], "no base is given"),
        (&["--base", "python", "--runtime-client", "--target", "client"], "--target is for a Dockerfile"),
        (&["--base", "r.example/lambda/python:3.12", "--runtime-client"], "has a client already"),
    ] {
        let error = run(more);
        assert!(error.contains(message), "{more:?}: {error}");
    }
}

/// The adapter is an image with one program; its digest is in the plan.
#[test]
fn the_web_adapter_becomes_an_extension() {
    let (mut lbuild, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
    let adapter = function(&[
        ("Dockerfile", "FROM scratch\nCOPY lambda-adapter /\n"),
        ("lambda-adapter*", include_str!("../invoke/extension.py")),
    ]);
    let layout = format!("oci:{}:1", lbuild.text("adapter"));
    let path = adapter.path().to_str().unwrap();
    lbuild.ok(&["build", path, "--arch", "amd64", "--no-check", "--to", &layout]);
    let digest = bases::seed(&registry, &lbuild.path("adapter"), "1", "awsguru/aws-lambda-adapter", "1.0.0");
    lbuild.set("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{}", registry.host()));
    let code = function(&[("app.py", APP)]);
    let base = python_base();
    let build = |command: &str, adapter: &str, more: &[&str]| {
        let all = [command, code.path().to_str().unwrap(), "--base", &base, "--arch", "amd64", adapter];
        lbuild.ok(&[&all[..], &["--handler", "app.handler"], more].concat())
    };
    let plan: Value = serde_json::from_str(&build("plan", "--web-adapter", &[]).stdout).unwrap();
    let pinned = format!("public.ecr.aws/awsguru/aws-lambda-adapter:1.0.0@{digest}");
    assert!(plan.to_string().contains(&pinned), "{plan:#}");
    for (tag, adapter) in [("1", "--web-adapter".to_owned()), ("2", format!("--web-adapter={layout}"))] {
        let to = format!("oci:{}:{tag}", lbuild.text("out"));
        build("build", &adapter, &["--to", &to]);
        let tree = RootTree::of(&lbuild.path("out"), tag, "amd64", None);
        let line = tree.line("opt/extensions/lambda-adapter").unwrap_or_default();
        assert!(line.starts_with("0755 0:0 file"), "{tag}: {line}");
    }
}
