//! Lines of `uv pip install`.

const LINES: &[&str] = &[
    "uv pip install --system jmespath",
    "uv pip install --system -r requirements.txt",
    "uv pip install --system --no-cache -r requirements.txt",
    "uv pip install --system --no-cache-dir -r ${LAMBDA_TASK_ROOT}/requirements.txt",
    "uv pip install --system -r requirements.txt -r pinned.txt",
    "uv pip install --system --requirement=deep/all.txt",
    "cd deep && uv pip install --system -r all.txt",
    "uv pip install --system -r markers.txt",
    "uv pip install --system -r indexed.txt",
    "uv pip install --system -r empty.txt",
    "UV_SYSTEM_PYTHON=1 uv pip install idna",
    "export UV_SYSTEM_PYTHON=true && uv pip install idna && rm -rf /root/.cache/uv",
    "uv pip install -r requirements.txt --target \"${LAMBDA_TASK_ROOT}\"",
    "uv pip install -r requirements.txt --target .",
    "uv pip install --no-installer-metadata --no-cache-dir -r pinned.txt --target /asset",
    "uv pip install --target python/ jmespath",
    "uv pip install --target=/opt/python 'requests>2'",
    "mkdir -p ${FUNCTION_DIR} && uv pip install --target ${FUNCTION_DIR} certifi idna",
    "uv pip install aaa==1.0 --target /opt/p && uv pip install -U aaa --target /opt/p",
    "uv pip install aaa==1.0 --target /opt/p && uv pip install aaa==2.0 ccc --target /opt/p",
    "uv pip install rig_schemes --target /opt/p",
    "uv pip install --system aaa",
    "uv pip install --system 'aaa>=2'",
    "uv pip install --system aaa==2.0 ccc",
    "uv pip install --system -U aaa",
    "uv pip install --system --upgrade --no-deps aaa",
    "uv pip install --system bbb==3.0 && uv pip install --system bbb==2.0",
    "uv pip install --system 'ddd[two]'",
    "uv pip install --system -U -r requirements.txt",
    "uv pip install --system -c limits.txt ccc 'bbb>=2'",
    "uv pip install --system \"$SPEC\"",
    "uv pip install --system $NAMES",
    "uv pip install --system eee==2.0rc1",
    "uv pip install --system numpy",
    "uv pip install --system --only-binary :all: pydantic",
    "uv pip install --system 'rig-markers[names]'",
    "uv pip install --system rig_schemes",
    "uv pip install --system --index-url http://INDEX/simple/ idna",
    "uv pip install --system --default-index http://INDEX/simple/ --quiet --link-mode copy idna",
    "uv pip install --system --no-deps --find-links http://INDEX/simple/aaa/ aaa -U",
    "uv pip install --system ./wheels/aaa-2.0-py3-none-any.whl",
    "uv pip install --system http://INDEX/files/idna-3.20-py3-none-any.whl",
    "uv pip install --system --break-system-packages --no-progress --color never idna",
];

#[test]
fn lines_of_uv_leave_what_uv_leaves() {
    assert!(LINES.len() >= 40);
    super::compare(LINES);
}
