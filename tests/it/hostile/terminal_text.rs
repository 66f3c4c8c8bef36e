//! Names and texts of an image with control characters, which must not reach the terminal.

use super::{Workspace, words};
use crate::support::image_builder::{self, Layer, Tar};
use serde_json::{Value, json};

/// Control characters: escape sequences for title and colour, C1 controls, line ends before a line that looks like
/// one of lbuild's, a deletion and a backspace.
const WORDS: &str =
    "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J\r\n\u{85}error: forged\n::error::forged\u{7f}\u{8}";

fn text() -> String {
    format!("a{WORDS}b")
}

/// An image with this text in every field that can hold text.
fn image(workspace: &Workspace) -> String {
    let name = text();
    let layer = Tar::new()
        .directory("var/")
        .directory("var/task/")
        .long(b'L', format!("var/task/{name}").as_bytes())
        .head("d", b'3', 0, |_| ())
        .long(b'L', format!("var/task/{name}-file").as_bytes())
        .file("f", 0o600, format!("#!/bin/{WORDS}\n"))
        .long(b'L', b"var/task/\xff\xfe\x1b[m\x00hidden")
        .file("f", 0o644, "f")
        .long(b'L', format!("var/task/{name}-link").as_bytes())
        .long(b'K', name.as_bytes())
        .symlink("l", "")
        .long(b'L', format!("../{name}").as_bytes())
        .file("f", 0o644, "f");
    image_builder::image(&workspace.lbuild.path("image"), &[Layer::gzip(layer)], |config, manifest| {
        config["author"] = json!(name);
        config["created"] = json!(name);
        config["history"][0] = json!({ "created_by": name, "comment": name });
        config["config"] = json!({
            "Entrypoint": [name], "Cmd": [name], "User": name, "WorkingDir": name,
            "Env": [format!("{name}_TOKEN=abcdefgh12345678"), format!("TMPDIR=/{name}")],
            "Labels": { &name: name, "org.opencontainers.image.base.name": name },
            "Volumes": { &name: {} },
        });
        config[&name] = json!(name);
        manifest["annotations"] = json!({ &name: name });
        let layer = manifest["layers"][0].clone();
        let other = json!({ "mediaType": name, "digest": layer["digest"], "size": layer["size"] });
        manifest["layers"].as_array_mut().unwrap().push(other);
    })
}

#[test]
fn text_of_an_image_cannot_control_the_terminal() {
    let workspace = Workspace::new();
    let (good, image) = (workspace.image("good", &[]), image(&workspace));
    let mut runs = Vec::from(workspace.readers(&good, &image));
    let more: [&[&str]; 10] = [
        &["check", &image, "--github"],
        &["check", &image, "--sarif"],
        &["check", &image, "--json"],
        &["inspect", &image],
        &["inspect", &image, "--json"],
        &["inspect", &image, "--tree", "--json"],
        &["inspect", &image, "--largest"],
        &["inspect", &image, "--history"],
        &["inspect", &image, "--history", "--json"],
        &["diff", &good, &image, "--json"],
    ];
    runs.extend(more.map(words));
    runs.push(workspace.push(&image));
    let done = workspace.run(&runs);
    for (end, run) in done.iter().zip(&runs) {
        assert!([0, 4, 8].contains(&end.code), "{run:?}: {}", end.err);
        for line in end.out.lines().chain(end.err.lines()) {
            let forged =
                line.trim_start().starts_with("error: forged") || line.starts_with("::error::forged");
            assert!(!forged, "{run:?}: {line:?}");
        }
    }
    assert!(
        done[0].out.contains("entry-path") && done[0].out.contains("var/task/a\\x1b]0;owned"),
        "{}",
        done[0].out
    );
    // JSON output keeps the original text.
    for at in [4, 5, 7, 8, 11, 12] {
        let _: Value = serde_json::from_str(&done[at].out).unwrap();
    }
    let history: Value = serde_json::from_str(&done[11].out).unwrap();
    assert!(history[0]["created_by"].as_str().unwrap().contains("error: forged\n"), "{history:#}");
}
