//! `groupadd`, `addgroup`.

use super::super::command::{Command, Operations};
use super::super::context::Context;
use super::super::options::{Arguments, Known, Takes, parse};
use super::name::{name, number};
use crate::recipe::{AccountTool, AddGroup, Operation};

const GROUPADD: &[Known] =
    &[(&["gid", "g"], Takes::Value), (&["system", "r"], Takes::Nothing), (&["force", "f"], Takes::Nothing)];

/// `-g` and `-S` are busybox's; the long ones Debian's and busybox's.
const ADDGROUP: &[Known] =
    &[(&["gid", "g"], Takes::Value), (&["system", "S"], Takes::Nothing), (&["quiet"], Takes::Nothing)];

pub fn groupadd(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, GROUPADD)?;
    let group = added(AccountTool::Shadow, name(arguments.operand(command)?)?);
    options(&arguments, group)
}

pub fn addgroup(command: &Command<'_>, _: &Context<'_, '_>) -> Operations {
    let arguments = parse(command, ADDGROUP)?;
    match &*arguments.operands {
        [user, group] if arguments.options.is_empty() => {
            let member = Some(name(user)?);
            let group = AddGroup { member, ..added(AccountTool::Adduser, name(group)?) };
            Ok(vec![Operation::AddGroup(group)])
        }
        _ => {
            let group = added(AccountTool::Adduser, name(arguments.operand(command)?)?);
            options(&arguments, group)
        }
    }
}

/// The membership of a user in a group, as `adduser USER GROUP` adds it.
pub fn added(tool: AccountTool, name: String) -> AddGroup {
    AddGroup { tool, name, gid: None, system: false, force: false, member: None }
}

fn options(arguments: &Arguments<'_>, group: AddGroup) -> Operations {
    Ok(vec![Operation::AddGroup(AddGroup {
        gid: arguments.value("gid").map(number).transpose()?,
        system: arguments.has("system"),
        force: arguments.has("force"),
        ..group
    })])
}
