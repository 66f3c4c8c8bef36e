//! `useradd`, `adduser`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Given, Known, Takes, parse};
use super::super::refusal::Attempt;
use super::super::shell::expand::Field;
use super::group::added;
use super::name::{group, name, number, passwd_field, passwd_path};
use crate::recipe::{AccountTool, AddGroup, AddUser, Operation};

/// The options of shadow-utils.
const USERADD: &[Known] = &[
    (&["uid", "u"], Takes::Value),
    (&["gid", "g"], Takes::Value),
    (&["groups", "G"], Takes::Value),
    (&["user-group", "U"], Takes::Nothing),
    (&["no-user-group", "N"], Takes::Nothing),
    (&["system", "r"], Takes::Nothing),
    (&["home-dir", "d"], Takes::Value),
    (&["create-home", "m"], Takes::Nothing),
    (&["no-create-home", "M"], Takes::Nothing),
    (&["shell", "s"], Takes::Value),
    (&["comment", "c"], Takes::Value),
    // It only keeps the user out of /var/log/lastlog.
    (&["no-log-init", "l"], Takes::Nothing),
];

/// The options of all programs of the name.
const ADDUSER: &[Known] = &[
    (&["uid", "u"], Takes::Value),
    (&["g"], Takes::Value),
    (&["G"], Takes::Value),
    (&["user-group", "U"], Takes::Nothing),
    (&["no-user-group", "N"], Takes::Nothing),
    (&["system"], Takes::Nothing),
    (&["r"], Takes::Nothing),
    (&["S"], Takes::Nothing),
    (&["home"], Takes::Value),
    (&["home-dir", "d"], Takes::Value),
    (&["h"], Takes::Value),
    (&["create-home", "m"], Takes::Nothing),
    (&["no-create-home"], Takes::Nothing),
    (&["M"], Takes::Nothing),
    (&["H"], Takes::Nothing),
    (&["shell", "s"], Takes::Value),
    (&["comment", "c"], Takes::Value),
    (&["gecos"], Takes::Value),
    (&["ingroup"], Takes::Value),
    (&["group"], Takes::Nothing),
    (&["disabled-password"], Takes::Nothing),
    (&["disabled-login"], Takes::Nothing),
    (&["D"], Takes::Nothing),
    (&["quiet"], Takes::Nothing),
];

const SHADOW: u8 = 1;
const DEBIAN: u8 = 2;
const BUSYBOX: u8 = 4;

/// The programs that know an option of `adduser`, by the way it is written.
fn programs(option: &Given<'_>) -> u8 {
    let is_long = option.field.text.starts_with("--");
    match option.name {
        "uid" | "shell" if is_long => SHADOW | DEBIAN | BUSYBOX,
        "uid" | "shell" => SHADOW | BUSYBOX,
        "system" | "no-create-home" | "home" => SHADOW | DEBIAN | BUSYBOX,
        "g" | "G" => SHADOW | BUSYBOX,
        "comment" if is_long => SHADOW | DEBIAN,
        "user-group" | "no-user-group" | "r" | "home-dir" | "create-home" | "M" | "comment" => SHADOW,
        "S" | "h" | "H" | "D" => BUSYBOX,
        "gecos" | "ingroup" | "disabled-password" => DEBIAN | BUSYBOX,
        _ => DEBIAN,
    }
}

pub fn useradd(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, USERADD)?;
    let mut user = new(AccountTool::Shadow, name(arguments.operand(command)?)?);
    for option in &arguments.options {
        match (option.name, &option.value) {
            ("gid", Some(value)) => user.group = Some(group(value)?),
            ("groups", Some(value)) => user.groups = groups(value)?,
            (_, value) => set(&mut user, option.name, value.as_ref())?,
        }
    }
    check(command, &arguments)?;
    Ok(vec![Operation::AddUser(user)])
}

pub fn adduser(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, ADDUSER)?;
    if let ([user, group], []) = (&*arguments.operands, &*arguments.options) {
        let group = added(AccountTool::Adduser, name(group)?);
        let member = Some(name(user)?);
        return Ok(vec![Operation::AddGroup(AddGroup { member, ..group })]);
    }
    let mut user = new(AccountTool::Adduser, name(arguments.operand(command)?)?);
    let mut known_by = SHADOW | DEBIAN | BUSYBOX;
    for option in &arguments.options {
        known_by &= programs(option);
        if known_by == 0 {
            return Err(option.field.refuse("is an option of another adduser than the options before it"));
        }
    }
    for option in &arguments.options {
        match (option.name, &option.value) {
            ("g" | "G", Some(_)) if known_by != SHADOW && known_by != BUSYBOX => {
                return Err(option.field.refuse("has another meaning in another adduser"));
            }
            ("g", Some(value)) if known_by == SHADOW => user.group = Some(group(value)?),
            ("g", Some(value)) => user.comment = Some(passwd_field(value)?),
            ("G", Some(value)) if known_by == SHADOW => user.groups = groups(value)?,
            ("G" | "ingroup", Some(value)) => user.group = Some(name(value)?),
            (_, value) => set(&mut user, option.name, value.as_ref())?,
        }
    }
    check(command, &arguments)?;
    Ok(vec![Operation::AddUser(user)])
}

fn new(tool: AccountTool, name: String) -> AddUser {
    AddUser {
        tool,
        name,
        uid: None,
        group: None,
        groups: Vec::new(),
        own_group: None,
        system: false,
        home: None,
        make_home: None,
        shell: None,
        comment: None,
        no_password: false,
    }
}

/// Sets what an option says that has one meaning.
fn set(user: &mut AddUser, option: &str, value: Option<&Field>) -> Attempt<()> {
    match (option, value) {
        ("uid", Some(value)) => user.uid = Some(number(value)?),
        ("home" | "home-dir" | "h", Some(value)) => user.home = Some(passwd_path(value)?),
        ("shell", Some(value)) => user.shell = Some(passwd_path(value)?),
        ("comment" | "gecos", Some(value)) => user.comment = Some(passwd_field(value)?),
        ("user-group" | "group", None) => user.own_group = Some(true),
        ("no-user-group", None) => user.own_group = Some(false),
        ("system" | "r" | "S", None) => user.system = true,
        ("create-home" | "m", None) => user.make_home = Some(true),
        ("no-create-home" | "M" | "H", None) => user.make_home = Some(false),
        ("disabled-password" | "disabled-login" | "D", None) => user.no_password = true,
        _ => {}
    }
    Ok(())
}

fn groups(value: &Field) -> Attempt<Vec<String>> {
    let part = |text: &str| group(&Field { text: text.to_owned(), ..value.clone() });
    value.plain()?.split(',').map(part).collect()
}

/// Refuses options that contradict each other, or that Debian's program refuses together.
fn check(command: &Command<'_>, arguments: &Arguments<'_>) -> Attempt<()> {
    let has = |names: &[&str]| names.iter().any(|name| arguments.has(name));
    let wrong = has(&["create-home"]) && has(&["no-create-home", "M", "H"])
        || has(&["user-group"]) && has(&["no-user-group", "gid", "g"])
        || has(&["group"]) && (has(&["ingroup"]) || !has(&["system"]));
    match wrong {
        true => Err(command.refuse("has options that contradict each other")),
        false => Ok(()),
    }
}
