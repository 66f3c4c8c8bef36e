//! The composite actions in examples/ci/action: their steps run as GitHub runs them, with inputs in the environment and
//! outputs in files.

use crate::recipes::{assert_validated, root};
use crate::support::lbuild::{Lbuild, RunOutput};
use crate::support::registry::{Mode, Registry};
use crate::support::{bases, busybox, debian, part, run, tool};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn dir(name: &str) -> PathBuf {
    root().join("examples/ci/action").join(name)
}

fn text(name: &str, file: &str) -> String {
    fs::read_to_string(dir(name).join(file)).unwrap()
}

/// The description of an action.
fn action(name: &str) -> Value {
    let script = "import json, sys, ruamel.yaml as y; print(json.dumps(y.YAML(typ='safe', pure=True).load(sys.stdin.read())))";
    let mut bash = Command::new(tool("bash"));
    bash.args(["-c", "\"$1\" -c \"$2\" <\"$3\"", "bash"]).arg(tool("python3")).arg(script);
    bash.arg(dir(name).join("action.yml")).env("PYTHONPATH", part("recipes/python"));
    serde_json::from_str(&run(&mut bash).unwrap()).unwrap()
}

/// A runner whose workspace is the user's directory.
struct Runner {
    user: Lbuild,
    registry: Registry,
    /// The directories that steps have put in front of PATH.
    path: String,
}

/// A step that has ended, with the outputs of its action.
struct Step {
    done: RunOutput,
    outputs: BTreeMap<String, String>,
}

impl Runner {
    /// A runner with AWS's bases in a registry of its own.
    fn start() -> Runner {
        let (mut user, registry) = (Lbuild::new(), Registry::start(Mode::Plain));
        bases::push(&registry, "oci-index", "lambda/python", "3.12");
        user.set("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{}", registry.host()));
        fs::create_dir(user.path("runner-temp")).unwrap();
        Runner { user, registry, path: "/usr/bin:/bin".to_owned() }
    }

    /// A runner after setup-lbuild.
    fn with_lbuild() -> Runner {
        let mut runner = Runner::start();
        runner.step("setup-lbuild", &[("path", env!("CARGO_BIN_EXE_lbuild"))]).done.succeeded();
        runner
    }

    /// Runs the action's own step.
    fn step(&mut self, name: &str, inputs: &[(&str, &str)]) -> Step {
        let action = action(name);
        let mut given: BTreeMap<&str, &str> = BTreeMap::new();
        for (input, about) in action["inputs"].as_object().unwrap() {
            given.insert(input, about["default"].as_str().unwrap_or_default());
        }
        for (input, value) in inputs {
            assert!(given.insert(input, value).is_some(), "{name} has no input {input}");
        }
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["run"].is_string()).unwrap();
        let [script, output, path] = ["step.sh", "step-output", "step-path"].map(|name| self.user.path(name));
        fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        for file in [&output, &path] {
            fs::write(file, "").unwrap();
        }
        let script = script.to_str().unwrap().to_owned();
        let mut bash = self.user.program("bash", &["--noprofile", "--norc", "-eo", "pipefail", &script]);
        bash.env("PATH", &self.path).env("GITHUB_ACTIONS", "true").env("GITHUB_ACTION_PATH", dir(name));
        bash.env("GITHUB_OUTPUT", &output).env("GITHUB_PATH", &path);
        bash.env("RUNNER_TEMP", self.user.path("runner-temp"));
        for (variable, value) in step["env"].as_object().unwrap() {
            let value = value.as_str().unwrap();
            let input = value.strip_prefix("${{ inputs.").and_then(|rest| rest.strip_suffix(" }}"));
            bash.env(variable, given[input.unwrap()]);
        }
        let done = RunOutput::of(bash.output().unwrap());
        for dir in fs::read_to_string(&path).unwrap().lines() {
            self.path = format!("{dir}:{}", self.path);
        }
        let of_step = parsed(&fs::read_to_string(&output).unwrap());
        let mut outputs = BTreeMap::new();
        for (name, about) in action["outputs"].as_object().unwrap() {
            let value = about["value"].as_str().unwrap();
            let start = format!("${{{{ steps.{}.outputs.", step["id"].as_str().unwrap());
            let key = value.strip_prefix(&start).and_then(|rest| rest.strip_suffix(" }}")).unwrap();
            outputs.extend(of_step.get(key).map(|value| (name.clone(), value.clone())));
        }
        Step { done, outputs }
    }

    /// The name of an image in the registry.
    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.registry.host())
    }

    fn write(&self, file: &str, text: &str) -> String {
        let path = self.user.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self.user.text(file)
    }
}

impl Step {
    #[track_caller]
    fn ok(self) -> BTreeMap<String, String> {
        self.done.succeeded();
        self.outputs
    }

    /// What a step that has to fail wrote.
    #[track_caller]
    fn failed(self) -> String {
        assert!(self.done.code != Some(0) && self.outputs.is_empty(), "{:?}", self.done);
        self.done.stdout + &self.done.stderr
    }
}

/// The outputs in GitHub's file: `name=value`, or lines up to a delimiter.
fn parsed(file: &str) -> BTreeMap<String, String> {
    let (mut lines, mut outputs) = (file.lines(), BTreeMap::new());
    while let Some(line) = lines.next() {
        match line.split_once("<<") {
            Some((name, end)) if !name.contains('=') => {
                let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
                outputs.insert(name.to_owned(), value.join("\n"));
            }
            _ => {
                let (name, value) = line.split_once('=').unwrap();
                outputs.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    outputs
}

#[test]
fn lbuild_is_on_path_and_in_dockers_place() {
    let mut runner = Runner::start();
    fs::create_dir(runner.user.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lbuild"), runner.user.path("bin/lbuild")).unwrap();
    let outputs = runner.step("setup-lbuild", &[("path", "bin/lbuild"), ("docker", "true")]).ok();
    assert_eq!(outputs["version"], env!("CARGO_PKG_VERSION"));
    assert!(runner.path.starts_with(&format!("{}:", outputs["path"])), "{}", runner.path);
    for (program, expected) in
        [("lbuild --version", "lbuild "), ("docker buildx version", "github.com/docker/buildx")]
    {
        let mut bash = runner.user.program("bash", &["-c", program]);
        let done = RunOutput::of(bash.env("PATH", &runner.path).output().unwrap()).succeeded();
        assert!(done.stdout.starts_with(expected), "{done:?}");
    }
}

#[test]
fn docker_stays_unless_it_is_asked_for() {
    let mut runner = Runner::start();
    let bin = runner.step("setup-lbuild", &[("path", env!("CARGO_BIN_EXE_lbuild"))]).ok()["path"].clone();
    let names: Vec<_> = fs::read_dir(bin).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lbuild"]);
}

#[test]
fn a_version_that_is_there_is_not_compiled_again() {
    let mut runner = Runner::start();
    let version = env!("CARGO_PKG_VERSION");
    let error = runner.step("setup-lbuild", &[("version", version)]).failed();
    assert!(error.contains("lbuild is compiled by cargo"), "{error}");
    fs::create_dir_all(runner.user.path("home/.cargo/bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lbuild"), runner.user.path("home/.cargo/bin/lbuild"))
        .unwrap();
    assert_eq!(runner.step("setup-lbuild", &[("version", version)]).ok()["version"], version);
    for (inputs, expected) in [
        (&[("version", "0.0.1")][..], "lbuild is compiled by cargo"),
        (&[], "one of the inputs version and path is needed"),
        (&[("path", "missing")], "which is not a program"),
        (&[("version", version), ("docker", "yes")], "the input docker is yes"),
    ] {
        let error = runner.step("setup-lbuild", inputs).failed();
        assert!(error.contains("::error title=setup-lbuild::") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_function_without_a_dockerfile_is_pushed() {
    let mut runner = Runner::with_lbuild();
    runner.write("fn/app.py", "def handler(event, context): pass");
    runner.write("more/extra.txt", "extra");
    let (v1, other) = (runner.name("team/hello:v1"), runner.name("team/hello:stable"));
    let tags = format!("{v1}, {other}\n");
    let inputs = [
        ("context", "fn"),
        ("runtime", "python3.12"),
        ("handler", "app.handler"),
        ("arch", "arm64"),
        ("deps", "more"),
        ("labels", "a=1\n  b=two words\n"),
        ("tags", &*tags),
        ("cache-from", "type=gha\n"),
        ("push", "true"),
    ];
    let outputs = runner.step("push", &inputs).ok();
    let (digest, manifest) = runner.registry.manifest("team/hello", "v1");
    assert_eq!(runner.registry.manifest("team/hello", "stable").0, digest);
    assert_eq!(outputs["digest"], digest);
    assert_eq!(outputs["image"], format!("{}@{digest}", runner.name("team/hello")));
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(outputs["imageid"], manifest["config"]["digest"].as_str().unwrap());
    let metadata: Value = serde_json::from_str(&outputs["metadata"]).unwrap();
    assert_eq!(metadata["containerimage.digest"], *digest);
    let words = [
        "push",
        "fn",
        "--runtime",
        "python3.12",
        "--handler",
        "app.handler",
        "--arch",
        "arm64",
        "--deps",
        "more",
        "--label",
        "a=1",
        "--label",
        "b=two words",
        "--dry-run",
        "--to",
        &v1,
    ];
    assert_eq!(runner.user.ok(&words).digest(), digest);

    let local: Vec<_> =
        inputs.iter().map(|(name, value)| (*name, if *name == "push" { "false" } else { *value })).collect();
    let stored = runner.step("push", &local).ok();
    assert_eq!((&*stored["image"], &stored["imageid"]), ("", &outputs["imageid"]));
    let id = runner.user.ok(&["docker", "inspect", "--format", "{{.Id}}", &other]).stdout;
    assert_eq!(id.trim(), outputs["imageid"]);
}

/// A Dockerfile whose image shows every input.
const DOCKERFILE: &str = "\
FROM localhost/busybox AS function
ARG A
ARG B
COPY --from=lib file /lib-file
RUN --mount=type=secret,id=value --mount=type=secret,id=file --mount=type=secret,id=env \\
  test \"$(cat /run/secrets/value /run/secrets/file /run/secrets/env)\" = 'of=a value,of a file=1,of the environment' >/sum
ENV A=$A B=$B
FROM function AS other
ENV OTHER=1
";

#[test]
fn a_dockerfile_is_built_with_all_inputs() {
    let mut runner = Runner::with_lbuild();
    busybox::write(&runner.user.path("busybox"));
    runner.write("context/Dockerfile.function", DOCKERFILE);
    runner.write("lib/file", "of lib");
    runner.write("secret-file", "of a file=1,");
    runner.user.set("OF_ENV", "of the environment");
    runner.user.set("LBUILD_NO_CHECK", "1");
    let tag = runner.name("hello:v1");
    let contexts = format!("localhost/busybox=oci:{}:{}\nlib=lib", runner.user.text("busybox"), busybox::TAG);
    let platform = format!("linux/{}", debian::ARCHITECTURE);
    let inputs = [
        ("context", "context"),
        ("file", "context/Dockerfile.function"),
        ("tags", &*tag),
        ("labels", "a=$(id) \"x\""),
        ("build-args", "A=1\nB=two words"),
        ("build-contexts", &*contexts),
        ("target", "function"),
        ("platforms", &*platform),
        ("push", "true"),
        ("load", "true"),
        ("outputs", "type=oci,dest=out,tar=false"),
        ("cache-from", "type=gha"),
        ("cache-to", "type=inline"),
        ("no-cache", "true"),
        ("pull", "true"),
        ("secrets", "value=of=a value,\n"),
        ("secret-files", "file=secret-file"),
        ("secret-envs", "env=OF_ENV"),
        ("provenance", "mode=max"),
        ("sbom", "true"),
        ("annotations", "x=y"),
        ("network", "host"),
    ];
    let step = runner.step("push", &inputs);
    let said = step.done.stderr.clone();
    let outputs = step.ok();
    for flag in ["--provenance", "--sbom", "--annotation", "type=gha"] {
        assert!(said.contains(flag), "{flag}: {said}");
    }
    let (digest, _) = runner.registry.manifest("hello", "v1");
    assert_eq!(
        (&outputs["digest"], &outputs["image"]),
        (&digest, &format!("{}@{digest}", runner.name("hello")))
    );
    let inspected = runner.user.ok(&["docker", "inspect", &tag]).stdout;
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected[0]["Id"], *outputs["imageid"]);
    let config = &inspected[0]["Config"];
    let env: BTreeSet<_> = config["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.contains("A=1") && env.contains("B=two words") && !env.contains("OTHER=1"), "{env:?}");
    assert_eq!(config["Labels"]["a"], "$(id) \"x\"");
    assert!(runner.user.path("out/index.json").is_file());
    let tree = runner.user.ok(&["inspect", &format!("local:{tag}"), "--tree"]).stdout;
    assert!(tree.contains("lib-file") && tree.contains("sum"), "{tree}");
    // what the secrets were written to is removed
    assert_eq!(fs::read_dir(runner.user.path("runner-temp")).unwrap().count(), 1, "only lbuild's directory");
}

#[test]
fn a_step_with_wrong_inputs_fails_and_shows_no_secret() {
    let mut runner = Runner::start();
    let error = runner.step("push", &[]).failed();
    assert!(error.contains("lbuild is not on PATH: use setup-lbuild"), "{error}");
    let mut runner = Runner::with_lbuild();
    runner.write("fn/app.py", "");
    for (inputs, expected) in [
        (&[("push", "yes")][..], "the input push is yes: true or false"),
        (&[("arch", "arm64"), ("platforms", "linux/arm64")], "the inputs arch and platforms are given"),
        (&[("secrets", "\"a=hidden\nhidden\"")], "a line of the input secrets is not ID=VALUE"),
        (&[("handler", "app.handler")], "the input tags has no name"),
        (
            &[("handler", "app.handler"), ("tags", "x"), ("outputs", "type=docker")],
            "the input outputs is for images",
        ),
        (&[("handler", "app.handler"), ("tags", "x"), ("network", "none")], "the input network is none"),
        (&[("context", "missing")], "there is no directory missing"),
        (&[("context", "fn"), ("runtime", "python3.12"), ("tags", "x"), ("arch", "sparc")], "sparc"),
        (
            &[
                ("context", "fn"),
                ("runtime", "python3.12"),
                ("tags", "x"),
                ("target", "t"),
                ("arch", "arm64"),
            ],
            "--target",
        ),
    ] {
        let error = runner.step("push", inputs).failed();
        assert!(error.contains(expected) && !error.contains("hidden"), "{inputs:?}: {error}");
    }
    assert_eq!(fs::read_dir(runner.user.path("runner-temp")).unwrap().count(), 1, "only lbuild's directory");
}

#[test]
fn the_actions_are_valid() {
    let changes = [
        ("using: composite", "using: node99", "node99"),
        ("inputs.docker", "inputs.dockers", "there is no input dockers"),
        ("        INPUT_DOCKER: ${{ inputs.docker }}\n", "", "nothing takes the input docker"),
        ("steps.setup.", "steps.install.", "there is no step install"),
        ("\"$GITHUB_ACTION_PATH/setup.sh\"'", "\"${{ inputs.path }}'", "in the script"),
        ("shell: bash", "shel: bash", "shel"),
    ];
    assert_validated("action", &text("setup-lbuild", "action.yml"), &changes);
    let changes = [
        ("inputs.tags", "inputs.tag", "there is no input tag"),
        ("- id: push\n      shell", "- id: send\n      shell", "there is no step push"),
    ];
    assert_validated("action", &text("push", "action.yml"), &changes);
}

#[test]
fn every_input_reaches_the_script() {
    for (name, script) in [("setup-lbuild", "setup.sh"), ("push", "push.sh")] {
        let action = action(name);
        let steps = action["runs"]["steps"].as_array().unwrap();
        let step = steps.iter().find(|step| step["run"].is_string()).unwrap();
        assert_eq!(step["run"], format!("\"$GITHUB_ACTION_PATH/{script}\""));
        let given: BTreeSet<String> = step["env"].as_object().unwrap().keys().cloned().collect();
        let code = text(name, script);
        let code = code.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let words = code.split(|c: char| !is_name(c)).filter(|word| word.starts_with("INPUT_"));
        assert_eq!(words.map(str::to_owned).collect::<BTreeSet<_>>(), given, "{name}");
    }
}
