//! Dockerfiles with commands that need a process, in `testdata/dockerfile/run`: lbuild beside `buildah bud`. What they leave
//! must be equal, but for times and for `differences.txt`. Where buildah 1.28 cannot read a file, which has here-documents,
//! it builds the `.instead` beside it.

use crate::support::buildah::{Buildah, Driver};
use crate::support::faults;
use crate::support::lbuild::Lbuild;
use crate::support::root_tree::RootTree;
use crate::support::{busybox, debian, testdata};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The bases, as the Dockerfiles name them.
const BUSYBOX: &str = "localhost/busybox";
const DEBIAN: &str = "localhost/debian";

/// Stand-ins for files and directories that buildah puts into the container; some stay in the image.
const OF_BUILDAH: [&str; 7] = ["dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc", "run", "sys"];

struct Case {
    name: String,
    file: PathBuf,
    instead: Option<PathBuf>,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(testdata("dockerfile/run")).unwrap() {
        let file = entry.unwrap().path();
        let Some(name) = file.file_name().unwrap().to_str().unwrap().strip_suffix(".Dockerfile") else {
            continue;
        };
        let name = name.to_owned();
        let instead = Some(file.with_file_name(format!("{name}.instead"))).filter(|file| file.exists());
        cases.push(Case { name, file, instead });
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// The differences that are meant: case and path.
fn listed() -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(testdata("dockerfile/run/differences.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', ' ']));
    lines
        .map(|line| {
            let (what, reason) = line.split_once(": ").unwrap_or_else(|| panic!("no reason: {line}"));
            let (case, path) = what.split_once(' ').unwrap_or_else(|| panic!("no path: {line}"));
            assert!(!reason.is_empty(), "{line}");
            (case.to_owned(), path.to_owned())
        })
        .collect()
}

/// Both builders with the bases, and what the bases have.
struct Builders {
    lbuild: Lbuild,
    buildah: Buildah,
    busybox: RootTree,
}

impl Builders {
    fn new() -> Builders {
        let lbuild = Lbuild::new();
        let layout = lbuild.path("busybox");
        busybox::write(&layout);
        let buildah = Buildah::new(Driver::Overlay);
        buildah.add(BUSYBOX, &layout, busybox::TAG);
        buildah.add(DEBIAN, &debian::layout(), debian::TAG);
        let busybox = RootTree::of(&layout, busybox::TAG, debian::ARCHITECTURE, None);
        Builders { lbuild, buildah, busybox }
    }

    /// The files of an image on the base of the case. Both bases have one layer.
    fn tree(&self, case: &Case, layout: &Path) -> RootTree {
        let lower = if case.name.starts_with("debian-") { debian::tree() } else { &self.busybox };
        RootTree::of(layout, &case.name, debian::ARCHITECTURE, Some((lower, 1)))
    }

    fn theirs(&self, case: &Case) -> Result<RootTree, String> {
        let file = case.instead.as_ref().unwrap_or(&case.file);
        // one layout for all, so that the base is there already; without compression, which would take most of the time
        let to = format!("{}:{}", self.lbuild.text("theirs"), case.name);
        self.buildah.build(&testdata("dockerfile/run/context"), file, &to, &["--disable-compression"])?;
        Ok(self.tree(case, &self.lbuild.path("theirs")))
    }

    fn ours(&self, case: &Case) -> Result<RootTree, String> {
        let context = testdata("dockerfile/run/context");
        let to = format!("oci:{}:{}", self.lbuild.text("ours"), case.name);
        let busybox = format!("{BUSYBOX}=oci:{}:{}", self.lbuild.text("busybox"), busybox::TAG);
        let debian = format!("{DEBIAN}=oci:{}:{}", debian::layout().display(), debian::TAG);
        let arguments = [
            "build",
            context.to_str().unwrap(),
            "--file",
            case.file.to_str().unwrap(),
            "--build-context",
            &busybox,
            "--build-context",
            &debian,
            "--arch",
            debian::ARCHITECTURE,
            "--no-check",
            "--to",
            &to,
        ];
        let done = self.lbuild.run(&arguments);
        if done.code != Some(0) {
            return Err(done.stderr);
        }
        Ok(self.tree(case, &self.lbuild.path("ours")))
    }
}

/// The number of cases of a run without `--faults`: buildah takes some seconds for each.
const SAMPLE: usize = 12;

/// A sample of the cases, which differs in each run; all of them with `tests/run --faults`.
#[test]
fn commands_leave_what_they_leave_with_buildah() {
    let (cases, mut listed) = (cases(), listed());
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let cases = faults::sample(cases, SAMPLE);
    listed.retain(|(name, _)| cases.iter().any(|case| case.name == *name));
    let builders = Builders::new();
    let (mut met, mut wrong) = (BTreeSet::new(), String::new());
    for case in &cases {
        let theirs = builders.theirs(case).unwrap_or_else(|error| panic!("buildah: {}: {error}", case.name));
        let ours = match builders.ours(case) {
            Ok(tree) => tree,
            Err(error) => {
                wrong += &format!("--- {}\n{error}\n", case.name);
                continue;
            }
        };
        let mut found = String::new();
        for (path, lines) in ours.difference(&theirs) {
            let what = (case.name.clone(), path.clone());
            if listed.contains(&what) {
                met.insert(what);
            } else if !OF_BUILDAH.contains(&&*path) {
                found += &format!("{path}: {lines}\n");
            }
        }
        if !found.is_empty() {
            wrong += &format!("--- {}\n{found}\n", case.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(met, listed, "differences.txt lists differences that are none");
}
