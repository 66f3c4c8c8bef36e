//! `pipenv install` and `pipenv requirements`.

use super::{Project, assert_same, content, environment};
use crate::dockerfile::installs::{PACKAGES, installed};
use std::fs;

const PROJECT: &str = r#"
[[source]]
url = "INDEX"
verify_ssl = false
name = "rig"
[packages]
requests = "*"
rig-schemes = "*"
[dev-packages]
packaging = "*"
[requires]
python_version = "3.11"
"#;

#[test]
fn pipenv_leaves_what_pipenv_leaves() {
    let project = Project::new("Pipfile", PROJECT);
    project.tool("pipenv", &["lock"]);
    let files = ["Pipfile", "Pipfile.lock"];
    for (options, more) in [("--deploy", "--system"), ("--deploy --dev", "--system --ignore-pipfile")] {
        let _ = fs::remove_dir_all(project.dir().join(".venv"));
        project.tool("pipenv", &["install"].into_iter().chain(options.split(' ')).collect::<Vec<_>>());
        let lines = format!("RUN pip install pipenv && pipenv install {options} {more}\n");
        let (lbuild, done) = project.build(&files, &lines, "amd64");
        done.succeeded();
        let theirs = environment(&project.dir().join(".venv/lib/python3.11/site-packages"));
        assert_same(installed(&lbuild, "amd64", PACKAGES), theirs, "pipenv");
    }
    let lines =
        "RUN pip install pipenv && pipenv requirements > a.txt && pipenv requirements --dev --hash > b.txt\n";
    let (lbuild, done) = project.build(&files, lines, "amd64");
    done.succeeded();
    for (name, options) in [("a.txt", &["requirements"][..]), ("b.txt", &["requirements", "--dev", "--hash"])]
    {
        let lines = |text: &str| {
            let mut lines: Vec<String> =
                text.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
            lines.sort();
            lines
        };
        assert_eq!(
            lines(&content(&lbuild, &format!("app/{name}"))),
            lines(&project.tool("pipenv", options)),
            "{name}"
        );
    }
}
