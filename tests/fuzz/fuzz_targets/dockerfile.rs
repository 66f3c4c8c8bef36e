//! A Dockerfile, parsed and lowered. Lines before a NUL are the triggers of every base.

#![no_main]

use lbuild::error::Remark;
use lbuild::frontend::dockerfile::{Arguments, Configs, Dockerfile};
use lbuild::image::{Arch, Config, Platform};
use lbuild::{Error, Recipe};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// The largest recipe in bytes, with room for escapes: a file may use 32 MiB of variables.
const MAX_RECIPE: usize = 256 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let (triggers, text) = input.split_once('\0').unwrap_or(("", input));
    match lower(text, triggers) {
        Ok((recipe, warnings)) => {
            warnings.iter().for_each(|warning| check(warning, text));
            let json = serde_json::to_vec(&recipe).expect("a recipe is JSON");
            assert!(json.len() <= MAX_RECIPE, "{} bytes", json.len());
            assert!(serde_json::from_slice::<Recipe>(&json).expect("it was written as JSON") == recipe);
        }
        Err(Error::Dockerfile(remark)) => check(&remark, text),
        Err(error) => panic!("{error}"),
    }
});

fn lower(text: &str, triggers: &str) -> lbuild::Result<(Recipe, Vec<Remark>)> {
    let dockerfile = Dockerfile::parse("Dockerfile", text)?;
    let mut arguments = Arguments::new(Platform::linux(Arch::Arm64), "/context".into());
    arguments.build_args = [("ARGUMENT", "a value"), ("EMPTY", "")].map(|(a, b)| (a.into(), b.into())).into();
    let config = json!({
        "os": "linux", "architecture": "arm64", "rootfs": { "type": "layers", "diff_ids": [] },
        "config": {
            "Env": ["PATH=/usr/bin:/bin", "HOME=/root"], "WorkingDir": "/work", "User": "1000:100",
            "OnBuild": triggers.lines().collect::<Vec<_>>(),
        },
    });
    let config = Config::parse("base", config.to_string().as_bytes())?;
    let mut configs = Configs::default();
    // A trigger may need another base, which has the same triggers.
    for _ in 0..4 {
        let missing = dockerfile.bases(&arguments, &configs)?;
        if missing.is_empty() {
            break;
        }
        missing.iter().for_each(|base| configs.insert(base, config.clone()));
    }
    dockerfile.lower(&arguments, &configs).map(|lowered| (lowered.recipe, lowered.warnings))
}

/// A remark is about a line of the text, and a column of it.
fn check(remark: &Remark, text: &str) {
    let Remark { line, column, .. } = *remark;
    assert!((1..=text.matches('\n').count() + 1).contains(&line), "line {line}: {remark}");
    // After the last line feed is an empty line.
    let found = text.lines().nth(line - 1).unwrap_or_default();
    assert_eq!(remark.text, found.strip_prefix('\u{feff}').unwrap_or(found));
    assert!((1..=remark.text.chars().count() + 1).contains(&column), "column {column}: {remark}");
    assert!(remark.to_string().len() < 10_000 + remark.message.len());
}
