//! What the command of a `RUN` line does to the image, for a command that needs no process.

use serde::{Deserialize, Serialize};

use super::install::{NodeInstall, PythonInstall};
use super::lock::LockExport;
use super::pathname::Pathname;

/// The commands of a line, as its shell joins them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Translation {
    /// Chains of commands. In a chain, a command runs only if the one before it succeeds (`&&`). A chain begins whatever
    /// the one before it gave (`;`, a new line); the line has the result of the last one.
    pub chains: Vec<Vec<Translated>>,
    /// Whether the failure of a chain's last command ends the line (`set -e`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub errexit: bool,
    /// Whether the line must not run as a command if packages cannot be installed without a process: that is excluded, or a
    /// tool that the command needs was left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The numbers of the mounts whose files the commands read. Files of the others are not needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<usize>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Translated {
    /// The command with its variables replaced, quoted as a shell reads it: for messages.
    pub text: String,
    /// The absolute directory that it runs in. After `cd ..` it may end in `..`, which leads to the directory above the
    /// one that a link leads to.
    pub directory: String,
    /// What it does.
    pub operation: Operation,
}

/// Why a command has no translation: ``format!("`{word}` {reason}")``.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Untranslated {
    /// The word that stops the translation, or its beginning.
    pub word: String,
    /// The reason, as a predicate of the word.
    pub reason: String,
}

/// What a command does to the files of the image. Names follow POSIX and the GNU options that the commands have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "a line has few commands")]
pub enum Operation {
    /// Nothing, successfully: `true`, `echo` without a redirection.
    Nothing,
    /// Nothing, if the files exist: `ls`, `cat` without a redirection.
    Look {
        /// The files.
        paths: Vec<Pathname>,
    },
    /// Nothing, if this is a directory: `cd`. Later commands have it as their directory already.
    Enter {
        /// The directory.
        path: Pathname,
    },
    /// `mkdir`
    MakeDirectories {
        /// The directories.
        paths: Vec<Pathname>,
        /// `-p`: with the directories above, and no failure if it exists.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        parents: bool,
        /// `-m`: the mode of the directories themselves, octal or symbolic.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<String>,
    },
    /// `rmdir`
    RemoveDirectories {
        /// The directories.
        paths: Vec<Pathname>,
        /// `-p`: with the directories above that the path names.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        parents: bool,
    },
    /// `rm`
    Remove {
        /// The files.
        paths: Vec<Pathname>,
        /// `-r`: directories with their content.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
        /// `-f`: no failure if a file does not exist.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// `cp`
    Copy(Transfer),
    /// `mv`
    Move(Transfer),
    /// `ln`
    Link {
        /// What the links name. Of a symbolic link the text is kept as it is.
        targets: Vec<Pathname>,
        /// The link, or the directory for the links. `None`: the command's directory.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Pathname>,
        /// `-t` and `-T`.
        #[serde(default, skip_serializing_if = "IntoDirectory::is_guessed")]
        into: IntoDirectory,
        /// `-s`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        symbolic: bool,
        /// `-f`: replaces an existing file.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// `-n`: a link to a directory at the link's path is replaced, rather than entered.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_dereference: bool,
    },
    /// `chmod`. Links are followed if the command names them, and skipped below a directory.
    SetMode {
        /// The files.
        paths: Vec<Pathname>,
        /// Octal or symbolic, as of chmod, with umask 022.
        mode: String,
        /// `-R`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
    },
    /// `chown`, `chgrp`
    SetOwner {
        /// The files.
        paths: Vec<Pathname>,
        /// The user: a number, or a name in the image's `/etc/passwd`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The group: a number, or a name in the image's `/etc/group`. Empty: the user's login group (`chown user:`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        /// `-R`. Links below a directory are changed themselves.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
        /// `-h`: a link is changed itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        no_dereference: bool,
    },
    /// `touch`
    Touch {
        /// The files.
        paths: Vec<Pathname>,
        /// Whether a missing file is made (not with `-c`).
        create: bool,
    },
    /// `echo`, `printf` or `cat`, redirected into a file.
    Write {
        /// The file.
        path: Pathname,
        /// `>>`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        append: bool,
        /// What is written, in order.
        content: Vec<Piece>,
    },
    /// `find` with `-delete` or `-exec chmod|rm`.
    Find(Find),
    /// `useradd`, `adduser`
    AddUser(AddUser),
    /// `groupadd`, `addgroup`
    AddGroup(AddGroup),
    /// `uv export`, `poetry export`, `pipenv requirements`
    ExportLock(LockExport),
    /// `pip install`, `uv sync`, `poetry install`, `pipenv install`
    InstallPython(PythonInstall),
    /// Writes a file of settings, with the directories above it: `poetry config`.
    WriteSettings {
        /// The file.
        path: Pathname,
        /// All of its content.
        content: String,
    },
    /// Nothing: an install of tools that translated lines do not need, such as `pip install --upgrade pip`.
    OmitTools {
        /// The packages.
        packages: Vec<String>,
    },
    /// `npm ci`
    InstallNode(NodeInstall),
}

/// The files of a `cp` or `mv`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Transfer {
    /// The sources.
    pub sources: Vec<Pathname>,
    /// The target: a path, or a directory.
    pub to: Pathname,
    /// `-t` and `-T`.
    #[serde(default, skip_serializing_if = "IntoDirectory::is_guessed")]
    pub into: IntoDirectory,
    /// `cp -r`: directories with their content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
    /// `cp -p`, `-a`: mode and owner are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preserve: bool,
    /// `cp -a`, `-d`: hard links between the copied files are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preserve_links: bool,
    /// Which links are copied as the files that they lead to.
    #[serde(default)]
    pub follow: Follow,
    /// `-n`: an existing file stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_clobber: bool,
    /// `cp -f`, `mv -f`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// Which symbolic links a command follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Follow {
    /// All (`-L`; of `cp` without `-r`).
    #[default]
    All,
    /// Those that the command names (`-H`).
    Named,
    /// None (`-P`; of `cp -r` and `cp -a`).
    Nothing,
}

/// Whether files go into the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntoDirectory {
    /// If it is a directory in the image.
    #[default]
    Guessed,
    /// They do (`-t`).
    Always,
    /// They do not (`-T`).
    Never,
}

impl IntoDirectory {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_guessed(&self) -> bool {
        *self == IntoDirectory::Guessed
    }
}

/// A part of what is written into a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Piece {
    /// This text.
    Text(String),
    /// The content of a file of the image.
    File(Pathname),
}

/// A `find`, whose tests all must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Find {
    /// Where it starts.
    pub roots: Vec<Pathname>,
    /// `-mindepth`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_depth: Option<usize>,
    /// `-maxdepth`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<usize>,
    /// The tests, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<FindTest>,
    /// What is done with each file that is found.
    pub action: FindAction,
}

/// A test of [`Find`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FindTest {
    /// `!`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not: bool,
    /// The test itself.
    pub is: FindIs,
}

/// What a [`FindTest`] asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindIs {
    /// `-name`: a pattern for the last part of the path.
    Name(String),
    /// `-iname`: the same, for any case of ASCII letters.
    AnyCaseName(String),
    /// `-path`: a pattern for the path as find prints it, in which `*` stands for slashes too.
    Path(String),
    /// `-type f`
    File,
    /// `-type d`
    Directory,
    /// `-type l`
    Link,
    /// `-empty`
    Empty,
    /// Tests of which one must hold (`\( … -o … \)`).
    Any(Vec<FindTest>),
}

/// What [`Find`] does with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindAction {
    /// Nothing: it prints the path.
    Print,
    /// `-delete`: the contents of a directory are tested first.
    Delete,
    /// `-exec rm {} \;` and `+`.
    #[serde(rename_all = "kebab-case")]
    Remove {
        /// `-r`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
        /// `-f`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
        /// `\;`: a program for each file, whose failure is not that of find.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        each: bool,
    },
    /// `-exec chmod MODE {} \;` and `+`.
    #[serde(rename_all = "kebab-case")]
    SetMode {
        /// Octal or symbolic.
        mode: String,
        /// `-R`
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        recursive: bool,
        /// `\;`: a program for each file, whose failure is not that of find.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        each: bool,
    },
}

/// The program whose defaults decide, for what two programs of one name do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountTool {
    /// `useradd`, `groupadd` of shadow-utils.
    Shadow,
    /// `adduser`, `addgroup`: Debian's, busybox's, or a link to shadow-utils, as the image has it.
    Adduser,
}

/// A new user: lines in `/etc/passwd`, `/etc/group` and `/etc/shadow`, and perhaps a home directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddUser {
    /// The program.
    pub tool: AccountTool,
    /// The user's name.
    pub name: String,
    /// The user's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The login group, by number or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Further groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Whether a group of the user's name is made (`-U`, `-N`); `None`: as the program does by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_group: Option<bool>,
    /// Whether it is a system account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// The home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Whether the home directory is made; `None`: as the program does by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make_home: Option<bool>,
    /// The login shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// The comment (GECOS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether logging in with a password is switched off (`adduser -D`, `--disabled-password`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_password: bool,
}

/// A new group: lines in `/etc/group` and `/etc/gshadow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AddGroup {
    /// The program.
    pub tool: AccountTool,
    /// The group's name.
    pub name: String,
    /// The group's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Whether it is a system group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// `-f`: no failure if the group exists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// A user who is added to an existing group (`addgroup USER GROUP`, `adduser USER GROUP`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}
