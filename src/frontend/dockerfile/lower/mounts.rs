//! `RUN --mount`.

use super::plan::FilesFrom;
use super::stage::Lowering;
use crate::frontend::dockerfile::instruction::types::MountText;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed, did_you_mean};
use crate::image::paths;
use crate::recipe::{Access, Mount, MountFrom, Sharing};

const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];

/// The keys that each kind of mount takes besides `type` and `target`.
fn keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "bind" => &["from", "source", "readonly"],
        "cache" => &["from", "source", "readonly", "id", "sharing", "mode", "uid", "gid"],
        "tmpfs" => &["size", "readonly"],
        "secret" => &["source", "id", "required", "mode", "uid", "gid", "env", "readonly"],
        _ => &["id", "required", "mode", "uid", "gid", "readonly"],
    }
}

/// The values of a mount's keys.
#[derive(Default)]
struct Fields {
    at: usize,
    kind: Option<String>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<Sharing>,
    required: bool,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
}

impl Lowering<'_, '_> {
    pub(super) fn mount(&mut self, text: &MountText) -> Parsed<Mount> {
        let fields = self.fields(text)?;
        let fault = |message: &str| Err(Fault::new(text.at, message));
        Ok(match fields.kind.as_deref().unwrap_or("bind") {
            "bind" => Mount::Bind {
                target: self.target(&fields)?,
                from: match &fields.from {
                    Some(from) => self.mount_from(from, text.at)?,
                    None => MountFrom::Context(self.plan.arguments.context.clone()),
                },
                source: paths::clean(fields.source.as_deref().unwrap_or_default()),
                writable: fields.read_only == Some(false),
            },
            "cache" => self.cache(fields)?,
            "tmpfs" => {
                Mount::Tmpfs { target: self.target(&fields)?, size: fields.size.filter(|size| *size > 0) }
            }
            "secret" => match (&fields.source, &fields.id, &fields.target) {
                (Some(_), Some(_), _) => fault("a secret has an id or a source, not both")?,
                (None, None, None) => fault("a secret needs an id or a target")?,
                _ => self.secret(fields),
            },
            _ => Mount::Ssh {
                access: fields.access(0o600),
                target: fields.target.map(|target| paths::resolve(&self.state.directory, &target)),
                required: fields.required,
                id: fields.id.unwrap_or_else(|| "default".to_owned()),
            },
        })
    }

    fn cache(&self, fields: Fields) -> Parsed<Mount> {
        let access = fields.mode.or(fields.uid).or(fields.gid).map(|_| fields.access(0o755));
        let source = paths::clean(fields.source.as_deref().unwrap_or_default());
        let from = match &fields.from {
            Some(from) => Some((self.mount_from(from, fields.at)?, source)),
            None => None,
        };
        Ok(Mount::Cache {
            target: self.target(&fields)?,
            // The identity is the target as written, wherever the command runs.
            id: fields.id.unwrap_or_else(|| clean_id(fields.target.as_deref().unwrap_or_default())),
            sharing: fields.sharing.unwrap_or_default(),
            from,
            access,
            read_only: fields.read_only == Some(true),
        })
    }

    fn secret(&self, fields: Fields) -> Mount {
        let access = fields.access(0o400);
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let id = fields.source.or(fields.id).or(fields.target.as_deref().map(last)).unwrap_or_default();
        let target = match (fields.target, &fields.env) {
            (Some(target), _) => Some(paths::resolve(&self.state.directory, &target)),
            (None, None) => Some(format!("/run/secrets/{}", last(&id))),
            (None, Some(_)) => None,
        };
        Mount::Secret { id, target, env: fields.env, required: fields.required, access }
    }

    fn target(&self, fields: &Fields) -> Parsed<String> {
        let target = fields.target.as_deref().unwrap_or_default();
        match paths::resolve(&self.state.directory, target) {
            _ if target.is_empty() => {
                Err(Fault::new(fields.at, "the mount has no target").hint("write target=PATH"))
            }
            path if path == "/" => Err(Fault::new(fields.at, "a mount cannot have the target `/`")),
            path => Ok(path),
        }
    }

    fn mount_from(&self, from: &str, at: usize) -> Parsed<MountFrom> {
        let from = Word { text: from.to_owned(), at };
        Ok(match self.plan.files_from(&from, self.number)? {
            FilesFrom::Stage(number) => MountFrom::Image(self.stage(number)),
            FilesFrom::Image(image) => MountFrom::Image(image),
            FilesFrom::Context(context) => MountFrom::Context(context),
        })
    }

    fn fields(&mut self, text: &MountText) -> Parsed<Fields> {
        let mut fields = Fields { at: text.at, ..Fields::default() };
        let mut keys_found: Vec<&str> = Vec::new();
        for (key, value) in &text.fields {
            let value = match value {
                Some(value) if key == "from" => Some(value.clone()),
                Some(value) => {
                    let word = Word { text: value.clone(), at: text.at };
                    Some(self.expander.word(&word, &self.state.scope)?)
                }
                None => None,
            };
            let key = canonical(key);
            keys_found.push(key);
            fields.set(key, value)?;
        }
        let kind = fields.kind.as_deref().unwrap_or("bind");
        let allowed =
            |key: &&&str| matches!(**key, "type" | "target") || keys(kind).contains(&canonical_switch(key));
        if let Some(wrong) = keys_found.iter().find(|key| !allowed(key)) {
            let fault = Fault::new(text.at, format!("a mount of type {kind} has no `{wrong}`"));
            return Err(fault.hint(format!("its keys are target, {}", keys(kind).join(", "))));
        }
        Ok(fields)
    }
}

/// The first of the names of a key.
fn canonical(key: &str) -> &str {
    match key {
        "src" => "source",
        "dst" | "destination" => "target",
        "ro" => "readonly",
        "rw" => "readwrite",
        key => key,
    }
}

fn canonical_switch<'k>(key: &&'k str) -> &'k str {
    if *key == "readwrite" { "readonly" } else { key }
}

fn clean_id(target: &str) -> String {
    let cleaned = paths::clean(target);
    if target.starts_with('/') { cleaned } else { cleaned.trim_start_matches('/').to_owned() }
}

impl Fields {
    fn set(&mut self, key: &str, value: Option<String>) -> Parsed<()> {
        let at = self.at;
        let text = value.clone().unwrap_or_default();
        let invalid = || Fault::new(at, format!("invalid value `{text}` of `{key}` in --mount"));
        let number = |radix| u32::from_str_radix(&text, radix).map_err(|_| invalid());
        let switch = || match &*text.to_ascii_lowercase() {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            "" if value.is_none() => Ok(true),
            _ => Err(invalid()),
        };
        match key {
            "type" => match KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(&text)) {
                Some(kind) => self.kind = Some(kind.to_owned()),
                None => {
                    let hint = did_you_mean(&text, KINDS)
                        .unwrap_or_else(|| format!("the types are {}", KINDS.join(", ")));
                    return Err(Fault::new(at, format!("unknown type `{text}` of --mount")).hint(hint));
                }
            },
            "from" => self.from = value.filter(|from| !from.is_empty()),
            "source" => self.source = value,
            "target" => self.target = value,
            "readonly" => self.read_only = Some(switch()?),
            "readwrite" => self.read_only = Some(!switch()?),
            "id" => self.id = value.filter(|id| !id.is_empty()),
            "sharing" => {
                self.sharing = Some(match &*text.to_ascii_lowercase() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => return Err(invalid().hint("it is shared, private or locked")),
                });
            }
            "required" => self.required = switch()?,
            "size" => self.size = Some(bytes(&text).ok_or_else(invalid)?),
            "mode" => self.mode = Some(number(8)?),
            "uid" => self.uid = Some(number(10)?),
            "gid" => self.gid = Some(number(10)?),
            _ => self.env = value.filter(|name| !name.is_empty()),
        }
        Ok(())
    }

    fn access(&self, mode: u32) -> Access {
        Access { mode: self.mode.unwrap_or(mode), uid: self.uid.unwrap_or(0), gid: self.gid.unwrap_or(0) }
    }
}

/// A number of bytes with a binary unit: `64m`, `1GiB`.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match lower[number.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}
