//! User and group ids: which of them a command can have, and the maps of its user namespace.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

use super::obstacle::Obstacle;

/// How the owners of an image's files are represented on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ids {
    /// This process may give files to any id: files have their owners.
    Real,
    /// The user has subordinate ids: files have the owners that the ranges map theirs to. Only a process in a namespace
    /// with these ranges can handle the files, see [`within`](super::within::within).
    Ranges { uids: Vec<Range>, gids: Vec<Range> },
    /// All files belong to the user `uid` and the group `gid`. Another owner is recorded in an extended attribute.
    Single { uid: u32, gid: u32 },
    /// All files belong to the user, and there is no namespace. Another owner is recorded in an extended attribute.
    Unmapped,
}

/// Consecutive ids of a user namespace, and those outside for which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) inside: u32,
    pub(crate) outside: u32,
    pub(crate) count: u32,
}

/// The maps of one user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maps {
    uids: Vec<Range>,
    gids: Vec<Range>,
    by: Writer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// A process may always map its own user. Its namespace then has to do without setgroups.
    User,
    /// CAP_SETUID and CAP_SETGID allow any map.
    Privileged,
    /// The setuid programs newuidmap and newgidmap know which ranges are the user's.
    Helpers,
}

impl Ids {
    /// The ids that this process may hope for, best first. A probe decides.
    pub(crate) fn candidates() -> Vec<Ids> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut candidates = Vec::new();
        let all = CapabilitySet::CHOWN | CapabilitySet::SETUID | CapabilitySet::SETGID;
        if uid == 0 && has(all) {
            candidates.push(Ids::Real);
        }
        let (uids, gids) = (subordinate("/etc/subuid", uid), subordinate("/etc/subgid", uid));
        if !uids.is_empty() && !gids.is_empty() {
            candidates.push(Ids::Ranges { uids: with_own(uid, uids), gids: with_own(gid, gids) });
        }
        candidates.push(Ids::Single { uid, gid });
        candidates
    }

    /// The maps with which a process is `user` of `group` in a new user namespace. With a single id, that user is the
    /// only one there is.
    ///
    /// # Errors
    /// When the ids of this process cannot be read.
    pub(super) fn maps(&self, user: u32, group: u32) -> io::Result<Maps> {
        let one = |inside, outside| vec![Range { inside, outside, count: 1 }];
        Ok(match self {
            Ids::Real => {
                let (uids, gids) = (identity("/proc/self/uid_map")?, identity("/proc/self/gid_map")?);
                Maps { uids, gids, by: Writer::Privileged }
            }
            Ids::Ranges { uids, gids } => {
                Maps { uids: uids.clone(), gids: gids.clone(), by: Writer::Helpers }
            }
            Ids::Unmapped => return Err(io::ErrorKind::Unsupported.into()),
            Ids::Single { uid, gid } => {
                Maps { uids: one(user, *uid), gids: one(group, *gid), by: Writer::User }
            }
        })
    }
}

/// Whether all of `set` is effective.
pub(super) fn has(set: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(set))
}

impl Maps {
    /// Writes the maps of the user namespace of `pid`, a child of this process.
    pub(super) fn write(&self, pid: Pid) -> Result<(), Obstacle> {
        let pid = pid.as_raw_nonzero();
        match self.by {
            Writer::Helpers => {
                // Both at once: most of their time is that of their start.
                let (uids, gids) = ("map user ids with newuidmap", "map group ids with newgidmap");
                let started = helper("newgidmap", pid.get(), &self.gids);
                let mapped = helper("newuidmap", pid.get(), &self.uids).and_then(succeed);
                started.and_then(succeed).map_err(|error| obstacle(gids, &error))?;
                mapped.map_err(|error| obstacle(uids, &error))
            }
            Writer::User | Writer::Privileged => {
                let write = |name, text: &str| write(&format!("/proc/{pid}/{name}"), text);
                if self.by == Writer::User {
                    write("setgroups", "deny").map_err(|e| obstacle("give up setgroups", &e))?;
                }
                write("gid_map", &lines(&self.gids)).map_err(|e| obstacle("map group ids", &e))?;
                write("uid_map", &lines(&self.uids)).map_err(|e| obstacle("map user ids", &e))
            }
        }
    }
}

fn obstacle(step: &'static str, error: &io::Error) -> Obstacle {
    Obstacle { step, errno: Errno::from_io_error(error).unwrap_or(Errno::PERM) }
}

/// The kernel takes a map in one write only.
fn write(path: &str, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn lines(ranges: &[Range]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.count)).collect()
}

/// Starts newuidmap or newgidmap.
fn helper(name: &str, pid: i32, ranges: &[Range]) -> io::Result<Child> {
    let mut command = Command::new(find(name).ok_or(Errno::NOENT)?);
    command.arg(pid.to_string());
    for range in ranges {
        command.args([range.inside, range.outside, range.count].map(|number| number.to_string()));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

/// A refusal, which the program explains in words only, becomes EPERM.
fn succeed(mut helper: Child) -> io::Result<()> {
    if helper.wait()?.success() { Ok(()) } else { Err(Errno::PERM.into()) }
}

/// A system program, also if the caller's PATH lacks the directories of system programs.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).chain(system);
    places.map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// All ids that this process knows, as they are.
fn identity(map: &str) -> io::Result<Vec<Range>> {
    let text = fs::read_to_string(map)?;
    let ranges = text.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (inside, _, count) = (numbers.next()?.ok()?, numbers.next()?, numbers.next()?.ok()?);
        Some(Range { inside, outside: inside, count })
    });
    Ok(ranges.collect())
}

/// The user's own id as 0, and its subordinate ranges from 1.
fn with_own(own: u32, subordinate: Vec<(u32, u32)>) -> Vec<Range> {
    let mut ranges = vec![Range { inside: 0, outside: own, count: 1 }];
    let mut inside = 1u32;
    for (outside, count) in subordinate {
        // The last id is -1, which stands for none.
        let count = count.min((u32::MAX - 1).saturating_sub(inside));
        if count > 0 {
            ranges.push(Range { inside, outside, count });
        }
        inside += count;
    }
    ranges
}

/// The ranges (first, count) of `/etc/subuid` or `/etc/subgid` for a user, who stands there by name or number.
fn subordinate(file: &str, uid: u32) -> Vec<(u32, u32)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    ranges_of(&text, &user_name(uid), &uid.to_string())
}

fn ranges_of(text: &str, name: &str, number: &str) -> Vec<(u32, u32)> {
    let ranges = text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let user = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let own = (!name.is_empty() && user == name) || user == number;
        (own && count > 0).then_some((first, count))
    });
    ranges.collect()
}

/// The name of a user; empty if it has none. Accounts of a directory service are not in `/etc/passwd`: `USER` helps
/// then, and a wrong value does no harm, since newuidmap asks for itself.
fn user_name(uid: u32) -> String {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    name.or_else(|| std::env::var("USER").ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_name_or_the_number() {
        let text = "ann:100000:65536\nbob:1:2\n1000:300000:10\nann:x:1\nann:5:0\n:7:7\n";
        assert_eq!(ranges_of(text, "ann", "1000"), [(100000, 65536), (300000, 10)]);
        assert_eq!(ranges_of(text, "", "1001"), []);
    }

    #[test]
    fn ranges_follow_each_other_inside() {
        let ranges = with_own(1000, vec![(100000, 65536), (300000, 10)]);
        assert_eq!(lines(&ranges), "0 1000 1\n1 100000 65536\n65537 300000 10\n");
        let all = with_own(1000, vec![(5, u32::MAX), (5, 5)]);
        assert_eq!(lines(&all), "0 1000 1\n1 5 4294967293\n");
    }
}
