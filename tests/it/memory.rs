//! Memory does not grow with the size of the packed or copied layers.

mod scans;

use crate::support::bases;
use crate::support::image_tools::{self, ImageLocation};
use crate::support::lbuild::{Lbuild, function, noise, tiny_base};
use crate::support::registry::{Mode, Registry};
use crate::support::run;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Memory limit of lbuild, in KiB, measured by the kernel as the peak of a child process.
const LIMIT: u64 = 64 << 10;

const PEAK: &str = r#"
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"#;

/// Runs lbuild and returns its peak memory, in KiB.
fn peak(lbuild: &Lbuild, arguments: &[&str]) -> u64 {
    let mut python = lbuild.wrapped(&["python3", "-c", PEAK], arguments);
    run(&mut python).unwrap().trim().parse().unwrap()
}

/// A function with incompressible files of 4 MB and this total size.
fn code(megabytes: usize) -> TempDir {
    let code = function(&[("app.py", "def handler(event, context): pass")]);
    let mut block = noise(8, 4_000_000);
    for n in 0..megabytes / 4 {
        block[..8].copy_from_slice(&(n as u64).to_le_bytes());
        std::fs::File::create(code.path().join(format!("{n}.bin"))).unwrap().write_all(&block).unwrap();
    }
    code
}

fn push(lbuild: &Lbuild, code: &Path, base: &str, to: &str) -> u64 {
    let code = code.to_str().unwrap();
    peak(lbuild, &["push", code, "--base", base, "--arch", "arm64", "--jobs", "2", "--to", to])
}

#[test]
fn a_large_layer_needs_no_more_memory_than_a_small_one() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let image = |name: &str| format!("{}/{name}:1", registry.host());
    let made = [4, 400].map(|size| {
        let name = format!("made-{size}");
        push(&lbuild, code(size).path(), &tiny_base(), &image(&name))
    });
    eprintln!("made and sent: {made:?} KiB");
    assert!(made.iter().all(|peak| *peak < LIMIT), "{made:?} KiB");
    assert!(made[1] < made[0] + (8 << 10), "{made:?} KiB");

    // the same layers as a base that is copied from one registry to another
    let (other, small) = (Registry::start(Mode::Plain), function(&[("app.py", "code")]));
    let passed = [4, 400].map(|size| {
        let to = format!("{}/passed-{size}:1", other.host());
        push(&lbuild, small.path(), &image(&format!("made-{size}")), &to)
    });
    eprintln!("passed on: {passed:?} KiB");
    assert!(passed.iter().all(|peak| *peak < LIMIT), "{passed:?} KiB");
    assert!(passed[1] < passed[0] + (8 << 10), "{passed:?} KiB");
    let found = image_tools::skopeo_inspect(&ImageLocation::registry(&other, "passed-400:1")).unwrap();
    assert_eq!(found["Layers"].as_array().unwrap().len(), 4);
}

#[test]
fn a_base_that_is_recompressed_is_not_held_in_memory() {
    let (registry, lbuild) = (Registry::start(Mode::Plain), Lbuild::new());
    let small = function(&[("app.py", "code")]);
    for flavour in ["zstd", "plain"] {
        let base = bases::push(&registry, flavour, "lambda/python", flavour);
        let peak = push(&lbuild, small.path(), &base, &format!("{}/function:{flavour}", registry.host()));
        eprintln!("{flavour}: {peak} KiB");
        assert!(peak < LIMIT, "{flavour}: {peak} KiB");
    }
}

#[test]
fn a_large_zip_is_not_held_in_memory() {
    const ZIP: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", 8, compresslevel=1) as archive:
    archive.writestr("app.py", "def handler(event, context): pass")
    for n in range(int(sys.argv[2])):
        archive.write(sys.argv[3], "%d.bin" % n)
"#;
    let lbuild = Lbuild::new();
    let block: Vec<u8> = noise(9, 4_000_000).iter().map(|byte| byte & 0x3f).collect();
    std::fs::write(lbuild.path("block"), block).unwrap();
    let made = [1, 50].map(|blocks| {
        let zip = lbuild.path(&format!("{blocks}.zip"));
        let mut python = lbuild.program("python3", &["-c", ZIP]);
        run(python.arg(&zip).arg(blocks.to_string()).arg(lbuild.path("block"))).unwrap();
        push(&lbuild, &zip, &tiny_base(), &format!("oci:{}", lbuild.text(&format!("image-{blocks}"))))
    });
    eprintln!("from zips: {made:?} KiB");
    assert!(made.iter().all(|peak| *peak < LIMIT), "{made:?} KiB");
    assert!(made[1] < made[0] + (8 << 10), "{made:?} KiB");
}
