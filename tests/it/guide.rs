//! README.md, the guide and benches/README.md: their commands, flags, links and examples are valid for this lbuild.
//! The Rust examples of the guide are doc tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::recipes::{root, takes};
use crate::support::lbuild::{Lbuild, image_of};
use crate::support::{run, testdata, tool};

/// Prefix of a command that builds lbuild from source and runs it.
const FROM_SOURCE: &str = "cargo run --release -- ";

/// A Markdown file, with its path below the root.
pub struct Page {
    path: PathBuf,
    text: String,
}

/// A code block: the language and the code.
struct Block {
    language: String,
    code: String,
}

impl Page {
    pub fn read(path: impl Into<PathBuf>) -> Page {
        let path = path.into();
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        Page { path, text }
    }

    /// The prose and the code blocks; code spans are part of the prose.
    fn split(&self) -> (String, Vec<Block>) {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        for (number, part) in format!("\n{}", self.text).split("\n```").enumerate() {
            let (first, rest) = part.split_once('\n').unwrap_or((part, ""));
            if number % 2 == 0 {
                prose += rest;
                prose.push('\n');
            } else {
                assert!(!first.is_empty(), "{}: a code block names no language", self.path.display());
                blocks.push(Block { language: first.to_owned(), code: format!("{rest}\n") });
            }
        }
        (prose, blocks)
    }

    pub fn blocks(&self, language: &str) -> Vec<String> {
        let blocks = self.split().1.into_iter().filter(|block| block.language == language);
        blocks.map(|block| block.code).collect()
    }

    /// The code spans of the prose.
    fn spans(&self) -> Vec<String> {
        let prose = self.split().0;
        let spans = prose.split('`').skip(1).step_by(2);
        spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The prose without code spans.
    fn plain(&self) -> String {
        self.split().0.split('`').step_by(2).collect()
    }

    /// The arguments of every command that starts lbuild.
    fn commands(&self) -> Vec<String> {
        let mut lines = self.spans();
        for block in self.split().1 {
            if ["console", "sh", "text"].contains(&block.language.as_str()) {
                lines.extend(block.code.replace("\\\n", "").lines().map(str::to_owned));
            }
        }
        let pipes = lines.iter().flat_map(|line| line.trim_start_matches("$ ").split(" | "));
        let starts = |command: &str| {
            let rest = command.strip_prefix("lbuild ").or_else(|| command.strip_prefix(FROM_SOURCE));
            rest.map(str::to_owned)
        };
        pipes.filter_map(starts).collect()
    }

    /// The first column of all tables, without backticks.
    fn first_column(&self) -> Vec<String> {
        let rows = self.text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        rows.map(|cell| cell.trim_matches('`').to_owned()).collect()
    }
}

fn guide() -> Vec<Page> {
    let files = root().join("src/guide").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let names = files.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
    let names: BTreeSet<_> = names.collect();
    assert!(names.len() >= 13, "{names:?}");
    names.iter().map(|name| Page::read(Path::new("src/guide").join(name))).collect()
}

fn all() -> Vec<Page> {
    let front = ["README.md", "benches/README.md"].map(Page::read);
    front.into_iter().chain(guide()).collect()
}

/// The words into which the shell splits a command.
fn words(command: &str) -> Vec<String> {
    let script =
        format!("words() {{ for word; do printf '%s\\n' \"$word\"; done; }}\nset -eu\nwords {command}");
    let mut bash = Command::new(tool("bash"));
    bash.args(["-c", &script]).current_dir("/").env_clear();
    run(&mut bash).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_command_is_accepted() {
    let lbuild = Lbuild::new();
    let mut number = 0;
    for page in all() {
        for command in page.commands() {
            number += 1;
            assert!(takes(&lbuild, &words(&command)), "{}: lbuild {command}", page.path.display());
        }
    }
    assert!(number > 60, "{number}");
    for wrong in
        ["push . --plattform arm64", "check . --arch sparc", "repo create --allow-lambda a", "send ."]
    {
        assert!(!takes(&lbuild, &words(wrong)), "{wrong}");
    }
}

/// Every long flag of `lbuild PATH… --help` and of the commands below it.
fn flags(lbuild: &Lbuild, path: &[&str], found: &mut BTreeSet<String>) {
    let help = lbuild.ok(&[path, &["--help"]].concat()).stdout;
    let is_flag = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = help.split(|c: char| !is_flag(c)).filter(|word| word.len() > 2 && word.starts_with("--"));
    found.extend(words.map(str::to_owned));
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        if name != "help" {
            flags(lbuild, &[path, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_flag_exists() {
    let mut known = BTreeSet::new();
    flags(&Lbuild::new(), &[], &mut known);
    assert!(known.contains("--allow-account") && known.contains("--max-size"), "{known:?}");
    for page in all() {
        for span in page.spans().iter().filter(|span| span.starts_with("--")) {
            let flag = span.split([' ', '=', '[']).next().unwrap();
            assert!(known.contains(flag), "{}: {span}", page.path.display());
        }
    }
}

#[test]
fn the_readme_is_short_and_links_to_every_page() {
    let readme = Page::read("README.md");
    assert!(readme.text.lines().count() <= 250, "{} lines", readme.text.lines().count());
    for page in guide() {
        assert!(readme.text.contains(&format!("({})", page.path.display())), "{}", page.path.display());
    }
    assert!(readme.text.contains("(benches/README.md)"));
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let modules = std::fs::read_to_string(root().join("src/guide/mod.rs")).unwrap();
    for page in all() {
        let (prose, name) = (page.plain(), page.path.display());
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let definitions: Vec<_> =
            prose.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ")).collect();
        let targets = inline.chain(definitions.iter().map(|(_, target)| *target));
        for target in targets.filter(|target| !target.contains("://")) {
            let file = root().join(&page.path).parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.is_file(), "{name}: {target}");
        }
        let labels = prose.split("][").skip(1).filter_map(|rest| rest.split(']').next());
        for label in labels {
            assert!(definitions.iter().any(|(defined, _)| *defined == label), "{name}: [{label}]");
            // Without that definition, the link would be broken in rustdoc, which does not have the file.
            assert!(
                modules.contains(&format!("\n[{label}]: ")),
                "src/guide/mod.rs does not define [{label}]"
            );
        }
    }
    for page in guide() {
        let (name, text) = (page.path.file_name().unwrap().to_str().unwrap(), page.plain());
        assert!(modules.contains(&format!("include_str!(\"{name}\")")), "{name} is not a page of rustdoc");
        assert!(!text.contains("]("), "{name}: rustdoc needs links by a label, as [text][label]");
    }
}

#[test]
fn the_first_command_builds_an_image() {
    let (lbuild, readme) = (Lbuild::new(), Page::read("README.md"));
    let shell = readme.blocks("sh").concat();
    let command = shell.lines().find_map(|line| line.strip_prefix(FROM_SOURCE)).unwrap();
    assert!(Page::read("src/guide/first_image.md").text.contains(command), "the guide has another one");
    let to = lbuild.text("hello");
    let words: Vec<_> = words(command).iter().map(|word| word.replace("target/hello", &to)).collect();
    let built = lbuild.command(&words).current_dir(root()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let image = format!("oci:{to}:v1");
    assert!(lbuild.ok(&["inspect", &image]).stdout.contains("linux/arm64"));
    assert_eq!(lbuild.run(&["check", &image]).code, Some(0));
}

#[test]
fn every_config_file_is_accepted() {
    let mut number = 0;
    for page in all() {
        for text in page.blocks("toml").iter().filter(|text| !text.contains("[dependencies]")) {
            let lbuild = Lbuild::new();
            let dir = lbuild.path("function");
            for below in ["src", "build/site-packages"] {
                std::fs::create_dir_all(dir.join(below)).unwrap();
            }
            std::fs::write(dir.join("lbuild.toml"), text).unwrap();
            std::fs::write(dir.join("server"), "").unwrap();
            let base = format!("oci:{}:python3.12", testdata("base").display());
            let mut arguments = vec!["plan", dir.to_str().unwrap()];
            match text.starts_with("dockerfile = ") {
                true => std::fs::write(dir.join("Dockerfile"), "FROM scratch AS function\nUSER 1\n").unwrap(),
                false => arguments.extend(["--base", &base]),
            }
            let recipe: Value = serde_json::from_str(&lbuild.ok(&arguments).stdout).unwrap();
            assert!(recipe["stages"][0]["steps"].as_array().unwrap().len() > 2, "{recipe}");
            number += 1;
        }
    }
    assert!(number >= 2, "{number}");
}

#[test]
fn the_dockerfile_of_the_guide_is_built() {
    let (lbuild, page) = (Lbuild::new(), Page::read("src/guide/dockerfile.md"));
    let dir = lbuild.path("function");
    std::fs::create_dir(&dir).unwrap();
    for (name, language) in [("Dockerfile", "dockerfile"), ("app.py", "python"), (".dockerignore", "text")] {
        std::fs::write(dir.join(name), &page.blocks(language)[0]).unwrap();
    }
    let stand_in = format!("public.ecr.aws/lambda/python:3.12=oci:{}:python3.12", testdata("base").display());
    let example = &page.blocks("sh")[0];
    assert_eq!(example.lines().count(), 4, "{example}");
    for command in example.lines().filter(|command| !command.contains("--repo")) {
        let mut words = words(command.strip_prefix("lbuild ").unwrap());
        words.extend(["--build-context".to_owned(), stand_in.clone()]);
        let done = lbuild.command(&words).current_dir(&dir).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let (_, config) = image_of(&dir.join("out"), "v7", "arm64");
    assert!(config["config"]["Env"].as_array().unwrap().contains(&"RELEASE=7".into()), "{config}");
    std::fs::write(dir.join("Dockerfile"), page.blocks("dockerfile")[0].replace("COPY app", "COPPY app"))
        .unwrap();
    let said = lbuild.command(&["check", "--arch", "arm64"]).current_dir(&dir).output().unwrap().stderr;
    assert!(String::from_utf8(said).unwrap().ends_with(&page.blocks("text")[1]));
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = Lbuild::new().ok(&["--help"]).stdout;
    let codes = help.split("Exit codes:\n").nth(1).unwrap().lines();
    let codes: Vec<_> = codes.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.len() >= 10, "{codes:?}");
    let page = Page::read("src/guide/output.md").first_column();
    let is_number = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!(page.iter().filter(is_number).collect::<Vec<_>>(), codes);
}

#[test]
fn the_fields_and_reasons_of_the_json_are_listed() {
    let page = Page::read("src/guide/output.md");
    let (spans, reasons) = (page.spans(), page.first_column());
    for name in ["check", "diff"] {
        let text = std::fs::read_to_string(testdata(&format!("schemas/{name}.json"))).unwrap();
        let schema: Value = serde_json::from_str(&text).unwrap();
        let finding = &schema["$defs"]["finding"]["properties"];
        for properties in [&schema["properties"], finding].iter().filter_map(|value| value.as_object()) {
            for field in properties.keys() {
                assert!(spans.contains(field), "{name}: {field}");
            }
        }
    }
    let lbuild = Lbuild::new();
    let function = testdata("functions/hello-python");
    let base = format!("oci:{}:python3.12", testdata("base").display());
    let to = format!("oci:{}:v1", lbuild.text("image"));
    let build =
        ["build", function.to_str().unwrap(), "--base", &base, "--arch", "arm64", "--to", &to, "--json"];
    let lines = lbuild.ok(&build).stderr;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: BTreeSet<_> = lines.iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    assert!(seen.len() > 3, "{seen:?}");
    for reason in &seen {
        assert!(reasons.contains(reason), "{reason}");
    }
    for text in page.blocks("json") {
        let example: Value = serde_json::from_str(&text).unwrap();
        let like = lines.iter().find(|line| line["reason"] == example["reason"]).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&example), keys(like));
    }
}

#[test]
fn every_measurement_can_be_repeated() {
    let program = std::fs::read_to_string(root().join("benches/run")).unwrap();
    let mut number = 0;
    for page in all() {
        let mut commands = page.spans();
        commands.extend(page.blocks("sh").concat().lines().map(str::to_owned));
        for command in commands.iter().filter_map(|line| line.strip_prefix("benches/run ")) {
            let mut words = words(command).into_iter();
            while let Some(word) = words.next() {
                number += 1;
                let known = match word.starts_with("--") {
                    // The value of a flag follows.
                    true => words.next().map(|_| format!("\"{word}\"")),
                    false => Some(format!("\"{word}\": ")),
                };
                assert!(known.is_some_and(|known| program.contains(&known)), "benches/run {command}: {word}");
            }
        }
    }
    assert!(number > 10, "{number}");
}
