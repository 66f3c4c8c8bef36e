//! Rules 28 to 59: words, variables and build arguments.

use super::lowering::{assert_recipes, assert_refused, assert_steps, assert_warned};

#[test]
fn words_are_expanded() {
    assert_steps(&[
        (
            28,
            "FROM a\nARG X=1\nENV E=$X\nLABEL l$X=$X\nEXPOSE $X\nUSER u$X\nVOLUME /$X\nSTOPSIGNAL $X\nWORKDIR /$X\nCOPY --chown=$X --chmod=$X $X $X",
            "env E=1\ndirectory /1\nuser u1\nmake /1 u1\ncopy owner=1 mode=1 1 -> /1/1\nlabel l1=1\nExposedPorts {\"1/tcp\":{}}\nStopSignal \"1\"\nVolumes {\"/1\":{}}",
        ),
        (
            28,
            "FROM a\nARG X=1\nRUN $X\nCMD [\"sh\", \"-c\", \"$X\"]\nENTRYPOINT [\"-c\", \"$X\"]\nHEALTHCHECK CMD $X\nONBUILD RUN $X\nSHELL [\"$X\"]",
            "run /bin/sh -c \"$X\" in / X=1\nentrypoint [\"-c\",\"$X\"]\ncmd [\"sh\",\"-c\",\"$X\"]\nHealthcheck {\"Test\":[\"CMD-SHELL\",\"$X\"]}\nOnBuild [\"RUN $X\"]\nShell [\"$X\"]",
        ),
        (30, "FROM a\nENV a=0\nENV a=1 b=$a\nENV c=$b", "env a=0\nenv a=1\nenv b=0\nenv c=0"),
        (31, "FROM a\nARG a=1 b=$a\nENV c=$b", "env c=1"),
        (32, "FROM a\nENV b=x$none", "env b=x"),
        (33, "FROM a\nENV b=${none:-${none:-d}} c=${b:+y}", "env b=d\nenv c="),
        (
            34,
            "FROM a\nENV a=/x/y.tar.gz\nENV b=${a##*/} c=${a%%.*} d=${a//\\//-}",
            "env a=/x/y.tar.gz\nenv b=y.tar.gz\nenv c=/x/y\nenv d=-x-y.tar.gz",
        ),
        (35, "FROM a\nENV a=$1x$@ b=$. c=$10x", "env a=x\nenv b=$.\nenv c=x"),
        (
            36,
            "FROM a\nENV X=1\nENV a=\\$X b=\"\\$X$X\" c='$X' d=\\t e=\"\\t\"",
            "env X=1\nenv a=$X\nenv b=$X1\nenv c=$X\nenv d=t\nenv e=\\t",
        ),
        (37, "FROM a\nENV k v  \"w\" # x", "env k=v  w # x"),
        (37, "FROM a\nENV k    v=w", "env k=v=w"),
        (39, "FROM a\nENV a=\"x y\" b='q \"r\"' c=x\\ y d=", "env a=x y\nenv b=q \"r\"\nenv c=x y\nenv d="),
        (40, "FROM a\nENV A=1 B=2\nENV A=3", "env A=1\nenv B=2\nenv A=3"),
        (
            41,
            "FROM full\nENV x=[$BAD]\nWORKDIR y",
            "env x=[]\ndirectory /relative/y\nmake /relative/y app:group",
        ),
        (
            42,
            "FROM a\nENV P=\"80 81/udp\"\nEXPOSE $P \"82\"",
            "env P=80 81/udp\nExposedPorts {\"80/tcp\":{},\"81/udp\":{},\"82/tcp\":{}}",
        ),
        (
            43,
            "FROM a\nEXPOSE 8001-8002/TCP 80",
            "ExposedPorts {\"80/tcp\":{},\"8001/tcp\":{},\"8002/tcp\":{}}",
        ),
        (44, "FROM a\nLABEL a=\"b c\" \"d e\"=f\\\ng h=\nLABEL a=2", "label a=2\nlabel d e=fg\nlabel h="),
        (44, "FROM a\nLABEL k v w", "label k=v w"),
        (45, "FROM scratch", "env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        (
            45,
            "FROM bare\nENV PATH=/x:$PATH",
            "env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nenv PATH=/x:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
    ]);
}

#[test]
fn arguments_have_scopes() {
    assert_steps(&[
        (46, "ARG A=1\nFROM a\nENV b=$A", "env b="),
        (47, "ARG A=1\nFROM a\nARG A\nENV b=$A", "env b=1"),
        (47, "ARG A=1\nFROM a\nARG A\nENV b=$A\n# args: arg:A=2", "env b=2"),
        (47, "FROM a\nARG A\nRUN x", "run /bin/sh -c \"x\" in /"),
        (47, "FROM a\nARG A=\nRUN x", "run /bin/sh -c \"x\" in / A="),
        (47, "FROM a\nARG TARGETARCH\nENV b=$TARGETARCH", "env b=arm64"),
        (48, "ARG A=1\nFROM a\nARG A=2 TARGETARCH=own\nENV b=$A$TARGETARCH", "env b=2own"),
        (49, "FROM a\nRUN x\nARG A=1\nRUN y", "run /bin/sh -c \"x\" in /\nrun /bin/sh -c \"y\" in / A=1"),
        (49, "FROM a AS p\nARG A=1\nFROM p\nRUN x", "run /bin/sh -c \"x\" in / A=1"),
        (
            49,
            "FROM a AS p\nARG A=1\nFROM a\nCOPY --from=p /x /x\nRUN x",
            "copy 0:/x -> /x\nrun /bin/sh -c \"x\" in /",
        ),
        (
            50,
            "FROM full\nARG A=1\nRUN x\nENV A=2\nRUN y\nARG A=3\nRUN z",
            "run /bin/bash -c \"x\" in /relative as app:group A=1\nenv A=2\nrun /bin/bash -c \"y\" in /relative as app:group\nrun /bin/bash -c \"z\" in /relative as app:group A=3",
        ),
        (51, "FROM a\nENV b=$TARGETARCH", "env b="),
        (
            51,
            "FROM a AS last\nARG BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT TARGETPLATFORM TARGETOS TARGETVARIANT TARGETSTAGE\nENV b=$BUILDPLATFORM,$BUILDOS,$BUILDARCH,$BUILDVARIANT,$TARGETPLATFORM,$TARGETOS,$TARGETVARIANT,$TARGETSTAGE",
            "env b=linux/amd64,linux,amd64,,linux/arm64,linux,,last",
        ),
        (52, "FROM a\nARG TARGETSTAGE\nENV b=$TARGETSTAGE", "env b=default"),
        (
            53,
            "FROM a\nRUN x\n# args: arg:http_proxy=p arg:No_Proxy=n",
            "run /bin/sh -c \"x\" in / proxy:HTTP_PROXY=p proxy:NO_PROXY=n proxy:http_proxy=p proxy:no_proxy=n",
        ),
        (
            53,
            "FROM a\nARG HTTP_PROXY\nRUN x\n# args: arg:HTTP_PROXY=p",
            "run /bin/sh -c \"x\" in / HTTP_PROXY=p proxy:HTTP_PROXY=p proxy:http_proxy=p",
        ),
        (58, "FROM a\nARG A=${B:?none}\nENV c=$A\n# args: arg:A=1", "env c=1"),
    ]);
    assert_recipes(&[
        (31, "ARG A=1 B=$A\nFROM x:$B", "FROM docker.io/library/x:1"),
        (48, "ARG A=1\nFROM x:$A\n# args: arg:A=2", "FROM docker.io/library/x:2"),
        (
            51,
            "FROM x:$TARGETARCH-$BUILDARCH-$TARGETSTAGE AS y",
            "FROM docker.io/library/x:arm64-amd64-y AS y",
        ),
        (51, "FROM x:$TARGETARCH\n# args: arg:TARGETARCH=own", "FROM docker.io/library/x:own"),
        (56, "ARG I=\"a:b\"\nARG J='${I}'\nARG E=\"\"\nFROM $I$E", "FROM docker.io/library/a:b"),
        (56, "ARG A=1\nARG B=x:${A}\nFROM $B", "FROM docker.io/library/x:1"),
        (33, "FROM x:${V:-latest}", "FROM docker.io/library/x:latest"),
    ]);
}

#[test]
fn wrong_variables_are_refused() {
    assert_refused(&[
        (32, "FROM a\nENV b=\"${X:?no value}\"", "2:7: X: no value"),
        (33, "FROM a\nENV b=${X:=1}", "2:7: unsupported modifier `:=` in a substitution"),
        (35, "FROM a\nENV b=${}", "2:7: bad substitution: `${` without a name"),
        (36, "FROM a\nENV b='\\''", "2:7: a single quote is not closed"),
        (38, "FROM a\nENV a=b c", "2:9: `c` is not of the form NAME=VALUE"),
        (38, "FROM a\nENV a", "2:5: ENV requires a value for `a`"),
        (38, "FROM a\nENV =x", "2:5: ENV has a blank name"),
        (38, "FROM a\nENV $NONE=x", "2:5: the name `$NONE` of ENV is not valid"),
        (38, "FROM a\nARG =x", "2:5: ARG has a blank name"),
        (43, "FROM a\nEXPOSE 80/icmp", "2:8: invalid port `80/icmp`: the protocol is tcp, udp or sctp"),
        (57, "FROM $IMAGE", "1:6: the image `$IMAGE` has an empty name"),
        (57, "FROM python:$VERSION", "1:6: invalid image name `python:`"),
        (58, "FROM a\nARG A=${B:?none}", "2:7: B: none"),
        (58, "ARG A=${B:?none}\nFROM a", "1:7: B: none"),
    ]);
}

#[test]
fn careless_variables_are_warned_of() {
    assert_warned(&[
        (29, "FROM a\nCMD [\"/usr/bin/python${V}\"]", &["2 ExecFormVariable"]),
        (29, "FROM a\nCMD [\"sh\", \"-c\", \"exec ${V}\"]", &[]),
        (32, "FROM a\nENV X=1\nENV b=$Y", &["3 UndefinedVar"]),
        (32, "FROM a\nARG Y\nENV b=$Y", &[]),
        (33, "FROM x:${V:-1}\nENV b=${Y:-1}${Z+2}", &[]),
        (32, "FROM x$V\nUSER b", &["1 UndefinedArgInFrom"]),
        (43, "FROM a\nEXPOSE 1.2.3.4:80:80", &["2 ExposeInvalidFormat"]),
        (
            54,
            "FROM a\nUSER b\n# args: arg:NONE=1 arg:HTTP_PROXY=x arg:TARGETARCH=arm64",
            &["1 UnusedBuildArg"],
        ),
    ]);
}
