//! Runs tests where overlays can be mounted.

use std::path::Path;
use std::process::Command;

use crate::rootfs::files::attributes::Owners;

const VARIABLE: &str = "LBUILD_TEST_ROOTFS";

/// Runs the test `name`, which calls this, in namespaces: `test` runs as root of the machine, if this process is that,
/// and as an ordinary user with one id, if the system permits it.
pub(in crate::rootfs) fn inside(name: &str, test: impl Fn(Owners)) {
    match std::env::var(VARIABLE).as_deref() {
        Ok("kernel") => return test(Owners::Kernel),
        Ok("recorded") => return test(Owners::Recorded),
        _ => {}
    }
    let is_root = rustix::process::geteuid().is_root();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urm"];
    let mut ways: Vec<(&str, &[&str])> = vec![("recorded", if is_root { &nobody } else { &nobody[4..] })];
    if is_root {
        ways.push(("kernel", &["unshare", "-m"]));
    }
    for (variable, way) in ways {
        let command = |program: &Path| {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).arg(program).env(VARIABLE, variable);
            command
        };
        if !command(Path::new("true")).output().is_ok_and(|output| output.status.success()) {
            eprintln!("`{}` does not work here", way.join(" "));
            continue;
        }
        let mut command = command(&std::env::current_exe().unwrap());
        let output = command.args([name, "--exact", "--nocapture", "--test-threads=1"]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && out.contains("1 passed"), "{variable}\n{out}\n{err}");
    }
}

/// A mounted overlay, until it is dropped.
pub(in crate::rootfs) struct Overlay<'p>(&'p Path);

impl Overlay<'_> {
    /// Mounts these directories, the topmost first, at `at`. With `upper` and an empty `work`, it can be written.
    pub fn mount<'p>(at: &'p Path, lowers: &[&Path], upper: Option<(&Path, &Path)>) -> Overlay<'p> {
        let lowers: Vec<String> = lowers.iter().map(|lower| lower.display().to_string()).collect();
        let mut options = format!("userxattr,lowerdir={}", lowers.join(":"));
        if let Some((upper, work)) = upper {
            options += &format!(",upperdir={},workdir={},volatile", upper.display(), work.display());
        }
        let command =
            Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(at).output();
        let output = command.unwrap();
        assert!(output.status.success(), "{options}: {}", String::from_utf8_lossy(&output.stderr));
        Overlay(at)
    }
}

impl Drop for Overlay<'_> {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(self.0).status();
        assert!(status.unwrap().success() || std::thread::panicking());
    }
}
