//! `lbuild doctor --run`: the modes in which commands of a Dockerfile run, each tried on this machine.

use lbuild::{Engine, RunMode, RunProbe};
use serde_json::json;

use crate::cli::args::ecr::Doctor;
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::report;

/// Prints a line for each mode. Fails if none works, or not the given one.
pub async fn examine(args: &Doctor, context: &Context) -> Result<(), Failure> {
    let engine = Engine::builder().build()?;
    let given = args.image.dockerfile.commands.run_mode;
    if given == Some(RunMode::None) {
        let message = "no command runs with --run-mode none, so there is nothing to try";
        return Err(Failure::usage(message, "leave it out, or name another mode"));
    }
    let mut probes = engine.run_modes().await;
    probes.retain(|probe| given.is_none_or(|mode| mode == probe.mode));
    let chosen = probes.iter().position(|probe| probe.works.is_some());
    for (number, probe) in probes.iter().enumerate() {
        let is_chosen = chosen == Some(number);
        match context.json {
            true => report::print_json(&json(probe, is_chosen))?,
            false => report::print(&text(probe, is_chosen))?,
        }
    }
    match chosen {
        Some(_) => Ok(()),
        None => {
            let modes = given.map_or("any mode".to_owned(), |mode| format!("mode {mode}"));
            Err(Failure::usage(format!("commands of a Dockerfile cannot run here in {modes}"), None))
        }
    }
}

fn json(probe: &RunProbe, is_chosen: bool) -> String {
    let RunProbe { mode, works, refused, hint, other_architecture, .. } = probe;
    json!({
        "mode": mode,
        "ok": works.is_some(),
        "chosen": is_chosen,
        "how": works,
        "refused": refused,
        "hint": hint,
        "otherArchitecture": other_architecture,
    })
    .to_string()
}

fn text(probe: &RunProbe, is_chosen: bool) -> String {
    let RunProbe { mode, works, refused, hint, other_architecture, .. } = probe;
    let mut lines = match works {
        Some(how) if is_chosen => vec![format!("ok      {:<10}  {how} (used)", mode.name())],
        Some(how) => vec![format!("ok      {:<10}  {how}", mode.name())],
        None => vec![format!("failed  {:<10}", mode.name()).trim_end().to_owned()],
    };
    let better = if works.is_some() { "better: " } else { "" };
    lines.extend(refused.iter().map(|refused| format!("        {better}{refused}")));
    lines.extend(hint.iter().map(|hint| format!("        hint: {hint}")));
    lines.extend(other_architecture.iter().map(|other| format!("        {other}")));
    lines.join("\n")
}
