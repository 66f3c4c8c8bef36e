//! Control groups, which limit the memory of processes, where the system has delegated some to the user (cgroup v2):
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html#delegation>.
//!
//! A group with processes cannot pass on the memory controller, so that the new group is beside lbuild's own, or further
//! up. Its directory vanishes with the value; that of a killed lbuild is removed by the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Pid;

/// Where cgroup v2 is mounted, alone or beside v1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// How far up a group that passes on the controller is looked for.
const LEVELS: usize = 4;
/// The start of the names of lbuild's groups.
const PREFIX: &str = "lbuild-";

/// What a group may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// In bytes, with what is in file systems in memory.
    pub(crate) memory: u64,
    pub(crate) processes: u64,
}

/// A group for processes that end before it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// A group, if there is a place where this process may make one that limits memory.
    pub(crate) fn new(limits: Limits) -> Option<Cgroup> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let mount = MOUNTS.iter().map(Path::new).find(|mount| mount.join("cgroup.controllers").exists())?;
        places(mount, own).iter().filter(|place| passes_on_memory(place)).find_map(|place| {
            let group = Cgroup::in_group(place).ok()?;
            group.limit(limits).ok().map(|()| group)
        })
    }

    /// A group in this one.
    fn in_group(parent: &Path) -> io::Result<Cgroup> {
        sweep(parent);
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&dir)?;
        Ok(Cgroup { dir })
    }

    fn limit(&self, Limits { memory, processes }: Limits) -> io::Result<()> {
        self.write("memory.max", &memory.to_string())?;
        // One process that has too much ends all, as in Lambda. Both files may be missing: swap may be off.
        let _ = self.write("memory.oom.group", "1");
        let _ = self.write("memory.swap.max", "0");
        let _ = self.write("pids.max", &processes.to_string());
        Ok(())
    }

    /// Adds a process, and those that it starts from then on.
    pub(crate) fn add(&self, pid: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &pid.as_raw_nonzero().to_string())
    }

    /// The memory in use without that of files, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string(self.dir.join("memory.stat")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("anon ")?.parse().ok())
    }

    /// Whether the kernel has ended processes that needed more memory.
    pub(crate) fn has_killed(&self) -> bool {
        let text = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).open(self.dir.join(name))?;
        io::Write::write_all(&mut file, text.as_bytes())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Fails if a process is left; the next group's maker tries again.
        let _ = fs::remove_dir(&self.dir);
    }
}

/// The groups in which a new one may be made: those above the process's own, which is below `mount`.
fn places(mount: &Path, own: &str) -> Vec<PathBuf> {
    let own = match own.trim_start_matches('/') {
        "" => mount.to_owned(),
        own => mount.join(own),
    };
    let above = own.ancestors().take_while(|dir| dir.starts_with(mount));
    // The root of all groups may have processes of its own.
    above.skip(usize::from(own != mount)).take(LEVELS).map(Path::to_owned).collect()
}

fn passes_on_memory(group: &Path) -> bool {
    let text = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
    text.split_whitespace().any(|name| name == "memory")
}

/// Removes groups of killed runs: only those without processes can be removed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        let is_left = maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        if is_left {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_place_is_above_the_own_group() {
        let mount = Path::new("/sys/fs/cgroup");
        let names = |own| places(mount, own).iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
        assert_eq!(names("/"), ["/sys/fs/cgroup"]);
        assert_eq!(names("/user.slice/a.scope"), ["/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"]);
        assert_eq!(names("/a/b/c/d/e/f").len(), LEVELS);
    }

    /// On a real cgroup v2, which may have no memory controller.
    #[test]
    fn a_process_joins_a_group_and_leaves_none() {
        let mounts = MOUNTS.iter().map(Path::new);
        let mount = mounts.clone().find(|mount| mount.join("cgroup.controllers").exists());
        let mount = mount.expect("the tests need a mounted cgroup v2");
        if !rustix::process::geteuid().is_root() {
            assert!(Cgroup::in_group(mount).is_err(), "the root of all groups is root's");
            return;
        }
        let left = mount.join(format!("{PREFIX}4194305-0"));
        fs::create_dir(&left).unwrap();
        let group = Cgroup::in_group(mount).unwrap();
        assert!(!left.exists());
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        group.add(Pid::from_child(&child)).unwrap();
        let text = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        assert!(text.lines().any(|line| line.starts_with("0::/lbuild-")), "{text}");
        let dir = group.dir.clone();
        child.kill().unwrap();
        child.wait().unwrap();
        drop(group);
        assert!(!dir.exists());
    }
}
