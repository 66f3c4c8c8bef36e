//! The guide's pages "Deploy" and "Patch the base": their commands, as written; and the policy for a deployment.

use super::faults::ACTIONS;
use crate::dockerfile::case_answers;
use crate::guide::Page;
use crate::support::bases;
use crate::support::lambda_api::{LambdaApi, LambdaBehaviour, REGION, REGISTRY};
use crate::support::lbuild::{Lbuild, RunOutput, function};
use crate::support::moto::{Moto, NO_METADATA};
use crate::support::registry::{Mode, Registry};
use crate::support::{run, testdata, tool};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// The commands of a page's blocks.
fn commands(page: &str) -> Vec<String> {
    let blocks = Page::read(page).blocks("console");
    let of = |block: &String| {
        block.lines().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)).collect()
    };
    blocks.iter().flat_map(|block| -> Vec<String> { of(block) }).collect()
}

/// A user for whom AWS is moto, but for Lambda, whose states moto does not have; in the directory of the case s1-aws-base
/// with an extension of the case 19.
pub struct Reader {
    pub user: Lbuild,
    pub moto: Moto,
    api: LambdaApi,
    registry: Registry,
    _index: crate::support::index::Index,
}

impl Reader {
    pub fn new() -> Reader {
        let (moto, api) =
            (Moto::start(), LambdaApi::start(LambdaBehaviour { looks: 1, ..LambdaBehaviour::default() }));
        let registry = Registry::start(Mode::Plain);
        bases::push(&registry, "oci-index", "lambda/python", "3.12");
        let mut user = Lbuild::new();
        let index = case_answers::furnished(&mut user);
        let host = registry.host();
        for (name, value) in [
            NO_METADATA,
            ("AWS_ENDPOINT_URL", &*moto.url()),
            ("AWS_ENDPOINT_URL_LAMBDA", &api.url()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("LBUILD_REGISTRY_ENDPOINT", &format!("public.ecr.aws=http://{host},{REGISTRY}=http://{host}")),
        ] {
            user.set(name, value);
        }
        let directory = user.path("hello");
        let copy = |from: &str, to: &std::path::Path| {
            let from = testdata("dockerfile/cases").join(from);
            run(Command::new(tool("cp")).arg("-rT").arg(from).arg(to)).unwrap();
        };
        copy("s1-aws-base", &directory);
        copy("19-extension-from-scratch/extension", &directory.join("extension"));
        let script = "chmod 755 \"$0\"/extension/extensions/*";
        run(Command::new(tool("bash")).args(["-c", script]).arg(&directory)).unwrap();
        Reader { user, api, registry, moto, _index: index }
    }

    /// Runs the commands in one shell, as a reader does.
    pub fn run(&self, commands: &[String]) -> RunOutput {
        let program =
            std::path::Path::new(env!("CARGO_BIN_EXE_lbuild")).parent().unwrap().display().to_string();
        let mut bash = self.user.program("bash", &["-euc", &commands.join("\n")]);
        let path = std::env::var("PATH").unwrap_or_default();
        bash.env("PATH", format!("{program}:{path}")).current_dir(self.user.path("hello"));
        RunOutput::of(bash.output().unwrap()).succeeded()
    }
}

#[test]
fn the_ways_from_files_to_a_function_lead_there() {
    let reader = Reader::new();
    let all = commands("src/guide/deploy.md");
    assert_eq!(all.len(), 7, "{all:#?}");
    let shown = reader.run(&all[..3]).stdout;
    assert!(shown.contains("state       Active") && shown.contains("arch        arm64"), "{shown}");
    let first = reader.api.image("hello");
    let shown = reader.run(&all[3..]).stdout;
    assert!(shown.contains("update      Successful"), "{shown}");
    let last = reader.api.image("hello");
    assert!(first != last && shown.contains(last.split('@').nth(1).unwrap()), "{first} {last} {shown}");
    // the extension is in it
    let tree = reader.user.ok(&["inspect", &last, "--tree"]).stdout;
    assert!(tree.contains("/opt/extensions/logs.py") && tree.contains("/var/task/app.py"), "{tree}");

    // and then the base is patched
    let all = commands("src/guide/rebase.md");
    assert_eq!(all.len(), 3, "{all:#?}");
    let patch = function(&[("Dockerfile", "FROM base\nCOPY patch /etc/\n"), ("patch", "patched")]);
    let (context, base) = (patch.path().to_str().unwrap(), crate::invoke::rig::python_base());
    let to = format!("{}/lambda/python:3.12", reader.registry.host());
    let (context_of, arch) = (format!("base={base}"), ["--arch", "arm64", "--no-check"]);
    let push = ["push", context, "--build-context", &context_of, "--to", &to];
    reader.user.ok(&[&push[..], &arch].concat());
    let shown = reader.run(&all).stdout;
    assert!(shown.contains("moved    hello on public.ecr.aws/lambda/python:3.12"), "{shown}");
    let patched = reader.api.image("hello");
    assert!(patched != last && shown.contains(patched.split('@').nth(1).unwrap()), "{shown}");
    let tree = reader.user.ok(&["inspect", &patched, "--tree"]).stdout;
    assert!(tree.contains("/etc/patch") && tree.contains("/opt/extensions/logs.py"), "{tree}");
}

/// The calls that a deployment makes are those that fail without their permissions.
#[test]
fn the_policy_for_a_deployment_has_exactly_its_actions() {
    let policies = Page::read("src/guide/ecr.md").blocks("json");
    let policy: Value = serde_json::from_str(&policies[2]).unwrap();
    let mut actions: BTreeSet<String> = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        match &statement["Action"] {
            Value::String(action) => drop(actions.insert(action.clone())),
            Value::Array(list) => actions.extend(list.iter().filter_map(Value::as_str).map(str::to_owned)),
            other => panic!("{other}"),
        }
        assert_eq!(statement["Effect"], json!("Allow"));
    }
    let lambda: BTreeSet<String> =
        actions.iter().filter_map(|action| action.strip_prefix("lambda:")).map(str::to_owned).collect();
    let expected: BTreeSet<String> =
        ACTIONS.iter().chain(&["InvokeFunction"]).map(|&name| name.to_owned()).collect();
    assert_eq!(lambda, expected);
    assert!(actions.contains("iam:PassRole"));
}
