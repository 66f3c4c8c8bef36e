//! Rules 169, 171, 172 and 174: what pip does to itself, what is left over, where programs go, and spellings.

use super::world::World;
use crate::support::image_builder::{Layer, TAG, Tar, image};
use crate::support::image_tree;
use crate::support::index::Index;
use crate::support::lbuild::{Lbuild, RunOutput, function};
use serde_json::{Value, json};

/// A base like AWS's, with the interpreter in /var/lang, and builds on it.
struct Aws {
    lbuild: Lbuild,
    _index: Index,
}

impl Aws {
    fn new() -> Aws {
        let index = Index::start();
        let mut lbuild = Lbuild::new();
        for name in ["UV_DEFAULT_INDEX", "PIP_INDEX_URL"] {
            lbuild.set(name, &index.url());
        }
        let mut tar = Tar::new();
        for dir in ["var/", "var/lang/", "var/lang/bin/", "var/lang/lib/", "var/task/", "opt/", "root/"] {
            tar = tar.directory(dir);
        }
        let tar = tar
            .file("var/lang/bin/python3.11", 0o755, "\x7fELF")
            .symlink("var/lang/bin/python3", "python3.11")
            .file("var/lang/bin/pip", 0o755, "#!/var/lang/bin/python3.11\n")
            .file("var/lang/bin/pip3", 0o755, "#!/var/lang/bin/python3.11\n");
        image(&lbuild.path("base"), &[Layer::gzip(tar)], |config, _| {
            config["config"] =
                json!({ "WorkingDir": "/var/task", "Env": ["PATH=/var/lang/bin:/usr/bin:/bin"] });
        });
        Aws { lbuild, _index: index }
    }

    fn run(&self, command: &str, lines: &str, more: &[&str]) -> RunOutput {
        let files =
            [("Dockerfile", format!("FROM base AS made\n{lines}")), ("requirements.txt", "idna\n".into())];
        let context = function(&files);
        let base = format!("base=oci:{}:{TAG}", self.lbuild.path("base").display());
        let arguments = [
            command,
            context.path().to_str().unwrap(),
            "--arch",
            "amd64",
            "--run-mode",
            "none",
            "--build-context",
            &base,
        ];
        self.lbuild.run(&[&arguments[..], more].concat())
    }

    fn built(&self, lines: &str) -> (image_tree::ImageTree, String) {
        let to = format!("oci:{}:1", self.lbuild.text("out"));
        let done = self.run("build", lines, &["--to", &to, "--no-check"]).succeeded();
        (image_tree::of(&self.lbuild.path("out"), "1", "amd64"), done.stderr)
    }

    /// The commands of the recipe.
    fn runs(&self, lines: &str) -> Vec<Value> {
        let plan: Value = serde_json::from_str(&self.run("plan", lines, &[]).succeeded().stdout).unwrap();
        let stages = plan["stages"].as_array().unwrap().iter();
        let steps = stages.flat_map(|stage| stage["steps"].as_array().unwrap());
        steps.filter_map(|step| step.get("run").cloned()).collect()
    }
}

/// Rule 169: pip's upgrade of itself is left out, and that is said; with other packages, or in a directory, it is an install
/// as any other.
#[test]
fn an_upgrade_of_pip_itself_is_left_out() {
    let aws = Aws::new();
    for line in [
        "pip install --upgrade pip",
        "pip3 install -U pip setuptools wheel",
        "python3 -m pip install --no-cache-dir --upgrade 'pip>=23'",
        "pip install setuptools==84.2.1",
    ] {
        let (tree, said) = aws.built(&format!("RUN {line} && pip install idna\n"));
        assert!(said.contains("left out"), "{line}: {said}");
        let site = "var/lang/lib/python3.11/site-packages";
        assert!(tree.contains_key(&format!("{site}/idna/__init__.py")), "{line}");
        let tools = ["pip", "setuptools", "wheel"].map(|name| format!("{site}/{name}/__init__.py"));
        assert!(!tools.iter().any(|path| tree.contains_key(path)), "{line}");
        let operation = &aws.runs(&format!("RUN {line}\n"))[0]["translation"]["chains"][0][0]["operation"];
        assert!(operation.get("omit-tools").is_some(), "{line}: {operation}");
    }
    for line in ["pip install setuptools idna", "pip install -t /opt/python setuptools"] {
        let (tree, said) = aws.built(&format!("RUN {line}\n"));
        assert!(!said.contains("left out"), "{line}: {said}");
        assert!(tree.keys().any(|path| path.ends_with("/setuptools/__init__.py")), "{line}");
    }
}

/// Rule 171: caches and bytecode are left out, which the real pip leaves in the same image.
#[test]
fn caches_and_bytecode_are_left_out() {
    let world = World::new();
    let is_left_over = |path: &str| path.contains("__pycache__") || path.starts_with("root/.cache");
    // pip keeps what an index allows it to keep, which that of the tests does not.
    for (line, start) in [
        ("pip install jmespath", "usr/local/lib/python3.11/dist-packages/jmespath/__pycache__/"),
        ("uv pip install --system jmespath", "root/.cache/uv/"),
    ] {
        let real = world.left_over(line).unwrap();
        assert!(real.iter().any(|path| path.starts_with(start)), "{line}: nothing in {start}");
    }
    let aws = Aws::new();
    for line in [
        "pip install jmespath",
        "pip install -r requirements.txt",
        "UV_SYSTEM_PYTHON=1 uv pip install jmespath",
    ] {
        let (tree, _) = aws.built(&format!("COPY requirements.txt ./\nRUN {line}\n"));
        assert!(!tree.keys().any(|path| is_left_over(path)), "{line}: {:?}", tree.keys());
    }
    let (_, said) = aws.built("RUN pip install jmespath\n");
    assert!(said.contains("--compile-bytecode"), "{said}");
    let (tree, said) = aws.built("ENV UV_COMPILE_BYTECODE=1\nRUN uv pip install --system jmespath\n");
    let compiled = "var/lang/lib/python3.11/site-packages/jmespath/__pycache__/parser.cpython-311.pyc";
    assert!(tree.contains_key(compiled) && !said.contains("--compile-bytecode"), "{said}");
}

/// Rule 172: programs go to the interpreter's own directory; those of `--user` to a directory that only root can read.
#[test]
fn programs_go_where_the_interpreter_has_them() {
    let aws = Aws::new();
    for (line, dir) in [
        ("pip install rig_schemes", "var/lang/bin"),
        ("uv pip install --system rig_schemes", "var/lang/bin"),
        ("pip install --user rig_schemes", "root/.local/bin"),
        ("pip install rig_schemes -t /opt/python", "opt/python/bin"),
    ] {
        let (tree, _) = aws.built(&format!("RUN {line}\n"));
        for program in ["rig-console", "rig-script", "rig-shell"] {
            let path = format!("{dir}/{program}");
            let found = tree.get(&path).unwrap_or_else(|| panic!("{line}: no {path}"));
            assert!(found.starts_with("0755 0:0"), "{line}: {found}");
            let expected = if program == "rig-shell" { "#!/bin/sh" } else { "#!/var/lang/bin/python3.11" };
            assert!(found.contains(expected), "{line}: {found}");
        }
    }
    let warning = "--user installs into /root/.local, which only root can read (UserPackages)";
    let said = aws.run("plan", "RUN pip install --user idna\n", &[]).succeeded().stderr;
    assert!(said.contains("Dockerfile:2:1") && said.contains(warning), "{said}");
    // A stage that hands the directory on.
    let lines = "RUN pip install --user idna\nFROM base\nCOPY --from=made /root/.local /opt/python\n";
    let (tree, said) = aws.built(lines);
    assert!(!said.contains("UserPackages"), "{said}");
    assert!(tree.contains_key("opt/python/lib/python3.11/site-packages/idna/__init__.py"));
}

/// Rule 174: spellings of one command; and what is left to be run.
#[test]
fn spellings_are_read_and_the_rest_is_left() {
    let aws = Aws::new();
    let install = |line: &str| {
        let runs = aws.runs(&format!("ARG DIR=python\nENV PKG=idna\nRUN {line}\n"));
        let commands = runs[0]["translation"]["chains"].as_array().into_iter().flatten();
        let last = commands.flat_map(|chain| chain.as_array().unwrap()).next_back();
        last.map(|command| command["operation"]["install-python"].clone())
            .ok_or_else(|| runs[0]["untranslated"].clone())
    };
    let expected = install("pip install idna -t python").unwrap();
    assert_eq!((&expected["packages"], &expected["target"]), (&json!(["idna"]), &json!("python")));
    for line in [
        "pip install -t python idna",
        "pip install -tpython idna",
        "pip install --target=python idna",
        "pip install --target python -- idna",
        "pip --no-cache-dir install -t python idna",
        "pip install --no-cache-dir --disable-pip-version-check idna -t python",
        "pip install 'idna' \"-t\" 'python'",
        "pip install \"${PKG}\" -t ${DIR}",
        "pip install $PKG --target=\"$DIR\"",
        "pip install i\\dna -t py'th'on",
        "  pip   install \\\n    idna \\\n    -t python  # for the function",
        "PIP_NO_INPUT=1 pip install idna -t python",
        "pip install idna -t python > /dev/null",
        "pip install idna -t python 2>&1",
        "echo begin && pip install idna -t python",
    ] {
        assert_eq!(install(line), Ok(expected.clone()), "{line}");
    }
    for (line, program) in [
        ("python3.11 -m pip install idna -t python", "python3.11"),
        ("python3 -m pip install -t python idna", "python3"),
        ("pip3 install --target python idna", "pip3"),
    ] {
        let mut other = expected.clone();
        other["program"] = json!(program);
        assert_eq!(install(line), Ok(other), "{line}");
    }
    let (quoted, bare) =
        (install("pip install 'idna[all]'").unwrap(), install("pip install idna[all]").unwrap());
    assert_eq!((&quoted["packages"], &bare["packages"]), (&json!(["idna[all]"]), &json!(["idna[all]"])));
    assert_eq!((quoted.get("patterns"), &bare["patterns"]), (None, &json!(["idna[all]"])));
    let said =
        aws.run("build", "RUN touch idnal && pip install idna[all]\n", &["--to", "oci:out:1", "--no-check"]);
    let fault = "a shell puts the file `idnal` in the place of the package: quote its name";
    assert!(said.code != Some(0) && said.stderr.contains(fault), "{}", said.stderr);
    let dot = install("cd python && pip install -t. idna").unwrap();
    assert_eq!(dot["target"], ".");
    for line in ["pip install --no-index -f wheels idna", "PIP_FIND_LINKS=wheels pip install --no-index idna"]
    {
        assert_eq!(install(line).unwrap()["find-links"], json!(["wheels"]), "{line}");
    }
    for (line, word) in [
        ("pip install idna || true", "||"),
        ("pip install idna; echo done", "pip install idna; echo done"),
        ("pip install idna | tee log", "|"),
        ("pip install idna > log", "> log"),
        ("pip install $(cat requirements.txt)", "$("),
        ("pip install `cat requirements.txt`", "`"),
        ("(pip install idna)", "("),
        ("pip install idna &", "&"),
        ("pip install ./*.whl", "./*.whl"),
        ("pip install -e .", "-e"),
        ("pip install idna[a-z]", "idna[a-z]"),
        ("pip install idna*", "idna*"),
        ("pip install --no-binary :all: idna", "--no-binary"),
        ("pip install git+https://example.org/a.git", "git+https://example.org/a.git"),
        ("pip install --prefix /opt idna", "--prefix"),
        ("pip install --force-reinstall idna", "--force-reinstall"),
        ("pip install --pre idna", "--pre"),
        ("pip install --user -t python idna", "pip"),
        ("pip uninstall -y idna", "uninstall"),
        ("pip download idna", "download"),
        ("pip config set global.x y", "config"),
        ("pip wheel -r requirements.txt", "wheel"),
        ("PIP_TARGET=python pip install idna", "pip"),
        ("python setup.py install", "python"),
        ("python -c 'import pip'", "python"),
        ("./venv/bin/pip install idna", "./venv/bin/pip"),
        ("sudo pip install idna", "sudo"),
        ("uv pip install idna", "uv"),
        ("uv venv", "uv"),
        ("pip install", "pip"),
    ] {
        let refused = install(line).unwrap_err();
        assert_eq!(refused["word"], word, "{line}: {refused}");
    }
}
