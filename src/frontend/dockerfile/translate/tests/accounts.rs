//! Users and groups.

use serde_json::{Value, json};

use super::{json as found, refusal};

#[test]
fn users_are_added() {
    let user = |tool: &str, more: Value| {
        let mut user = json!({ "tool": tool, "name": "app" });
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "add-user": user }])
    };
    for (text, expected) in [
        ("useradd app", user("shadow", json!({}))),
        (
            "useradd -u 1001 -g 0 -m app",
            user("shadow", json!({ "uid": 1001, "group": "0", "make-home": true })),
        ),
        (
            "useradd -r -s /sbin/nologin app",
            user("shadow", json!({ "system": true, "shell": "/sbin/nologin" })),
        ),
        ("useradd -G a,b -U app", user("shadow", json!({ "groups": ["a", "b"], "own-group": true }))),
        (
            "useradd --system --no-create-home --home-dir=/home/x --comment 'My app' app",
            user(
                "shadow",
                json!({ "system": true, "make-home": false, "home": "/home/x", "comment": "My app" }),
            ),
        ),
        ("adduser --system --uid 1001 app", user("adduser", json!({ "system": true, "uid": 1001 }))),
        ("adduser -D app", user("adduser", json!({ "no-password": true }))),
        (
            "adduser -S -D -H -h /app -s /bin/sh -G grp -g 'The App' -u 5 app",
            user(
                "adduser",
                json!({
                    "system": true, "no-password": true, "make-home": false, "home": "/app", "shell": "/bin/sh",
                    "group": "grp", "comment": "The App", "uid": 5,
                }),
            ),
        ),
        (
            "adduser --disabled-password --gecos '' app",
            user("adduser", json!({ "no-password": true, "comment": "" })),
        ),
        (
            "adduser --system --group --home /app app",
            user("adduser", json!({ "system": true, "own-group": true, "home": "/app" })),
        ),
        (
            "adduser -r -g grp -d /app app",
            user("adduser", json!({ "system": true, "group": "grp", "home": "/app" })),
        ),
        ("adduser app", user("adduser", json!({}))),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    for text in [
        "useradd",
        "useradd a b",
        "useradd -p x app",
        "useradd -o -u 0 app",
        "useradd -k /x app",
        "useradd -D",
        "useradd App",
        "useradd -u x app",
        "useradd -m -M app",
        "useradd -d home app",
        "useradd -c a:b app",
        "adduser -g x app",
        "adduser -u 5 -G x app",
        "adduser -D -r app",
        "adduser --group app",
        "adduser --disabled-login -S app",
        "adduser --gid 5 app",
        "adduser --uid 01 app",
        "adduser a b c",
    ] {
        refusal(text);
    }
}

#[test]
fn groups_are_added() {
    let group = |tool: &str, more: Value| {
        let mut group = json!({ "tool": tool, "name": "grp" });
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([{ "add-group": group }])
    };
    for (text, expected) in [
        ("groupadd grp", group("shadow", json!({}))),
        (
            "groupadd -r -g 1001 -f grp",
            group("shadow", json!({ "system": true, "gid": 1001, "force": true })),
        ),
        ("addgroup --system --gid 1001 grp", group("adduser", json!({ "system": true, "gid": 1001 }))),
        ("addgroup -S -g 1001 grp", group("adduser", json!({ "system": true, "gid": 1001 }))),
        ("addgroup app grp", group("adduser", json!({ "member": "app" }))),
        ("adduser app grp", group("adduser", json!({ "member": "app" }))),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
    for text in
        ["groupadd", "groupadd -o -g 0 grp", "addgroup -S a b", "addgroup a b c", "groupadd -g -1 grp"]
    {
        refusal(text);
    }
}
