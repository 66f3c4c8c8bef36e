//! `useradd` and `groupadd` of shadow-utils.
//!
//! <https://github.com/shadow-maint/shadow>: `src/useradd.c`, `lib/find_new_uid.c`

use super::database::{Database, Fault, field, number_of};
use super::home::Home;
use super::settings::Settings;
use crate::operations::files::{Data, Last, ROOT};
use crate::operations::shell::Shell;
use crate::recipe::{AddGroup, AddUser};

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const GROUP: &str = "/etc/group";
const GSHADOW: &str = "/etc/gshadow";

/// What a new account gets.
#[derive(Debug)]
pub(super) struct NewUser<'u> {
    pub name: &'u str,
    pub uid: u64,
    pub gid: u64,
    pub comment: &'u str,
    pub home: &'u str,
    pub shell: &'u str,
    pub system: bool,
}

impl Shell<'_> {
    pub(super) fn useradd(&mut self, user: &AddUser) -> Result<(), Fault> {
        let defaults = Settings::read(self.files, "/etc/default/useradd");
        let login = Settings::read(self.files, "/etc/login.defs");
        let (passwd, groups) = (self.files.database(PASSWD), self.files.database(GROUP));
        self.read_ahead();
        let name = &user.name;
        if passwd.of(name).is_some() {
            return Err(format!("user '{name}' already exists"));
        }
        let group = match &user.group {
            Some(group) => Some(gid_of(&groups, group)?),
            None => None,
        };
        let more: Vec<String> =
            user.groups.iter().map(|group| group_name(&groups, group)).collect::<Result<_, _>>()?;
        let has_groups = login.get("USERGROUPS_ENAB").is_none_or(|value| value.eq_ignore_ascii_case("yes"));
        let own_group = user.own_group.unwrap_or(has_groups && group.is_none());
        if own_group && groups.of(name).is_some() {
            return Err(format!("group {name} exists - if you want to add this user to that group, use -g."));
        }
        let uid = new_uid(user, &passwd, &login)?;
        let free_gid = || free_number(&groups, Range::of(&login, "GID", user.system), user.system, Some(uid));
        let gid = match (group, own_group) {
            (Some(gid), _) => gid,
            (None, true) => free_gid().ok_or("Can't get unique GID (no more available GIDs)")?,
            (None, false) => defaults.number("GROUP").unwrap_or(100),
        };
        let base = defaults.get("HOME").unwrap_or("/home");
        let home = user.home.clone().unwrap_or_else(|| format!("{base}/{name}"));
        let shell = user.shell.as_deref().or(defaults.get("SHELL")).unwrap_or("/bin/bash");
        let comment = user.comment.as_deref().unwrap_or_default();
        self.add_account(
            &NewUser { name, uid, gid, comment, home: &home, shell, system: user.system },
            &login,
        );
        if own_group {
            self.add_group_lines(name, gid);
        }
        for group in &more {
            self.files.add_to_group(GROUP, group, name);
            self.files.add_to_group(GSHADOW, group, name);
        }
        if user.make_home.unwrap_or(login.is_yes("CREATE_HOME") && !user.system) {
            let mode = login.mode("HOME_MODE").unwrap_or(0o777 & !login.mode("UMASK").unwrap_or(0o022));
            let skeleton = Some(defaults.get("SKEL").unwrap_or("/etc/skel"));
            // As of version 4.13, which makes them closed and leaves them so.
            let inner_mode = Some(0o700);
            let home_directory = Home { path: &home, uid, gid, mode, skeleton, inner_mode, parents: true };
            let made = self.files.make_home(&home_directory);
            made.map_err(|error| format!("cannot create directory {home}: {error}"))?;
        }
        if !user.system && defaults.is_yes("CREATE_MAIL_SPOOL") {
            self.make_mail_file(name, uid, gid, login.get("MAIL_DIR").unwrap_or("/var/spool/mail"));
        }
        Ok(())
    }

    /// Asks for all files at once, so that the line need not run again for each.
    fn read_ahead(&mut self) {
        for path in [SHADOW, GSHADOW, "/etc/subuid", "/etc/subgid"] {
            self.files.text(path);
        }
    }

    /// Adds the lines of a user, and for an ordinary one the ranges of subordinate numbers.
    pub(super) fn add_account(&mut self, user: &NewUser<'_>, login: &Settings) {
        let NewUser { name, uid, gid, comment, home, shell, system } = *user;
        // Packages of Red Hat and Amazon write two marks.
        let is_debian =
            self.files.has_file("/etc/debian_version") || self.files.has_file("/etc/alpine-release");
        let locked = if is_debian { "!" } else { "!!" };
        let password = if self.files.has_file(SHADOW) { "x" } else { locked };
        self.files.add_line(PASSWD, format!("{name}:{password}:{uid}:{gid}:{comment}:{home}:{shell}"));
        let day = self.day;
        let aging = match system {
            true => "::::::".to_owned(),
            false => {
                let days = |name: &str, default: u64| login.number(name).unwrap_or(default);
                let (least, most) = (days("PASS_MIN_DAYS", 0), days("PASS_MAX_DAYS", 99_999));
                format!(":{least}:{most}:{}:::", days("PASS_WARN_AGE", 7))
            }
        };
        self.files.add_line(SHADOW, format!("{name}:{locked}:{day}{aging}"));
        let range = Range::of(login, "UID", false);
        if !system && (range.first..=range.last).contains(&uid) {
            for (path, kind) in [("/etc/subuid", "UID"), ("/etc/subgid", "GID")] {
                self.add_subordinate(path, kind, name, login);
            }
        }
    }

    fn add_subordinate(&mut self, path: &str, kind: &str, name: &str, login: &Settings) {
        let first = login.number(&format!("SUB_{kind}_MIN")).unwrap_or(100_000);
        let count = login.number(&format!("SUB_{kind}_COUNT")).unwrap_or(65_536);
        if count == 0 || !self.files.has_file(path) {
            return;
        }
        let known = self.files.database(path);
        let mut ranges: Vec<(u64, u64)> = known
            .entries()
            .filter_map(|fields| Some((number_of(fields.get(1)?)?, field(&fields, 2)?)))
            .collect();
        ranges.sort_unstable();
        let mut start = first;
        for (begin, length) in ranges {
            if begin >= start.saturating_add(count) {
                break;
            }
            start = start.max(begin.saturating_add(length));
        }
        self.files.add_line(path, format!("{name}:{start}:{count}"));
    }

    fn make_mail_file(&mut self, name: &str, uid: u64, gid: u64, dir: &str) {
        let path = format!("{dir}/{name}");
        let mail = self.files.database(GROUP).of("mail").and_then(|fields| field(&fields, 2));
        // useradd succeeds without the file, too.
        let Ok(at) = self.files.walk(ROOT, path.as_bytes(), Last::Keep) else { return };
        if at.inode.is_none()
            && let Ok(file) = self.files.make_file(&at, 0o660)
        {
            self.files.fill(file, Data::default());
            let owned = self.files.set_owner(file, Some(uid), Some(mail.unwrap_or(gid)));
            let mode = if mail.is_some() { 0o660 } else { 0o600 };
            let _ = owned.and_then(|()| self.files.set_mode(file, mode));
        }
    }

    pub(super) fn groupadd(&mut self, group: &AddGroup) -> Result<(), Fault> {
        let login = Settings::read(self.files, "/etc/login.defs");
        let groups = self.files.database(GROUP);
        self.read_ahead();
        let name = &group.name;
        if groups.of(name).is_some() {
            return if group.force { Ok(()) } else { Err(format!("group '{name}' already exists")) };
        }
        let wanted = group.gid.map(u64::from);
        let gid = match wanted.filter(|gid| groups.with_number(*gid).is_none()) {
            Some(gid) => gid,
            None if wanted.is_some() && !group.force => {
                return Err(format!("GID '{}' already exists", wanted.unwrap_or_default()));
            }
            None => free_number(&groups, Range::of(&login, "GID", group.system), group.system, None)
                .ok_or("Can't get unique GID (no more available GIDs)")?,
        };
        self.add_group_lines(name, gid);
        Ok(())
    }

    pub(super) fn add_group_lines(&mut self, name: &str, gid: u64) {
        self.files.add_line(GROUP, format!("{name}:x:{gid}:"));
        self.files.add_line(GSHADOW, format!("{name}:!::"));
    }

    /// `usermod -a -G`
    pub(super) fn add_member(&mut self, user: &str, group: &str) -> Result<(), Fault> {
        self.read_ahead();
        if self.files.database(PASSWD).of(user).is_none() {
            return Err(format!("The user `{user}' does not exist."));
        }
        if self.files.database(GROUP).of(group).is_none() {
            return Err(format!("The group `{group}' does not exist."));
        }
        self.files.add_to_group(GROUP, group, user);
        self.files.add_to_group(GSHADOW, group, user);
        Ok(())
    }
}

fn new_uid(user: &AddUser, passwd: &Database, login: &Settings) -> Result<u64, Fault> {
    match user.uid.map(u64::from) {
        Some(uid) if passwd.with_number(uid).is_some() => Err(format!("UID {uid} is not unique")),
        Some(uid) => Ok(uid),
        None => free_number(passwd, Range::of(login, "UID", user.system), user.system, None)
            .ok_or_else(|| "Can't get unique UID (no more available UIDs)".to_owned()),
    }
}

/// Numbers from which new ones are taken.
#[derive(Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
}

impl Range {
    fn of(login: &Settings, kind: &str, system: bool) -> Range {
        let number = |name: String| login.number(&name);
        let first = number(format!("{kind}_MIN")).unwrap_or(1000);
        match system {
            true => Range {
                first: number(format!("SYS_{kind}_MIN")).unwrap_or(101),
                last: number(format!("SYS_{kind}_MAX")).unwrap_or(first.saturating_sub(1)),
            },
            false => Range { first, last: number(format!("{kind}_MAX")).unwrap_or(60_000) },
        }
    }
}

/// A number that no line has: for ordinary accounts above the highest one, for system accounts below the lowest one.
fn free_number(known: &Database, range: Range, system: bool, preferred: Option<u64>) -> Option<u64> {
    let Range { first, last } = range;
    let used: std::collections::BTreeSet<u64> = known
        .entries()
        .filter_map(|fields| field(&fields, 2))
        .filter(|id| (first..=last).contains(id))
        .collect();
    if let Some(preferred) = preferred.filter(|id| (first..=last).contains(id) && !used.contains(id)) {
        return Some(preferred);
    }
    let next = match system {
        true => used.first().map_or(Some(last), |lowest| lowest.checked_sub(1)),
        false => Some(used.last().map_or(first, |highest| highest + 1)),
    };
    if let Some(next) = next.filter(|next| (first..=last).contains(next)) {
        return Some(next);
    }
    let mut free: Box<dyn Iterator<Item = u64>> = match system {
        true => Box::new((first..=last).rev()),
        false => Box::new(first..=last),
    };
    free.find(|id| !used.contains(id))
}

/// The number of a group that useradd names.
fn gid_of(groups: &Database, group: &str) -> Result<u64, Fault> {
    let found = groups.of(group).or_else(|| groups.with_number(number_of(group)?));
    found.and_then(|fields| field(&fields, 2)).ok_or_else(|| format!("group '{group}' does not exist"))
}

fn group_name(groups: &Database, group: &str) -> Result<String, Fault> {
    let found = groups.of(group).or_else(|| groups.with_number(number_of(group)?));
    let name = found.and_then(|fields| fields.first().map(|name| (*name).to_owned()));
    name.ok_or_else(|| format!("group '{group}' does not exist"))
}
