//! `lbuild terraform`, the protocol of Terraform's external data source, and the module in examples/terraform.

use crate::recipes::root;
use crate::support::fake_ecr::{EcrBehaviour, FakeEcr, MissingRepository};
use crate::support::lbuild::{Lbuild, function, hello, tiny_base};
use crate::support::registry::{AccessLogEntry, Mode, Registry};
use crate::support::{part, run};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// A query for the function in `path`, for one repository.
fn query(path: &Path, to: &str) -> Value {
    let path = path.to_str().unwrap();
    json!({ "path": path, "base": tiny_base(), "arch": "arm64", "handler": "app.handler", "to": to })
}

fn with(mut query: Value, more: &Value) -> Value {
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

/// The result of a query that has to succeed.
#[track_caller]
fn result(lbuild: &Lbuild, query: &Value) -> Map<String, Value> {
    let done = lbuild.run_with(&query.to_string(), &["terraform"]).succeeded();
    let result: Map<String, Value> = serde_json::from_str(&done.stdout).unwrap();
    assert!(result.values().all(Value::is_string), "{result:?}");
    result
}

fn writes(entry: &AccessLogEntry) -> bool {
    !["GET", "HEAD"].contains(&entry.method.as_str())
}

#[test]
fn the_image_is_that_of_the_push_that_follows() {
    let registry = Registry::start(Mode::Plain);
    let repository = format!("{}/hello", registry.host());
    let to = format!("{repository}:v1");
    let labels = json!({ "label": "[\"a=1\", \"b=two words\"]", "env": "X=1\nY=2\n", "npm": "false" });
    let query = with(query(&hello(), &to), &labels);

    let user = Lbuild::new();
    let first = result(&user, &query);
    assert_eq!(result(&Lbuild::new(), &query), first, "two caches");
    assert!(!registry.log().iter().any(writes), "{:?}", registry.log());
    assert!(!registry.storage().join("docker").exists());
    let keys: Vec<_> = first.keys().collect();
    assert_eq!(keys, ["digest", "image_uri", "repository", "size", "tag"]);
    assert_eq!((&first["repository"], &first["tag"]), (&json!(repository), &json!("v1")));

    let (base, code) = (tiny_base(), hello());
    let same = ["--base", &base, "--arch", "arm64", "--handler", "app.handler", "--to", &to];
    let more = ["--label", "a=1", "--label", "b=two words", "--env", "X=1", "--env", "Y=2"];
    let words = [&["push", code.to_str().unwrap()][..], &same, &more].concat();
    assert_eq!(format!("{}\n", first["image_uri"].as_str().unwrap()), Lbuild::new().ok(&words).stdout);
    let (digest, manifest) = registry.manifest("hello", "v1");
    assert_eq!(first["digest"], json!(digest));
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["size"].as_u64().unwrap());
    let size = layers.sum::<u64>() + manifest["config"]["size"].as_u64().unwrap();
    assert_eq!(first["size"], json!(size.to_string()));

    // a fresh machine takes the layers of the pushed image
    let done = Lbuild::new().run_with(&query.to_string(), &["terraform"]).succeeded();
    assert_eq!(done.layer_counts(), (0, 1), "{}", done.stderr);
    let other = result(&user, &with(query, &json!({ "label": "a=2" })));
    assert_ne!(other["image_uri"], first["image_uri"]);
}

#[test]
fn a_repository_that_does_not_exist_is_not_created() {
    let ecr = FakeEcr::start(EcrBehaviour {
        missing_repository: MissingRepository::NameUnknown,
        ..EcrBehaviour::default()
    });
    let code = function(&[
        ("app.py", "def handler(event, context): pass"),
        ("lbuild.toml", "create-repo = true\nallow-lambda = true\n"),
    ]);
    let to = format!("{}/function:1", ecr.host());
    let done = result(&Lbuild::new(), &query(code.path(), &to));
    assert!(done["image_uri"].as_str().unwrap().starts_with(&format!("{}/function@sha256:", ecr.host())));
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(ecr.log().count(method, ""), 0, "{method}");
    }
}

#[test]
fn a_dockerfile_is_built_with_its_arguments() {
    let dockerfile = "ARG BASE\nFROM $BASE\nARG A\nENV A=$A\nCOPY app.py ./\nCMD [\"app.handler\"]\n";
    let code = function(&[("Dockerfile", dockerfile), ("app.py", "def handler(event, context): pass")]);
    let image = |arguments: &str| {
        let query = json!({
            "path": code.path(), "platform": "linux/arm64", "to": "registry.invalid/hello:v1",
            "build_arg": arguments, "build-context": format!("base={}", tiny_base()), "no-cache": "true",
        });
        result(&Lbuild::new(), &query)["image_uri"].clone()
    };
    let one = image("BASE=base\n\nA=1 = one\n");
    assert_eq!(image(&json!(["BASE=base", "A=1 = one"]).to_string()), one);
    assert_ne!(image("BASE=base\nA=2"), one);
}

#[test]
fn a_fault_is_on_standard_error_and_ends_the_plan() {
    let (lbuild, to) = (Lbuild::new(), "registry.invalid/hello:v1");
    let query = with(query(&hello(), to), &json!({ "no-cache": "true" }));
    let key = "AWS_KEY=AKIAQ3EGRIXW5Z7TNZ4K\n";
    let deps = function(&[("python/.env", key)]);
    for (more, code, expected) in [
        (json!({ "plattform": "linux/arm64" }), 2, "the query has the unknown key `plattform`"),
        (json!({ "metadata-file": "/tmp/x" }), 2, "`metadata-file` has no place in the query"),
        (json!({ "create_repo": "true" }), 2, "`create_repo` has no place in the query"),
        (json!({ "runtime": "python3.12" }), 2, "cannot be used with"),
        (json!({ "to": "oci:out:v1" }), 2, "is not in a registry"),
        (json!({ "to": "r.invalid/a:1\nr.invalid/b:1" }), 2, "the query has 2 destinations"),
        (json!({ "path": "missing" }), 3, "missing"),
        // the check of a push
        (json!({ "deps": deps.path() }), 8, "`lbuild check` found 1 error"),
    ] {
        let error = lbuild.run_with(&with(query.clone(), &more).to_string(), &["terraform"]).failed(code);
        assert!(error.contains(expected) && error.contains("error: "), "{more}: {error}");
    }
    for (text, expected) in [("", "is not JSON"), ("{\"path\": 1}", "the value of `path`")] {
        let error = lbuild.run_with(text, &["terraform"]).failed(2);
        assert!(error.contains(expected) && error.contains("hint: "), "{text}: {error}");
    }
}

/// A directory with the variables of the module, and Terraform.
struct Module {
    user: Lbuild,
}

impl Module {
    fn new(variables: &Value) -> Module {
        let mut user = Lbuild::new();
        let python = part("terraform/python").display().to_string();
        fs::write(user.path("no-settings"), "").unwrap();
        let settings = user.text("no-settings");
        for (name, value) in [
            ("PYTHONPATH", &*python),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("TF_CLI_CONFIG_FILE", &*settings),
            ("CHECKPOINT_DISABLE", "1"),
            ("LC_ALL", "C.UTF-8"),
        ] {
            user.set(name, value);
        }
        fs::write(user.path("terraform.tfvars.json"), variables.to_string()).unwrap();
        Module { user }
    }

    #[track_caller]
    fn terraform(&self, words: &[&str]) -> Value {
        let script = root().join("tests/it/support/terraform.py").display().to_string();
        let output = run(&mut self.user.program("python3", &[&[&*script], words].concat()));
        serde_json::from_str(&output.unwrap_or_else(|error| panic!("{error}"))).unwrap()
    }

    /// Reads the data source as Terraform would, and applies; returns its result and the outputs.
    #[track_caller]
    fn apply(&self) -> (Map<String, Value>, Value) {
        let (module, dir) = (root().join("examples/terraform").display().to_string(), self.user.text(""));
        let query = self.terraform(&["query", &module, &dir]);
        let result = result(&self.user, &query);
        fs::write(self.user.path("result.json"), json!(result).to_string()).unwrap();
        (result, self.terraform(&["apply", &module, &dir]))
    }
}

#[test]
fn terraform_pushes_what_the_module_announced() {
    let registry = Registry::start(Mode::Plain);
    let code = function(&[("app.py", "def handler(event, context): return 1")]);
    let module = Module::new(&json!({
        "lbuild": env!("CARGO_BIN_EXE_lbuild"), "source_path": code.path(), "platform": "linux/arm64",
        "handler": "app.handler", "ecr_address": registry.host(), "ecr_repo": "hello", "image_tag": "v1",
        "options": { "base": [tiny_base()], "label": ["a=1", "b=$x \"two\" words"], "pull": [] },
        "build_args": {},
    }));
    let (result, outputs) = module.apply();
    assert_eq!((&outputs["image_uri"], &outputs["image_id"]), (&result["image_uri"], &result["digest"]));
    assert_eq!(json!(registry.manifest("hello", "v1").0), result["digest"]);
    let query = &outputs["query"];
    assert_eq!((&query["pull"], &query["base"]), (&json!("true"), &json!(tiny_base())));

    let mark = registry.mark();
    assert_eq!(module.apply().0, result);
    assert!(!registry.log_since(mark).iter().any(writes), "nothing changed");
    fs::write(code.path().join("app.py"), "def handler(event, context): return 2").unwrap();
    let changed = module.apply().0;
    assert_ne!(changed["digest"], result["digest"]);
    assert_eq!(json!(registry.manifest("hello", "v1").0), changed["digest"]);
}

#[test]
fn the_module_has_terraforms_form() {
    let user = Module::new(&json!({}));
    let copy = user.user.path("copy");
    run(std::process::Command::new("cp").arg("-rT").arg(root().join("examples/terraform")).arg(&copy))
        .unwrap();
    let form = |user: &Module| user.terraform(&["form", copy.to_str().unwrap()]);
    assert_eq!(form(&user), json!({ "formatted": true, "arguments": ["program", "query"] }));
    let text = fs::read_to_string(copy.join("main.tf")).unwrap();
    fs::write(copy.join("main.tf"), text.replace("  program =", "  program  =")).unwrap();
    assert_eq!(form(&user)["formatted"], false);
}
