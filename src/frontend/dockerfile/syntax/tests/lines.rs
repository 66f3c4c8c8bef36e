//! Rules 1 to 27: lines, comments, directives, here-documents.

use super::super::heredoc::Heredoc;
use super::super::lines::{Statements, read, read_trigger};
use crate::frontend::fault::Fault;

fn lines(text: &str) -> Vec<String> {
    read(text).unwrap().statements.iter().map(|statement| statement.line.text().to_owned()).collect()
}

fn fault(text: &str) -> Fault {
    read(text).map(|read| read.statements.len()).unwrap_err()
}

fn heredocs(text: &str) -> Vec<(String, bool, bool, String)> {
    let Statements { statements, .. } = read(text).unwrap();
    let parts = |Heredoc { name, expand, strip_tabs, body, .. }| (name, expand, strip_tabs, body);
    statements.into_iter().flat_map(|statement| statement.heredocs).map(parts).collect()
}

#[test]
fn lines_are_joined() {
    for (rule, text, expected) in [
        (3, "RUN a \\\n# comment\n\n  \n  # comment\n  b", &["RUN a   b"][..]),
        (3, "RUN 'a\\\n  b'\nRUN c", &["RUN 'a  b'", "RUN c"]),
        (4, "RUN a \\ \t\nb", &["RUN a b"]),
        (4, "RUN a \\\\\nCMD b", &["RUN a \\\\", "CMD b"]),
        (4, "RUN a\\", &["RUN a"]),
        (4, "\\\nRUN a", &["RUN a"]),
        (4, "\\\n\nRUN a", &["RUN a"]),
        (5, "RUN a \\\r\n  b\r\n\r\nCMD c\r\n", &["RUN a   b", "CMD c"]),
        (6, "\u{feff}FROM a\n", &["FROM a"]),
        (6, "#!/usr/bin/env docker\nFROM a", &["FROM a"]),
        (8, "# escape=`\nRUN a `\n b\\\nCMD c", &["RUN a  b\\", "CMD c"]),
        (7, "#escape = `\nRUN a `\nb", &["RUN a b"]),
        (7, "# ESCAPE=`\nRUN a `\nb", &["RUN a b"]),
        (7, "\n# escape=`\nRUN a `\nCMD b", &["RUN a `", "CMD b"]),
        (7, "# comment\n# escape=`\nRUN a `\nCMD b", &["RUN a `", "CMD b"]),
        (7, "# unknown=x\n# escape=`\nRUN a `\nCMD b", &["RUN a `", "CMD b"]),
        (1, "  # indented comment\nCMD [\"a\"] # no comment", &["CMD [\"a\"] # no comment"]),
        (22, "RUN <<A\nFROM x\nA\nCMD b", &["RUN <<A", "CMD b"]),
    ] {
        assert_eq!(lines(text), expected, "rule {rule}: {text:?}");
    }
}

#[test]
fn wrong_texts_are_refused() {
    let long = format!("FROM a\nRUN {}", "x".repeat(65_536));
    for (rule, text, at, message) in [
        (7, "# escape=`\n# escape=\\\nFROM a", 11, "the directive `escape` is given twice"),
        (8, "# escape=x\nFROM a", 9, "invalid escape character `x`"),
        (9, "# syntax=example.com/other:1\nFROM a", 9, "unknown front-end `example.com/other:1`"),
        (9, "#!/bin/x\n#syntax=tonistiigi/other\nFROM a", 17, "unknown front-end `tonistiigi/other`"),
        (9, "// syntax=other\nFROM a", 10, "unknown front-end `other`"),
        (12, "# nothing\n\n", 0, "the file has no instructions"),
        (13, &long, 7, "the line is longer than 65535 bytes"),
        (19, "FROM a\nRUN <<A\nx\n", 7, "the here-document `A` is not terminated"),
        (7, "# check=skip\nFROM a", 8, "invalid check option `skip`"),
    ] {
        let fault = fault(text);
        assert_eq!((fault.at, &*fault.message), (at, message), "rule {rule}: {text:.40?}");
    }
    for accepted in [
        "docker/dockerfile",
        "docker/dockerfile:1.7-labs",
        "docker.io/docker/dockerfile:1@sha256:0",
        "r.example:5000/docker/dockerfile-upstream:master",
    ] {
        assert_eq!(lines(&format!("# syntax={accepted}\nFROM a")), ["FROM a"], "rule 9");
    }
}

#[test]
fn here_documents_are_read() {
    let doc = |name: &str, expand, tabs, body: &str| (name.to_owned(), expand, tabs, body.to_owned());
    for (rule, text, expected) in [
        (20, "RUN <<EOF\na\n  b\nEOF\n", vec![doc("EOF", true, false, "a\n  b\n")]),
        (21, "RUN python - <<'PY'\nx\nPY", vec![doc("PY", false, false, "x\n")]),
        (23, "COPY <<\"E F\" /x\n1\nE F\n", vec![doc("E F", false, false, "1\n")]),
        (24, "COPY <<-A /x\n\t\t1\n\tA\n", vec![doc("A", true, true, "\t\t1\n")]),
        (24, "COPY <<A /x\n\tA\nA\n", vec![doc("A", true, false, "\tA\n")]),
        (
            25,
            "COPY <<a.txt <<b.txt d/\n1\na.txt\n2\nb.txt\n",
            vec![doc("a.txt", true, false, "1\n"), doc("b.txt", true, false, "2\n")],
        ),
        (
            26,
            "RUN x 3<<IN \\\n  && cat << 'B'\n1\nIN\n2\nB\n",
            vec![doc("IN", true, false, "1\n"), doc("B", false, false, "2\n")],
        ),
        (5, "RUN <<A\r\nx\r\nA\r\n", vec![doc("A", true, false, "x\r\n")]),
        (19, "RUN [\"a\", \"<<A\"]\nCMD b", vec![]),
        (19, "ENV a=<<A\nCMD b", vec![]),
        (19, "ONBUILD RUN <<A\nx\nA\n", vec![doc("A", true, false, "x\n")]),
        (21, "RUN cat <<<word\nCMD b", vec![]),
        (21, "RUN echo it's <<A\nCMD b", vec![]),
        (8, "# escape=`\nCOPY <<A x\n`\nA\n", vec![doc("A", true, false, "`\n")]),
    ] {
        assert_eq!(heredocs(text), expected, "rule {rule}: {text:?}");
    }
}

#[test]
fn every_part_of_a_joined_line_knows_its_position() {
    let text = "FROM a\nRUN  one \\\n# comment\n\n   two \\\n  three";
    let read = read(text).unwrap();
    let line = read.statements[1].line.all();
    for word in ["RUN", "one", "two", "three"] {
        assert_eq!(line.at(line.text.find(word).unwrap()), text.find(word).unwrap(), "{word}");
    }
    assert_eq!(read.statements[1].blank_line, text.find("\n\n").map(|at| at + 1), "rule 3");
}

#[test]
fn a_trigger_is_one_instruction() {
    let (statement, escape) = read_trigger("RUN a \\\n b", 7).unwrap();
    assert_eq!((statement.line.text(), statement.line.all().at(5), escape), ("RUN a  b", 7, '\\'));
    assert_eq!(read_trigger("RUN a\nRUN b", 7).unwrap_err().at, 7, "rule 142");
    let unterminated = read_trigger("RUN <<A\nx", 7).unwrap_err();
    assert_eq!((unterminated.at, unterminated.message.starts_with("in a trigger")), (7, true));
}
