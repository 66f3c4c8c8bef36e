//! Rules 127 to 146: `WORKDIR`, `USER` and the rest of the config.

use super::lowering::{assert_recipes, assert_refused, assert_steps, assert_warned};

#[test]
fn the_config_is_changed() {
    assert_steps(&[
        (127, "FROM a\nUSER u\nWORKDIR /a/b", "directory /a/b\nuser u\nmake /a/b u"),
        (
            128,
            "FROM x/lambda/python\nWORKDIR \"src/lambda\"\nWORKDIR ../b/\nWORKDIR /c/./",
            "directory /var/task/src/lambda\nmake /var/task/src/lambda\ndirectory /var/task/src/b\nmake /var/task/src/b\ndirectory /c\nmake /c",
        ),
        (129, "FROM a\nWORKDIR /", "directory /"),
        (130, "FROM a\nARG U=nobody:1\nUSER $U", "user nobody:1"),
        (
            134,
            "FROM full\nVOLUME /a /b\nVOLUME [\"/c d\"]",
            "Volumes {\"/a\":{},\"/b\":{},\"/c d\":{},\"/v\":{}}",
        ),
        (135, "FROM a\nENTRYPOINT [\"e\"]", "entrypoint [\"e\"]\nCmd null"),
        (135, "FROM a\nCMD [\"c\"]\nENTRYPOINT [\"e\"]", "entrypoint [\"e\"]\ncmd [\"c\"]"),
        (135, "FROM a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]", "entrypoint [\"e\"]\ncmd [\"c\"]"),
        (135, "FROM a AS p\nCMD [\"c\"]\nFROM p\nENTRYPOINT [\"e\"]", "entrypoint [\"e\"]\nCmd null"),
        (135, "FROM x/lambda/python\nCMD [\"a.handler\"]", "cmd [\"a.handler\"]"),
        (136, "FROM full\nENTRYPOINT []\nCMD []", "Cmd null\nEntrypoint null"),
        (136, "FROM a\nCMD [\"1\"]\nCMD [\"2\"]", "cmd [\"2\"]"),
        (137, "FROM a\nCMD x  y", "cmd [\"/bin/sh\",\"-c\",\"x  y\"]"),
        (137, "FROM full\nENTRYPOINT x", "entrypoint [\"/bin/bash\",\"-c\",\"x\"]\nCmd null"),
        (
            138,
            "FROM a\nRUN 1\nSHELL [\"/s\", \"-x\"]\nRUN 2\nCMD 3\nENTRYPOINT 4\nHEALTHCHECK CMD 5",
            "run /bin/sh -c \"1\" in /\nrun /s -x \"2\" in /\nentrypoint [\"/s\",\"-x\",\"4\"]\ncmd [\"/s\",\"-x\",\"3\"]\nHealthcheck {\"Test\":[\"CMD-SHELL\",\"5\"]}\nShell [\"/s\",\"-x\"]",
        ),
        (138, "FROM a AS p\nSHELL [\"/s\"]\nFROM p\nRUN 1", "run /s \"1\" in /"),
        (
            139,
            "FROM a\nHEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=1h --start-interval=2ms --retries=3 CMD [\"c\", \"d\"]",
            "Healthcheck {\"Interval\":90000000000,\"Retries\":3,\"StartInterval\":2000000,\"StartPeriod\":3600000000000,\"Test\":[\"CMD\",\"c\",\"d\"],\"Timeout\":1500000000}",
        ),
        (139, "FROM a\nHEALTHCHECK none", "Healthcheck {\"Test\":[\"NONE\"]}"),
        (
            140,
            "FROM full\nSTOPSIGNAL SIGINT\nLABEL b=2\nEXPOSE 2",
            "label b=2\nExposedPorts {\"1/tcp\":{},\"2/tcp\":{}}\nStopSignal \"SIGINT\"",
        ),
        (141, "FROM a\nMAINTAINER me $X <a@b>", "author me $X <a@b>"),
        (
            142,
            "FROM a AS tools\nFROM trigger\nRUN own",
            "copy 0:/t -> /t\nrun /bin/sh -c \"touch $VERSION\" in / VERSION=base\nrun /bin/sh -c \"own\" in / VERSION=base\nOnBuild null",
        ),
        (
            142,
            "FROM a AS tools\nFROM trigger\n# args: arg:VERSION=given",
            "copy 0:/t -> /t\nrun /bin/sh -c \"touch $VERSION\" in / VERSION=given\nOnBuild null",
        ),
        (
            144,
            "FROM a\nONBUILD RUN echo $X \\\n  && y\nONBUILD CMD [\"$X\"]",
            "OnBuild [\"RUN echo $X   && y\",\"CMD [\\\"$X\\\"]\"]",
        ),
    ]);
}

#[test]
fn triggers_run_once() {
    assert_recipes(&[
        (
            143,
            "FROM a AS p\nONBUILD USER u\nFROM p AS q\nFROM q",
            "FROM docker.io/library/a:latest AS p\nOnBuild [\"USER u\"]\nFROM stage 0 AS q\nuser u\nOnBuild null\nFROM stage 1",
        ),
        (
            143,
            "FROM a AS p\nONBUILD USER u\nFROM p\nONBUILD USER v",
            "FROM docker.io/library/a:latest AS p\nOnBuild [\"USER u\"]\nFROM stage 0\nuser u\nOnBuild [\"USER v\"]",
        ),
        (
            142,
            "FROM a AS p\nONBUILD COPY --from=tools /x /y\nFROM b AS tools\nFROM p",
            "FROM docker.io/library/a:latest AS p\nOnBuild [\"COPY --from=tools /x /y\"]\nFROM docker.io/library/b:latest AS tools\nFROM stage 0\ncopy 1:/x -> /y\nOnBuild null",
        ),
    ]);
}

#[test]
fn wrong_configs_are_refused() {
    assert_refused(&[
        (128, "FROM a\nWORKDIR $NONE", "2:9: the directory `$NONE` is empty"),
        (130, "FROM a\nUSER $NONE", "2:6: the user `$NONE` is empty"),
        (134, "FROM a\nVOLUME [\"\"]", "2:1: VOLUME requires a path, which is not empty"),
        (136, "FROM a\nCMD", "2:1: CMD requires a command"),
        (
            137,
            "FROM x/lambda/python\nCMD app.handler",
            "2:1: this form of CMD makes three arguments, but /lambda-entrypoint.sh takes one: the handler",
        ),
        (138, "FROM a\nSHELL []", "2:1: SHELL requires a JSON array with a program and its arguments"),
        (139, "FROM a\nHEALTHCHECK --interval=0.1ms CMD x", "2:13: invalid duration `0.1ms`"),
        (139, "FROM a\nHEALTHCHECK --interval=5 CMD x", "2:13: invalid duration `5`"),
        (139, "FROM a\nHEALTHCHECK --retries=-1 CMD x", "2:13: invalid number of retries `-1`"),
        (139, "FROM a\nHEALTHCHECK NONE x", "2:18: HEALTHCHECK NONE has no arguments"),
        (139, "FROM a\nHEALTHCHECK TCP x", "2:13: HEALTHCHECK requires CMD or NONE, not `TCP`"),
        (140, "FROM a\nSTOPSIGNAL SIGNOTHING", "2:12: `SIGNOTHING` is not a signal"),
        (144, "FROM a\nONBUILD ONBUILD RUN x", "2:9: ONBUILD is not allowed after ONBUILD"),
        (144, "FROM a\nONBUILD from x", "2:9: FROM is not allowed after ONBUILD"),
        (144, "FROM a\nONBUILD MAINTAINER x", "2:9: MAINTAINER is not allowed after ONBUILD"),
        (144, "FROM a\nONBUILD", "2:1: ONBUILD requires an instruction"),
    ]);
}

#[test]
fn careless_configs_are_warned_of() {
    assert_warned(&[
        (128, "FROM a\nWORKDIR x\nWORKDIR y", &["2 WorkdirRelativePath"]),
        (136, "FROM a\nCMD [\"1\"]\nCMD [\"2\"]", &["3 MultipleInstructionsDisallowed"]),
        (137, "FROM a\nCMD x\nENTRYPOINT y", &["2 JSONArgsRecommended", "3 JSONArgsRecommended"]),
        (137, "FROM a\nSHELL [\"/s\"]\nCMD x", &[]),
        (137, "FROM a\nCMD exec x", &[]),
        (1, "FROM a\nCMD [\"a\"] # note", &["2 JSONArgsRecommended"]),
    ]);
}
