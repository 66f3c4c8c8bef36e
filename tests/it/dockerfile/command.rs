//! The command with Dockerfiles: its flags and lbuild.toml.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bases;
use crate::support::lbuild::{Lbuild, RunOutput, function, image_of, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::testdata;

/// A base of AWS by its name, for which the committed base stands.
const AWS: &str = "public.ecr.aws/lambda/python:3.12";

/// `--build-context` that replaces [`AWS`].
fn stand_in() -> [String; 2] {
    ["--build-context".to_owned(), format!("{AWS}={}", tiny_base())]
}

/// Runs in the directory of the files, for arm64 and with the stand-in.
pub fn run_in(dir: &Path, lbuild: &Lbuild, words: &[&str], more: &[&str]) -> RunOutput {
    let stand_in = stand_in();
    let mut all = words.to_vec();
    all.extend(stand_in.iter().map(String::as_str));
    all.extend(more);
    RunOutput::of(lbuild.command(&all).current_dir(dir).output().unwrap())
}

/// The plan for the files, of which one is the Dockerfile.
#[track_caller]
fn plan(files: &[(&str, &str)], more: &[&str]) -> Value {
    let (dir, lbuild) = (function(files), Lbuild::new());
    let done = run_in(dir.path(), &lbuild, &["plan", "--arch", "arm64"], more).succeeded();
    serde_json::from_str(&done.stdout).unwrap()
}

/// All edits of the last stage, one after the other.
fn last_edits(recipe: &Value) -> Value {
    let steps = recipe["stages"].as_array().unwrap().last().unwrap()["steps"].as_array().unwrap();
    let edits = steps.iter().filter_map(|step| step.get("edit")?.as_object());
    Value::Object(edits.flatten().map(|(field, value)| (field.clone(), value.clone())).collect())
}

#[test]
fn the_dockerfile_of_a_directory_is_used_if_nothing_names_a_base() {
    let lbuild = Lbuild::new();
    let base = tiny_base();
    let text = format!("FROM {AWS}\nENV OF=Dockerfile\nCMD [\"app.handler\"]\n");
    let app = ("app.py", "def handler(event, context): pass\n");
    let dir = function(&[("Dockerfile", text.as_str()), app]);
    let note = "note: no runtime or base is given: building from Dockerfile\n";
    let words = ["build", "--arch", "arm64", "--to", "oci:../out", "--no-check"];
    let done = run_in(dir.path(), &lbuild, &words, &[]).succeeded();
    assert!(done.stderr.contains(note), "{}", done.stderr);
    let done = run_in(dir.path(), &lbuild, &words, &["--json"]).succeeded();
    let first: Value = serde_json::from_str(done.stderr.lines().next().unwrap()).unwrap();
    assert_eq!((&first["reason"], first["message"].is_string()), (&json!("note"), true));
    assert!(!run_in(dir.path(), &lbuild, &words, &["--quiet"]).succeeded().stderr.contains("note"));

    // a base or a runtime is without the Dockerfile, also that of lbuild.toml
    let plain = |more: &[&str]| {
        let plan = [&["plan", ".", "--arch", "arm64"], more].concat();
        RunOutput::of(lbuild.command(&plan).current_dir(dir.path()).output().unwrap()).succeeded()
    };
    let found = plain(&["--base", &base]);
    assert!(!found.stdout.contains("OF") && !found.stderr.contains("note"), "{found:?}");
    fs::write(dir.path().join("lbuild.toml"), format!("base = \"{base}\"\n")).unwrap();
    assert!(!plain(&[]).stdout.contains("OF"));
    // and a Dockerfile on the command line is without the base of lbuild.toml
    assert!(
        run_in(dir.path(), &lbuild, &["plan", "--arch", "arm64"], &["-f", "Dockerfile"])
            .succeeded()
            .stdout
            .contains("OF")
    );
}

#[test]
fn build_arguments_come_from_flags_the_environment_and_the_file() {
    let text = "ARG BASE=none\nFROM $BASE\nARG A=default\nARG B=default\nARG C=default\nENV ALL=$A-$B-$C\n";
    let config = format!("[build-arg]\nBASE = \"{AWS}\"\nA = \"file\"\nB = \"file\"\nC = \"file\"\n");
    let dir = function(&[("Dockerfile", text), ("lbuild.toml", &config)]);
    let mut lbuild = Lbuild::new();
    let all = |lbuild: &Lbuild, more: &[&str]| {
        let done = run_in(dir.path(), lbuild, &["plan", "--arch", "arm64"], more).succeeded();
        last_edits(&serde_json::from_str(&done.stdout).unwrap())["env"][0][1].clone()
    };
    assert_eq!(all(&lbuild, &[]), "file-file-file");
    let flags = ["--build-arg", "A=flag", "--build-arg", "A=last=1", "--build-arg", "B", "--build-arg", "C"];
    // a name without a value that the environment does not have is not given at all
    assert_eq!(all(&lbuild, &flags), "last=1-default-default");
    lbuild.set("B", "environment");
    assert_eq!(all(&lbuild, &flags), "last=1-environment-default");
    lbuild.set("C", "");
    assert_eq!(all(&lbuild, &flags), "last=1-environment-");
}

#[test]
fn flags_are_applied_on_top_of_the_last_stage() {
    let text = format!(
        "FROM {AWS} AS function\nENV A=file B=file\nLABEL a=file b=file\nWORKDIR /var/task\nCMD [\"app.handler\"]\n\
         FROM function AS other\nCMD [\"other.handler\"]\n"
    );
    let files = [("Dockerfile", text.as_str()), ("ca.pem", "x"), ("deps/mod.py", "")];
    let flags =
        ["--target", "function", "--handler", "new.handler", "--env", "B=$A-flag", "--label", "b=flag"];
    let more = ["--add", "ca.pem:/opt/ca.pem", "--deps", "deps", "--workdir", "/w", "--user", "7"];
    let recipe = plan(&files, &[&flags[..], &more].concat());
    let stages = recipe["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 1, "a stage that is not needed is left out");
    let steps = stages[0]["steps"].as_array().unwrap();
    let last = &steps[steps.len() - 3..];
    let edit = json!({ "edit": {
        "env": [["B", "$A-flag"]], "cmd": ["new.handler"], "workdir": "/w", "user": "7", "labels": { "b": "flag" },
    } });
    assert_eq!(last[0], edit);
    // dependencies go to the function's directory, added files to their path; the code is not added
    assert_eq!(last[1]["add"]["source"]["directory"]["path"], "deps");
    assert_eq!(last[2]["add"]["to"], "/opt/ca.pem");
    assert!(stages[0]["base"]["layout"]["digest"].is_string(), "the base is pinned: {recipe}");
}

#[test]
fn lbuild_toml_takes_the_same_keys() {
    let config = format!(
        "dockerfile = \"docker/api\"\ntarget = \"second\"\narch = \"arm64\"\nhandler = \"a.b\"\n\
         [build-context]\n\"{AWS}\" = \"oci:base:python3.12\"\nassets = \"files\"\n[label]\nx = \"y\"\n"
    );
    let text =
        format!("FROM {AWS} AS first\nENV A=1\nFROM first AS second\nENV B=2\nFROM scratch AS third\n");
    let dir = function(&[("f/lbuild.toml", config.as_str()), ("f/docker/api", &text), ("f/files/x", "")]);
    std::os::unix::fs::symlink(testdata("base"), dir.path().join("f/base")).unwrap();
    let lbuild = Lbuild::new();
    // the paths are relative to the file
    let plan = |more: &[&str]| {
        let all = [&["plan", "f"], more].concat();
        let done = RunOutput::of(lbuild.command(&all).current_dir(dir.path()).output().unwrap()).succeeded();
        serde_json::from_str::<Value>(&done.stdout).unwrap()
    };
    let recipe = plan(&[]);
    assert_eq!(recipe["stages"].as_array().unwrap().len(), 2);
    let edits = last_edits(&recipe);
    assert_eq!((&edits["cmd"], &edits["labels"]), (&json!(["a.b"]), &json!({ "x": "y" })));
    assert_eq!(plan(&["--target", "third"])["stages"][0]["base"], "scratch");
}

#[test]
fn a_dockerfile_may_be_on_standard_input() {
    let (lbuild, dir) = (Lbuild::new(), function(&[("app.py", "")]));
    let words = ["plan", dir.path().to_str().unwrap(), "--arch", "arm64", "-f", "-"];
    let done = lbuild.run_with("FROM scratch\nENV A=1\n", &words).succeeded();
    assert!(done.stdout.contains("\"A\""), "{}", done.stdout);
    let said = lbuild.run_with("FROM scratch\nENV\n", &words).failed(2);
    assert!(said.contains("error: <stdin>:2:1: "), "{said}");
    let login = ["--username", "u", "--password-stdin"];
    let said = lbuild.run_with("FROM scratch\n", &[&words[..], &login].concat()).failed(2);
    assert!(said.contains("both read standard input") && said.contains("hint: "), "{said}");
}

#[test]
fn the_first_ignore_file_is_used() {
    let ignores = |recipe: &Value, context: &str| {
        let steps = recipe["stages"][0]["steps"].as_array().unwrap();
        let mut sources =
            steps.iter().filter_map(|step| step["add"]["source"]["copy"]["sources"].as_array()).flatten();
        let found = sources.find(|source| source["context"]["context"]["path"] == context).unwrap();
        found["context"]["context"]["ignore"].clone()
    };
    let text = "FROM scratch\nCOPY app.py /\nCOPY --from=assets x /\n";
    let files = [("d/my.Dockerfile", text), ("app/app.py", ""), ("assets/x", "")];
    let (dir, lbuild) = (function(&files), Lbuild::new());
    let words = ["plan", "app", "-f", "d/my.Dockerfile", "--arch", "arm64"];
    let done = run_in(dir.path(), &lbuild, &words, &["--build-context", "assets=assets"]).succeeded();
    let recipe: Value = serde_json::from_str(&done.stdout).unwrap();
    let own = ["d/my.Dockerfile.dockerignore", "app/.dockerignore", "app/.lambdaignore"];
    assert_eq!(ignores(&recipe, "app"), json!(own));
    assert_eq!(ignores(&recipe, "assets"), json!(["assets/.dockerignore"]));
}

/// The paths of an image's files and directories.
fn paths(lbuild: &Lbuild, dir: &Path, image: &str) -> Vec<String> {
    let shown = lbuild.command(&["inspect", image, "--tree"]).current_dir(dir).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    shown.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

#[test]
fn the_ignore_file_decides_what_is_copied() {
    let files = [("my.Dockerfile", "FROM scratch\nCOPY . /\n"), ("app/a", ""), ("app/b", ""), ("app/c", "")];
    let (dir, lbuild) = (function(&files), Lbuild::new());
    let ignore = ["my.Dockerfile.dockerignore", "app/.dockerignore", "app/.lambdaignore"];
    for (file, text) in ignore.iter().zip(["**/a", "**/b", "**/c"]) {
        fs::write(dir.path().join(file), format!("{text}\n**/.*ignore\n")).unwrap();
    }
    for (file, left_out) in ignore.iter().zip(["/a", "/b", "/c"]) {
        let words =
            ["build", "app", "-f", "my.Dockerfile", "--arch", "arm64", "--to", "oci:out", "--no-check"];
        run_in(dir.path(), &lbuild, &words, &[]).succeeded();
        let found = paths(&lbuild, dir.path(), "oci:out");
        let expected = ["/a", "/b", "/c"].into_iter().filter(|path| *path != left_out);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{file}");
        fs::remove_file(dir.path().join(file)).unwrap();
    }
}

#[test]
fn what_lbuild_writes_is_not_in_the_next_image() {
    let files = [
        ("Dockerfile", "FROM scratch\nCOPY . /app/\n"),
        ("app.py", ""),
        (".git/HEAD", ""),
        ("lbuild.toml", ""),
    ];
    let (dir, lbuild) = (function(&files), Lbuild::new());
    let words = ["build", "--arch", "arm64", "--no-check"];
    let first = run_in(dir.path(), &lbuild, &words, &[]).succeeded().digest();
    assert_eq!(run_in(dir.path(), &lbuild, &words, &[]).succeeded().digest(), first);
    let found = paths(&lbuild, dir.path(), "oci:.lbuild/image");
    assert!(!found.iter().any(|path| path.contains(".lbuild")), "{found:?}");
    for path in ["/app/app.py", "/app/.git/HEAD", "/app/lbuild.toml", "/app/Dockerfile"] {
        assert!(found.iter().any(|other| other == path), "{path}: {found:?}");
    }
    let said = run_in(dir.path(), &lbuild, &words, &["--digest-file", "digest"]).failed(2);
    assert!(said.contains("digest is in a directory that is packed") && said.contains("hint:"), "{said}");
    // a file that no COPY takes may be anywhere
    for copy in ["COPY app.py /", "COPY *.py /", "COPY .git /git/"] {
        fs::write(dir.path().join("Dockerfile"), format!("FROM scratch\n{copy}\n")).unwrap();
        run_in(dir.path(), &lbuild, &words, &["--digest-file", "digest"]).succeeded();
    }
}

/// A registry with the committed base, and a Dockerfile that starts from it.
fn registry_with_base() -> (Registry, TempDir) {
    let registry = Registry::start(Mode::Plain);
    bases::seed(&registry, &testdata("base"), "python3.12", "lambda/python", "3.12");
    let text = format!(
        "ARG TAG=3.12\nFROM {}/lambda/python:$TAG AS base\nENV A=1\nFROM base\nENV B=$A$A\nCMD [\"app.handler\"]\n",
        registry.host()
    );
    (registry, function(&[("Dockerfile", text)]))
}

#[test]
fn a_base_in_a_registry_is_pinned_and_pushed() {
    let (registry, dir) = registry_with_base();
    let lbuild = Lbuild::for_registry(&registry);
    let to = format!("{}/hello:1", registry.host());
    let words =
        ["push", "--to", &to, "--platform", "linux/arm64", "--label", "team=blue", "--pull", "--no-check"];
    let done = run_in(dir.path(), &lbuild, &words, &[]).succeeded();
    // the base is shown once, under the name of the Dockerfile
    let line = format!("base     {}/lambda/python:3.12 ", registry.host());
    assert_eq!(done.stderr.matches(&line).count(), 1, "{}", done.stderr);
    let asked = registry.log().iter().filter(|access| access.path.ends_with("/manifests/3.12")).count();
    assert_eq!(asked, 1, "the tag is resolved once");
    let layout = format!("oci:{}:x", lbuild.text("layout"));
    let again = ["build", "--to", &layout, "--arch", "arm64", "--label", "team=blue", "--no-check"];
    assert_eq!(
        run_in(dir.path(), &lbuild, &again, &["--format", "docker"]).succeeded().digest(),
        done.digest()
    );
    let (_, config) = image_of(&lbuild.path("layout"), "x", "arm64");
    assert_eq!(config["config"]["Labels"]["team"], "blue");
    assert_eq!(config["config"]["Cmd"], json!(["app.handler"]));
    let env = config["config"]["Env"].as_array().unwrap();
    assert!(env.contains(&json!("B=11")), "{env:?}");
    assert_eq!(
        config["config"]["Labels"]["org.opencontainers.image.base.name"],
        line.split_whitespace().nth(1).unwrap()
    );
}
