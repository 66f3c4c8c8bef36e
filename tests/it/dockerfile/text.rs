//! Rules 1 to 27: lines, comments, directives, the JSON form, here-documents.

use super::lowering::{assert_refused, assert_steps, assert_warned};

#[test]
fn lines_words_and_forms() {
    assert_steps(&[
        (1, "FROM a\nCMD [\"a\"] # note", "cmd [\"/bin/sh\",\"-c\",\"[\\\"a\\\"] # note\"]"),
        (2, "FROM a\nCOPY a b # c", "copy a b # -> /c"),
        (2, "FROM a\nRUN x # y", "run /bin/sh -c \"x # y\" in /"),
        (3, "FROM a\nENV A=1 \\\n# comment\n  B=2", "env A=1\nenv B=2"),
        (3, "FROM a\nENV A=\"x\\\n  y\"", "env A=x  y"),
        (4, "FROM a\nRUN a\\\\\nRUN b \\", "run /bin/sh -c \"a\\\\\\\\\" in /\nrun /bin/sh -c \"b\" in /"),
        (
            5,
            "FROM a\r\nWORKDIR /x\r\nCOPY a \\\r\n  ./\r\nCMD [\"A::B\"]\r\n",
            "directory /x\nmake /x\ncopy a -> /x/\ncmd [\"A::B\"]",
        ),
        (5, "FROM a\r\nCOPY <<A /x\r\n1\r\nA\r\n", "copy <<A\"1\\r\\n\" -> /x"),
        (6, "\u{feff}FROM a\nUSER x", "user x"),
        (8, "# escape=`\nFROM a\nENV A=C:\\x` B=2\nCOPY a ` \n  C:\\d", "env A=C:\\x B=2\ncopy a -> /C:\\d"),
        (8, "# escape=`\nFROM a\nARG X=1\nCOPY <<E /x\n`$X\\$X\nE\n", "copy <<E\"`1$X\\n\" -> /x"),
        (9, "# syntax=docker/dockerfile:1.7-labs\nFROM a\nUSER x", "user x"),
        (10, "from a As b\nuser x\nRun y", "user x\nrun /bin/sh -c \"y\" in / as x"),
        (14, "FROM a\nCMD ['a']", "cmd [\"/bin/sh\",\"-c\",\"['a']\"]"),
        (14, "FROM a\nCMD [\"a\", ]", "cmd [\"/bin/sh\",\"-c\",\"[\\\"a\\\", ]\"]"),
        (14, "FROM a\nRUN [\"a\", \"b\\u0020c\"]", "run [\"a\",\"b c\"] in /"),
        (14, "FROM a\nRUN [ -f x ] && y", "run /bin/sh -c \"[ -f x ] && y\" in /"),
        (15, "FROM a\nCOPY \"bin/publish\" 'x'/y .", "copy bin/publish x/y -> /"),
        (15, "FROM a\nCOPY [\"with blank\", \"/out/with blank\"]", "copy with blank -> /out/with blank"),
        (16, "FROM a\nCOPY --link=false a b", "copy a -> /b"),
        (16, "FROM a\nCOPY --exclude=x --link --exclude=y a b", "copy exclude=x exclude=y link a -> /b"),
        (16, "FROM a\nCOPY -- --from /b", "copy --from -> /b"),
        (17, "FROM a\nCOPY --chown=\"a\":b x y", "copy owner=a:b x -> /y"),
    ]);
}

#[test]
fn here_documents() {
    assert_steps(&[
        (
            19,
            "FROM a\nADD <<A /x\n1\nA\nONBUILD COPY <<B /y\n2\nB\n",
            "copy <<A\"1\\n\" -> /x\nOnBuild [\"COPY <<B /y\\n2\\nB\"]",
        ),
        (
            20,
            "FROM a\nSHELL [\"/bin/bash\", \"-c\"]\nRUN <<E\na\n  b\nE\n",
            "run /bin/bash -c \"a\\n  b\\n\" in /\nShell [\"/bin/bash\",\"-c\"]",
        ),
        (
            20,
            "FROM a\nRUN <<E\n#!/usr/bin/env python\nprint()\nE\n",
            "run script E \"#!/usr/bin/env python\\nprint()\\n\" in /",
        ),
        (
            21,
            "FROM a\nRUN python - <<'PY'\nprint($x)\nPY\n",
            "run /bin/sh -c \"python - <<'PY'\\nprint($x)\\nPY\" in /",
        ),
        (
            21,
            "FROM a\nRUN cat <<A > x && cat <<-B > y\n1\nA\n\t2\n\tB\n",
            "run /bin/sh -c \"cat <<A > x && cat <<-B > y\\n1\\nA\\n\\t2\\nB\" in /",
        ),
        (
            22,
            "FROM a\nENV X=1\nRUN <<E\n$X ${Y:-z} \\$X\nE\n",
            "env X=1\nrun /bin/sh -c \"$X ${Y:-z} \\\\$X\\n\" in /",
        ),
        (
            23,
            "FROM a\nARG X=1\nCOPY <<E /x\n$X ${Y:-y} \"'$X'\" \\$X \\\\\nE\n",
            "copy <<E\"1 y \\\"'1'\\\" $X \\\\\\n\" -> /x",
        ),
        (
            23,
            "FROM a\nARG X=1\nCOPY <<'E' /x\n$X\nE\nCOPY <<\"F\" /y\n$X\nF\n",
            "copy <<E\"$X\\n\" -> /x\ncopy <<F\"$X\\n\" -> /y",
        ),
        (
            24,
            "FROM a\nCOPY <<-E <<F /x/\n\t\t1\n\t  2\n\tE\n\t3\nF\n",
            "copy <<E\"1\\n  2\\n\" <<F\"\\t3\\n\" -> /x/",
        ),
        (24, "FROM a\nRUN <<-E\n\t1\n\tE\n", "run /bin/sh -c \"1\\n\" in /"),
        (
            25,
            "FROM a\nCOPY --chmod=755 <<a.txt b <<c.txt d/\n1\na.txt\n2\nc.txt\n",
            "copy mode=755 b <<a.txt\"1\\n\" <<c.txt\"2\\n\" -> /d/",
        ),
        (
            26,
            "FROM a\nRUN x 3<<IN \\\n  && y <<OUT\n1\nIN\n2\nOUT\nUSER z",
            "run /bin/sh -c \"x 3<<IN   && y <<OUT\\n1\\nIN\\n2\\nOUT\" in /\nuser z",
        ),
    ]);
}

#[test]
fn wrong_texts_are_refused() {
    let long = format!("FROM a\nRUN {}", "x".repeat(65_536));
    assert_refused(&[
        (2, "FROM a\nENV A=1 # x", "2:9: `#` is not of the form NAME=VALUE"),
        (2, "FROM a\nEXPOSE 80 # x", "2:11: invalid port `#`: it is not a number up to 65535 or a range"),
        (7, "# escape=`\n# Escape=\\\nFROM a", "2:1: the directive `escape` is given twice"),
        (9, "# syntax=example.com/x:1\nFROM a", "1:10: unknown front-end `example.com/x:1`"),
        (11, "FROM a\nRUNN x", "2:1: unknown instruction `RUNN`"),
        (11, "FROM a\nCOPPY x y\nFROM b\nUSER x", "2:1: unknown instruction `COPPY`"),
        (11, "FROM a\n  && b", "2:3: unknown instruction `&&`"),
        (12, "# only a comment", "1:1: the file has no instructions"),
        (12, "", "1:1: the file has no instructions"),
        (12, "ARG A=1", "1:1: the file has no stage"),
        (12, "ARG A=1\nRUN x", "2:1: only ARG may stand before the first FROM"),
        (13, &long, "2:1: the line is longer than 65535 bytes"),
        (14, "FROM a\nCMD [1]", "2:5: the JSON array has something other than strings"),
        (14, "FROM a\nCOPY [\"a\" \"b\"]", "2:6: the arguments of COPY are not valid JSON"),
        (14, "FROM a\nVOLUME [\"a\",]", "2:8: the arguments of VOLUME are not valid JSON"),
        (14, "FROM a\nSHELL /bin/sh -c", "2:1: SHELL requires a JSON array with a program and its arguments"),
        (15, "FROM a\nCOPY \"a b\" /x", "2:6: a double quote is not closed"),
        (15, "FROM a\nCOPY a", "2:1: COPY requires a source and a destination"),
        (15, "FROM a\nRUN", "2:1: RUN requires a command"),
        (15, "FROM a\nWORKDIR", "2:1: WORKDIR requires an argument"),
        (16, "FROM a\nCOPY --form=x a b", "2:6: unknown flag `--form` of COPY"),
        (16, "FROM a\nCOPY --from x /a /b", "2:6: `--from` has no value"),
        (16, "FROM a\nCOPY --chown=a --chown=b x y", "2:16: `--chown` is given twice"),
        (16, "FROM a\nCOPY --link= a b", "2:6: `--link` is true or false, not ``"),
        (16, "FROM a\nUSER --x y", "2:6: unknown flag `--x` of USER"),
        (17, "FROM a\nRUN --mount=type=secret,\"id=a b x", "2:1: RUN requires a command"),
        (18, "FROM a\nHEALTHCHECK CMD --interval=3s x", "2:17: a flag of HEALTHCHECK stands after CMD"),
        (18, "FROM a\nONBUILD RUN --nonet x", "2:13: unknown flag `--nonet` of RUN"),
        (19, "FROM a\nCOPY a <<E\n1\nE\n", "2:8: COPY has a here-document as its destination"),
        (19, "FROM a\nRUN <<E\n1\n", "2:1: the here-document `E` is not terminated"),
        (19, "FROM a\nCOPY << E /x\n1\nE\n", "2:1: COPY has a here-document among other words"),
        (60, "FROM a AS 1b", "1:11: invalid stage name `1b`"),
        (60, "FROM a b", "1:8: FROM takes one image, and perhaps `AS` and a name"),
        (60, "FROM", "1:1: FROM requires an image"),
    ]);
}

#[test]
fn careless_texts_are_warned_of() {
    assert_warned(&[
        (3, "FROM a\nRUN b \\\n\n  c", &["3 NoEmptyContinuation"]),
        (7, "# check=skip=NoEmptyContinuation\nFROM a\nRUN b \\\n\n  c", &[]),
        (7, "# check=skip=all\nFROM a\nMAINTAINER me", &[]),
        (141, "FROM a\nMAINTAINER me", &["2 MaintainerDeprecated"]),
        (37, "FROM a\nENV a b\nLABEL c d", &["2 LegacyKeyValueFormat", "3 LegacyKeyValueFormat"]),
        (
            146,
            "FROM a\nARG AWS_ACCESS_KEY_ID\nENV TOKEN=x A=b",
            &["2 SecretsUsedInArgOrEnv", "3 SecretsUsedInArgOrEnv"],
        ),
        (59, "FROM a\nARG KEYBOARD\nENV PUBLIC_KEY=x MONKEY=y", &[]),
    ]);
    assert_refused(&[(
        7,
        "# check=error=true\nFROM a\nMAINTAINER me",
        "3:1: MAINTAINER is deprecated (MaintainerDeprecated)",
    )]);
}
