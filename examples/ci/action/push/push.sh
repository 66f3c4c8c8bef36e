#!/bin/bash
# The step of push. It takes the inputs from INPUT_NAME, and calls `lbuild docker build`, or `lbuild push` for a function
# that is described by its runtime, handler or packages.
set -euo pipefail

fail() {
  echo "::error title=lbuild::$1"
  exit 1
}

# The items of a list, one a line: lines without the spaces around them.
items() { sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d' <<<"$1"; }

# add FLAG ITEMS: adds the flag once for each item.
add() {
  local item
  while IFS= read -r item; do
    args+=("$1=$item")
  done < <(items "$2")
}

# switch NAME VALUE: whether the input is true.
switch() {
  case $2 in
    true | True | TRUE) ;;
    false | False | FALSE | '') return 1 ;;
    *) fail "the input $1 is $2: true or false" ;;
  esac
}

# The value of a key in lbuild's metadata, which has a line for each.
value() { sed -n "s/^  \"$1\": \"\\(.*\\)\",\\{0,1\\}\$/\\1/p" "$metadata"; }

command -v lbuild >/dev/null || fail "lbuild is not on PATH: use setup-lbuild in a step before"
private=$(mktemp -d "$RUNNER_TEMP/lbuild-push.XXXXXX") # for its owner only
trap 'rm -rf "$private"' EXIT
metadata=$private/metadata.json

args=("--metadata-file=$metadata")
names=$(items "${INPUT_TAGS//,/$'\n'}")
platforms=${INPUT_PLATFORMS//,/$'\n'}
if [[ -n $INPUT_ARCH ]]; then
  [[ -z $INPUT_PLATFORMS ]] || fail "the inputs arch and platforms are given: leave one of them out"
  platforms=linux/$INPUT_ARCH
fi
add --platform "$platforms"
add --label "$INPUT_LABELS"
add --build-arg "$INPUT_BUILD_ARGS"
add --build-context "$INPUT_BUILD_CONTEXTS"
add --target "$INPUT_TARGET"
if switch no-cache "$INPUT_NO_CACHE"; then args+=(--no-cache); fi
if switch pull "$INPUT_PULL"; then args+=(--pull); fi

while IFS= read -r secret; do
  [[ $secret =~ ^([A-Za-z0-9_.-]+)=(.*)$ ]] || fail "a line of the input secrets is not ID=VALUE; for a value of several lines use secret-files"
  printf %s "${BASH_REMATCH[2]}" >"$private/secret-${BASH_REMATCH[1]}"
  args+=("--secret=id=${BASH_REMATCH[1]},src=$private/secret-${BASH_REMATCH[1]}")
done < <(items "$INPUT_SECRETS")
while IFS= read -r secret; do
  args+=("--secret=id=${secret%%=*},src=${secret#*=}")
done < <(items "$INPUT_SECRET_FILES")
while IFS= read -r secret; do
  args+=("--secret=id=${secret%%=*},env=${secret#*=}")
done < <(items "${INPUT_SECRET_ENVS//,/$'\n'}")

push=false
if switch push "$INPUT_PUSH"; then push=true; fi
load=false
if switch load "$INPUT_LOAD"; then load=true; fi

if [[ -z $INPUT_RUNTIME$INPUT_HANDLER$INPUT_LOCK$INPUT_DEPS ]]; then
  add --file "$INPUT_FILE"
  add --tag "$names"
  add --output "$INPUT_OUTPUTS"
  add --cache-from "$INPUT_CACHE_FROM"
  add --cache-to "$INPUT_CACHE_TO"
  add --provenance "$INPUT_PROVENANCE"
  add --sbom "$INPUT_SBOM"
  add --annotation "$INPUT_ANNOTATIONS"
  add --network "$INPUT_NETWORK"
  if $push; then args+=(--push); fi
  if $load; then args+=(--load); fi
  lbuild docker build "${args[@]}" -- "$INPUT_CONTEXT"
else
  [[ -z $INPUT_OUTPUTS ]] || fail "the input outputs is for images from a Dockerfile: use tags, with push or load"
  [[ $INPUT_NETWORK =~ ^(default|host|)$ ]] || fail "the input network is $INPUT_NETWORK, but RUN lines have that of the machine"
  [[ -n $names ]] || fail "the input tags has no name for the image"
  if $push; then add --to "$names"; fi
  if $load || ! $push; then add --to "$(sed 's/^/local:/' <<<"$names")"; fi
  # Images only: other caches are not needed, because an image is its own cache.
  add --cache-from "$(items "$INPUT_CACHE_FROM" | sed 's/^type=registry,ref=//; /^type=/d')"
  add --dockerfile "$INPUT_FILE"
  add --runtime "$INPUT_RUNTIME"
  add --handler "$INPUT_HANDLER"
  add --lock "$INPUT_LOCK"
  add --deps "$INPUT_DEPS"
  lbuild push "${args[@]}" -- "$INPUT_CONTEXT"
fi

digest=$(value containerimage.digest)
image=
if $push; then
  name=$(head -n 1 <<<"$names")
  # Without the tag: a colon before the last slash belongs to a port.
  [[ ${name##*/} != *:* ]] || name=${name%:*}
  image=$name@$digest
fi
end=metadata-$RANDOM$RANDOM
{
  echo "imageid=$(value containerimage.config.digest)"
  echo "digest=$digest"
  echo "image=$image"
  echo "metadata<<$end"
  cat "$metadata"
  echo "$end"
} >>"$GITHUB_OUTPUT"
