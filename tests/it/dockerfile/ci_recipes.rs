//! The commands of the CI recipes, in containers as Docker and Kubernetes start them: they build Dockerfiles with commands,
//! and the functions answer.

use super::case_answers::{NODE, PYTHON, furnished};
use crate::recipes::{RECIPES, commands, recipe};
use crate::support::command_builds::commands_of;
use crate::support::debian::ARCHITECTURE;
use crate::support::environments::Environment;
use crate::support::faults;
use crate::support::image_tools::ImageLocation;
use crate::support::index::Index;
use crate::support::invoke::Function;
use crate::support::lbuild::Lbuild;
use crate::support::registry::{Mode, Registry};
use crate::support::root_tree::RootTree;
use crate::support::testdata;
use serde_json::{Value, json};

/// A case for each recipe: its base, the images that stand for those that it names, and its answer.
fn cases() -> [(&'static str, &'static str, &'static [&'static str], Value); 4] {
    let event = json!({ "ok": true, "event": { "a": 1 } });
    [
        ("24-dnf-compiler", "python", PYTHON, event.clone()),
        ("30-heredocs", "python", PYTHON, event),
        ("07-node-no-lock-script", "node", NODE, json!("DIST")),
        ("08-node-esbuild-multistage", "node", NODE, json!(1)),
    ]
}

/// The words of a recipe's command, for the registry of the test and this machine's architecture. What only ECR has is
/// left out.
fn adapted(words: &[String], host: &str) -> Vec<String> {
    let words = words.iter().filter(|word| !["--create-repo", "--allow-lambda"].contains(&word.as_str()));
    let adapted = words.map(|word| match word.as_str() {
        "arm64" => ARCHITECTURE.to_owned(),
        word => word.replace("registry.example", host),
    });
    adapted.collect()
}

#[test]
fn the_commands_of_the_recipes_build_functions_that_answer() {
    let mut lbuild = Lbuild::new();
    let index: Index = furnished(&mut lbuild);
    let registry = Registry::start(Mode::Plain);
    let of = |(number, (kind, _))| {
        [Environment::Docker, Environment::Restricted].map(move |place| (number, kind, place))
    };
    let all = RECIPES.into_iter().enumerate().flat_map(of);
    for (number, kind, environment) in faults::sample(all, 3) {
        let (case, base, images, expected) = cases()[number].clone();
        let what = format!("{kind}, {environment:?}, {case}");
        let mut place = environment.place();
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            place.set(name, &index.url());
        }
        place.copy_in(&testdata("dockerfile/cases").join(case), "project");
        place.copy_in(&lbuild.path("bases"), "bases");
        let images: Vec<String> = images
            .iter()
            .map(|name| format!("--build-context={name}=oci:{}:{base}", place.text("bases")))
            .collect();
        let mut script = "set -eu\ncd project\nmkdir -p .lbuild\n".to_owned();
        for words in commands(&recipe(kind)) {
            let words = adapted(&words, &registry.host());
            let more = if words[0] == "push" { images.join(" ") } else { String::new() };
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            script += &format!("\"$LBUILD\" {} {more}\n", quoted.join(" "));
        }
        let done = place.script(&script);
        assert_eq!(done.code, Some(0), "{what}: {}", done.stderr);
        let digest = std::fs::read_to_string(place.path("project/.lbuild/digest")).unwrap();
        let image = format!("hello@{}", digest.trim());
        let function = Function::start(&ImageLocation::registry(&registry, &image));
        let function = function.unwrap_or_else(|error| panic!("{what}: {error}"));
        let answer = function.invoke(&json!({ "a": 1 })).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer, expected, "{what}");
    }
}

/// A command under proot makes lbuild protect its memory; it can still start the programs that a later line needs.
#[test]
fn packages_are_resolved_after_a_command() {
    let mut lbuild = Lbuild::new();
    let index: Index = furnished(&mut lbuild);
    let mut place = Environment::Restricted.place();
    place.set("PIP_INDEX_URL", &index.url());
    place.copy_in(&lbuild.path("bases"), "bases");
    place.write(
        "project/Dockerfile",
        "FROM localhost/python\nRUN date >/dev/null; echo idna >/requirements.txt\nRUN pip install -r /requirements.txt -t /packages\n",
    );
    let script = format!(
        "\"$LBUILD\" build project --build-context localhost/python=oci:{}:python --arch {ARCHITECTURE} --no-check --to oci:out:1",
        place.text("bases")
    );
    let done = place.script(&script).succeeded();
    assert_eq!(commands_of(&done), 1, "{}", done.stderr);
    let tree = RootTree::of(&place.path("out"), "1", ARCHITECTURE, None);
    assert!(tree.line("packages/idna/__init__.py").is_some(), "{}", done.stderr);
}
