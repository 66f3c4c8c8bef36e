//! `--secret`: values of the build that no layer, key or message has.

use std::path::Path;

use crate::cli::output::exit::Failure;

/// The largest secret in bytes, as of BuildKit.
const MAX: u64 = 500 << 10;

/// The forms of the flag.
const FORMS: &str = "write --secret id=ID,src=FILE or --secret id=ID,env=NAME";

/// The secrets of the flags: ids and values.
pub fn read(flags: &[String]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    flags.iter().map(|flag| one(flag)).collect()
}

/// The fields of one flag.
#[derive(Default)]
struct Fields<'f> {
    id: Option<&'f str>,
    kind: Option<&'f str>,
    source: Option<&'f str>,
    variable: Option<&'f str>,
}

fn one(flag: &str) -> Result<(String, Vec<u8>), Failure> {
    let mut fields = Fields::default();
    for field in flag.split(',') {
        let Some((key, value)) = field.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(Failure::usage(format!("--secret has a field without a value: `{field}`"), FORMS));
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "id" => fields.id = Some(value),
            "type" => fields.kind = Some(value),
            "src" | "source" => fields.source = Some(value),
            "env" => fields.variable = Some(value),
            // The value may be the secret itself.
            key => return Err(Failure::usage(format!("--secret has the unknown field `{key}`"), FORMS)),
        }
    }
    let Some(id) = fields.id else {
        return Err(Failure::usage("a --secret has no id", FORMS));
    };
    let value = match fields {
        Fields { kind: Some(kind), .. } if !matches!(kind, "file" | "env") => {
            return Err(Failure::usage(format!("--secret id={id}: unknown type `{kind}`"), FORMS));
        }
        Fields { source: Some(_), variable: Some(_), .. } => {
            return Err(Failure::usage(format!("--secret id={id} has both src and env"), FORMS));
        }
        Fields { variable: Some(name), .. } => variable(id, name)?,
        // docker build reads `type=env,src=NAME` as the name of a variable.
        Fields { kind: Some("env"), source, .. } => variable(id, source.unwrap_or(id))?,
        Fields { source: Some(path), .. } => file(id, Path::new(path))?,
        Fields { kind, .. } => match std::env::var_os(id).filter(|_| kind.is_none()) {
            Some(value) => value.into_encoded_bytes(),
            None => file(id, Path::new(id))?,
        },
    };
    Ok((id.to_owned(), value))
}

fn variable(id: &str, name: &str) -> Result<Vec<u8>, Failure> {
    let value = std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
    value.ok_or_else(|| {
        Failure::usage(
            format!("--secret id={id}: the variable {name} is not set"),
            "export it before the build",
        )
    })
}

fn file(id: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let what = || format!("the file {} of --secret id={id}", path.display());
    let failed = |source| Failure::Read { what: what(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX {
        let message = format!("{} has {size} bytes: a secret has {} KiB at most", what(), MAX >> 10);
        return Err(Failure::usage(message, "mount a directory instead: --mount=type=bind"));
    }
    std::fs::read(path).map_err(failed)
}
