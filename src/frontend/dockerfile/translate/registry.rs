//! The commands that are translated. A new one is a row here and a function.

use super::command::{Command, Operations};
use super::context::Context;
use super::files::{access, find, install, links, make, output, remove, transfer};
use super::{accounts, cleaning, packages};

/// Translates one command.
pub(super) type Translator = fn(&Command<'_>, &Context<'_, '_>) -> Operations;

/// The translator of the command with this name.
pub(super) fn translator(name: &str) -> Option<Translator> {
    Some(match name {
        "mkdir" => make::mkdir,
        "rmdir" => remove::rmdir,
        "rm" => remove::rm,
        "cp" => transfer::cp,
        "mv" => transfer::mv,
        "ln" => links::ln,
        "chmod" => access::chmod,
        "chown" => access::chown,
        "chgrp" => access::chgrp,
        "touch" => make::touch,
        "install" => install::install,
        "echo" => output::echo,
        "printf" => output::printf,
        "cat" => output::cat,
        "ls" => output::ls,
        "true" | ":" => output::nothing,
        "find" => find::find,
        "useradd" => accounts::user::useradd,
        "adduser" => accounts::user::adduser,
        "groupadd" => accounts::group::groupadd,
        "addgroup" => accounts::group::addgroup,
        "yum" | "dnf" | "microdnf" => cleaning::dnf,
        "apt" | "apt-get" => cleaning::apt,
        "uv" => packages::uv::uv,
        "poetry" => packages::poetry::poetry,
        "pipenv" => packages::pipenv::pipenv,
        name if is_versioned(name, "pip") => packages::pip::pip,
        name if is_versioned(name, "python") => packages::pip::python,
        "npm" => packages::npm::npm,
        "yarn" => packages::yarn::yarn,
        "pnpm" => packages::pnpm::pnpm,
        _ => return None,
    })
}

/// Whether a name is this one, perhaps with a version: `pip3.12`.
fn is_versioned(name: &str, program: &str) -> bool {
    let version = name.strip_prefix(program);
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// Whether variables of its environment change what the command does.
pub(super) fn reads_variables(name: &str) -> bool {
    let is_python = is_versioned(name, "pip") || is_versioned(name, "python");
    is_python || matches!(name, "uv" | "poetry" | "pipenv" | "npm" | "yarn" | "pnpm")
}

/// Whether the output of the command may be known, so that it can be redirected into a file.
pub(super) fn has_known_output(name: &str) -> bool {
    matches!(name, "echo" | "printf" | "cat" | "true" | ":" | "uv" | "poetry" | "pipenv")
}

/// Why a command without a translator needs a process.
pub(super) fn reason(name: &str) -> &'static str {
    match name {
        "if" | "then" | "else" | "elif" | "fi" | "case" | "esac" | "for" | "while" | "until" | "do"
        | "done" | "select" | "in" | "time" | "function" | "coproc" | "{" | "}" | "!" => {
            "controls a shell that runs"
        }
        "[" | "[[" | "test" => "asks for something that is known only where the line runs",
        "eval" | "exec" | "source" | "." | "alias" | "unalias" | "trap" | "shopt" | "umask" | "unset"
        | "readonly" | "declare" | "typeset" | "local" | "read" | "exit" | "return" | "shift" | "wait"
        | "command" | "builtin" => "is a command of the shell that is not translated",
        _ => "is not a command that is translated",
    }
}
