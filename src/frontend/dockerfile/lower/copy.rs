//! `COPY` and `ADD`.

use super::plan::FilesFrom;
use super::stage::Lowering;
use crate::frontend::dockerfile::instruction::types::CopyLine;
use crate::frontend::dockerfile::paths::destination;
use crate::frontend::dockerfile::syntax::text::Word;
use crate::frontend::fault::{Fault, Parsed};
use crate::image::{Digest, paths};
use crate::recipe::{Add, Base, BuildContext, CopyFiles, CopySource, Source, Step};

/// Where the named paths of a `COPY` are.
enum Files {
    Context(BuildContext),
    Image(Base),
}

impl Lowering<'_, '_> {
    pub(super) fn copy(&mut self, line: &CopyLine, at: usize, text: &str) -> Parsed<()> {
        self.expander.spend(at, self.state.directory.len())?;
        let owner = line.chown.as_ref().map(|word| self.owner(word, line.link)).transpose()?;
        let mode = line.chmod.as_ref().map(|word| self.mode(word)).transpose()?;
        let files = self.files(line)?;
        let checksum = self.checksum(line)?;
        let mut sources = Vec::new();
        for word in &line.sources {
            sources.push(self.source(line, word, &files, checksum)?);
        }
        for inline in &line.inline {
            let content = match inline.expand {
                true => self.expander.body(&inline.body, inline.name.at, &self.state.scope)?,
                false => inline.body.clone(),
            };
            sources.push(CopySource::Inline { name: inline.name.text.clone(), content });
        }
        if checksum.is_some() && !matches!(*sources, [CopySource::Url { .. }]) {
            let fault = Fault::new(at, "--checksum is for exactly one source, which is a URL");
            return Err(fault.hint("use one ADD for each URL"));
        }
        self.warn_of_url(&sources, mode.as_ref(), at);
        let to = destination(&self.state.directory, &self.expander.word(&line.to, &self.state.scope)?);
        let exclude = line.exclude.iter().map(|word| word.text.clone()).collect();
        let (parents, link) = (line.parents, line.link);
        let origin = self.origin(at, text);
        let files = CopyFiles { sources, owner, mode, exclude, parents, link, origin };
        self.step(Step::Add(Add { source: Source::Copy(files), to: Some(to) }));
        Ok(())
    }

    fn files(&self, line: &CopyLine) -> Parsed<Files> {
        let Some(from) = &line.from else { return Ok(Files::Context(self.plan.arguments.context.clone())) };
        Ok(match self.plan.files_from(from, self.number)? {
            FilesFrom::Stage(number) => Files::Image(self.stage(number)),
            FilesFrom::Image(image) => Files::Image(image),
            FilesFrom::Context(context) => Files::Context(context),
        })
    }

    /// The stage by its number in the recipe.
    pub(super) fn stage(&self, number: usize) -> Base {
        match &self.above[number] {
            Some((number, _)) => Base::Stage(*number),
            None => unreachable!("a stage above that is needed is lowered"),
        }
    }

    fn source(
        &mut self,
        line: &CopyLine,
        word: &Word,
        files: &Files,
        checksum: Option<Digest>,
    ) -> Parsed<CopySource> {
        let keyword = if line.is_add { "ADD" } else { "COPY" };
        // Quotes do not protect a blank here, so a quote may be open at the end of a word.
        let path = self.expander.word(word, &self.state.scope).map_err(|fault| {
            match word.text.contains(['"', '\'']) {
                true => fault.hint(format!("write a name that has blanks as {keyword} [\"a b\", \"/to\"]")),
                false => fault,
            }
        })?;
        if path.is_empty() {
            let fault = Fault::new(word.at, format!("the source `{}` is empty", word.text));
            return Err(fault.hint("write `.` to copy the whole directory"));
        }
        if is_git(&path) {
            let fault = Fault::new(word.at, format!("{keyword} of a git repository is not supported"));
            return Err(fault.hint("clone it before the build, or ADD the archive that its host offers"));
        }
        if is_url(&path) {
            return match line.is_add {
                true => Ok(CopySource::Url { url: path, checksum, unpack: line.unpack.unwrap_or(false) }),
                false => Err(Fault::new(word.at, "COPY does not download").hint("use ADD for a URL")),
            };
        }
        if line.from.is_none() && leaves(&path) {
            let inside = paths::clean(&path);
            let inside = inside.trim_start_matches('/');
            let fault = Fault::new(
                word.at,
                format!("nothing outside the context can be copied: `{path}` is `{inside}` in it"),
            );
            self.expander
                .warnings
                .push("OutsideContext", fault.hint("pass the directory that has both as PATH"));
        }
        Ok(match files {
            Files::Context(context) => {
                let unpack = line.is_add && line.unpack.unwrap_or(true);
                CopySource::Context { context: context.clone(), path: relative(&path, line.parents), unpack }
            }
            Files::Image(image) => {
                CopySource::Image { image: image.clone(), path: absolute(&path, line.parents) }
            }
        })
    }

    fn owner(&mut self, word: &Word, link: bool) -> Parsed<String> {
        let owner = self.expander.word(word, &self.state.scope)?;
        let fault = |message: String| Err(Fault::new(word.at, message));
        if owner.is_empty() || owner.matches(':').count() > 1 || owner.contains('/') {
            return fault(format!("invalid owner `{owner}`"))
                .map_err(|fault| fault.hint("write USER or USER:GROUP"));
        }
        let number = |name: &str| name.bytes().all(|b| b.is_ascii_digit());
        if link && !owner.split(':').all(number) {
            let refused = fault(format!("--link cannot look up the name `{owner}` in the image"));
            return refused.map_err(|fault| fault.hint("write the numbers, or remove --link"));
        }
        Ok(owner)
    }

    fn mode(&mut self, word: &Word) -> Parsed<String> {
        let mode = self.expander.word(word, &self.state.scope)?;
        let valid = match mode.starts_with(|c: char| c.is_ascii_digit()) {
            true => u32::from_str_radix(&mode, 8).is_ok_and(|bits| bits <= 0o7777),
            false => is_symbolic(&mode),
        };
        match valid {
            true => Ok(mode),
            false => Err(Fault::new(word.at, format!("invalid mode `{mode}`"))
                .hint("write an octal number from 0 to 7777, or changes as of chmod: u=rwX,go=rX")),
        }
    }

    fn checksum(&mut self, line: &CopyLine) -> Parsed<Option<Digest>> {
        let Some(word) = &line.checksum else { return Ok(None) };
        let text = self.expander.word(word, &self.state.scope)?;
        let invalid = |_| {
            let fault = Fault::new(word.at, format!("invalid checksum `{text}`"));
            fault.hint("write sha256: and 64 hex digits")
        };
        text.parse().map(Some).map_err(invalid)
    }

    /// A downloaded file has the mode 0600, which Lambda's user cannot read.
    fn warn_of_url(&mut self, sources: &[CopySource], mode: Option<&String>, at: usize) {
        let kept = |source: &CopySource| matches!(source, CopySource::Url { unpack: false, .. });
        if mode.is_none() && sources.iter().any(kept) {
            let fault =
                Fault::new(at, "ADD gives a downloaded file the mode 0600, which Lambda's user cannot read");
            self.expander
                .warnings
                .push("UnreadableDownload", fault.hint("add --chmod=644, or --chmod=755 for a program"));
        }
    }
}

/// Whether a path leads above the directory that it is relative to.
fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    path.split('/').any(|part| match part {
        "" | "." => false,
        ".." if depth == 0 => true,
        ".." => {
            depth -= 1;
            false
        }
        _ => {
            depth += 1;
            false
        }
    })
}

/// The path in a context. It has no leading slash and no `..`, and keeps the `/./` that `--parents` looks for.
fn relative(path: &str, parents: bool) -> String {
    match absolute(path, parents).trim_start_matches('/') {
        "" => ".".to_owned(),
        path => path.to_owned(),
    }
}

fn absolute(path: &str, parents: bool) -> String {
    match path.split_once("/./").filter(|_| parents) {
        // A pivot at the start keeps the whole path, as if there were none.
        Some((before, kept)) if paths::clean(before) != "/" => {
            format!("{}/.{}", paths::clean(before), paths::clean(kept))
        }
        _ => paths::clean(path),
    }
}

fn is_url(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

fn is_git(path: &str) -> bool {
    let before = path.split(['#', '?']).next().unwrap_or_default();
    ["git://", "git@", "ssh://"].iter().any(|scheme| path.starts_with(scheme))
        || (is_url(path) && before.ends_with(".git"))
}

/// The changes of chmod: `[ugoa…][+-=][rwxXst…|u|g|o]`, several between commas.
fn is_symbolic(mode: &str) -> bool {
    let clause = |clause: &str| {
        let actions = clause.trim_start_matches(['u', 'g', 'o', 'a']);
        let mut parts = actions.split(['+', '-', '=']);
        let starts_with_operator = parts.next() == Some("");
        let permissions =
            |text: &str| matches!(text, "u" | "g" | "o") || text.chars().all(|c| "rwxXst".contains(c));
        starts_with_operator && actions.contains(['+', '-', '=']) && parts.all(permissions)
    };
    mode.split(',').all(clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_modes_are_known() {
        for mode in ["u=rwX,go=rX", "go=u", "a-w", "+x", "u+x-w", "=", "g=s,+t"] {
            assert!(is_symbolic(mode), "rule 106: {mode}");
        }
        for mode in ["", "null", "u", "x+r", "u+y", "u=rw,", "64a"] {
            assert!(!is_symbolic(mode), "rule 106: {mode}");
        }
    }

    #[test]
    fn sources_are_cleaned() {
        for (rule, path, parents, expected) in [
            (88, "/a", false, "a"),
            (88, "../../a", false, "a"),
            (77, "dir/.", false, "dir"),
            (77, "dir/", false, "dir"),
            (77, "./", false, "."),
            (109, "a/./b/c", true, "a/./b/c"),
            (109, "a/./b/./c/.", true, "a/./b/c"),
            (109, "./a/b", true, "a/b"),
            (109, "a/./b", false, "a/b"),
        ] {
            assert_eq!(relative(path, parents), expected, "rule {rule}: {path}");
        }
    }

    #[test]
    fn git_repositories_are_recognised() {
        for path in ["https://h/r.git", "https://h/r.git#main:dir", "git@h:r", "git://h/r", "ssh://h/r"] {
            assert!(is_git(path), "rule 119: {path}");
        }
        for path in ["https://h/x", "a.git", "https://h/r.git/x"] {
            assert!(!is_git(path), "rule 119: {path}");
        }
    }
}
