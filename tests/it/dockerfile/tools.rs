//! Installs of tools that only lines of the build use: left out unless something else may use them.

use crate::dockerfile::lowering::lower;
use lbuild::recipe::{Operation, Run, Step};

/// The operations of a file's commands: `omit`, `install`, `settings`, or nothing of these.
fn kinds(text: &str) -> Vec<&'static str> {
    let lowered = lower(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let steps = lowered.recipe.stages.iter().flat_map(|stage| &stage.steps);
    let commands = steps.filter_map(|step| match step {
        Step::Run(Run { translation: Some(translation), .. }) => Some(translation.chains.iter().flatten()),
        _ => None,
    });
    let kind = |operation: &Operation| match operation {
        Operation::OmitTools { .. } => Some("omit"),
        Operation::InstallPython(install) if install.lock.is_none() => Some("install"),
        Operation::WriteSettings { .. } => Some("settings"),
        _ => None,
    };
    commands.flatten().filter_map(|command| kind(&command.operation)).collect()
}

const POETRY: &str = "RUN pip install poetry==2.1.1\nRUN poetry config virtualenvs.create false\n";
const USE: &str = "RUN poetry install --no-root\n";

#[test]
fn tools_that_only_translated_lines_use_are_left_out() {
    for (text, expected) in [
        (format!("FROM base\n{POETRY}{USE}"), &["omit"][..]),
        ("FROM base\nRUN pip install -U pip poetry && poetry export -o r.txt && pip install -r r.txt\n".into(), &["omit", "install"]),
        ("FROM base\nRUN pip install uv\nRUN uv sync --frozen --no-dev\nCMD [\"python\", \"-m\", \"app\"]\n".into(), &["omit"]),
        ("FROM base\nRUN pip install pipenv\nRUN pipenv sync --system\nCMD [\"app.handler\"]\n".into(), &["omit"]),
        // Other stages take other places.
        (
            format!("FROM base AS build\n{POETRY}{USE}FROM base\nCOPY --from=build /app/.venv /app/.venv\nCOPY --from=build /var/task/*.py /\n"),
            &["omit"],
        ),
        (format!("FROM base AS build\n{POETRY}FROM build\n{USE}"), &["omit"]),
    ] {
        assert_eq!(kinds(&text), expected, "{text}");
    }
}

/// Rule 169.
#[test]
fn tools_that_something_else_may_use_stay() {
    let kept = ["install", "settings"];
    for after in [
        // A line that is run; it may start anything.
        &format!("{USE}RUN make\n")[..],
        &format!("{USE}RUN poetry run python build.py\n"),
        &format!("{USE}CMD [\"poetry\", \"run\", \"app\"]\n"),
        &format!("{USE}CMD poetry run app\n"),
        &format!("{USE}ENTRYPOINT [\"/entry.sh\"]\n"),
        &format!("{USE}ENTRYPOINT [\"sh\", \"entry.sh\"]\n"),
        &format!("{USE}HEALTHCHECK CMD poetry check\n"),
        &format!("{USE}ONBUILD RUN poetry install\n"),
        // No line uses it, so perhaps the function does.
        "",
        "RUN mkdir a\n",
        // Another stage takes it.
        &format!("{USE}FROM base\nCOPY --from=0 / /\n"),
        &format!("{USE}FROM base\nCOPY --from=0 /usr/local /usr/local\n"),
        &format!("{USE}FROM base\nCOPY --from=0 /usr/local/bin/poetry /bin/\n"),
        &format!("{USE}FROM base\nCOPY --from=0 /usr/lo* /x/\n"),
        &format!("{USE}FROM base\nCOPY --from=0 /usr/local/lib/python3.12/site-packages /x\n"),
        &format!("{USE}FROM base\nRUN --mount=from=0,target=/x make\n"),
        &format!("{USE}FROM 0\nRUN make\n").replace("FROM 0", "FROM first"),
    ] {
        let text = format!("FROM base AS first\n{POETRY}{after}");
        assert_eq!(kinds(&text)[..2], kept, "{text}");
    }
    for line in [
        "pip install poetry boto3",
        "pip install poetry -t /opt",
        "pip install --user poetry",
        "pip install -r r.txt poetry",
    ] {
        let text = format!("FROM base\nRUN {line}\n{USE}");
        assert_eq!(kinds(&text), ["install"], "{text}");
    }
}
