//! Text of others in messages and results: no password, and no character that controls a terminal.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::lbuild::{Lbuild, function, tiny_base};

const SECRET: &str = "SECRETpw9";

#[test]
fn no_message_repeats_a_login() {
    let (mut lbuild, code) = (Lbuild::new(), function(&[("app.py", "pass")]));
    lbuild.set("AWS_EC2_METADATA_DISABLED", "true");
    let (dir, base) = (code.path().to_str().unwrap(), tiny_base());
    let names = [
        "u:PW@127.0.0.1:1/r:v1",
        "https://u:PW@127.0.0.1:1/r:v1",
        "u:a/PW@127.0.0.1:1/r",
        "https://PW@h/r:v1",
        "user:1/PW@h.example/r:v1",
        "https://user:1/PW@h.example/r:v1",
        "https://u:12#PW@h/r",
        "u%3APW@h/r",
        "PWtok@h/r:v1",
        "https://u:PW PW@h/r",
        "u:my PW@h/r",
    ];
    for name in names.map(|name| name.replace("PW", SECRET)) {
        let push = ["push", dir, "--arch", "arm64"];
        let commands: [&[&str]; 14] = [
            &[&push[..], &["--base", &base, "--to", &name]].concat(),
            &[&push[..], &["--base", &name, "--to", "oci:out"]].concat(),
            &[&push[..], &["--base", &base, "--to", "oci:out", "--cache-from", &name]].concat(),
            &[&push[..], &["--base", &base, "--to", "127.0.0.1:1/r", "--tag", &name]].concat(),
            &[&push[..], &["--base", &base, "--repo", &name]].concat(),
            &["push", &name, "--arch", "arm64", "--base", &base, "--to", "oci:out"],
            &["inspect", &name],
            &["check", &name],
            &["check", &name, "--handler", "a.b"],
            &["diff", &name, &name],
            // arguments that do not parse
            &["inspect", "a", &name],
            &["push", "--format", &name],
            &["push", dir, "--arch", &name],
            &[&format!("--{name}")],
        ];
        for all in commands {
            for more in [&[][..], &["--json"]] {
                let done = lbuild.run(&[all, more].concat());
                assert_ne!(done.code, Some(0), "{all:?}");
                assert!(!done.stderr.is_empty() && !done.stderr.contains(SECRET), "{all:?}: {}", done.stderr);
                assert!(!done.stdout.contains(SECRET), "{all:?}: {}", done.stdout);
            }
        }
        for setting in ["to", "base", "cache-from", "insecure", "unknown"] {
            let mut values = BTreeMap::from([("arch", "arm64"), ("base", &base), ("to", "oci:out")]);
            values.insert(setting, &name);
            let toml: String = values.iter().map(|(key, value)| format!("{key} = '{value}'\n")).collect();
            std::fs::write(code.path().join("lbuild.toml"), toml).unwrap();
            let done = lbuild.run(&["push", dir]);
            assert!(!done.stderr.contains(SECRET), "{setting}: {}", done.stderr);
        }
        std::fs::remove_file(code.path().join("lbuild.toml")).unwrap();
    }
}

#[test]
fn a_name_with_a_login_is_refused_with_a_way_to_log_in() {
    let error = Lbuild::new().run(&["inspect", "me:pass@registry.example/a:1"]).failed(2);
    assert!(error.contains("invalid image name `…@registry.example/a:1`"), "{error}");
    assert!(error.contains("hint: leave the login out of the name"), "{error}");
}

#[test]
fn marks_of_the_direction_of_writing_are_not_printed() {
    let (lbuild, name) = (Lbuild::new(), "a\u{202e}yp.txt\u{2066}");
    let code = function(&[("app.py", "pass"), (name, "x")]);
    let layout = lbuild.layout("image", code.path(), &["--label", "k=a\u{202e}b\u{200f}"]);
    let image = format!("oci:{}:it", layout.display());
    for all in [
        &["inspect", &image, "--tree"][..],
        &["inspect", &image, "--largest"],
        &["inspect", &image],
        &["inspect", &image, "--json"],
        &["inspect", &image, "--history", "--json"],
        &["check", &image],
        &["check", &image, "--json"],
        &["check", &image, "--sarif"],
    ] {
        let done = lbuild.run(all);
        let mark = |c: char| matches!(c, '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!done.stdout.contains(mark) && !done.stderr.contains(mark), "{all:?}: {done:?}");
    }
    let json: Value = serde_json::from_str(&lbuild.ok(&["inspect", &image, "--json"]).stdout).unwrap();
    assert_eq!(json["config"]["config"]["Labels"]["k"], "a\u{202e}b\u{200f}", "nothing is lost");
    let tree = lbuild.ok(&["inspect", &image, "--tree"]).stdout;
    assert!(tree.contains(r"a\u{202e}yp.txt\u{2066}"), "{tree}");
    // the plan is data: it is escaped, and nothing is lost
    let plan = [
        "plan",
        code.path().to_str().unwrap(),
        "--arch",
        "arm64",
        "--base",
        &tiny_base(),
        "--env",
        "A=\u{202e}",
    ];
    let plan = lbuild.ok(&plan).stdout;
    assert!(plan.contains(r"\u202e") && !plan.contains('\u{202e}'), "{plan}");
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert!(plan.to_string().contains('\u{202e}'));
}

#[test]
fn a_path_of_the_user_does_not_control_the_terminal() {
    let (mut lbuild, name) = (Lbuild::new(), "a\u{1b}[31m\u{202e}b\u{9b}");
    let path = lbuild.text(name);
    std::fs::create_dir(&path).unwrap();
    lbuild.set("LBUILD_CACHE", &path);
    for all in [&["cache", "info"][..], &["cache", "prune"], &["init", &path], &["cache", "info", "--json"]] {
        let said = lbuild.ok(all).stdout;
        assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{all:?}: {said:?}");
    }
    let json: Value = serde_json::from_str(&lbuild.ok(&["cache", "info", "--json"]).stdout).unwrap();
    assert_eq!(json["root"], path.as_str());
}
