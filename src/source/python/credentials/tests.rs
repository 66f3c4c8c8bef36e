use super::*;
use crate::source::address::{redacted, without_login};

fn indexes(texts: &[(TextKind, &str)], netrc: &str) -> Indexes {
    let variable = |name: &str| match name {
        "UV_INDEX_MY_INDEX_USERNAME" => Some("envuser".to_owned()),
        "UV_INDEX_MY_INDEX_PASSWORD" => Some("envpass".to_owned()),
        "UV_INDEX_HALF_PASSWORD" => Some("halfpass".to_owned()),
        "TOKEN" => Some("s3cret".to_owned()),
        _ => None,
    };
    let texts: Vec<_> = texts.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
    Indexes::from_texts(&texts, netrc, variable)
}

fn at(indexes: &Indexes, url: &str) -> Option<String> {
    let login = indexes.at(&Url::parse(url).unwrap())?;
    Some(format!("{}:{}", login.username, login.password.expose()))
}

#[test]
fn a_login_goes_to_its_own_origin_only() {
    let found = indexes(&[(TextKind::Plain, "--index-url https://me:p%40ss@i.example/simple")], "");
    assert_eq!(at(&found, "https://i.example/files/a.whl").as_deref(), Some("me:p@ss"));
    for url in
        ["http://i.example/a", "https://i.example:8443/a", "https://f.example/a", "https://x.i.example/a"]
    {
        assert_eq!(at(&found, url), None, "{url}");
    }
}

#[test]
fn every_source_of_logins_is_read() {
    use TextKind::{Naming, Plain, Requirements, Settings};
    for (kind, text, netrc) in [
        (Requirements, "-i https://u:${TOKEN}@h.example/simple", ""),
        (Plain, "extra-index-url = https://a.example/ https://u:s3cret@h.example/simple", ""),
        (Requirements, "a @ https://u:s3cret@h.example/a-1-py3-none-any.whl#sha256=0", ""),
        (Settings, "[[tool.uv.index]]\nname = 'x'\nurl = 'https://u:s3cret@h.example/'", ""),
        (
            Plain,
            "",
            "machine a login b password c\n# machine h.example\nmachine h.example\n login u\n password s3cret",
        ),
    ] {
        assert_eq!(
            at(&indexes(&[(kind, text)], netrc), "https://h.example/x").as_deref(),
            Some("u:s3cret"),
            "{text}"
        );
    }
    for (kind, text) in [
        (Naming, "my-index=https://h.example/simple"),
        (Settings, "[[tool.uv.index]]\nname = 'my-index'\nurl = 'https://h.example/'"),
        (Settings, "[[index]]\nname = 'my-index'\nurl = 'https://h.example/'"),
    ] {
        let found = indexes(&[(kind, text)], "machine h.example login u password p");
        assert_eq!(at(&found, "https://h.example/x").as_deref(), Some("envuser:envpass"), "{text}");
    }
}

#[test]
fn variables_in_a_lock_are_not_expanded() {
    for (kind, text) in [
        (TextKind::Plain, "# https://u:${TOKEN}@h.example/"),
        (TextKind::Plain, "url = 'https://${TOKEN}@h.example/a.whl'"),
        (TextKind::Plain, "# my-index=https://h.example/"),
        (TextKind::Plain, "[[index]]\nname = 'my-index'\nurl = 'https://h.example/'"),
        (TextKind::Settings, "# my-index=https://h.example/ https://${TOKEN}@h.example/"),
        (TextKind::Requirements, "a==1 # https://u:${TOKEN}@h.example/ my-index=https://h.example/"),
        (TextKind::Naming, "[[index]]\nname = 'my-index'\nurl = 'https://h.example/'"),
    ] {
        let login = at(&indexes(&[(kind, text)], ""), "https://h.example/a.whl").unwrap_or_default();
        assert!(!login.contains("s3cret") && !login.contains("envpass"), "{text}: {login}");
    }
    let literal = indexes(&[(TextKind::Plain, "url = 'https://u:p@h.example/a.whl'")], "");
    assert_eq!(at(&literal, "https://h.example/b.whl").as_deref(), Some("u:p"));
}

#[test]
fn netrc_entries_are_found_by_host_and_its_default_is_ignored() {
    let text = "machine a.example login u password p\n\nmacdef init\nmachine b.example login x password y\n\n\
        machine c.example login w password v default login anonymous password me";
    let found = indexes(&[], text);
    assert_eq!(at(&found, "https://a.example/").as_deref(), Some("u:p"));
    assert_eq!(at(&found, "https://c.example:8000/").as_deref(), Some("w:v"));
    assert_eq!((at(&found, "https://b.example/"), at(&found, "https://d.example/")), (None, None));
}

#[test]
fn debug_output_and_messages_do_not_show_a_password() {
    let found =
        indexes(&[(TextKind::Plain, "https://me:hunter2@i.example/")], "machine h login u password hunter2");
    assert!(!format!("{found:?}").contains("hunter2"));
    assert_eq!(without_login("https://me:hunter2@i.example/a"), "https://i.example/a");
    let said = redacted("error: no answer from `https://me:hunter2@i.example/simple/a/`");
    assert!(said.contains("i.example") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_user_name_without_a_password_gets_it_from_another_source() {
    let plain = |text| (TextKind::Plain, text);
    for (text, more, netrc, login) in [
        (
            "https://envuser@h.example/simple",
            (TextKind::Naming, "my-index=https://h.example/"),
            "",
            "envuser:envpass",
        ),
        ("", (TextKind::Naming, "my-index=https://envuser@h.example/"), "", "envuser:envpass"),
        ("", (TextKind::Naming, "half=https://me@h.example/"), "", "me:halfpass"),
        ("https://me@h.example/", plain(""), "machine h.example login me password p", "me:p"),
        ("https://me@h.example/", plain(""), "machine h.example password p", "me:p"),
        ("https://me@h.example/", plain(""), "machine h.example login other password p", "me:"),
        (
            "https://me@h.example/",
            plain(""),
            "machine h.example login a password b machine h.example login me password p",
            "me:p",
        ),
        ("https://token@h.example/", plain(""), "", "token:"),
        ("https://me@h.example/", plain("https://you:p@h.example/"), "", "you:p"),
    ] {
        let found = indexes(&[plain(text), more], netrc);
        assert_eq!(at(&found, "https://h.example/a").as_deref(), Some(login), "{text} {more:?} {netrc}");
    }
}

#[test]
fn indexes_are_recognised_by_their_urls() {
    let lock =
        "source = { registry = \"https://i.example/simple\" }\nurl = \"https://i.example/f/a-1.tar.gz\"";
    let wanted = "-i https://me:p@j.example/+simple/\n-i https://i.example/simple";
    let found = indexes(&[(TextKind::Plain, lock), (TextKind::Requirements, wanted)], "");
    let all: Vec<&str> = found.simple().collect();
    assert_eq!(all, ["https://i.example/simple", "https://me:p@j.example/+simple/"]);
}
