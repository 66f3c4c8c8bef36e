//! The instructions, with their words as they are written.

use crate::frontend::dockerfile::syntax::text::{Places, Word};

/// An instruction and the offset of its keyword.
#[derive(Clone, Debug)]
pub(in crate::frontend) struct Located {
    pub at: usize,
    pub instruction: Instruction,
}

#[derive(Clone, Debug)]
pub(in crate::frontend) enum Instruction {
    From(BaseLine),
    Arg(Vec<Argument>),
    Env(Vec<Pair>),
    Label(Vec<Pair>),
    Copy(Box<CopyLine>),
    Run(RunLine),
    Cmd(CommandLine),
    Entrypoint(CommandLine),
    Shell(Vec<String>),
    Workdir(Word),
    User(Word),
    Expose(Vec<Word>),
    Volume(Vec<Word>),
    StopSignal(Word),
    /// The value of the config's `Healthcheck`.
    Healthcheck(serde_json::Value),
    Maintainer(String),
    /// The text of the trigger.
    Onbuild(String),
}

#[derive(Clone, Debug)]
pub(in crate::frontend) struct BaseLine {
    pub image: Word,
    pub platform: Option<Word>,
    /// In lower case.
    pub name: Option<Word>,
}

#[derive(Clone, Debug)]
pub(in crate::frontend) struct Argument {
    pub name: Word,
    pub default: Option<Word>,
}

#[derive(Clone, Debug)]
pub(in crate::frontend) struct Pair {
    pub key: Word,
    pub value: Word,
    /// `KEY VALUE`, without `=`.
    pub old_form: bool,
}

/// `COPY` and `ADD`.
#[derive(Clone, Debug)]
pub(in crate::frontend) struct CopyLine {
    pub is_add: bool,
    pub sources: Vec<Word>,
    /// The here-documents among the sources; they are copied after the others.
    pub inline: Vec<Inline>,
    pub to: Word,
    pub from: Option<Word>,
    pub chown: Option<Word>,
    pub chmod: Option<Word>,
    pub checksum: Option<Word>,
    pub exclude: Vec<Word>,
    pub link: bool,
    pub parents: bool,
    pub unpack: Option<bool>,
}

#[derive(Clone, Debug)]
pub(in crate::frontend) struct Inline {
    pub name: Word,
    pub body: String,
    /// Whether the body has variables.
    pub expand: bool,
}

/// The arguments of `CMD` and `ENTRYPOINT`.
#[derive(Clone, Debug)]
pub(in crate::frontend) enum CommandLine {
    /// A JSON array.
    Exec(Vec<String>),
    /// A text for the shell.
    Shell(String),
}

#[derive(Clone, Debug)]
pub(in crate::frontend) struct RunLine {
    pub command: RunCommand,
    /// Where the command's text stands.
    pub places: Places,
    pub mounts: Vec<MountText>,
    pub network: Option<Word>,
}

#[derive(Clone, Debug)]
pub(in crate::frontend) enum RunCommand {
    Exec(Vec<String>),
    Shell(String),
    /// A here-document that begins with `#!`.
    Script {
        name: String,
        content: String,
    },
}

/// `--mount`: keys in lower case, values not yet expanded.
#[derive(Clone, Debug)]
pub(in crate::frontend) struct MountText {
    pub at: usize,
    pub fields: Vec<(String, Option<String>)>,
}

impl MountText {
    /// The value of `from`, in which BuildKit does not expand variables.
    pub fn from(&self) -> Option<&str> {
        self.fields.iter().rev().find(|(key, _)| key == "from").and_then(|(_, value)| value.as_deref())
    }
}
