//! `docker images`: the images of the local store.

use lbuild::LocalImage;
use lbuild::image::Reference;
use serde_json::{Value, json};

use super::args::Images;
use super::names::{familiar_repository, fits};
use super::{engine, template};
use crate::cli::context::Context;
use crate::cli::output::exit::Failure;
use crate::cli::output::human::bytes;
use crate::cli::output::report::print_exact;

/// What Docker prints for a missing name.
const NONE: &str = "<none>";

/// Prints a line for each name of each image.
pub fn run(args: &Images, context: &Context) -> Result<(), Failure> {
    let rows = rows(args, &engine::new(context)?.images().list()?)?;
    let mut out = String::new();
    match args.format.as_deref() {
        _ if args.quiet => {
            let mut ids: Vec<_> = rows.iter().map(|row| text(row, "ID")).collect();
            ids.dedup();
            ids.iter().for_each(|id| out += &format!("{id}\n"));
        }
        Some("json") => rows.iter().for_each(|row| out += &format!("{row}\n")),
        Some(format) => {
            // Some tools ask for a table.
            let format = format.strip_prefix("table ").unwrap_or(format).replace("\\t", "\t");
            for row in &rows {
                out += &format!("{}\n", template::filled(&format, row)?);
            }
        }
        None => out = table(&rows, args.digests),
    }
    print_exact(&out)
}

fn rows(args: &Images, images: &[LocalImage]) -> Result<Vec<Value>, Failure> {
    let (mut references, mut dangling) = (Vec::new(), None);
    for filter in &args.filter {
        match filter.split_once('=') {
            Some(("reference", pattern)) => references.push(pattern),
            Some(("dangling", value)) => dangling = Some(matches!(value, "true" | "1")),
            _ => {
                let message = format!("lbuild does not know the filter `{filter}`");
                return Err(super::refused::asked(message, "it knows reference=PATTERN and dangling=true"));
            }
        }
    }
    let is_pattern = |name: &&String| name.contains(['*', '?']);
    let pattern = args.repository.as_ref().filter(is_pattern);
    let wanted = args.repository.as_ref().filter(|name| !is_pattern(name));
    let wanted = wanted.map(|name| name.parse::<Reference>()).transpose()?;
    let last = |name: &String| name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let has_tag = args.repository.as_ref().is_some_and(last);
    let is_wanted = |name: &Reference| {
        let repository = wanted.as_ref().is_none_or(|wanted| {
            wanted.repository_name() == name.repository_name() && (!has_tag || wanted.tag() == name.tag())
        });
        let fitting = pattern.is_none_or(|pattern| fits(pattern, name));
        repository
            && fitting
            && (references.is_empty() || references.iter().any(|pattern| fits(pattern, name)))
    };
    let mut rows = Vec::new();
    for image in images {
        if dangling != Some(true) {
            let names = image.names.iter().filter(|name| is_wanted(name));
            rows.extend(names.map(|name| row(image, Some(name), args.no_trunc)));
        }
        let is_listed = image.names.is_empty() && args.repository.is_none() && references.is_empty();
        if is_listed && dangling != Some(false) {
            rows.push(row(image, None, args.no_trunc));
        }
    }
    Ok(rows)
}

fn row(image: &LocalImage, name: Option<&Reference>, whole: bool) -> Value {
    let id = image.id();
    let id = if whole { id.to_string() } else { id.hex()[..12].to_owned() };
    let repository = name.map_or(NONE.to_owned(), familiar_repository);
    let digest = image
        .digests
        .iter()
        .find(|digest| Some(familiar_repository(digest)) == name.map(familiar_repository));
    let digest = digest.and_then(Reference::digest).map_or(NONE.to_owned(), |digest| digest.to_string());
    let created = image.image().config().created().unwrap_or_default();
    let size: u64 = image.image().layers().iter().map(|layer| layer.blob.size).sum();
    json!({
        "ID": id,
        "Repository": repository,
        "Tag": name.and_then(Reference::tag).unwrap_or(NONE),
        "Digest": digest,
        "CreatedAt": created,
        "CreatedSince": created.split('T').next().unwrap_or_default(),
        "Size": bytes(size),
    })
}

fn text<'r>(row: &'r Value, field: &str) -> &'r str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The rows below headings, each column as wide as its widest text.
fn table(rows: &[Value], digests: bool) -> String {
    let columns = [
        ("REPOSITORY", "Repository"),
        ("TAG", "Tag"),
        ("DIGEST", "Digest"),
        ("IMAGE ID", "ID"),
        ("CREATED", "CreatedSince"),
        ("SIZE", "Size"),
    ];
    let columns = columns.iter().filter(|(_, field)| digests || *field != "Digest");
    let columns: Vec<_> = columns
        .map(|(heading, field)| {
            let width = rows.iter().map(|row| text(row, field).len()).chain([heading.len()]).max();
            (heading, field, width.unwrap_or_default())
        })
        .collect();
    let line = |cell: &dyn Fn(&str, &str) -> String| {
        let cells = columns.iter().map(|(heading, field, width)| format!("{:width$}", cell(heading, field)));
        format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
    };
    let mut out = line(&|heading, _| heading.to_owned());
    for row in rows {
        out += &line(&|_, field| text(row, field).to_owned());
    }
    out
}
