//! The configuration of a container for runc, as Docker and containerd write it.

use super::seccomp;
use serde_json::{Value, json};
use std::path::Path;

/// The first id of this machine that is mapped into a remapped container.
pub const REMAPPED: u32 = 200_000;

/// The user of containers that do not run as root.
pub const USER: u32 = 10_001;

/// Docker's default capabilities.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Paths that Docker covers.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The system calls that are refused.
pub enum Seccomp {
    None,
    /// Mounts alone, as by AppArmor.
    Mounts,
    /// Those that Docker refuses.
    Default,
}

pub struct Container {
    pub capabilities: Vec<&'static str>,
    pub seccomp: Seccomp,
    pub no_new_privileges: bool,
    pub user: u32,
    pub users: Users,
}

/// The user namespace of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The machine's.
    Machine,
    /// Its own: root is the first of the subordinate ids [`REMAPPED`].
    Remapped,
    /// One that `launch.sh` makes around it, with the ids of the machine.
    Surrounding,
}

impl Container {
    pub fn docker() -> Container {
        let capabilities = CAPABILITIES.to_vec();
        Container {
            capabilities,
            seccomp: Seccomp::Default,
            no_new_privileges: false,
            user: 0,
            users: Users::Machine,
        }
    }

    pub fn without(mut self, capability: &str) -> Container {
        self.capabilities.retain(|name| *name != capability);
        self
    }

    /// The container in the directory `place`; `volume`: a directory of this machine that it sees at the same path.
    pub fn config(
        &self,
        place: &Path,
        volume: Option<&Path>,
        directory: &Path,
        variables: &[(String, String)],
        program: &[String],
    ) -> Value {
        let bind = |path: &Path, access: &str| json!({ "destination": path, "type": "bind", "source": path, "options": ["rbind", access] });
        let mut mounts = system_mounts(self.users);
        mounts.push(bind(&place.join("tools"), "ro"));
        mounts.extend(volume.map(|volume| bind(volume, "rw")));
        let variables: Vec<String> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // Docker gives the user's set only what the kernel would: nothing, unless it is root
        let effective: &[&str] = if self.user == 0 { &self.capabilities } else { &[] };
        let mut config = json!({
            "ociVersion": "1.0.2",
            "hostname": "container",
            "root": { "path": place.join("rig/root") },
            "process": {
                "terminal": false,
                "user": { "uid": self.user, "gid": self.user },
                "args": program, "env": variables, "cwd": directory,
                "noNewPrivileges": self.no_new_privileges,
                "capabilities": {
                    "bounding": self.capabilities, "effective": effective, "permitted": effective,
                },
            },
            "mounts": mounts,
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }],
                "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
                "resources": { "devices": devices() },
            },
        });
        let linux = &mut config["linux"];
        match self.seccomp {
            Seccomp::None => {}
            Seccomp::Mounts => linux["seccomp"] = seccomp::mounts(),
            Seccomp::Default => {
                linux["seccomp"] = seccomp::default(self.capabilities.contains(&"CAP_SYS_CHROOT"));
            }
        }
        if self.users == Users::Remapped {
            linux["namespaces"].as_array_mut().expect("a list").push(json!({ "type": "user" }));
            let map = json!([{ "containerID": 0, "hostID": REMAPPED, "size": 65_536 }]);
            linux["uidMappings"] = map.clone();
            linux["gidMappings"] = map;
        }
        config
    }
}

/// The container has the network of this machine, whose sysfs a user namespace cannot mount.
fn system_mounts(users: Users) -> Vec<Value> {
    let system = match users {
        Users::Remapped | Users::Surrounding => {
            json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"] })
        }
        Users::Machine => {
            json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"] })
        }
    };
    let pts = match users {
        Users::Remapped => json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        Users::Machine | Users::Surrounding => {
            json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"])
        }
    };
    vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": pts }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] }),
        json!({ "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"] }),
        system,
    ]
}

/// Any device may be made; those that every container has may be used.
fn devices() -> Value {
    let number = |major: u32, minor: Option<u32>| {
        let mut rule = json!({ "allow": true, "type": "c", "major": major, "access": "rwm" });
        if let Some(minor) = minor {
            rule["minor"] = json!(minor);
        }
        rule
    };
    let mut rules = vec![
        json!({ "allow": false, "access": "rwm" }),
        json!({ "allow": true, "type": "c", "access": "m" }),
        json!({ "allow": true, "type": "b", "access": "m" }),
    ];
    for (major, minor) in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)] {
        rules.push(number(major, Some(minor)));
    }
    rules.push(number(136, None));
    json!(rules)
}
