//! `adduser` and `addgroup` of Debian, which look for numbers themselves and call shadow-utils.
//!
//! <https://salsa.debian.org/debian/adduser>

use super::database::{Database, Fault, field};
use super::home::Home;
use super::settings::Settings;
use super::shadow::NewUser;
use crate::operations::shell::Shell;
use crate::recipe::{AddGroup, AddUser};

/// The module with the defaults of the image's version.
const DEFAULTS: &str = "/usr/share/perl5/Debian/AdduserCommon.pm";

/// The number of the group `nogroup`, if the image does not have the group.
const NOGROUP: u64 = 65_534;

/// The first number from `first` on that no line of these files has.
fn first_free(databases: &[&Database], first: u64, last: u64) -> Option<u64> {
    (first..=last).find(|id| databases.iter().all(|database| database.with_number(*id).is_none()))
}

/// The number of a new user; `None` if the user exists as it is asked for.
fn new_uid(
    user: &AddUser,
    own_group: bool,
    (passwd, groups): (&Database, &Database),
    (first, last): (u64, u64),
) -> Result<Option<u64>, Fault> {
    let (name, wanted) = (&user.name, user.uid.map(u64::from));
    if let Some(known) = passwd.of(name) {
        let is_same = field(&known, 2)
            .is_some_and(|uid| (first..=last).contains(&uid) && wanted.is_none_or(|wanted| wanted == uid));
        // An existing system user is what was asked for.
        return if user.system && is_same {
            Ok(None)
        } else {
            Err(format!("The user `{name}' already exists."))
        };
    }
    if let Some(uid) = wanted.filter(|uid| passwd.with_number(*uid).is_some()) {
        return Err(format!("The UID {uid} is already in use."));
    }
    let free = match own_group && !user.system {
        true => first_free(&[passwd, groups], first, last),
        false => first_free(&[passwd], first, last),
    };
    wanted.or(free).map(Some).ok_or_else(|| "No UID is available in the range.".to_owned())
}

impl Shell<'_> {
    pub(super) fn debian_adduser(&mut self, user: &AddUser, script: &str) -> Result<(), Fault> {
        let settings = Settings::read(self.files, "/etc/adduser.conf");
        let login = Settings::read(self.files, "/etc/login.defs");
        let defaults = self.files.text(DEFAULTS).unwrap_or_default();
        let (passwd, groups) = (self.files.database("/etc/passwd"), self.files.database("/etc/group"));
        for path in ["/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid"] {
            self.files.text(path);
        }
        let number = |name: &str, default: u64| settings.number(name).unwrap_or(default);
        let name = &user.name;
        let range = match user.system {
            true => (number("FIRST_SYSTEM_UID", 100), number("LAST_SYSTEM_UID", 999)),
            false => (number("FIRST_UID", 1000), number("LAST_UID", 59_999)),
        };
        let own_group = match user.own_group {
            Some(own) => own,
            None => !user.system && user.group.is_none(),
        };
        let Some(uid) = new_uid(user, own_group, (&passwd, &groups), range)? else { return Ok(()) };
        let gid = self.debian_gid(user, uid, own_group, &settings)?;
        let base = settings.get("DHOME").unwrap_or("/home");
        // Before version 3.122 a system user got a home directory.
        let has_none = user.system && script.contains("|| '/nonexistent'");
        let home = match &user.home {
            Some(home) => home.clone(),
            None if has_none => "/nonexistent".to_owned(),
            None => format!("{base}/{name}"),
        };
        let shell = match user.system {
            true => "/usr/sbin/nologin",
            false => settings.get("DSHELL").unwrap_or("/bin/bash"),
        };
        let shell = user.shell.as_deref().unwrap_or(shell);
        // As of chfn: name, room, and two telephones.
        let comment = user.comment.as_ref().map(|comment| {
            let commas = 3usize.saturating_sub(comment.matches(',').count());
            format!("{comment}{}", ",".repeat(commas))
        });
        let comment = comment.as_deref().unwrap_or_default();
        self.add_account(
            &NewUser { name, uid, gid, comment, home: &home, shell, system: user.system },
            &login,
        );
        if user.make_home.unwrap_or(true) && !home.starts_with("/nonexistent") {
            self.debian_home(&home, (uid, gid), user.system, &settings, &defaults)?;
        }
        if !user.system && own_group && defaults.contains("users_group") {
            self.add_to_users(name, &settings);
        }
        Ok(())
    }

    fn debian_home(
        &mut self,
        path: &str,
        (uid, gid): (u64, u64),
        system: bool,
        settings: &Settings,
        defaults: &str,
    ) -> Result<(), Fault> {
        let (mode, skeleton) = match system {
            true => ("sys_dir_mode", None),
            false => ("dir_mode", Some(settings.get("SKEL").unwrap_or("/etc/skel"))),
        };
        let mode = settings.mode(&mode.to_uppercase()).or_else(|| default_mode(defaults, mode));
        let mode = mode.unwrap_or(0o755);
        let made =
            self.files.make_home(&Home { path, uid, gid, mode, skeleton, inner_mode: None, parents: true });
        made.map(drop).map_err(|error| format!("Couldn't create home directory `{path}': {error}."))
    }

    /// Since version 3.122 an ordinary user with a group of its own is in the group of all users as well.
    fn add_to_users(&mut self, name: &str, settings: &Settings) {
        let groups = self.files.database("/etc/group");
        let fields = match settings.number("USERS_GID") {
            Some(gid) => groups.with_number(gid),
            None => groups.of(settings.get("USERS_GROUP").unwrap_or("users")),
        };
        let Some(users) = fields.and_then(|fields| fields.first().map(|users| (*users).to_owned())) else {
            return;
        };
        self.files.add_to_group("/etc/group", &users, name);
        if self.files.database("/etc/gshadow").of(&users).is_none() {
            self.files.add_line("/etc/gshadow", format!("{users}:x::"));
        }
        self.files.add_to_group("/etc/gshadow", &users, name);
    }

    /// The number of the login group; the user's own group is made.
    fn debian_gid(
        &mut self,
        user: &AddUser,
        uid: u64,
        own_group: bool,
        settings: &Settings,
    ) -> Result<u64, Fault> {
        let (name, groups) = (&user.name, self.files.database("/etc/group"));
        let gid_of = |group: &str| groups.of(group).and_then(|fields| field(&fields, 2));
        if let Some(group) = &user.group {
            return gid_of(group).ok_or_else(|| format!("The group `{group}' does not exist."));
        }
        if !own_group {
            return Ok(gid_of("nogroup").unwrap_or(NOGROUP));
        }
        match gid_of(name) {
            Some(gid) if user.system => return Ok(gid),
            Some(_) => return Err(format!("The group `{name}' already exists.")),
            None => {}
        }
        let number = |name: &str, default: u64| settings.number(name).unwrap_or(default);
        let gid = match user.system && user.uid.is_none() {
            true => first_free(&[&groups], number("FIRST_SYSTEM_GID", 100), number("LAST_SYSTEM_GID", 999)),
            false => Some(uid).filter(|gid| groups.with_number(*gid).is_none()),
        };
        let gid = gid.ok_or("No GID is available in the range.")?;
        self.add_group_lines(name, gid);
        Ok(gid)
    }

    pub(super) fn debian_addgroup(&mut self, group: &AddGroup) -> Result<(), Fault> {
        let settings = Settings::read(self.files, "/etc/adduser.conf");
        let groups = self.files.database("/etc/group");
        self.files.text("/etc/gshadow");
        let number = |name: &str, default: u64| settings.number(name).unwrap_or(default);
        let (first, last) = match group.system {
            true => (number("FIRST_SYSTEM_GID", 100), number("LAST_SYSTEM_GID", 999)),
            false => (number("FIRST_GID", 1000), number("LAST_GID", 59_999)),
        };
        let (name, wanted) = (&group.name, group.gid.map(u64::from));
        if let Some(known) = groups.of(name) {
            let is_same = field(&known, 2).is_some_and(|gid| {
                (first..=last).contains(&gid) && wanted.is_none_or(|wanted| wanted == gid)
            });
            return if group.system && is_same {
                Ok(())
            } else {
                Err(format!("The group `{name}' already exists."))
            };
        }
        if let Some(gid) = wanted.filter(|gid| groups.with_number(*gid).is_some()) {
            return Err(format!("The GID `{gid}' is already in use."));
        }
        let gid = wanted.or_else(|| first_free(&[&groups], first, last));
        self.add_group_lines(name, gid.ok_or("No GID is available in the range.")?);
        Ok(())
    }
}

/// A mode in the module with the defaults.
fn default_mode(defaults: &str, name: &str) -> Option<u32> {
    let line = defaults
        .lines()
        .map(str::trim)
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with("=>")))?;
    u32::from_str_radix(line.split(['"', '\'']).nth(1)?, 8).ok()
}
