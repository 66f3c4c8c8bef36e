//! Rules 60 to 74: stages, bases and targets.

use super::lowering::{assert_recipes, assert_refused, assert_warned, refusal};

#[test]
fn stages_are_found() {
    assert_recipes(&[
        (
            60,
            "FROM a AS Build\nFROM b\nCOPY --from=BUILD /x /y",
            "FROM docker.io/library/a:latest AS build\nFROM docker.io/library/b:latest\ncopy 0:/x -> /y",
        ),
        (60, "FROM a AS build\nFROM b\n# args: target=BUILD", "FROM docker.io/library/a:latest AS build"),
        (
            61,
            "FROM a AS Build\nUSER x\nFROM Build",
            "FROM docker.io/library/a:latest AS build\nuser x\nFROM stage 0",
        ),
        (
            62,
            "FROM a AS x\nUSER 1\nFROM b AS x\nUSER 2\nFROM x",
            "FROM docker.io/library/b:latest AS x\nuser 2\nFROM stage 0",
        ),
        (
            62,
            "FROM a AS x\nUSER 1\nFROM x AS x\nUSER 2\nFROM c\nCOPY --from=x /y /z",
            "FROM docker.io/library/a:latest AS x\nuser 1\nFROM stage 0 AS x\nuser 2\nFROM docker.io/library/c:latest\ncopy 1:/y -> /z",
        ),
        (
            63,
            "FROM a\nFROM b\nFROM c\nCOPY --from=1 /x /y",
            "FROM docker.io/library/b:latest\nFROM docker.io/library/c:latest\ncopy 0:/x -> /y",
        ),
        (
            64,
            "FROM b\nCOPY --from=r.example/tools:1 /x /y",
            "FROM docker.io/library/b:latest\ncopy r.example/tools:1:/x -> /y",
        ),
        (
            64,
            "FROM a AS golang\nFROM b\nCOPY --from=golang /x /y",
            "FROM docker.io/library/a:latest AS golang\nFROM docker.io/library/b:latest\ncopy 0:/x -> /y",
        ),
        (
            66,
            "FROM --platform=linux/amd64 a AS x\nFROM --platform=linux/arm64 x AS y\nFROM b\nCOPY --from=y /x /y",
            "FROM docker.io/library/a:latest for linux/amd64 AS x\nFROM stage 0 for linux/amd64 AS y\nFROM docker.io/library/b:latest\ncopy 1:/x -> /y",
        ),
        (67, "FROM --platform=linux/aarch64 a", "FROM docker.io/library/a:latest"),
        (67, "FROM --platform=linux/x86_64 a\n# args: arch=amd64", "FROM docker.io/library/a:latest"),
        (
            68,
            "FROM --platform=$BUILDPLATFORM a AS x\nRUN y\nFROM b\nCOPY --from=x /x /y",
            "FROM docker.io/library/a:latest for linux/amd64 AS x\nrun /bin/sh -c \"y\" in /\nFROM docker.io/library/b:latest\ncopy 0:/x -> /y",
        ),
        (68, "FROM --platform=$TARGETPLATFORM a", "FROM docker.io/library/a:latest"),
        (69, "FROM in_valid/IMAGE AS x\nCOPY --from=none.. /a /b\nFROM b", "FROM docker.io/library/b:latest"),
        (
            69,
            "FROM a AS tools\nFROM b AS other\nFROM trigger",
            "FROM docker.io/library/a:latest AS tools\nFROM docker.io/library/trigger:latest\ncopy 0:/t -> /t\nrun /bin/sh -c \"touch $VERSION\" in / VERSION=base\nOnBuild null",
        ),
        (70, "FROM a AS x\nFROM b AS y\nFROM c\n# args: target=y", "FROM docker.io/library/b:latest AS y"),
        (
            71,
            "FROM a AS x\nRUN y\nFROM x\nUSER z\n# args: image:x=r.example/c:1",
            "FROM r.example/c:1 AS x\nFROM stage 0\nuser z",
        ),
        (
            71,
            "FROM alpine\n# args: image:docker.io/library/alpine:latest=r.example/c:1",
            "FROM r.example/c:1",
        ),
        (
            71,
            "FROM a\nCOPY --from=src /x /y\n# args: dir:src=other",
            "FROM docker.io/library/a:latest\ncopy other:x -> /y",
        ),
        (
            71,
            "FROM a AS src\nRUN x\nFROM b\nCOPY --from=src /x /y\n# args: dir:src=other",
            "FROM docker.io/library/b:latest\ncopy other:x -> /y",
        ),
        (
            71,
            "FROM b\nRUN --mount=from=src,target=/x y\n# args: dir:src=other",
            "FROM docker.io/library/b:latest\nrun /bin/sh -c \"y\" in / {\"bind\":{\"from\":{\"context\":{\"path\":\"other\"}},\"source\":\"/\",\"target\":\"/x\"}}",
        ),
        (
            71,
            "FROM src\nUSER x\n# args: dir:src=other",
            "FROM scratch\ncopy other:. -> /\nenv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nuser x",
        ),
        (
            71,
            "FROM scratch\n# args: image:scratch=r.example/c:1",
            "FROM scratch\nenv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        (
            72,
            "FROM --platform=linux/aarch64 scratch\nCOPY --from=scratch / /",
            "FROM scratch\nenv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\ncopy scratch:/ -> /",
        ),
        (
            73,
            "FROM r.example/x:1@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
            "FROM r.example/x:1@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        ),
        (74, "FROM a AS x\nUSER y\nFROM x", "FROM docker.io/library/a:latest AS x\nuser y\nFROM stage 0"),
    ]);
}

#[test]
fn wrong_stages_are_refused() {
    assert_refused(&[
        (57, "FROM Upper/Case", "1:6: invalid image name `Upper/Case`"),
        (
            62,
            "FROM a\nCOPY --from=x /a /b\nFROM b AS x\nFROM c\nCOPY --from=0 /a /b",
            "2:6: the stage `x` stands below this one",
        ),
        (63, "FROM a\nCOPY --from=0 /a /b", "2:6: the stage `0` cannot copy from itself"),
        (63, "FROM a\nCOPY --from=7 /a /b", "2:6: there is no stage 7: the last is 0"),
        (
            65,
            "ARG X=a\nFROM a\nCOPY --from=$X /a /b",
            "3:6: variables and quotes are not expanded in --from: `$X`",
        ),
        (
            65,
            "FROM a\nRUN --mount=from=$X,target=/x y",
            "2:5: variables are not expanded in `from` of --mount",
        ),
        (
            67,
            "FROM --platform=linux/amd64 a",
            "1:6: the image is for linux/amd64, and linux/arm64 is asked for",
        ),
        (
            67,
            "FROM --platform=linux/amd64 a AS x\nFROM x",
            "1:6: the image is for linux/amd64, and linux/arm64 is asked for",
        ),
        (67, "FROM --platform=linux/amd64,linux/arm64 a", "1:6: invalid platform `linux/amd64,linux/arm64`"),
        (67, "FROM --platform=$NONE a", "1:6: invalid platform ``"),
        (70, "FROM a AS build\n# args: target=biuld", "1:1: the target `biuld` is not the name of a stage"),
        (
            142,
            "FROM broken-trigger",
            "1:1: in the trigger `COPPY a b` of the base: unknown instruction `COPPY`",
        ),
    ]);
}

#[test]
fn hints_name_the_cause() {
    for (text, hint) in [
        ("FROM python:$VERSION", "`VERSION` is not set: declare ARG VERSION=DEFAULT before the first FROM"),
        ("ARG VERSION\nFROM python:$VERSION", "`VERSION` has no default: pass --build-arg VERSION=VALUE"),
        ("ARG VERSOIN=1\nFROM python:$VERSION", "`VERSION` is not set; did you mean `VERSOIN`?"),
        (
            "FROM a\nARG V=1\nFROM python:$V",
            "FROM sees only what stands before the first FROM: move ARG V there",
        ),
        ("FROM a AS build\n# args: target=biuld", "did you mean `build`?"),
        ("FROM a AS x\nFROM b AS y\n# args: target=other", "the stages are x, y"),
        ("FROM a\nRUNN x", "did you mean `RUN`?"),
        ("FROM a\nCOPY --chwon=x a b", "did you mean `--chown`?"),
        ("FROM a\nRUN --mount=tpye=cache,target=/x y", "did you mean `type`?"),
        ("FROM a\nRUN --mount=type=cahce,target=/x y", "did you mean `cache`?"),
    ] {
        assert_eq!(refusal(text).lines().last().unwrap(), format!("hint: {hint}"), "{text}");
    }
}

#[test]
fn careless_stages_are_warned_of() {
    assert_warned(&[
        (62, "FROM a AS x\nFROM b AS x", &["2 DuplicateStageName"]),
        (72, "FROM a AS scratch\nFROM b", &["1 ReservedStageName"]),
        (64, "FROM a AS builder\nFROM b\nCOPY --from=bulder /x /y", &["3 NearStageName"]),
    ]);
}
