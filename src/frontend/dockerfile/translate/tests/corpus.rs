//! Lines of public Dockerfiles: those of `testdata/dockerfile/cases`, and forms of `RUN` in the field.

use super::{line, translated};

/// The lines of the cases that have only file operations.
#[test]
fn the_lines_of_cases_are_translated() {
    for text in [
        // 10, 12, 16
        "ln -s /tmp/cache ./.next/cache",
        "mkdir out",
        "rm -r .cache && rm $OUT/init.gradle",
        "cp -r $FUNCTION_DIR/*/install/* .",
        "mkdir -p ${FUNCTION_DIR}",
        // 17
        "chmod 755 /usr/local/bin/aws-lambda-rie /entry.sh",
        // 19
        r#"chmod -R 755 *.py && find . -name "*.sh" -exec chmod 744 {} \;"#,
        // 28
        "mkdir -p .next/standalone && echo 1 > .next/standalone/server.js",
        "addgroup --system --gid 1001 nodejs",
        "adduser --system --uid 1001 nextjs",
        "mkdir -p $NEXT_CACHE_DIR/fetch-cache",
        "chown -R nextjs:nodejs $NEXT_CACHE_DIR && chmod -R 755 $NEXT_CACHE_DIR",
        // 29
        "mkdir -p -m 0750 /opt/extensions/a && mkdir -p \"$LAMBDA_TASK_ROOT/out\"",
        "mv /tmp/in/bootstrap /var/runtime/bootstrap && chmod +x /var/runtime/bootstrap",
        "cp -r tree/* out/ && cp -a tree copy && rm -rf tree/sub /tmp/in/none*",
        "ln -s /tmp/cache cache && ln -sf ../out/a.txt copy/link && ln /tmp/in/start.sh hard",
        "chmod -R 755 copy && chmod u=rw,go=r out/a.txt",
        "echo \"v=1\" > ver && echo $LAMBDA_TASK_ROOT >> ver && touch empty",
        "printf '#!/bin/sh\\nexec true\\n' > run.sh && chmod 0755 run.sh",
        "rm -r tree && mkdir tree && echo new > tree/b.txt",
        "ls && echo done",
        // 30
        "set -e\ngreeting=\"hello\"\necho \"$greeting $NAME\" > out.txt\n# a comment of the shell\n",
        // In the field.
        "rm -rf /var/cache/yum",
        "yum clean all && rm -rf /var/cache/yum",
        "chmod +x ./gradlew",
        "mkdir -p /asset/python && cd /asset && rm -rf __pycache__",
        "find . -type d -name __pycache__ -exec rm -rf {} +",
        "find /var/task -name '*.pyc' -delete",
        "rm -rf /root/.cache /tmp/*",
        "ls -la ${LAMBDA_TASK_ROOT}; ls -R /opt",
        "useradd -m -u 1000 app && chown -R app:app /function",
        "groupadd -r app && useradd -r -g app app",
        "cd /opt && ln -sfn python3.12 python",
    ] {
        translated(text);
    }
}

/// The lines of the cases that need a process, or an install.
#[test]
fn other_lines_of_cases_are_left() {
    for text in [
        "./gradlew -I $OUT/init.gradle --project-cache-dir .cache installDist",
        "npm install && npm run build && npm prune --omit=dev",
        "dnf install -y gcc-c++ tar && dnf clean all && rm -rf /var/cache/dnf",
        "microdnf remove -y gcc-c++ || true",
        "apt-get update && apt-get install -y --no-install-recommends libcurl4 && rm -rf /var/lib/apt/lists/*",
        "cat <<A > a.txt && cat <<B > b.txt\nfirst $NAME\nA\nsecond\nB",
        "[ ! -e /run/secrets/absent ] && [ ! -s /etc/pip.conf ]",
        "apk add --no-cache aws-cli curl unzip && mkdir /layer",
    ] {
        assert!(line(text).is_err(), "{text}");
    }
}
