//! The CI recipes in examples/ci and the IAM policies in the guide: valid for their services, and correct for this
//! lbuild.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::lbuild::Lbuild;
use crate::support::{part, run, testdata, tool};

/// Each recipe with the kind of its validation.
pub const RECIPES: [(&str, &str); 4] = [
    ("github", "github-actions.yml"),
    ("gitlab", "gitlab-ci.yml"),
    ("codebuild", "buildspec.yml"),
    ("jenkins", "Jenkinsfile"),
];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn recipe(kind: &str) -> String {
    let (_, file) = RECIPES.iter().find(|(of, _)| *of == kind).unwrap();
    std::fs::read_to_string(root().join("examples/ci").join(file)).unwrap()
}

/// Validates recipes or policies of one kind; returns the faults of each.
fn faults(kind: &str, texts: &[String]) -> Vec<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    // the extension distinguishes YAML from JSON
    let name = |nth| dir.path().join(format!("{nth}.{}", if kind == "policy" { "json" } else { "yml" }));
    let files: Vec<_> = (0..texts.len()).map(name).collect();
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).unwrap();
    }
    let mut python = Command::new(tool("python3"));
    python.arg(root().join("tests/it/support/check_recipe.py")).arg(kind);
    python.args([part("recipes/pod.json"), testdata("schemas/buildspec.json")]).args(files);
    python.env("PYTHONPATH", part("recipes/python")).env("PYTHONDONTWRITEBYTECODE", "1");
    serde_json::from_str(&run(&mut python).unwrap()).unwrap()
}

/// Asserts that `text` is valid, and that each change (from, to, expected message) makes it invalid.
pub fn assert_validated(kind: &str, text: &str, changes: &[(&str, &str, &str)]) {
    let changed = changes.iter().map(|(from, to, _)| {
        assert!(text.contains(from), "{kind}: nothing to change: {from}");
        text.replacen(from, to, 1)
    });
    let texts: Vec<_> = [text.to_owned()].into_iter().chain(changed).collect();
    let faults = faults(kind, &texts);
    assert_eq!(faults[0], [""; 0], "{kind}: {text}");
    for ((from, to, because), said) in changes.iter().zip(&faults[1..]) {
        assert!(
            said.concat().contains(because),
            "{kind} with {to:?} for {from:?}: want {because:?} in {said:#?}"
        );
    }
}

#[test]
fn the_github_workflow_is_valid() {
    let changes = [
        ("runs-on:", "run-on:", "runs-on"),
        ("id-token: write", "id-token: all", "id-token"),
        ("needs: push", "needs: pull", "the job pull"),
        ("- id: push", "- id: send", "the step push"),
        ("needs.push.outputs.digest", "needs.push.outputs.image", "push's output image"),
        ("\"digest=$(", "\"image=$(", "writes the output digest"),
        (".lbuild/digest)\" >>", ".lbuild/digest) >>", "in the script"),
    ];
    assert_validated("github", &recipe("github"), &changes);
}

#[test]
fn the_gitlab_pipeline_is_valid() {
    let changes = [
        ("aud:", "audience:", "id_tokens"),
        ("entrypoint:", "entry:", "image"),
        ("dotenv:", "env:", "reports"),
        ("stage: deploy", "stage: release", "a stage that does not exist"),
        ("needs: [push]", "needs: [image]", "needs image"),
        ("extends: .aws", "extends: .amazon", "extends .amazon"),
        ("(umask 077", "((umask 077", "in the script"),
    ];
    assert_validated("gitlab", &recipe("gitlab"), &changes);
}

#[test]
fn the_codebuild_buildspec_is_valid() {
    let changes = [
        ("version: 0.2", "version: 0.1", "$.version"),
        ("post_build:", "postbuild:", "postbuild"),
        ("on-failure: ABORT", "on-failure: STOP", "STOP"),
        ("commands:", "command:", "command"),
        ("cache:\n  paths:", "cache:\n  path:", "path"),
        ("    FUNCTION: hello", "    CODEBUILD_FUNCTION: hello", "CODEBUILD_FUNCTION"),
        ("- export IMAGE=", "- IMAGE=", "no command exports IMAGE"),
        ("--digest-file .lbuild/digest\n", "--digest-file \"\n", "in the script"),
    ];
    assert_validated("codebuild", &recipe("codebuild"), &changes);
}

#[test]
fn the_jenkins_pipeline_and_its_pod_are_valid() {
    let changes = [
        ("stage('Push') {", "stage('Push' {", "not Groovy"),
        ("FUNCTION = 'hello'", "FUNCTION = 'hello", "not Groovy"),
        ("\n}\n", "\n", "not Groovy"),
        ("pipeline {", "node {", "not a Declarative Pipeline"),
        ("  stages {", "  stagess {", "pipeline has no stages"),
        ("      steps {", "      step {", "stage has no section step"),
        ("container('aws')", "container('pip')", "no container pip"),
        ("sh 'test -x \"", "sh 'test -x ", "in the script"),
        ("fsGroup:", "fsgroup:", "fsgroup"),
        ("mountPath:", "path:", "mountPath"),
        ("runAsUser: 1000", "runAsUser: 0", "runs as root"),
        ("      type: RuntimeDefault", "      type: Unconfined", "no seccomp profile"),
        ("{allowPrivilegeEscalation: false, ", "{privileged: true, ", "may gain privileges"),
        ("drop: [ALL]", "add: [SYS_ADMIN]", "keeps capabilities"),
        ("persistentVolumeClaim:\n        claimName:", "hostPath:\n        path:", "reaches the node"),
    ];
    assert_validated("jenkins", &recipe("jenkins"), &changes);
}

/// The words of every command that begins with `lbuild`, as the shell splits them.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    let mut commands = Vec::new();
    while let Some(line) = lines.next() {
        if !line.starts_with("lbuild ") {
            continue;
        }
        let mut command = line.to_owned();
        while command.ends_with('\\') {
            command.pop();
            command += lines.next().unwrap();
        }
        let script = format!("lbuild() {{ printf '%s\\n' \"$@\"; }}\nset -eu\n{command}");
        let mut bash = Command::new(tool("bash"));
        bash.args(["-c", &script]).env_clear().env("REPOSITORY", "registry.example/hello");
        for commit in ["GITHUB_SHA", "CI_COMMIT_SHA", "CODEBUILD_RESOLVED_SOURCE_VERSION", "GIT_COMMIT"] {
            bash.env(commit, "c0ffee");
        }
        commands.push(run(&mut bash).unwrap().lines().map(str::to_owned).collect());
    }
    commands
}

/// Whether lbuild accepts these arguments: it parses them in order, and `--help` at the end stops it before it runs.
pub fn takes(lbuild: &Lbuild, arguments: &[String]) -> bool {
    let mut words: Vec<_> = arguments.iter().map(String::as_str).collect();
    // what follows `--` is another command
    let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    words.insert(end, "--help");
    lbuild.run(&words).code == Some(0)
}

#[test]
fn recipes_use_flags_that_this_lbuild_has() {
    let lbuild = Lbuild::new();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lbuild.ok(&["--version"]).stdout,
        format!("lbuild {version}\n"),
        "buildspec.yml compares with it"
    );
    for (kind, file) in RECIPES {
        let text = recipe(kind);
        let names = |quote| text.contains(&format!("LBUILD_VERSION{quote}{version}"));
        assert!(names(": ") || names(" = '"), "{file} installs another version than {version}");
        let pushes: Vec<_> = commands(&text).into_iter().filter(|words| words[0] == "push").collect();
        assert_eq!(pushes.len(), 1, "{file}");
        for flag in ["-f", "--arch", "--create-repo", "--allow-lambda", "--digest-file"] {
            assert!(pushes[0].iter().any(|word| word == flag), "{file}: {flag}");
        }
        assert!(pushes[0].contains(&"registry.example/hello:c0ffee".to_owned()), "{file}: {pushes:?}");
        for words in commands(&text) {
            assert!(takes(&lbuild, &words), "{file}: lbuild {words:?}");
        }
    }
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for wrong in
        ["push . --plattform arm64", "push . --arch sparc", "push . --deps", "cache prune --days week"]
    {
        assert!(!takes(&lbuild, &words(wrong)), "{wrong}");
    }
}

#[test]
fn recipes_need_neither_docker_nor_privileges() {
    for (kind, file) in RECIPES {
        let text = recipe(kind);
        // AppArmor's restriction is a setting of the machine
        let sysctl = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        assert_eq!(text.contains(sysctl), kind == "github", "{file}");
        let text = text.replace(sysctl, "");
        let code = text.lines().filter(|line| !line.trim_start().starts_with(['#', '/']));
        for line in code {
            for word in
                ["docker login", "docker build", "docker push", "docker.sock", "dind", "privileged", "sudo"]
            {
                assert!(!line.contains(word), "{file}: {line}");
            }
        }
        // the digest is deployed, never the tag
        let deploys = text.lines().filter(|line| line.contains("aws lambda update-function-code"));
        let by_digest =
            deploys.map(|line| line.contains("--image-uri \"$REPOSITORY@$") || line.contains("\"$IMAGE\""));
        assert_eq!(by_digest.collect::<Vec<_>>(), [true], "{file}");
    }
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("src/guide").join(name)).unwrap()
}

#[test]
fn the_guide_links_every_recipe() {
    let mut files: Vec<PathBuf> =
        root().join("examples/ci").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    // tests/it/action.rs has the actions
    files.retain(|path| path.is_file());
    files.sort();
    assert!(page("environments.md").contains("]: ../../examples/ci/apparmor-lbuild\n"));
    assert_eq!(files.len(), RECIPES.len() + 1, "a recipe without a validation: {files:?}");
    for (_, file) in RECIPES {
        assert!(page("ci.md").contains(&format!("]: ../../examples/ci/{file}\n")), "{file}");
    }
    for name in ["setup-lbuild", "push"] {
        assert!(
            page("ci.md").contains(&format!("]: ../../examples/ci/action/{name}/action.yml\n")),
            "{name}"
        );
    }
}

#[test]
fn the_policies_of_the_guide_are_valid() {
    let page = page("ecr.md");
    let policies: Vec<_> =
        page.split("```json\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let [push, create, deploy] = policies[..] else { panic!("three policies, not {}", policies.len()) };
    let changes = [
        ("ecr:PutImage\"", "ecr:PushImage\"", "UNKNOWN_ACTION"),
        ("\"Resource\": \"*\"", "\"Resource\": \"arn:aws:ecr:::repository/a\"", "RESOURCE_MISMATCH"),
        ("repository/hello", "hello", "RESOURCE_MISMATCH"),
        ("\"Allow\"", "\"Permit\"", "MALFORMED"),
        ("\"Effect\"", "\"Efect\"", "MALFORMED"),
    ];
    assert_validated("policy", push, &changes);
    let changes = [
        ("\"Version\": \"2012-10-17\",", "", "NO_VERSION"),
        ("\"Statement\"", "\"Statements\"", "MALFORMED"),
        ("],", "]", "MALFORMED"),
    ];
    assert_validated("policy", create, &changes);
    assert_validated("policy", deploy, &[("iam:PassedToService", "iam:PassedService", "UNKNOWN_CONDITION")]);
}
