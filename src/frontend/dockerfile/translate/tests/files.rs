//! Commands for files: their options and operands.

use serde_json::{Value, json};

use super::{json as found, refusal};

/// A list of paths, as JSON: words with a `*` are patterns.
fn paths(words: &str) -> Value {
    let path = |word: &str| json!({ (if word.contains('*') { "pattern" } else { "path" }): word });
    words.split_whitespace().map(path).collect()
}

fn path(word: &str) -> Value {
    paths(word)[0].clone()
}

#[track_caller]
fn check(table: &[(&str, Value)]) {
    for (text, expected) in table {
        assert_eq!(found(text), json!([expected]), "{text}");
    }
}

#[track_caller]
fn check_refused(texts: &[&str]) {
    for text in texts {
        refusal(text);
    }
}

#[test]
fn directories_are_made_and_removed() {
    check(&[
        ("mkdir a b", json!({ "make-directories": { "paths": paths("a b") } })),
        ("mkdir -p /a/b", json!({ "make-directories": { "paths": paths("/a/b"), "parents": true } })),
        ("mkdir a -p", json!({ "make-directories": { "paths": paths("a"), "parents": true } })),
        ("mkdir -pv -- -a", json!({ "make-directories": { "paths": paths("-a"), "parents": true } })),
        (
            "mkdir -p -m 0750 a",
            json!({ "make-directories": { "paths": paths("a"), "parents": true, "mode": "0750" } }),
        ),
        (
            "mkdir -pm755 a",
            json!({ "make-directories": { "paths": paths("a"), "parents": true, "mode": "755" } }),
        ),
        (
            "mkdir --mode=u=rwx,go=rx a",
            json!({ "make-directories": { "paths": paths("a"), "mode": "u=rwx,go=rx" } }),
        ),
        ("mkdir --mode 700 a", json!({ "make-directories": { "paths": paths("a"), "mode": "700" } })),
        (
            "mkdir -p ${FUNCTION_DIR}",
            json!({ "make-directories": { "paths": paths("/function"), "parents": true } }),
        ),
        ("rmdir -p a/b", json!({ "remove-directories": { "paths": paths("a/b"), "parents": true } })),
    ]);
    let made = found("install -d -m 0750 a b");
    assert_eq!(made[0], json!({ "make-directories": { "paths": paths("a b"), "parents": true } }));
    assert_eq!(made[1], json!({ "set-mode": { "paths": paths("a b"), "mode": "0750" } }));
    check_refused(&[
        "mkdir",
        "mkdir ''",
        "mkdir -m",
        "mkdir -m 999 a",
        "mkdir -m +x a",
        "mkdir -Z a",
        "mkdir --par a",
        "mkdir --parents=1 a",
        "mkdir --p a",
        "mkdir /proc/x",
        "mkdir ../dev/x",
        "rmdir --ignore-fail-on-non-empty a",
        "install -m 755 a b",
        "install -d",
    ]);
}

#[test]
fn files_are_removed() {
    check(&[
        ("rm a", json!({ "remove": { "paths": paths("a") } })),
        (
            "rm -rf a *.py",
            json!({ "remove": { "paths": paths("a *.py"), "recursive": true, "force": true } }),
        ),
        ("rm -R a/", json!({ "remove": { "paths": paths("a/"), "recursive": true } })),
        ("rm a --force -r", json!({ "remove": { "paths": paths("a"), "recursive": true, "force": true } })),
        (
            "rm -rf /var/lib/apt/lists/*",
            json!({ "remove": { "paths": paths("/var/lib/apt/lists/*"), "recursive": true, "force": true } }),
        ),
        ("rm -rf $NONE", json!("nothing")),
        (
            "dnf clean all",
            json!({ "remove": {
                "paths": paths("/var/cache/yum/* /var/cache/dnf/*"), "recursive": true, "force": true,
            } }),
        ),
        (
            "npm cache clean --force",
            json!({ "remove": { "paths": paths("/root/.npm/_cacache"), "recursive": true, "force": true } }),
        ),
    ]);
    assert_eq!(found("yum -y clean all"), found("microdnf clean all"));
    assert_eq!(found("apt-get clean"), found("apt clean"));
    found("pip cache purge");
    check_refused(&[
        "rm",
        "rm -i a",
        "rm -rf /",
        "rm -rf //",
        "rm -rf .",
        "rm -rf a/..",
        "rm -rf ./",
        "rm -rf /*",
        "rm -rf /etc",
        "rm -rf ../*",
        "rm -rf ''",
        "rm --no-preserve-root -rf /a",
        "apt-get autoclean",
        "apt-get autoremove -y",
        "dnf clean metadata",
        "npm cache clean",
        "npm cache verify",
        "pip cache purge x",
    ]);
}

#[test]
fn files_are_copied_and_moved() {
    let transfer = |sources: &str, to: &str, more: Value| {
        let mut transfer = json!({ "sources": paths(sources), "to": path(to), "follow": "all" });
        transfer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        transfer
    };
    let copy = |sources: &str, to: &str, more: Value| json!({ "copy": transfer(sources, to, more) });
    let moved = |sources: &str, to: &str, more: Value| {
        let mut transfer = transfer(sources, to, more);
        transfer["follow"] = "nothing".into();
        json!({ "move": transfer })
    };
    let recursive = json!({ "recursive": true, "follow": "nothing" });
    let archive = json!({ "recursive": true, "follow": "nothing", "preserve": true, "preserve-links": true });
    check(&[
        ("cp a b", copy("a", "b", json!({}))),
        ("cp a b c/", copy("a b", "c/", json!({}))),
        ("cp -r a/* out/", copy("a/*", "out/", recursive.clone())),
        ("cp -R a b", copy("a", "b", recursive.clone())),
        ("cp a b -r", copy("a", "b", recursive)),
        ("cp -a a b", copy("a", "b", archive.clone())),
        ("cp --archive --verbose a b", copy("a", "b", archive.clone())),
        ("cp -dR --preserve=all a b", copy("a", "b", archive)),
        ("cp -p a b", copy("a", "b", json!({ "preserve": true }))),
        ("cp -f a b", copy("a", "b", json!({ "force": true }))),
        ("cp -P a b", copy("a", "b", json!({ "follow": "nothing" }))),
        ("cp -rL a b", copy("a", "b", json!({ "recursive": true }))),
        ("cp -rH a b", copy("a", "b", json!({ "recursive": true, "follow": "named" }))),
        ("cp -t d a b", copy("a b", "d", json!({ "into": "always" }))),
        ("cp --target-directory=d a", copy("a", "d", json!({ "into": "always" }))),
        ("cp -T a b", copy("a", "b", json!({ "into": "never" }))),
        ("mv a b", moved("a", "b", json!({}))),
        ("mv -f a* d", moved("a*", "d", json!({ "force": true }))),
        ("mv -t d a", moved("a", "d", json!({ "into": "always" }))),
    ]);
    check_refused(&[
        "cp a",
        "cp",
        "cp -n a b",
        "cp -u a b",
        "cp -i a b",
        "cp -l a b",
        "cp -s a b",
        "cp -x a b",
        "cp --parents a b",
        "cp --preserve=mode a b",
        "cp --preserve a b",
        "cp -T a b c",
        "cp -T a* c",
        "cp -t d -T a",
        "cp -t",
        "cp /etc/resolv.conf a",
        "cp -r / a",
        "cp -r /etc a",
        "mv -n a b",
        "mv -u a b",
        "mv /proc a",
        "mv a",
    ]);
}

#[test]
fn links_are_made() {
    let link = |targets: &str, to: Option<&str>, more: Value| {
        let mut link = json!({ "targets": paths(targets) });
        if let Some(to) = to {
            link["to"] = path(to);
        }
        link.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "link": link })
    };
    check(&[
        (
            "ln -s /tmp/cache ./.next/cache",
            link("/tmp/cache", Some("./.next/cache"), json!({ "symbolic": true })),
        ),
        (
            "ln -s /dev/stdout /var/log/x.log",
            link("/dev/stdout", Some("/var/log/x.log"), json!({ "symbolic": true })),
        ),
        ("ln -sf ../a b", link("../a", Some("b"), json!({ "symbolic": true, "force": true }))),
        (
            "ln -sfn a b",
            link("a", Some("b"), json!({ "symbolic": true, "force": true, "no-dereference": true })),
        ),
        ("ln -s /usr/lib/x", link("/usr/lib/x", None, json!({ "symbolic": true }))),
        ("ln a hard", link("a", Some("hard"), json!({}))),
        ("ln -s -t d a b*", link("a b*", Some("d"), json!({ "symbolic": true, "into": "always" }))),
        ("ln -sT a b", link("a", Some("b"), json!({ "symbolic": true, "into": "never" }))),
    ]);
    check_refused(&[
        "ln",
        "ln -sr a b",
        "ln -b a b",
        "ln -L a b",
        "ln -s '' b",
        "ln -s a*",
        "ln /dev/null b",
    ]);
}

#[test]
fn modes_and_owners_are_set() {
    check(&[
        ("chmod 755 a b", json!({ "set-mode": { "paths": paths("a b"), "mode": "755" } })),
        ("chmod +x a", json!({ "set-mode": { "paths": paths("a"), "mode": "+x" } })),
        ("chmod -x a", json!({ "set-mode": { "paths": paths("a"), "mode": "-x" } })),
        (
            "chmod -R u=rwX,go=rX a",
            json!({ "set-mode": { "paths": paths("a"), "mode": "u=rwX,go=rX", "recursive": true } }),
        ),
        (
            "chmod a+rx,o-w a -R",
            json!({ "set-mode": { "paths": paths("a"), "mode": "a+rx,o-w", "recursive": true } }),
        ),
        ("chmod go=u *.sh", json!({ "set-mode": { "paths": paths("*.sh"), "mode": "go=u" } })),
        (
            "chmod -R 755 *.py",
            json!({ "set-mode": { "paths": paths("*.py"), "mode": "755", "recursive": true } }),
        ),
        ("chown a:b c", json!({ "set-owner": { "paths": paths("c"), "user": "a", "group": "b" } })),
        (
            "chown -R 1000 c",
            json!({ "set-owner": { "paths": paths("c"), "user": "1000", "recursive": true } }),
        ),
        ("chown a: c", json!({ "set-owner": { "paths": paths("c"), "user": "a", "group": "" } })),
        ("chown :b c", json!({ "set-owner": { "paths": paths("c"), "group": "b" } })),
        (
            "chown -h a c",
            json!({ "set-owner": { "paths": paths("c"), "user": "a", "no-dereference": true } }),
        ),
        ("chgrp -R b c", json!({ "set-owner": { "paths": paths("c"), "group": "b", "recursive": true } })),
        ("touch a b", json!({ "touch": { "paths": paths("a b"), "create": true } })),
        ("touch -c a", json!({ "touch": { "paths": paths("a"), "create": false } })),
    ]);
    check_refused(&[
        "chmod 755",
        "chmod",
        "chmod 888 a",
        "chmod 07555 a",
        "chmod -w a",
        "chmod z+x a",
        "chmod u+x,-w a",
        "chmod --reference=a b",
        "chmod -R 755 /",
        "chmod -R 755 /*",
        "chmod -R -x a",
        "chown a.b c",
        "chown : c",
        "chown a:b:c d",
        "chown -RL a c",
        "chown --from=a b c",
        "chown 4294967295 c",
        "chown -R a /etc",
        "chgrp a:b c",
        "touch",
        "touch -d yesterday a",
        "touch -t 202001010000 a",
        "touch -r a b",
    ]);
}

#[test]
fn files_are_found() {
    let find = |roots: &str, more: Value| {
        let mut find = json!({ "roots": paths(roots), "action": "print" });
        find.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "find": find })
    };
    let name = |pattern: &str| json!({ "is": { "name": pattern } });
    let is = |test: &str| json!({ "is": test });
    check(&[
        ("find .", find(".", json!({}))),
        ("find -name a", find(".", json!({ "tests": [name("a")] }))),
        (
            "find a b* -name '*.pyc' -delete",
            find("a b*", json!({ "tests": [name("*.pyc")], "action": "delete" })),
        ),
        (
            "find . -name \"*.sh\" -exec chmod 744 {} \\;",
            find(
                ".",
                json!({ "tests": [name("*.sh")], "action": { "set-mode": { "mode": "744", "each": true } } }),
            ),
        ),
        (
            "find . -type d -exec chmod -R u+x {} +",
            find(
                ".",
                json!({
                    "tests": [is("directory")], "action": { "set-mode": { "mode": "u+x", "recursive": true } },
                }),
            ),
        ),
        (
            "find /opt -maxdepth 2 -mindepth 1 -type d -name __pycache__ -exec rm -rf {} +",
            find(
                "/opt",
                json!({
                    "max-depth": 2, "min-depth": 1, "tests": [is("directory"), name("__pycache__")],
                    "action": { "remove": { "recursive": true, "force": true } },
                }),
            ),
        ),
        (
            "find . -type f ! -name '*.py' -exec rm {} ';'",
            find(
                ".",
                json!({
                    "tests": [is("file"), { "not": true, "is": { "name": "*.py" } }], "action": { "remove": { "each": true } },
                }),
            ),
        ),
        (
            "find . \\( -name '*.a' -o -iname '*.B' -o -path '*/t/*' \\) -delete",
            find(
                ".",
                json!({
                    "tests": [{ "is": { "any": [
                        name("*.a"), { "is": { "any-case-name": "*.B" } }, { "is": { "path": "*/t/*" } },
                    ] } }],
                    "action": "delete",
                }),
            ),
        ),
        ("find . -empty -type l -print", find(".", json!({ "tests": [is("empty"), is("link")] }))),
    ]);
    check_refused(&[
        "find / -name a",
        "find /etc -name a",
        "find . -name *.py",
        "find . -name a -o -name b",
        "find . \\( -name a -name b \\)",
        "find . \\( -name a",
        "find . -delete -name a",
        "find . -name",
        "find . !",
        "find . -prune",
        "find . -regex a",
        "find . -size +1",
        "find . -newer a",
        "find . -depth -delete",
        "find . -type p",
        "find . -type f,d",
        "find -L . -name a",
        "find . -exec rm -rf {} \\;",
        "find . -exec rm {} +",
        "find . -exec rm -rf {} +",
        "find a/.. -name '*' -exec rm -rf {} +",
        "find . -type d -exec rm -rf {} +",
        "find . -type d -exec rm -rf {} \\;",
        "find . -exec cat {} \\;",
        "find . -exec chmod 755 {}",
        "find . -exec chmod 755 {} {} \\;",
        "find . -exec chmod 755 {}/x \\;",
        "find . -exec sh -c 'rm {}' \\;",
        "find . -name 'a\\*'",
        "find . -name '[a-z]'",
        "find . -maxdepth x",
    ]);
}

#[test]
fn files_are_looked_at() {
    check(&[
        ("ls", json!("nothing")),
        ("ls -la", json!("nothing")),
        ("ls -lahR a *.b", json!({ "look": { "paths": paths("a *.b") } })),
        ("cat a", json!({ "look": { "paths": paths("a") } })),
        ("true", json!("nothing")),
        (": a b", json!("nothing")),
    ]);
    check_refused(&["ls --color a", "ls /proc", "cat", "cat -A a", "cat /etc/hosts"]);
}
