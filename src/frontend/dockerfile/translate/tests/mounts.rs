//! Rules 149 to 154: what commands may see of the mounts of a line.

use super::{cache, run, shell};
use crate::recipe::{Access, Base, BuildContext, Mount, MountFrom, Operation};

fn bind(target: &str, from: MountFrom) -> Mount {
    Mount::Bind { target: target.into(), from, source: "/x".into(), writable: false }
}

fn context() -> MountFrom {
    MountFrom::Context(BuildContext { path: ".".into(), ignore: Vec::new() })
}

fn image() -> MountFrom {
    MountFrom::Image(Base::Registry("r.example/uv:1".parse().unwrap()))
}

fn secret(target: Option<&str>, env: Option<&str>) -> Mount {
    Mount::Secret {
        id: "s".into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required: false,
        access: Access { mode: 0o400, uid: 0, gid: 0 },
    }
}

/// The numbers of the mounts that a line reads; or why it is a command.
fn read(text: &str, mounts: &[Mount]) -> Result<Vec<usize>, String> {
    let translation = run(&shell(text), None, mounts).map_err(|(_, refusal)| refusal.reason)?;
    Ok(translation.mounts)
}

#[test]
fn only_mounts_that_commands_name_are_read() {
    let mounts = [
        bind("/work/in", context()),
        bind("/bin/uv", image()),
        bind("/deps", image()),
        cache("/root/.cache/uv"),
        bind("/etc/pip.conf", image()),
    ];
    for (rule, text, expected) in [
        (151, "mkdir /a", &[][..]),
        (151, "cp in out", &[0]),
        (151, "cp /work/in /deps/x /out", &[0, 2]),
        (151, "cp -r . /out", &[0]),
        (151, "cd /deps && cp a /out", &[2]),
        (151, "cd / && mkdir a", &[]),
        (151, "cp in* /all", &[0]),
        (151, "ls /bin", &[1]),
        // An install may read any file of a context: requirements name others. A tool's image is not needed.
        (151, "uv pip install --system -r /deps/r.txt", &[0, 2, 4]),
        (151, "uv pip install --system -t /out idna", &[0, 4]),
        (151, "pip install --no-index --find-links /deps idna", &[0, 2, 4]),
        (151, "pip install /deps/x.whl", &[0, 2, 4]),
        (151, "cd /app && npm ci", &[0, 4]),
    ] {
        assert_eq!(read(text, &mounts), Ok(expected.to_vec()), "rule {rule}: {text}");
    }
}

#[test]
fn what_only_a_process_can_use_stays_a_command() {
    let file = || secret(Some("/run/secrets/s"), None);
    for (rule, text, mount, reason) in [
        (154, "cat /run/secrets/s > f", file(), "is in the place of a secret, which only a process reads"),
        (154, "cp /run/secrets/* /a", file(), "is in the place of a secret, which only a process reads"),
        (
            154,
            "pip install -r /run/secrets/s",
            file(),
            "is in the place of a secret, which only a process reads",
        ),
        (154, "echo $T > f", secret(None, Some("T")), "is a secret, whose value only a process gets"),
        (154, "echo ${T:-none} > f", secret(None, Some("T")), "is a secret, whose value only a process gets"),
        // A variable of the image has the same name.
        (154, "echo $A > f", secret(None, Some("A")), "is a secret, whose value only a process gets"),
        (154, "A=1 && echo $A > f", secret(None, Some("A")), "sets a variable whose value is a secret"),
        (
            154,
            "mkdir a",
            secret(None, Some("PATH")),
            "is run with the secret PATH, which may change what it does",
        ),
        (
            154,
            "pip install x",
            secret(None, Some("PIP_TARGET")),
            "is run with the secret PIP_TARGET, which may change what it does",
        ),
        (
            155,
            "mkdir a",
            Mount::Ssh {
                id: "default".into(),
                target: None,
                required: false,
                access: Access { mode: 0o600, uid: 0, gid: 0 },
            },
            "is run with an SSH agent",
        ),
        (155, "touch /t/a", Mount::Tmpfs { target: "/t".into(), size: None }, "is in the place of a mount"),
        (150, "pip install -t /b/x idna", bind("/b", context()), "is in the place of a mount"),
        (150, "pip install -t /b idna", bind("/b/idna", context()), "is in the place of a mount"),
    ] {
        assert_eq!(read(text, &[mount]), Err(reason.to_owned()), "rule {rule}: {text}");
    }
    for (text, mount) in [
        ("mkdir a", file()),
        ("pip install x", file()),
        ("pip install x", secret(None, Some("PIP_INDEX_URL"))),
        ("uv pip install --system x", secret(None, Some("UV_INDEX_CORP_PASSWORD"))),
        ("mkdir a", secret(None, Some("TOKEN"))),
        ("mkdir a", Mount::Tmpfs { target: "/t".into(), size: None }),
    ] {
        assert_eq!(read(text, &[mount]), Ok(Vec::new()), "rule 154: {text}");
    }
    assert!(read("pip install -t /b idna", &[bind("/b/requirements.txt", context())]).is_ok());
    assert!(read("npm ci", &[bind("/work/package-lock.json", context())]).is_ok());
    assert!(read("npm ci", &[cache("/work/node_modules")]).is_err());
}

#[test]
fn a_variable_before_a_command_is_for_that_command() {
    let text = "PIP_INDEX_URL=http://i.example/simple pip install a && pip install b";
    let translation = run(&shell(text), None, &[]).unwrap();
    let options = translation.chains.into_iter().flatten().map(|command| match command.operation {
        Operation::InstallPython(install) => install.options,
        other => panic!("{other:?}"),
    });
    let expected = [vec!["--index-url http://i.example/simple".to_owned()], Vec::new()];
    assert_eq!(options.collect::<Vec<_>>(), expected, "rule 170");
    assert!(run(&shell("PIP_TARGET=/x pip install a"), None, &[]).is_err(), "rule 170");
    super::translated("PIP_EXTRA_INDEX_URL='http://a http://b' pip install --extra-index-url http://c a");
}
