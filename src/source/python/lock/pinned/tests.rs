use super::super::{pipfile, poetry};
use super::*;
use crate::error::Result;
use crate::source::python::markers::Environment;
use crate::source::python::target::{Machine, Target};

fn environment() -> Environment {
    Environment::of(&Target::new(12, Machine::X86_64, (2, 34)))
}

fn read(name: &str, text: &str) -> Result<Pinned> {
    let read = if name == "poetry.lock" { poetry::read } else { pipfile::read };
    read(text, &Path::new("/p").join(name), None, &environment())
}

fn groups(pinned: &Pinned) -> Vec<(Vec<&str>, &str)> {
    pinned
        .groups
        .iter()
        .map(|(indexes, text)| (indexes.iter().map(String::as_str).collect(), text.as_str()))
        .collect()
}

#[test]
fn poetrys_main_group_is_pinned_by_its_markers() {
    let hash = format!("sha256:{}", "ab".repeat(32));
    let text = format!(
        r#"
[[package]]
name = "Client"
version = "1.2"
optional = false
groups = ["main", "dev"]
markers = {{ main = "python_version >= '3.9'", dev = "python_version < '3'" }}
files = [{{ file = "client-1.2-py3-none-any.whl", hash = "{hash}" }}]
[[package]]
name = "base"
version = "2"
groups = ["main"]
markers = "sys_platform == 'linux'"
[[package]]
name = "windows"
version = "2"
groups = ["main"]
markers = "sys_platform == 'win32'"
source = {{ type = "git", url = "https://g.example/w" }}
[[package]]
name = "tester"
version = "3"
groups = ["dev"]
[[package]]
name = "plots"
version = "3"
optional = true
groups = ["main"]
"#
    );
    let pinned = read("poetry.lock", &text).unwrap();
    assert_eq!(groups(&pinned), [(vec![], "Client==1.2\nbase==2\n")]);
    assert!(!pinned.asked.packages["client"].is_empty() && pinned.asked.packages["base"].is_empty());
    let old = read("poetry.lock", "[[package]]\nname='a'\nversion='1'").unwrap_err().to_string();
    assert!(old.contains("development"), "{old}");
}

fn of_source(name: &str, source: &str) -> String {
    format!("[[package]]\nname = '{name}'\nversion = '1'\ngroups = ['main']\n[package.source]\n{source}\n")
}

#[test]
fn each_package_of_a_poetry_lock_has_its_own_index() {
    let of = |name: &str, url: &str| {
        of_source(name, &format!("type = 'legacy'\nurl = '{url}'\nreference = 'own'"))
    };
    let own = "https://i.example/simple";
    let text = "[[package]]\nname = 'c'\nversion = '1'\ngroups = ['main']\n".to_owned();
    let pinned = read("poetry.lock", &(text + &of("a", own) + &of("b", own))).unwrap();
    assert_eq!(groups(&pinned), [(vec![], "c==1\n"), (vec![own], "a==1\nb==1\n")]);
    for url in ["", "https://i.example/${TOKEN}", "https://i.example/ --find-links x"] {
        assert!(read("poetry.lock", &of("a", url)).is_err(), "{url}");
    }
}

#[test]
fn packages_that_a_poetry_lock_names_by_place_need_no_index() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lib")).unwrap();
    let read = |text: &str| poetry::read(text, &dir.path().join("poetry.lock"), None, &environment());
    let text = of_source("a", "type = 'url'\nurl = 'https://h.example/a-1-py3-none-any.whl#x'")
        + &of_source("b", "type = 'file'\nurl = 'w/b-1.tar.gz'")
        + &of_source("c", "type = 'directory'\nurl = 'lib'");
    let pinned = read(&text).unwrap();
    let urls: Vec<&str> = pinned.direct.iter().map(|package| package.files[0].url.as_str()).collect();
    assert_eq!(urls[0], "https://h.example/a-1-py3-none-any.whl");
    assert!(urls[1].starts_with("file:///") && urls[1].ends_with("/w/b-1.tar.gz"), "{}", urls[1]);
    assert!(urls[2].ends_with("/lib/") && pinned.groups.is_empty(), "{}", urls[2]);
    for (source, fault) in [
        ("type = 'git'\nurl = 'https://g.example/a'", "a is of the kind git"),
        ("type = 'file'\nurl = 'a.txt'", "a is neither a wheel nor a source archive"),
        ("type = 'directory'\nurl = 'gone'", "a is neither a wheel nor a source archive"),
        (
            "type = 'url'\nurl = 'https://h.example/a.zip'\nsubdirectory = 'x'",
            "a is a directory of an archive",
        ),
        ("type = 'url'\nurl = 'https://${TOKEN}/a.whl'", "a has a variable in its URL"),
    ] {
        let error = read(&of_source("a", source)).unwrap_err().to_string();
        assert!(error.contains(fault), "{error}");
    }
}

#[test]
fn a_pin_is_one_line_and_not_an_option() {
    for version in
        ["1\\n--index-url https://evil.example", "1 --index-url=https://evil.example", "1 ; ${TOKEN}"]
    {
        let poetry = format!("[[package]]\nname = 'a'\nversion = \"{version}\"\ngroups = ['main']\n");
        let pipenv = format!(r#"{{"_meta":{{}},"default":{{"a":{{"version":"=={version}"}}}}}}"#);
        for (name, text) in [("poetry.lock", poetry), ("Pipfile.lock", pipenv)] {
            let error = read(name, &text).unwrap_err().to_string();
            assert!(error.contains("is not a requirement") || error.contains("a variable"), "{error}");
        }
    }
    for (name, version) in [
        ("a", "1\u{2028}--index-url https://evil.example"),
        (" -i https://evil.example #", "1"),
        ("a", "1 -i https://evil.example"),
        ("a", "1\\"),
    ] {
        let text =
            serde_json::json!({ "_meta": {}, "default": { name: { "version": format!("=={version}") } } });
        let error = read("Pipfile.lock", &text.to_string()).unwrap_err().to_string();
        assert!(error.contains("is not a requirement"), "{error}");
    }
}

#[test]
fn pipenvs_packages_come_from_their_own_index_else_from_all() {
    let text = r#"{"_meta":{"sources":[{"name":"i","url":"https://i.example"},{"name":"j","url":"https://j.example"}]},
        "default":{"a":{"version":"==1","index":"j"}, "b":{"version":"==2","index":"i"}, "c":{"version":"==3"},
            "d":{"file":"https://h.example/d-1-py3-none-any.whl","hashes":["sha512:0"]},
            "e":{"path":"w/e-1-py3-none-any.whl"},
            "f":{"git":"https://g.example/f","markers":"sys_platform == 'win32'"}},
        "develop":{"tester":{"version":"==3"}}}"#;
    let pinned = read("Pipfile.lock", text).unwrap();
    let (i, j) = ("https://i.example", "https://j.example");
    assert_eq!(groups(&pinned), [(vec![i], "b==2\n"), (vec![i, j], "c==3\n"), (vec![j], "a==1\n")]);
    let files: Vec<&str> = pinned.direct.iter().map(|package| package.files[0].name.as_str()).collect();
    assert_eq!(files, ["d-1-py3-none-any.whl", "e-1-py3-none-any.whl"]);
    assert!(!pinned.asked.packages["d"].is_empty());
    let git = r#"{"_meta":{},"default":{"f":{"git":"https://g.example/f"}}}"#;
    assert!(read("Pipfile.lock", git).unwrap_err().to_string().contains("f has no version"));
}

#[test]
fn a_variable_in_the_url_of_pipenvs_index_must_be_in_the_pipfile() {
    let text = r#"{"_meta":{"sources":[{"name":"i","url":"https://${USER}@i.example/simple"}]},
        "default":{"client":{"version":"==1.2"}}}"#;
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("Pipfile.lock");
    let error = pipfile::read(text, &lock, None, &environment()).unwrap_err().to_string();
    assert!(error.contains("the Pipfile does not have this URL"), "{error}");
    let source = "[[source]]\nname = 'i'\nurl = 'https://${USER}@i.example/simple'\n";
    std::fs::write(dir.path().join("Pipfile"), source).unwrap();
    let pinned = pipfile::read(text, &lock, None, &environment()).unwrap();
    assert_eq!(groups(&pinned), [(vec!["https://${USER}@i.example/simple"], "client==1.2\n")]);
}
