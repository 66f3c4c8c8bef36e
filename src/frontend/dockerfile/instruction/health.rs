//! `HEALTHCHECK`.

use serde_json::{Map, Value, json};

use super::unparsed::Unparsed;
use crate::frontend::dockerfile::syntax::flags::{Table, Takes};
use crate::frontend::dockerfile::syntax::split;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed};

const FLAGS: &Table = &[
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

/// The flags that are durations, with their fields in the config.
const DURATIONS: [(&str, &str); 4] = [
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("start-period", "StartPeriod"),
    ("start-interval", "StartInterval"),
];

const NANOSECONDS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// The config's `Healthcheck`, with durations in nanoseconds.
pub(super) fn healthcheck(unparsed: &Unparsed<'_>) -> Parsed<Value> {
    let (kind, rest) = split::keyword(unparsed.rest);
    match &*kind.text.to_ascii_uppercase() {
        "NONE" if rest.text.is_empty() => {
            unparsed.flags(&[])?;
            Ok(json!({ "Test": ["NONE"] }))
        }
        "NONE" => Err(Fault::new(rest.at(0), "HEALTHCHECK NONE has no arguments")),
        "CMD" => {
            let flags = unparsed.flags(FLAGS)?;
            // BuildKit runs such a text, which no shell can.
            if rest.text.starts_with("--") {
                let fault = Fault::new(rest.at(0), "a flag of HEALTHCHECK stands after CMD");
                return Err(fault.hint("write it before CMD"));
            }
            let mut fields = Map::new();
            fields.insert("Test".into(), test(unparsed, rest.text)?);
            for (flag, field) in DURATIONS {
                if let Some(nanoseconds) =
                    flags.value(flag).map(duration).transpose()?.filter(|&time| time > 0)
                {
                    fields.insert(field.into(), json!(nanoseconds));
                }
            }
            if let Some(word) = flags.value("retries") {
                let retries: u32 = word
                    .text
                    .parse()
                    .map_err(|_| Fault::new(word.at, format!("invalid number of retries `{}`", word.text)))?;
                if retries > 0 {
                    fields.insert("Retries".into(), json!(retries));
                }
            }
            Ok(Value::Object(fields))
        }
        "" => Err(unparsed.fault("HEALTHCHECK requires CMD or NONE")),
        _ => Err(Fault::new(kind.at(0), format!("HEALTHCHECK requires CMD or NONE, not `{}`", kind.text))),
    }
}

fn test(unparsed: &Unparsed<'_>, text: &str) -> Parsed<Value> {
    let command = Unparsed { flags: Vec::new(), rest: split::keyword(unparsed.rest).1, ..*unparsed };
    match command.json()? {
        Some(words) if !words.is_empty() => {
            Ok(json!(["CMD"].into_iter().map(str::to_owned).chain(words).collect::<Vec<_>>()))
        }
        None if !text.is_empty() => Ok(json!(["CMD-SHELL", text])),
        _ => Err(unparsed.fault("HEALTHCHECK CMD requires a command")),
    }
}

/// A duration as Go writes it, for example `1m30s`.
fn duration(word: &Word) -> Parsed<u64> {
    let invalid = || {
        let fault = Fault::new(word.at, format!("invalid duration `{}`", word.text));
        fault.hint("write it as 30s, 1m30s or 500ms; at least 1ms")
    };
    let mut rest = &*word.text;
    let mut total = 0.0;
    while !rest.is_empty() && rest != "0" {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, factor) = NANOSECONDS.iter().find(|(name, _)| *name == &rest[..unit]).ok_or_else(invalid)?;
        total += number * factor;
        rest = &rest[unit..];
        if rest == "0" {
            return Err(invalid());
        }
    }
    // A number of nanoseconds above the largest of Go's durations has no meaning.
    if total != 0.0 && !(1e6..9.2e18).contains(&total) {
        return Err(invalid());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok(total.round() as u64)
}
