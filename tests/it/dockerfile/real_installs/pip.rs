//! Lines of pip: every form and every spelling of a target that public Dockerfiles have, and their traps.

const LINES: &[&str] = &[
    // Launchers, and an option before the verb.
    "pip install jmespath",
    "pip3 install idna",
    "pip3.11 install idna jmespath",
    "python3 -m pip install idna",
    "python3.11 -m pip install --no-cache-dir jmespath",
    "python -m pip install idna",
    "pip --no-cache-dir install jmespath",
    // Files.
    "pip install -r requirements.txt",
    "pip install --no-cache-dir -r requirements.txt",
    "pip install -r ${LAMBDA_TASK_ROOT}/requirements.txt && rm -rf /root/.cache",
    "pip install -r requirements.txt -r pinned.txt",
    "pip install --requirement=deep/all.txt",
    "cd deep && pip install -r all.txt",
    "pip install -r markers.txt",
    "pip install -r indexed.txt",
    "pip install -r empty.txt",
    // Targets.
    "pip install -r requirements.txt -t \"${LAMBDA_TASK_ROOT}\"",
    "pip install -r requirements.txt --target \"${LAMBDA_TASK_ROOT}\"",
    "pip install --no-cache-dir -r requirements.txt -t .",
    "pip install -r requirements.txt -t python/",
    "pip install -t /asset -r requirements.txt",
    "pip install --no-cache-dir --target=/opt/extensions/lib -r pinned.txt",
    "cd /opt && pip install -t. idna",
    "mkdir -p ${FUNCTION_DIR} && pip install --target ${FUNCTION_DIR} requests",
    "pip install idna -t /opt/p && pip install 'ccc' -t /opt/p",
    "pip install rig_schemes -t /opt/p",
    // What the image has; upgrades.
    "pip install aaa",
    "pip install 'aaa>=2'",
    "pip install aaa==2.0 ccc",
    "pip install -U aaa",
    "pip install --upgrade --no-deps aaa",
    "pip install -U bbb && pip install bbb==2.0",
    "pip install 'ddd[two]'",
    "pip install ddd[two]==1.0",
    "pip install --disable-pip-version-check --no-cache-dir -U -r requirements.txt",
    "pip install -c limits.txt ccc 'bbb>=2'",
    "pip install 'bbb<1.5,>=1' ccc",
    // For one user.
    "pip install --user -r requirements.txt",
    "pip install --user aaa rig_schemes",
    "pip install --user aaa==2.0",
    "pip install --user aaa==2.0 && pip install aaa==1.0",
    "pip install --user idna && pip install --user -U aaa && pip install idna ccc",
    // Names, versions, options.
    "pip install \"$SPEC\"",
    "pip install $NAMES",
    "pip install eee",
    "pip install eee==2.0rc1",
    "pip install requests",
    "pip install numpy",
    "pip install --only-binary=:all: --prefer-binary pydantic",
    "pip install 'rig-markers[names]'",
    "pip install rig_schemes",
    "pip install --trusted-host 127.0.0.1 -r requirements.txt",
    "pip install --index-url http://INDEX/simple/ --no-cache-dir -t /opt/x idna",
    "pip install -q --no-input --progress-bar off --root-user-action=ignore --no-compile idna",
    // Files of the image, and addresses.
    "pip install ./wheels/aaa-2.0-py3-none-any.whl",
    "pip install http://INDEX/files/idna-3.20-py3-none-any.whl",
    "pip install 'idna @ http://INDEX/files/idna-3.20-py3-none-any.whl' -t /opt/p",
    // The self-upgrade before an install.
    "pip install --upgrade pip && pip install idna",
];

#[test]
fn lines_of_pip_leave_what_pip_leaves() {
    assert!(LINES.len() >= 40);
    super::compare(LINES);
}
