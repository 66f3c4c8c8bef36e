#!/bin/bash
# The step of setup-lbuild. It takes the inputs from INPUT_NAME.
set -euo pipefail

fail() {
  echo "::error title=setup-lbuild::$1"
  exit 1
}

if [[ -n $INPUT_PATH ]]; then
  [[ -f $INPUT_PATH && -x $INPUT_PATH ]] || fail "the input path is $INPUT_PATH, which is not a program"
  lbuild=$(cd "$(dirname "$INPUT_PATH")" && pwd)/$(basename "$INPUT_PATH")
elif [[ -n $INPUT_VERSION ]]; then
  lbuild=$HOME/.cargo/bin/lbuild
  if [[ ! -x $lbuild || $("$lbuild" --version) != "lbuild $INPUT_VERSION" ]]; then
    command -v cargo >/dev/null || fail "lbuild is compiled by cargo, which is not on this runner: install Rust first"
    cargo install --locked --root "$HOME/.cargo" "lbuild@$INPUT_VERSION"
  fi
else
  fail "one of the inputs version and path is needed"
fi

case $INPUT_DOCKER in
  true | false) ;;
  *) fail "the input docker is $INPUT_DOCKER: true or false" ;;
esac

# A directory of its own: what stands beside the program must not come before the runner's programs.
bin=$RUNNER_TEMP/lbuild/bin
mkdir -p "$bin"
ln -sf "$lbuild" "$bin/lbuild"
if [[ $INPUT_DOCKER == true ]]; then
  "$bin/lbuild" shim install "$bin"
fi
version=$("$bin/lbuild" --version)
echo "$bin" >>"$GITHUB_PATH"
{
  echo "version=${version#lbuild }"
  echo "path=$bin"
} >>"$GITHUB_OUTPUT"
