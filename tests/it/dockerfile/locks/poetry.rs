//! `poetry install` and `poetry export`.

use super::{Project, assert_same, content, environment};
use crate::dockerfile::installs::{PACKAGES, installed};
use crate::support::image_tools::ImageLocation;
use crate::support::invoke;
use std::collections::BTreeSet;
use std::fs;

pub const PROJECT: &str = r#"
[project]
name = "fn"
version = "0.1.0"
requires-python = ">=3.11,<4"
dependencies = ["requests", "rig-schemes", "idna; sys_platform == 'win32' or python_version < '3.12'"]
[project.optional-dependencies]
more = ["jmespath"]
[tool.poetry.group.dev.dependencies]
packaging = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
typing-extensions = { version = "*", markers = "sys_platform == 'linux'" }
[[tool.poetry.source]]
name = "rig"
url = "INDEX"
priority = "primary"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"#;

const FILES: [&str; 2] = ["pyproject.toml", "poetry.lock"];

#[test]
fn poetry_leaves_what_poetry_leaves() {
    let project = Project::new("pyproject.toml", PROJECT);
    project.tool("poetry", &["lock", "--no-interaction"]);
    let begin =
        "RUN pip install poetry==2.5.1 poetry-plugin-export\nRUN poetry config virtualenvs.in-project true\n";
    for options in ["--only main", "--without dev --with docs -E more", "--all-extras --all-groups"] {
        let _ = fs::remove_dir_all(project.dir().join(".venv"));
        let arguments: Vec<&str> =
            ["install", "--no-root", "--no-interaction"].into_iter().chain(options.split(' ')).collect();
        project.tool("poetry", &arguments);
        let lines = format!("{begin}RUN poetry install --no-root --no-interaction --no-ansi {options}\n");
        let (lbuild, done) = project.build(&FILES, &lines, "amd64");
        let done = done.succeeded();
        assert!(done.stderr.contains("poetry==2.5.1, poetry-plugin-export: left out"), "{}", done.stderr);
        let ours = installed(&lbuild, "amd64", "app/.venv");
        assert_same(ours, environment(&project.dir().join(".venv")), "poetry");
        assert!(installed(&lbuild, "amd64", PACKAGES).is_empty());
        assert!(!installed(&lbuild, "amd64", "root").contains_key(".config"));
    }
    let forms = [
        "",
        "--without-hashes --only main",
        "--with docs",
        "--all-extras --without-hashes",
        "--with dev,docs",
    ];
    let mut lines = begin.to_owned();
    for (number, form) in forms.iter().enumerate() {
        lines += &format!("RUN poetry export -f requirements.txt {form} -o r{number}.txt\n");
    }
    let (lbuild, done) = project.build(&FILES, &lines, "amd64");
    done.succeeded();
    for (number, form) in forms.iter().enumerate() {
        let name = format!("r{number}.txt");
        let mut arguments = vec!["export", "-f", "requirements.txt", "-o", &name];
        arguments.extend(form.split_whitespace());
        project.tool("poetry", &arguments);
        let ours = content(&lbuild, &format!("app/{name}"));
        assert_eq!(compared(&ours), compared(&project.text(&name)), "{form}");
    }
}

/// Lines, each with the comparisons of its marker: Poetry has them in another order, with other quotation marks.
fn compared(text: &str) -> Vec<(String, BTreeSet<String>)> {
    let line = |line: &str| {
        let line = line.trim_end_matches(" \\");
        let (package, marker) = line.split_once(" ; ").unwrap_or((line, ""));
        let parts = marker.split(" and ").flat_map(|part| part.split(" or "));
        let parts = parts.map(|part| part.trim_matches(['(', ')']).replace('"', "'"));
        (package.to_owned(), parts.collect())
    };
    let mut lines: Vec<_> = text.lines().map(line).collect();
    // The hashes of a package are a set.
    lines.sort();
    lines
}

#[test]
fn functions_with_packages_of_poetry_and_of_an_export_answer() {
    const APP: &str = "\
import requests, idna

def handler(event, context):
    return {'nonce': event.get('nonce'), 'requests': requests.__file__, 'idna': idna.encode('a').decode()}
";
    let project = Project::new("pyproject.toml", PROJECT);
    project.tool("poetry", &["lock", "--no-interaction"]);
    fs::write(project.dir().join("app.py"), APP).unwrap();
    let end = "COPY app.py /var/task/\nWORKDIR /var/task\nCMD [\"app.handler\"]\n";
    for (arch, lines, place) in [
        (
            "amd64",
            "RUN pip install --upgrade pip poetry==2.1.1 && poetry config virtualenvs.create false && \
             poetry install --only main --no-root --no-interaction --no-ansi\n",
            "/usr/local/lib/python3.11/dist-packages/requests/__init__.py",
        ),
        (
            "arm64",
            "RUN pip install poetry poetry-plugin-export && poetry export -f requirements.txt --output r.txt && \
             pip install -r r.txt -t /var/task\n",
            "/var/task/requests/__init__.py",
        ),
    ] {
        let files = [&FILES[..], &["app.py"]].concat();
        let (lbuild, done) = project.build(&files, &format!("{lines}{end}"), arch);
        done.succeeded();
        let answer = invoke::answer(&ImageLocation::layout(&lbuild.path("out"), arch)).unwrap();
        assert_eq!((&answer["requests"], &answer["idna"]), (&place.into(), &"a".into()), "{answer}");
    }
}
