//! `COPY` and `ADD`.

use super::types::{CopyLine, Inline};
use super::unparsed::Unparsed;
use crate::frontend::dockerfile::syntax::flags::{Table, Takes};
use crate::frontend::dockerfile::syntax::heredoc::parse as announced;
use crate::frontend::fault::{Fault, Parsed};

const COPY: &Table = &[
    ("from", Takes::Value),
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Switch),
    ("parents", Takes::Switch),
    ("exclude", Takes::Values),
];

const ADD: &Table = &[
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Switch),
    ("exclude", Takes::Values),
    ("checksum", Takes::Value),
    ("unpack", Takes::Switch),
    ("keep-git-dir", Takes::Switch),
];

pub(super) fn copy(unparsed: &Unparsed<'_>) -> Parsed<CopyLine> {
    let is_add = unparsed.keyword == "ADD";
    let flags = unparsed.flags(if is_add { ADD } else { COPY })?;
    if let Some(flag) = flags.value("keep-git-dir") {
        let fault = Fault::new(flag.at, "ADD of a git repository is not supported");
        return Err(fault.hint("clone it before the build, or ADD the archive that its host offers"));
    }
    let mut words = unparsed.list()?;
    let Some(to) = words.pop().filter(|_| !words.is_empty()) else {
        return Err(unparsed.fault(format!("{} requires a source and a destination", unparsed.keyword)));
    };
    let is_json = unparsed.json()?.is_some();
    if !is_json && announced(&to.text).is_some() {
        let fault = format!("{} has a here-document as its destination", unparsed.keyword);
        return Err(Fault::new(to.at, fault).hint("the last argument is the path in the image"));
    }
    let (inline, sources): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|word| !is_json && announced(&word.text).is_some());
    if inline.len() != unparsed.heredocs.len() {
        let fault = unparsed.fault(format!("{} has a here-document among other words", unparsed.keyword));
        return Err(fault.hint("write `<<NAME` as one word, without a blank after `<<` or in the name"));
    }
    let inline = inline.into_iter().zip(unparsed.heredocs).map(|(mut name, heredoc)| {
        name.text.clone_from(&heredoc.name);
        Inline { name, body: heredoc.stripped(), expand: heredoc.expand }
    });
    Ok(CopyLine {
        is_add,
        inline: inline.collect(),
        sources,
        to,
        from: flags.value("from").cloned(),
        chown: flags.value("chown").cloned(),
        chmod: flags.value("chmod").cloned(),
        checksum: flags.value("checksum").cloned(),
        exclude: flags.values("exclude").cloned().collect(),
        link: flags.switch("link").unwrap_or(false),
        parents: flags.switch("parents").unwrap_or(false),
        unpack: flags.switch("unpack"),
    })
}
