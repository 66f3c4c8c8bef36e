//! Rules 75 to 119 of `COPY` and `ADD`, as far as they are of the language.

use super::lowering::{assert_refused, assert_steps, assert_warned};

#[test]
fn sources_and_destinations() {
    assert_steps(&[
        (75, "FROM x/lambda/python\nCOPY app.py ${LAMBDA_TASK_ROOT}", "copy app.py -> /var/task"),
        (
            76,
            "FROM x/lambda/python\nCOPY a .\nCOPY a ./\nCOPY a \"\"\nCOPY a d/\nCOPY a d/.",
            "copy a -> /var/task/\ncopy a -> /var/task/\ncopy a -> /var/task/\ncopy a -> /var/task/d/\ncopy a -> /var/task/d/",
        ),
        (
            77,
            "FROM a\nCOPY dir /d\nCOPY dir/ /d\nCOPY dir/. /d\nCOPY . /d",
            "copy dir -> /d\ncopy dir -> /d\ncopy dir -> /d\ncopy . -> /d",
        ),
        (78, "FROM a\nCOPY src/* [a-c]?.txt /d/", "copy src/* [a-c]?.txt -> /d/"),
        (86, "FROM a\nWORKDIR /a/b\nCOPY x ../../../../y", "directory /a/b\nmake /a/b\ncopy x -> /y"),
        (87, "FROM a\nCOPY x y", "copy x -> /y"),
        (87, "FROM x/lambda/python\nCOPY x y", "copy x -> /var/task/y"),
        (88, "FROM a\nCOPY /x ../x ../../d/../y /d/", "copy x x y -> /d/"),
        (91, "FROM a\nCOPY arr[[]0] \\*x /d/", "copy arr[[]0] *x -> /d/"),
        (94, "FROM a\nCOPY package*.json yarn.lock* ./", "copy package*.json yarn.lock* -> /"),
        (100, "FROM a AS x\nWORKDIR /w\nFROM b\nCOPY --from=x f ./g /h/", "copy 0:/f 0:/g -> /h/"),
        (
            104,
            "FROM a\nCOPY --chown=1000 a b\nCOPY --chown=u:12 a b\nCOPY --chown=:g a b",
            "copy owner=1000 a -> /b\ncopy owner=u:12 a -> /b\ncopy owner=:g a -> /b",
        ),
        (105, "FROM a\nARG U=u G=g\nCOPY --chown=$U:${G} a b", "copy owner=u:g a -> /b"),
        (
            106,
            "FROM a\nARG M=0644\nCOPY --chmod=$M a b\nCOPY --chmod=u=rwX,go=rX a b",
            "copy mode=0644 a -> /b\ncopy mode=u=rwX,go=rX a -> /b",
        ),
        (107, "FROM a\nCOPY --link --chown=1:2 a b", "copy owner=1:2 link a -> /b"),
        (108, "FROM a\nADD --exclude=*.md --exclude=!a.md x y", "copy exclude=*.md exclude=!a.md x* -> /y"),
        (
            109,
            "FROM a\nCOPY --parents deep/./er/f.txt ./a/b /c/**/d /p/",
            "copy parents deep/./er/f.txt a/b c/**/d -> /p/",
        ),
        (
            110,
            "FROM a\nADD --checksum=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae https://h/x /x",
            "copy https://h/x@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae -> /x",
        ),
        (
            111,
            "FROM a\nARG V=1\nADD --chmod=755 https://h/$V/x?q /bin/",
            "copy mode=755 https://h/1/x?q -> /bin/",
        ),
        (111, "FROM a\nADD --unpack=true https://h/x.tar.gz /x", "copy https://h/x.tar.gz* -> /x"),
        (
            114,
            "FROM a\nADD a.tar b /x/\nADD --unpack=false a.tar /x/",
            "copy a.tar* b* -> /x/\ncopy a.tar -> /x/",
        ),
        (118, "FROM a\nCOPY a.tar /x/", "copy a.tar -> /x/"),
        (133, "FROM a\nUSER u\nCOPY a b", "user u\ncopy a -> /b"),
    ]);
}

#[test]
fn wrong_copies_are_refused() {
    assert_refused(&[
        (88, "FROM a\nCOPY $NONE /x", "2:6: the source `$NONE` is empty"),
        (103, "FROM a\nCOPY --chown=a:b:c a b", "2:6: invalid owner `a:b:c`"),
        (106, "FROM a\nCOPY --chmod=64a a b", "2:6: invalid mode `64a`"),
        (106, "FROM a\nCOPY --chmod=10000 a b", "2:6: invalid mode `10000`"),
        (106, "FROM a\nCOPY --chmod=null a b", "2:6: invalid mode `null`"),
        (
            107,
            "FROM a\nCOPY --link --chown=user a b",
            "2:13: --link cannot look up the name `user` in the image",
        ),
        (110, "FROM a\nCOPY --checksum=sha256:0 a b", "2:6: unknown flag `--checksum` of COPY"),
        (
            110,
            "FROM a\nADD --checksum=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae a b",
            "2:1: --checksum is for exactly one source, which is a URL",
        ),
        (110, "FROM a\nADD --checksum=md5:0 https://h/x b", "2:5: invalid checksum `md5:0`"),
        (110, "FROM a\nCOPY https://h/x b", "2:6: COPY does not download"),
        (
            119,
            "FROM a\nADD https://github.com/a/b.git#main:c /d",
            "2:5: ADD of a git repository is not supported",
        ),
        (119, "FROM a\nADD git@github.com:a/b /d", "2:5: ADD of a git repository is not supported"),
        (119, "FROM a\nADD --keep-git-dir=true a /d", "2:5: ADD of a git repository is not supported"),
    ]);
}

#[test]
fn careless_copies_are_warned_of() {
    assert_warned(&[
        (88, "FROM a\nCOPY ../x /x", &["2 OutsideContext"]),
        (111, "FROM a\nADD https://h/x /x", &["2 UnreadableDownload"]),
        (111, "FROM a\nADD --chmod=755 https://h/x /x", &[]),
    ]);
}
