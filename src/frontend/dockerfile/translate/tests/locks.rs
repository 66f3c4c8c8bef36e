//! Commands of uv, Poetry and Pipenv.

use serde_json::{Value, json};

use super::{run, shell};
use crate::frontend::dockerfile::syntax::shell::Variables;
use crate::frontend::dockerfile::translate::ToolSettings;
use crate::frontend::dockerfile::translate::outcome::{Surroundings, translate};
use crate::recipe::{Operation, Untranslated};

/// The last operation of a line, as JSON.
fn last(text: &str) -> Value {
    let translation = run(&shell(text), None, &[]).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let command = translation.chains.into_iter().flatten().next_back().unwrap();
    serde_json::to_value(command.operation).unwrap()
}

fn word(text: &str) -> String {
    match run(&shell(text), None, &[]) {
        Ok(translation) => panic!("{text}: {translation:?}"),
        Err((_, Untranslated { word, .. })) => word,
    }
}

/// The variables of an environment, as `NAME=value` words.
struct Words(&'static str);

impl Variables for Words {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The last operation of a line in an environment, and the settings after it.
fn with(environment: &'static str, text: &str, settings: &ToolSettings) -> (Option<Operation>, ToolSettings) {
    let surroundings = Surroundings {
        environment: &Words(environment),
        directory: "/work",
        user: None,
        mounts: &[],
        settings,
    };
    let outcome = translate(&shell(text), &surroundings);
    let chains = outcome.translation.ok().map(|translation| translation.chains);
    let last = chains.and_then(|chains| chains.into_iter().flatten().next_back());
    (last.map(|command| command.operation), outcome.settings)
}

#[test]
fn an_export_of_uv_names_its_groups_and_its_file() {
    let selection = |more: Value| {
        let mut all = json!({ "tool": "uv" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    for (text, more, to) in [
        (
            "uv export --frozen --no-dev --no-emit-project -o requirements.txt",
            json!({ "without": ["dev"] }),
            json!({ "path": "requirements.txt" }),
        ),
        (
            "uv export --locked --no-default-groups --no-emit-workspace --output-file=/r.txt",
            json!({ "no-default-groups": true, "checked": true }),
            json!({ "path": "/r.txt" }),
        ),
        (
            "uv export --frozen --group a --group=b --extra x --no-emit-project > r.txt",
            json!({ "with": ["a", "b"], "extras": ["x"] }),
            json!({ "path": "r.txt" }),
        ),
        (
            "uv export --frozen --only-group a --no-editable --format requirements-txt -o r.txt > /dev/null",
            json!({ "only": ["a"], "project": "package" }),
            json!({ "path": "r.txt" }),
        ),
        (
            "uv export --no-emit-project --all-extras",
            json!({ "checked": true, "all-extras": true }),
            Value::Null,
        ),
    ] {
        let found = &last(text)["export-lock"];
        assert_eq!((&found["selection"], &found["to"]), (&selection(more), &to), "{text}");
        assert!(found["hashes"] == true && found["annotated"] == true, "{text}");
    }
    let found = last("uv export -q --frozen --no-hashes --no-annotate >> r.txt");
    let header = "uv export --frozen --no-hashes --no-annotate";
    let expected = json!({ "selection": { "tool": "uv", "project": "editable" }, "to": { "path": "r.txt" },
        "append": true, "header": header });
    assert_eq!(found["export-lock"], expected);
    assert!(last("uv export --frozen --no-header")["export-lock"].get("header").is_none());
}

#[test]
fn a_sync_of_uv_is_an_install_into_an_environment() {
    let found = &last("uv sync --frozen --no-dev --no-install-project --compile-bytecode")["install-python"];
    let expected = json!({
        "installer": "uv", "program": "uv", "environment": ".venv", "exact": true, "bytecode": "auto",
        "lock": { "tool": "uv", "without": ["dev"] },
    });
    assert_eq!(*found, expected);
    let found = &last("uv sync --no-editable --inexact -p 3.12")["install-python"];
    assert_eq!((&found["program"], &found["lock"]["project"]), (&json!("python3.12"), &json!("package")));
    assert!(found.get("exact").is_none() && found["lock"]["checked"] == true, "{found}");
    let none = ToolSettings::default();
    let environment =
        "UV_PROJECT_ENVIRONMENT=/opt/venv UV_FROZEN=1 UV_NO_DEV=1 UV_NO_EDITABLE=true UV_PYTHON=python3.13";
    let Some(Operation::InstallPython(found)) = with(environment, "uv sync", &none).0 else {
        panic!("no install")
    };
    assert_eq!((found.environment.as_deref(), &*found.program), (Some("/opt/venv"), "python3.13"));
    let lock = serde_json::to_value(found.lock.unwrap()).unwrap();
    assert_eq!(lock, json!({ "tool": "uv", "without": ["dev"], "project": "package" }));
    let line = "UV_PROJECT_ENVIRONMENT=/opt/own uv sync --frozen";
    let Some(Operation::InstallPython(found)) = with("", line, &none).0 else { panic!("no install") };
    assert_eq!(found.environment.as_deref(), Some("/opt/own"));
    for environment in ["UV_PROJECT=/x", "UV_NO_BINARY=1", "UV_PYTHON=pypy", "UV_PROJECT_ENVIRONMENT=/"] {
        assert!(with(environment, "uv sync --frozen", &none).0.is_none(), "{environment}");
    }
}

#[test]
fn poetry_installs_where_lines_before_say() {
    let begin = "pip install poetry==2.1.1 && poetry config virtualenvs.create false";
    let found = last(&format!("{begin} && poetry install --only main --no-root --no-interaction --no-ansi"));
    let expected = json!({
        "installer": "poetry", "program": "python3", "lock": { "tool": "poetry", "only": ["main"], "checked": true },
    });
    assert_eq!(found["install-python"], expected);
    let expected = json!({ "write-settings": { "path": { "path": "/root/.config/pypoetry/config.toml" },
        "content": "[virtualenvs]\ncreate = false\n" } });
    assert_eq!(last(begin), expected);
    // The settings last from line to line.
    let none = ToolSettings::default();
    let (_, after) = with("", "pip3 install 'poetry>=2' && poetry config virtualenvs.in-project true", &none);
    let (found, _) = with("", "poetry sync --without dev,docs --with=a -E 'x y' --no-root", &after);
    let Some(Operation::InstallPython(found)) = found else { panic!("{found:?}") };
    assert_eq!((found.environment.as_deref(), found.exact), (Some(".venv"), true));
    let lock = found.lock.unwrap();
    assert_eq!(
        (lock.without, lock.with, lock.extras),
        (
            vec!["dev".to_owned(), "docs".to_owned()],
            vec!["a".to_owned()],
            vec!["x".to_owned(), "y".to_owned()]
        )
    );
    let (found, _) = with("POETRY_VIRTUALENVS_CREATE=false", "poetry install --no-root --no-dev", &none);
    assert!(matches!(found, Some(Operation::InstallPython(install)) if install.environment.is_none()));
    for (environment, line) in [
        ("", "poetry install --no-root"),
        ("POETRY_VIRTUALENVS_CREATE=true", "poetry install --no-root"),
        ("POETRY_VIRTUALENVS_CREATE=false", "poetry install"),
        ("POETRY_VIRTUALENVS_CREATE=false", "poetry install --no-root --sync"),
        ("POETRY_VIRTUALENVS_CREATE=false VIRTUAL_ENV=/v", "poetry install --no-root"),
        ("", "poetry config virtualenvs.create false"),
    ] {
        assert!(with(environment, line, &none).0.is_none(), "{environment} {line}");
    }
    // A setting that is perhaps not made is not known.
    let doubt =
        "pip install poetry; mkdir a && poetry config virtualenvs.create false; poetry install --no-root";
    assert!(run(&shell(doubt), None, &[]).is_err());
}

#[test]
fn an_export_of_poetry_has_only_the_main_group_by_itself() {
    let found = last("poetry export -f requirements.txt --output requirements.txt --without-hashes");
    let expected = json!({ "export-lock": { "selection": { "tool": "poetry", "no-default-groups": true },
        "to": { "path": "requirements.txt" } } });
    assert_eq!(found, expected);
    let found = last("poetry export --without=dev --with a,b > r.txt");
    assert_eq!(found["export-lock"]["selection"]["with"], json!(["a", "b"]));
    assert_eq!(found["export-lock"]["hashes"], true);
}

#[test]
fn pipenv_takes_its_lock() {
    for (text, lock) in [
        ("pipenv install --system --deploy", json!({ "tool": "pipenv", "checked": true })),
        ("pipenv install --system --deploy --ignore-pipfile", json!({ "tool": "pipenv", "checked": true })),
        (
            "pipenv install --ignore-pipfile --system --dev --clear",
            json!({ "tool": "pipenv", "with": ["develop"] }),
        ),
        ("pipenv sync --system", json!({ "tool": "pipenv" })),
    ] {
        let expected =
            json!({ "install-python": { "installer": "pip", "program": "python3", "lock": lock } });
        assert_eq!(last(text), expected, "{text}");
    }
    let expected = json!({ "export-lock": { "selection": { "tool": "pipenv", "only": ["develop"] },
        "to": { "path": "r.txt" }, "hashes": true } });
    assert_eq!(last("pipenv requirements --dev-only --hash > r.txt"), expected);
}

/// Lines, and the word that stops the translation.
#[test]
fn other_commands_are_left() {
    for (text, stop) in [
        ("uv", "uv"),
        ("uv lock", "uv"),
        ("uv venv x", "venv"),
        ("uv run x", "run"),
        ("uv add x", "add"),
        ("uv pip sync r.txt", "sync"),
        ("uv tool install x", "tool"),
        ("uv pip install --system x > log", "uv"),
        ("uv sync --frozen > log", "uv"),
        ("uv sync --frozen x", "x"),
        ("uv sync --all-packages", "--all-packages"),
        ("uv sync --package x", "--package"),
        ("uv sync --active", "--active"),
        ("uv sync --frozen --locked", "uv"),
        ("uv sync --python /opt/python", "uv"),
        ("uv sync --upgrade", "--upgrade"),
        ("uv export --format pylock.toml", "pylock.toml"),
        ("uv export --frozen --prune x", "--prune"),
        ("uv export --frozen -o a > b", "a"),
        ("uv export --frozen -o /proc/x", "/proc/x"),
        ("uv export --frozen | tee r.txt", "|"),
        ("cd /proc && uv export --frozen", "/proc"),
        ("/bin/uv sync --frozen", "/bin/uv"),
        ("poetry", "poetry"),
        ("poetry lock", "lock"),
        ("poetry run x", "run"),
        ("poetry add x", "add"),
        ("poetry build -f wheel", "build"),
        ("poetry install", "poetry"),
        ("poetry export -f constraints.txt -o c", "constraints.txt"),
        ("poetry export --with-credentials", "--with-credentials"),
        ("pip install poetry && poetry config --list", "--list"),
        ("pip install poetry && poetry config http-basic.i user secret", "poetry"),
        ("pip install poetry && poetry config repositories.i https://i.example", "repositories.i"),
        ("pip install poetry && poetry config virtualenvs.create maybe", "maybe"),
        ("pip install poetry && poetry config virtualenvs.create false --local", "--local"),
        ("pip install poetry && poetry install --no-root", "poetry"),
        ("pipenv install", "pipenv"),
        ("pipenv install --system", "pipenv"),
        ("pipenv install --deploy", "pipenv"),
        ("pipenv install --system --deploy requests", "requests"),
        ("pipenv lock", "lock"),
        ("pipenv run x", "run"),
        ("pipenv requirements --exclude-markers > r.txt", "--exclude-markers"),
    ] {
        assert_eq!(word(text), stop, "{text}");
    }
}
