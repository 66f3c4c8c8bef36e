//! Random lines, in dash, bash and busybox: what is translated leaves what each of them leaves. `LBUILD_TEST_LINES=20000`
//! takes more lines than the usual run.

use super::grammar::{Grammar, VARIABLES};
use super::real::{Programs, Root, Tools};
use super::snapshot::{self, Snapshot};
use super::{Project, files, run_of};
use crate::support::image_builder::Tar;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The lines of a usual run.
const USUAL: usize = 700;

/// The lines that are built at once, each in a stage of its own.
const AT_ONCE: usize = 100;

/// The failing lines that are built.
const FAILING: usize = 40;

/// Files with names that a shell can take for something else.
fn odd(tar: Tar) -> Tar {
    tar.file("var/task/with blank", 0o644, "blank\n")
        .file("var/task/-dash", 0o644, "dash\n")
        .file("var/task/*", 0o644, "star\n")
        .file("var/task/[x]", 0o644, "bracket\n")
        .file("var/task/back\\slash", 0o644, "backslash\n")
        .directory("var/task/.hid/")
        .file("var/task/.hid/x", 0o600, "x\n")
        .file("var/task/tree/.dot", 0o644, "dot\n")
}

fn variables() -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    VARIABLES.iter().map(|(name, value)| format!("ENV {name}=\"{}\"\n", quoted(value))).collect()
}

/// The lines of these that lbuild translates.
fn translated(project: &Project, lines: &[String]) -> Vec<String> {
    let runs: String = lines.iter().map(|line| run_of(line)).collect();
    let plan = project.read("plan", &format!("FROM base\n{}{runs}", variables()), &[]).succeeded();
    let recipe: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let steps = recipe["stages"][0]["steps"].as_array().unwrap().iter();
    let runs: Vec<_> = steps.filter_map(|step| step.get("run")).collect();
    assert_eq!(runs.len(), lines.len());
    let kept = runs.iter().zip(lines).filter(|(run, _)| run.get("translation").is_some());
    kept.map(|(_, line)| line.clone()).collect()
}

/// What lbuild leaves after each of these lines; nothing if one of them fails.
fn built(project: &Project, base: &str, lines: &[String]) -> Option<Vec<Snapshot>> {
    let mut dockerfile = String::new();
    for (number, line) in lines.iter().enumerate() {
        write!(dockerfile, "FROM {base} AS s{number}\n{}{}", variables(), run_of(line)).unwrap();
    }
    dockerfile += "FROM scratch\n";
    for number in 0..lines.len() {
        writeln!(dockerfile, "COPY --from=s{number} / /{number}/").unwrap();
    }
    let (out, done) = project.run(&dockerfile, &[]);
    (done.code == Some(0)).then(|| snapshot::of_images(&out, lines.len()))
}

/// COPY, which puts the results together, makes several links of one that has several names.
fn without_linked_links(files: &Snapshot) -> Snapshot {
    let line = |(path, line): (&String, &String)| {
        let is_link = line.split(' ').nth(1) == Some("->");
        let line = if is_link { line.split(" = ").next().unwrap() } else { line };
        (path.clone(), line.to_owned())
    };
    files.iter().map(line).collect()
}

/// The differences between lbuild and real programs over these lines.
fn faults_of(project: &Project, tools: &Tools, programs: Programs, lines: &[String]) -> (usize, String) {
    let root = Root::new(tools, programs, odd(files()));
    let mut faults = String::new();
    let (mut succeeding, mut failing) = (Vec::new(), Vec::new());
    // Debian's busybox is built without this action.
    let is_known = |line: &&String| programs != Programs::Busybox || !line.contains("-delete");
    for line in lines.iter().filter(is_known) {
        root.reset();
        let (code, stderr) = root.run_with(line, &VARIABLES);
        match code {
            0 => succeeding.push((line.clone(), root.snapshot())),
            code => failing.push((line, code, stderr)),
        }
    }
    let compare = |line: &str, ours: &Snapshot, real: &Snapshot, faults: &mut String| {
        let difference = snapshot::difference(&without_linked_links(ours), &without_linked_links(real));
        if !difference.is_empty() {
            write!(faults, "{line:?} ({programs:?}):\n{difference}").unwrap();
        }
    };
    let mut alone = Vec::new();
    for some in succeeding.chunks(AT_ONCE) {
        let texts: Vec<String> = some.iter().map(|(line, _)| line.clone()).collect();
        match built(project, programs.base(), &texts) {
            Some(images) => {
                for ((line, real), ours) in some.iter().zip(images) {
                    compare(line, &ours, real, &mut faults);
                }
            }
            None => alone.extend(some),
        }
    }
    for (line, real) in alone {
        let (out, done) =
            project.run(&format!("FROM {}\n{}{}", programs.base(), variables(), run_of(line)), &[]);
        match done.code {
            Some(0) => compare(line, &snapshot::of_image(&out), real, &mut faults),
            // See differences.md.
            _ if done.stderr.contains("may be an option; write ./*") => {}
            _ => writeln!(faults, "{line:?} ({programs:?}) fails: {}", done.stderr).unwrap(),
        }
    }
    for (line, code, stderr) in failing.iter().take(FAILING) {
        let (_, done) =
            project.run(&format!("FROM {}\n{}{}", programs.base(), variables(), run_of(line)), &[]);
        if done.code == Some(0) {
            writeln!(faults, "{line:?} ({programs:?}) does not fail: {code} {stderr}").unwrap();
        }
    }
    (succeeding.len(), faults)
}

#[test]
fn random_lines_leave_what_dash_bash_and_busybox_leave() {
    let tools = Tools::new();
    if !tools.is_root() {
        eprintln!("without chown: a user namespace has one owner");
    }
    let count = std::env::var("LBUILD_TEST_LINES").map_or(USUAL, |count| count.parse().unwrap());
    let seed = std::env::var("LBUILD_TEST_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut grammar = Grammar::new(seed);
    let lines: BTreeSet<String> = (0..count).map(|_| grammar.line()).collect();
    let lines: Vec<String> =
        lines.into_iter().filter(|line| tools.is_root() || !line.contains("chown")).collect();
    let project = Project::of(odd);
    let lines = translated(&project, &lines);
    assert!(lines.len() > count / 4, "{} lines of {count} are translated", lines.len());
    let both = std::thread::scope(|scope| {
        let all = [Programs::Dash, Programs::Bash, Programs::Busybox];
        let of = |programs| {
            let (project, tools, lines) = (&project, &tools, &lines);
            scope.spawn(move || faults_of(project, tools, programs, lines))
        };
        all.map(of).map(|thread| thread.join().unwrap())
    });
    let all: String = both.iter().map(|(_, faults)| &**faults).collect();
    assert!(all.is_empty(), "{all}");
    for (compared, _) in both {
        assert!(compared > lines.len() / 3, "{compared} lines of {} succeed", lines.len());
    }
}
