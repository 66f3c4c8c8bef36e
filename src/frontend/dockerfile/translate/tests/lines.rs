//! Chains, directories, variables of the line, the shell in force, mounts, users.

use super::{cache, commands, line, refusal, run, shell, translated};
use crate::recipe::Command;

fn shape(text: &str) -> Vec<usize> {
    translated(text).chains.iter().map(Vec::len).collect()
}

#[test]
fn chains_end_at_semicolons_and_lines() {
    assert_eq!(shape("mkdir a && mkdir b; mkdir c\nmkdir d && \\\n rm e"), [2, 1, 2]);
    assert_eq!(shape("set -e; mkdir a; mkdir b"), [1, 1]);
    assert_eq!(shape("set -ex && mkdir a && mkdir b"), [2]);
}

#[test]
fn set_e_is_known_at_the_beginning() {
    for (text, errexit) in [
        ("set -e; mkdir a", true),
        ("set -ex && mkdir a", true),
        ("set -eux; mkdir a", true),
        ("set -x; mkdir a", false),
        ("set -euo pipefail\nmkdir a", true),
        ("set -o pipefail -e; mkdir a", true),
        ("echo begin; set -o errexit; mkdir a", true),
        ("mkdir a", false),
    ] {
        assert_eq!(translated(text).errexit, errexit, "{text}");
    }
    for text in ["mkdir a; set -e", "set +e; mkdir a", "set -f; mkdir a", "set -- a; mkdir a", "set; mkdir a"]
    {
        refusal(text);
    }
    assert_eq!(refusal("set -u; echo $NONE").0, "$NONE");
    assert_eq!(refusal("set -eu; mkdir ${NONE}").0, "${NONE}");
    assert_eq!(commands("set -u; mkdir ${NONE:-a} $A")[0].text, "mkdir a one");
}

#[test]
fn directories_are_followed() {
    for (text, directories) in [
        ("cd a && mkdir b", &["/work", "/work/a"][..]),
        ("cd /a/b/ && cd .. && mkdir c", &["/work", "/a/b", "/a"]),
        ("cd .. && mkdir c", &["/work", "/work/.."]),
        ("cd a/b && cd ../c && cd ../.. && mkdir x", &["/work", "/work/a/b", "/work/a/c", "/work"]),
        ("cd ../.. && cd x && cd .. && mkdir c", &["/work", "/work/../..", "/work/../../x", "/work/../.."]),
        ("cd ./a/. && mkdir b", &["/work", "/work/a"]),
        ("cd / && cd .. && cd a && mkdir b", &["/work", "/", "/", "/a"]),
        ("cd \"$LAMBDA_TASK_ROOT\"; ", &["/work"]),
        ("set -e; cd /a; mkdir b", &["/work", "/a"]),
        ("set -e; D=/a; cd $D; mkdir b", &["/work", "/work", "/a"]),
    ] {
        let found: Vec<_> = commands(text).into_iter().map(|command| command.directory).collect();
        assert_eq!(found, directories, "{text}");
    }
    for (text, word) in [
        ("cd", "cd"),
        ("cd -", "-"),
        ("cd ~", "~"),
        ("cd -P a", "cd"),
        ("cd a b", "cd"),
        ("cd a*", "a*"),
        ("cd a/../b", "a/../b"),
        ("cd ''", "''"),
        ("cd a; mkdir b", "cd a"),
        ("mkdir a && cd a; mkdir b", "cd a"),
        ("set -e; cd a && mkdir b; mkdir c", "cd a"),
        ("set -e; mkdir a && cd a; mkdir c", "cd a"),
        ("/bin/cd a && mkdir b", "/bin/cd"),
    ] {
        assert_eq!(refusal(text).0, word, "{text}");
    }
}

#[test]
fn variables_of_the_line_are_known() {
    for (text, expected) in [
        ("D=/x; mkdir $D", "mkdir /x"),
        ("D=/x && mkdir $D/y", "mkdir /x/y"),
        ("D=/x E=$D/y; mkdir $E", "mkdir /x/y"),
        ("D='a b'; mkdir $D \"$D\"", "mkdir a b 'a b'"),
        ("D=$B; mkdir $D", "mkdir two words"),
        ("export D=/x; mkdir $D", "mkdir /x"),
        ("export D=\"$B\" E; mkdir $D", "mkdir two words"),
        ("D=1; D=2; mkdir $D", "mkdir 2"),
        ("A=; mkdir x$A", "mkdir x"),
        ("D=/x mkdir a$D", "mkdir a"),
        ("mkdir a; D=1; mkdir b", "mkdir b"),
        ("set -e; mkdir a; D=1; mkdir $D", "mkdir 1"),
    ] {
        assert_eq!(commands(text).last().unwrap().text, expected, "{text}");
    }
    for text in [
        "mkdir a && D=1; mkdir $D",
        "PATH=/x; mkdir a",
        "export PATH=/x:$PATH && mkdir a",
        "IFS=:; mkdir $A",
        "POSIXLY_CORRECT=1 rm a -r",
        "LC_ALL=C ls",
        "D=* ; mkdir $D",
        "D=~/x; mkdir $D",
        "export D=$B; mkdir $D",
        "export -n D",
        "export",
        "D=1 export E=2; mkdir $D",
        "D+=1; mkdir $D",
        "D[0]=1; mkdir $D",
        "D=(a b); mkdir $D",
        "mkdir $PWD/a",
        "mkdir $HOME/a",
        "mkdir $http_proxy",
        "mkdir $BASH_VERSION",
        "mkdir $_",
        "D=1 > f",
        "$NONE",
    ] {
        refusal(text);
    }
}

#[test]
fn the_shell_in_force_is_asked_for() {
    let with = |words: &[&str]| {
        let shell = words.iter().map(|word| (*word).to_owned()).collect();
        run(&Command::Shell { shell, text: "mkdir a".into() }, None, &[])
    };
    for words in [
        &["/bin/sh", "-c"][..],
        &["sh", "-c"],
        &["/bin/bash", "-ec"],
        &["/bin/bash", "-o", "pipefail", "-c"],
        &["/usr/bin/bash", "-euxo", "pipefail", "-c"],
        &["dash", "-e", "-c"],
        &["/bin/ash", "-eo", "pipefail", "-c"],
    ] {
        assert!(with(words).is_ok(), "{words:?}");
    }
    assert!(with(&["/bin/bash", "-ec"]).unwrap().errexit);
    for words in [
        &["/bin/zsh", "-c"][..],
        &["/bin/bash", "-lc"],
        &["/bin/bash", "--login", "-c"],
        &["/bin/bash"],
        &["/bin/bash", "-c", "x"],
        &["/bin/bash", "-fc"],
        &["cmd", "/S", "/C"],
        &["/bin/sh", "-o"],
    ] {
        let (at, refusal) = with(words).unwrap_err();
        assert_eq!((at, &*refusal.word), (0, "mkdir"), "{words:?}");
    }
}

#[test]
fn the_exec_form_is_one_command_without_a_shell() {
    let exec = |words: &[&str]| {
        run(&Command::Exec(words.iter().map(|word| (*word).to_owned()).collect()), None, &[])
    };
    let text = |words: &[&str]| exec(words).unwrap().chains[0][0].text.clone();
    assert_eq!(text(&["mkdir", "-p", "$A", "a b"]), "mkdir -p '$A' 'a b'");
    assert_eq!(text(&["/bin/rm", "*"]), "/bin/rm '*'");
    assert_eq!(text(&["touch", "a", ">", "b", "&&"]), "touch a '>' b '&&'");
    assert_eq!(text(&["/bin/bash", "-c", "mkdir a && rm b"]), "mkdir a");
    assert_eq!(text(&["pip", "install", "-r", "my file"]), "pip install -r 'my file'");
    for words in [
        &["cd", "a"][..],
        &["export", "A=1"],
        &[":"],
        &["A=1", "mkdir", "a"],
        &["A=1"],
        &["set", "-e"],
        &["sh", "x.sh"],
        &["./x"],
        &["/usr/bin/pip", "install", "x"],
        &[""],
    ] {
        assert!(exec(words).is_err(), "{words:?}");
    }
    assert!(
        run(&Command::Script { name: "E".into(), content: "#!/bin/sh\nmkdir a\n".into() }, None, &[])
            .is_err()
    );
}

#[test]
fn users_and_mounts_are_asked_for() {
    for user in ["root", "0", "0:0", "root:root"] {
        assert!(run(&shell("mkdir a"), Some(user), &[]).is_ok(), "{user}");
    }
    for user in ["1000", "app", "root:app", "0:1"] {
        assert!(run(&shell("mkdir a"), Some(user), &[]).is_err(), "{user}");
    }
    let with = |text: &str, target: &str| run(&shell(text), None, &[cache(target)]);
    assert!(with("mkdir /a", "/b").is_ok());
    assert!(with("rm -rf /cache2", "/cache").is_ok());
    for (text, target) in [
        ("rm -rf /cache", "/cache"),
        ("rm -rf /cache/x", "/cache"),
        ("rm -rf /root", "/root/.cache"),
        ("rm -rf /root/*", "/root/.cache"),
        ("touch a", "/work"),
        ("echo a > a", "/work/a"),
        ("cd a && touch b", "/work/a"),
        ("find . -delete", "/work/a/b"),
        ("cp x y", "/work/y"),
    ] {
        assert!(with(text, target).is_err(), "{text}");
    }
}

#[test]
fn the_time_is_linear() {
    let long = |piece: &str| piece.repeat(60_000 / piece.len());
    for text in [
        long("mkdir a;"),
        long("cd a && "),
        format!("cd {} && {} mkdir a", "a/".repeat(15_000), "cd b && ".repeat(3_000)),
        format!("X={} {}", long("x"), "&& mkdir $X$X$X"),
        long("${A:-"),
        long("\"$A"),
        format!("mkdir {}", long("[a")),
        format!("rm {}", long("*a")),
        format!("find . {}", long("( -name a -o ")),
        format!("find . {}", long("! ")),
        format!("printf '{}%s' {} > f", long("x"), long("a ")),
        long(":;set -e;"),
        long("a=b "),
        long("export A=1;"),
        long("'"),
        long("\\\n"),
        long("#\n"),
    ] {
        let begin = std::time::Instant::now();
        let _ = line(&text);
        assert!(begin.elapsed().as_secs() < 2, "{}", &text[..20]);
    }
}
