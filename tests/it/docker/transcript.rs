//! Transcripts: calls with their output and exit codes, compared with `testdata/docker/NAME.txt`. `UPDATE_GOLDEN=1`
//! rewrites them.

use super::DockerUser;
use crate::support::lbuild::RunOutput;
use crate::support::testdata;
use std::fs;

/// Calls and what they print.
pub struct Transcript<'u> {
    docker: &'u DockerUser,
    text: String,
    /// Texts that differ in each run, and the words for them.
    words: Vec<(String, String)>,
    /// The hexadecimal digits of the digests, in the order in which they were printed.
    digests: Vec<String>,
}

/// The first words of lines about events, in the order in which a transcript has them: some happen at the same time.
const EVENTS: [&str; 6] = ["base ", "layer ", "sent ", "mounted ", "exists ", "pushed "];

impl<'u> Transcript<'u> {
    pub fn of(docker: &'u DockerUser) -> Transcript<'u> {
        let (host, dir) = (docker.registry.host(), docker.user.text(""));
        let dir = dir.trim_end_matches('/').to_owned();
        let words = vec![(host, "REGISTRY".to_owned()), (dir, "DIR".to_owned())];
        Transcript { docker, text: String::new(), words, digests: Vec::new() }
    }

    /// Prints a word in place of a text.
    pub fn word(&mut self, text: &str, word: &str) {
        self.words.push((text.to_owned(), word.to_owned()));
    }

    /// A remark.
    pub fn remark(&mut self, text: &str) {
        self.separate();
        self.text += &format!("# {text}\n");
    }

    /// Runs a line of a shell.
    pub fn run(&mut self, line: &str) -> RunOutput {
        let done = self.docker.shell(line);
        self.add(line, &done);
        done
    }

    /// Runs a line which has to succeed.
    #[track_caller]
    pub fn ok(&mut self, line: &str) -> RunOutput {
        self.run(line).succeeded()
    }

    fn add(&mut self, line: &str, done: &RunOutput) {
        if !self.text.ends_with("#\n") && !self.text.lines().last().is_some_and(|last| last.starts_with("# "))
        {
            self.separate();
        }
        let line = self.shown(line);
        self.text += &format!("$ {line}\n");
        let out = self.shown(&done.stdout);
        out.lines().for_each(|line| self.text += &format!("{line}\n"));
        let err = self.shown(&done.stderr);
        ordered(&err).iter().for_each(|line| self.text += &format!("2> {line}\n"));
        let code = done.code.map_or("killed".to_owned(), |code| code.to_string());
        self.text += &format!("[{code}]\n");
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// The text with words for what differs in each run, or with each change of the bytes of an image.
    fn shown(&mut self, text: &str) -> String {
        let text =
            self.words.iter().fold(text.to_owned(), |text, (old, word)| text.replace(old.as_str(), word));
        let version = env!("CARGO_PKG_VERSION");
        let text = ["lbuild-", "lbuild "].iter().fold(text, |text, before| {
            text.replace(&format!("{before}{version}"), &format!("{before}VERSION"))
        });
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let (before, after) = rest.split_at(at);
            let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
            let (word, after) = after.split_at(end);
            out += before;
            out += &self.shown_word(word);
            rest = after;
        }
        sizes(&(out + rest))
    }

    fn shown_word(&mut self, word: &str) -> String {
        let is_hex = |word: &str| word.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
        match word.len() {
            64 if is_hex(word) => {
                let known = self.digests.iter().position(|digest| digest == word);
                let number = known.unwrap_or_else(|| {
                    self.digests.push(word.to_owned());
                    self.digests.len() - 1
                });
                format!("<{}>", number + 1)
            }
            // The start of a digest, in lines about events often of one that was not printed.
            12 if is_hex(word)
                && word.bytes().any(|byte| byte.is_ascii_digit())
                && word != "123456789012" =>
            {
                let known = self.digests.iter().position(|digest| digest.starts_with(word));
                known.map_or("<12 digits>".to_owned(), |number| format!("<{}, 12 digits>", number + 1))
            }
            _ => word.to_owned(),
        }
    }

    /// Compares the transcript with that of this name.
    #[track_caller]
    pub fn is(self, name: &str) {
        let path = testdata("docker").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &self.text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(self.text == expected, "{path:?} differs:\n{}", differences(&expected, &self.text));
    }
}

/// The lines that only one of two texts has.
fn differences(expected: &str, text: &str) -> String {
    let missing = expected.lines().filter(|line| !text.lines().any(|other| other == *line));
    let new = text.lines().filter(|line| !expected.lines().any(|other| other == *line));
    missing.map(|line| format!("- {line}\n")).chain(new.map(|line| format!("+ {line}\n"))).collect()
}

/// The lines, with those about events after the others, in the same order in each run.
fn ordered(text: &str) -> Vec<&str> {
    let rank = |line: &str| EVENTS.iter().position(|word| line.starts_with(word));
    let (mut events, mut lines): (Vec<_>, Vec<_>) = text.lines().partition(|line| rank(line).is_some());
    events.sort_by_key(|line| (rank(line), *line));
    lines.append(&mut events);
    lines
}

/// The text without sizes of blobs and images.
fn sizes(text: &str) -> String {
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, after) = rest.split_at(at);
        let (number, after) = after.split_at(after.find(|c| !is_of_number(c)).unwrap_or(after.len()));
        out += before;
        let is_size = [" B", " kB", " MB"].iter().any(|unit| {
            let rest = after.strip_prefix(unit);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        });
        let is_bytes = ["size: ", "\"Size\": ", "\"size\": "].iter().any(|name| out.ends_with(name));
        out += if is_size || is_bytes { "N" } else { number };
        rest = after;
    }
    out + rest
}
