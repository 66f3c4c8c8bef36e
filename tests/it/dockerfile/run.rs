//! Rules 147 to 157: `RUN` and its mounts, as far as they are of the language.

use super::lowering::{assert_refused, assert_steps};

#[test]
fn commands_and_mounts() {
    assert_steps(&[
        (
            147,
            "FROM x/lambda/python\nENV E=1\nARG A=2\nUSER u:g\nRUN [\"ls\", \"$A\"]",
            "env E=1\nuser u:g\nrun [\"ls\",\"$A\"] in /var/task as u:g A=2",
        ),
        (
            150,
            "FROM x/lambda/python\nRUN --mount=target=uv.lock,source=uv.lock --mount=type=bind,target=/c,rw x",
            r#"run /bin/sh -c "x" in /var/task {"bind":{"from":{"context":{"path":"."}},"source":"/uv.lock","target":"/var/task/uv.lock"}} {"bind":{"from":{"context":{"path":"."}},"source":"/","target":"/c","writable":true}}"#,
        ),
        (
            151,
            "FROM a\nRUN --mount=from=ghcr.io/x/uv,source=/uv,target=/bin/uv x",
            r#"run /bin/sh -c "x" in / {"bind":{"from":{"image":{"registry":"ghcr.io/x/uv:latest"}},"source":"/uv","target":"/bin/uv"}}"#,
        ),
        (
            153,
            "FROM a\nRUN --mount=type=cache,target=/root/.cache//uv x",
            r#"run /bin/sh -c "x" in / {"cache":{"id":"/root/.cache/uv","sharing":"shared","target":"/root/.cache/uv"}}"#,
        ),
        (
            153,
            "FROM a AS s\nFROM a\nRUN --mount=type=cache,target=c,id=i,sharing=LOCKED,from=s,source=d,uid=1000,ro x",
            r#"run /bin/sh -c "x" in / {"cache":{"access":{"gid":0,"mode":493,"uid":1000},"from":[{"image":{"stage":0}},"/d"],"id":"i","read_only":true,"sharing":"locked","target":"/c"}}"#,
        ),
        (
            154,
            "FROM a\nRUN --mount=type=secret,id=aws x",
            r#"run /bin/sh -c "x" in / {"secret":{"access":{"gid":0,"mode":256,"uid":0},"id":"aws","target":"/run/secrets/aws"}}"#,
        ),
        (
            154,
            "FROM a\nRUN --mount=type=secret,target=/root/.netrc,required,mode=0440 --mount=type=secret,id=t,env=TOKEN x",
            r#"run /bin/sh -c "x" in / {"secret":{"access":{"gid":0,"mode":288,"uid":0},"id":".netrc","required":true,"target":"/root/.netrc"}} {"secret":{"access":{"gid":0,"mode":256,"uid":0},"env":"TOKEN","id":"t"}}"#,
        ),
        (
            155,
            "FROM a\nRUN --mount=type=tmpfs,target=/t,size=64m --mount=type=ssh x",
            r#"run /bin/sh -c "x" in / {"tmpfs":{"size":67108864,"target":"/t"}} {"ssh":{"access":{"gid":0,"mode":384,"uid":0},"id":"default"}}"#,
        ),
        (
            156,
            "FROM a\nARG T=cache D=/d U=7\nRUN --mount=type=$T,target=$D,uid=${U},readonly=false x",
            r#"run /bin/sh -c "x" in / D=/d T=cache U=7 {"cache":{"access":{"gid":0,"mode":493,"uid":7},"id":"/d","sharing":"shared","target":"/d"}}"#,
        ),
        (
            17,
            "FROM a\nRUN --mount='type=cache,\"target=/a,b\"' x",
            r#"run /bin/sh -c "x" in / {"cache":{"id":"/a,b","sharing":"shared","target":"/a,b"}}"#,
        ),
        (
            157,
            "FROM a\nRUN --network=none x\nRUN --network=default --security=sandbox y",
            "run /bin/sh -c \"x\" in / network=none\nrun /bin/sh -c \"y\" in /",
        ),
    ]);
}

#[test]
fn wrong_commands_are_refused() {
    assert_refused(&[
        (150, "FROM a\nRUN --mount=target=/ x", "2:5: a mount cannot have the target `/`"),
        (150, "FROM a\nRUN --mount=type=cache x", "2:5: the mount has no target"),
        (
            154,
            "FROM a\nRUN --mount=type=secret,id=a,src=b x",
            "2:5: a secret has an id or a source, not both",
        ),
        (154, "FROM a\nRUN --mount=type=secret x", "2:5: a secret needs an id or a target"),
        (156, "FROM a\nRUN --mount=typ=cache,target=/x y", "2:5: unknown key `typ` of --mount"),
        (156, "FROM a\nRUN --mount=type=cash,target=/x y", "2:5: unknown type `cash` of --mount"),
        (156, "FROM a\nRUN --mount=type=bind,target=/x,uid=1 y", "2:5: a mount of type bind has no `uid`"),
        (156, "FROM a\nRUN --mount=target=/x,size=1 y", "2:5: a mount of type bind has no `size`"),
        (156, "FROM a\nRUN --mount=target y", "2:5: `target` of --mount has no value"),
        (
            156,
            "FROM a\nRUN --mount=type=cache,target=/x,sharing=all y",
            "2:5: invalid value `all` of `sharing` in --mount",
        ),
        (
            156,
            "FROM a\nRUN --mount=type=cache,target=/x,mode=9 y",
            "2:5: invalid value `9` of `mode` in --mount",
        ),
        (157, "FROM a\nRUN --network=some x", "2:5: unknown network `some`"),
        (157, "FROM a\nRUN --security=insecure x", "2:5: RUN --security=insecure is not supported"),
        (157, "FROM a\nRUN --device=gpu x", "2:5: RUN --device is not supported: a build has no devices"),
    ]);
}
