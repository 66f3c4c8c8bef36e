use super::*;
use crate::recipe::Piece;

fn touch(name: &str) -> Operation {
    Operation::Touch { paths: vec![path(name)], create: true }
}

fn fails() -> Operation {
    Operation::Remove { paths: vec![path("none")], recursive: false, force: false }
}

fn write(name: &str, append: bool, content: Vec<Piece>) -> Operation {
    Operation::Write { path: path(name), append, content }
}

fn remove(pattern: &str) -> Operation {
    let paths = vec![Pathname::Pattern(pattern.to_owned())];
    Operation::Remove { paths, recursive: true, force: true }
}

#[test]
fn a_chain_ends_at_a_failure_and_the_next_one_begins() {
    let layer = members(&["work/"]);
    let done = |line: &Line| run(&layer, line).map(|changes| shown(&layer, &changes).join(", "));
    let after = line(&[&[touch("a"), fails(), touch("b")], &[touch("c")]]);
    assert_eq!(done(&after), Ok("work/ 755, work/a 644 \"\", work/c 644 \"\"".to_owned()));
    let fault = Err("tool: cannot remove 'none': No such file or directory".to_owned());
    assert_eq!(done(&line(&[&[touch("a")], &[touch("b"), fails()]])), fault);
    let mut strict = after.clone();
    strict.translation.errexit = true;
    assert_eq!(done(&strict), done(&after), "not the last command of its chain");
    let mut strict = line(&[&[touch("a"), fails()], &[touch("c")]]);
    assert!(done(&strict).is_ok());
    strict.translation.errexit = true;
    assert_eq!(done(&strict), fault);
}

#[test]
fn the_passed_over_failures_are_told() {
    let layer = members(&["work/"]);
    let passed_over = line(&[&[fails()], &[touch("c")]]).run(&mut filesystem(&layer), NO_LOCKS).unwrap();
    assert_eq!(passed_over.len(), 1);
}

#[test]
fn patterns_find_paths_in_the_image() {
    let layer = members(&[
        "work/",
        "work/a.txt",
        "work/b.txt",
        "work/.hidden",
        "work/d/",
        "work/d/c.txt",
        "work/l -> d",
        "work/*x",
    ]);
    for (pattern, expected) in [
        ("*.txt", "work/a.txt gone, work/b.txt gone"),
        ("*/*.txt", "work/d/c.txt gone"),
        ("/w*/?.txt", "work/a.txt gone, work/b.txt gone"),
        (".h*", "work/.hidden gone"),
        ("[!b].txt", "work/a.txt gone"),
        ("\\*x", "work/*x gone"),
        ("none*", ""),
        ("l", "work/l gone"),
        ("d*/", "work/d gone"),
    ] {
        let changes = run(&layer, &line(&[&[remove(pattern)]])).unwrap();
        let gone = shown(&layer, &changes).into_iter().filter(|line| line.ends_with(" gone"));
        assert_eq!(gone.collect::<Vec<_>>().join(", "), expected, "{pattern}");
    }
}

#[test]
fn a_user_is_held_to_permissions() {
    let mut layer = members(&[
        "etc/",
        "etc/passwd: app:x:1000:1001::/:/bin/sh\n",
        "etc/group: more:x:50:app\n",
        "tmp/",
        "tmp/roots",
        "work/",
        "work/a",
    ]);
    for member in &mut layer {
        member.entry.mode = match &*member.path {
            "tmp" => 0o1777,
            "work/a" => 0o600,
            _ => member.entry.mode,
        };
    }
    let as_app = |operation: Operation| Line { user: Some("app".to_owned()), ..line(&[&[operation]]) };
    let changes = run(&layer, &as_app(touch("/tmp/mine"))).unwrap();
    assert_eq!(shown(&layer, &changes), ["tmp/ 1777", "tmp/mine 644 1000:1001 \"\""]);
    let mode = Operation::SetMode { paths: vec![path("a")], mode: "777".to_owned(), recursive: false };
    let copy = write("/tmp/x", false, vec![Piece::File(path("a"))]);
    for (operation, fault) in [
        (touch("x"), "tool: cannot touch 'x': Permission denied"),
        (remove("a"), "tool: cannot remove 'a': Permission denied"),
        (remove("/tmp/roots"), "tool: cannot remove '/tmp/roots': Operation not permitted"),
        (mode, "tool: changing permissions of 'a': Operation not permitted"),
        (copy, "tool: a: Permission denied"),
    ] {
        assert_eq!(run(&layer, &as_app(operation)).unwrap_err(), fault);
    }
    let unknown = Line { user: Some("nobody".to_owned()), ..line(&[&[touch("x")]]) };
    assert!(run(&layer, &unknown).unwrap_err().contains("no user `nobody`"));
}

#[test]
fn contents_are_joined_without_being_read() {
    let layer = members(&["work/", "work/a: 1", "work/b: 2"]);
    let file = |name: &str| Piece::File(path(name));
    let text = |text: &str| Piece::Text(text.to_owned());
    let operations = [
        write("c", false, vec![file("a"), text("x"), file("b")]),
        write("a", true, vec![file("b"), text("y")]),
        write("c", true, vec![file("a")]),
    ];
    let mut files = filesystem(&layer);
    line(&[&operations]).run(&mut files, NO_LOCKS).unwrap();
    let shown = shown(&layer, &files.changes());
    assert_eq!(shown, ["work/ 755", "work/a 644 \"12y\"", "work/c 644 \"1x212y\""]);
}

#[test]
fn a_file_with_several_names_is_one_inode() {
    let layer = members(&["work/", "work/a: 1", "work/b = work/a", "other: 3"]);
    let write_b = write("b", false, vec![Piece::Text("2".to_owned())]);
    let changes = run(&layer, &line(&[&[write_b]])).unwrap();
    assert_eq!(shown(&layer, &changes), ["work/ 755", "work/a 644 \"2\"", "work/b = work/a"]);
    let gone = Operation::Remove { paths: vec![path("a")], recursive: false, force: false };
    let changes = run(&layer, &line(&[&[gone]])).unwrap();
    assert_eq!(shown(&layer, &changes), ["work/ 755", "work/a gone"]);
    let link = Operation::Link {
        targets: vec![path("/other")],
        to: Some(path("0")),
        into: crate::recipe::IntoDirectory::Guessed,
        symbolic: false,
        force: false,
        no_dereference: false,
    };
    let changes = run(&layer, &line(&[&[link]])).unwrap();
    assert_eq!(shown(&layer, &changes), ["other 644 \"3\"", "work/ 755", "work/0 = other"]);
}

#[test]
fn a_replaced_directory_is_opaque() {
    let layer = members(&["work/", "work/d/", "work/d/a: 1", "work/e/"]);
    let make =
        |name: &str| Operation::MakeDirectories { paths: vec![path(name)], parents: false, mode: None };
    let changes = run(&layer, &line(&[&[remove("d"), make("d"), remove("e"), make("e")]])).unwrap();
    assert_eq!(shown(&layer, &changes), ["work/ 755", "work/d/ 755 opaque"]);
}

#[test]
fn entries_below_a_link_go_where_it_leads() {
    let layer = members(&["lib -> usr/lib", "usr/", "usr/lib/", "work/"]);
    let changes = run(&layer, &line(&[&[touch("/lib/x")]])).unwrap();
    assert_eq!(shown(&layer, &changes), ["usr/ 755", "usr/lib/ 755", "usr/lib/x 644 \"\""]);
    let round = members(&["round -> round", "work/"]);
    let fault = run(&round, &line(&[&[touch("/round/x")]])).unwrap_err();
    assert_eq!(fault, "tool: cannot touch '/round/x': Too many levels of symbolic links");
}
