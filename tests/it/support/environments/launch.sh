# Process 1 of a place: its mounts are private, and all its processes end with it. Standard input is a pipe whose other
# end only the test has: when that closes, the place ends.
# arguments: machine|volume|overlay|emulating DIR UID GID LBUILD PARTS TESTDATA COUNT VARIABLE=VALUE… PROGRAM ARGUMENT…
set -eu
kind=$1 dir=$2 uid=$3 gid=$4 lbuild=$5 parts=$6 testdata=$7 count=$8
shift 8
variables=("${@:1:count}")
shift "$count"

# an account cannot enter the directories above those of the repository, which may be root's home
mount --bind "$lbuild" "$dir/tools/lbuild"
mount --bind "$parts" "$dir/tools/parts"
mount --bind "$testdata" "$dir/tools/testdata"
for tool in lbuild parts testdata; do mount -o remount,bind,ro "$dir/tools/$tool"; done

machine() {
  cd "$dir/user"
  exec setpriv --reuid="$uid" --regid="$gid" --clear-groups env -i "${variables[@]}" "$@"
}

# Runs a program in a user namespace that has the machine's ids, and a rule for programs of arm64.
with_rule() {
  local rig=$dir/rig process=$BASHPID
  mkfifo "$rig/inside" "$rig/mapped"
  # the maps are written from outside
  (
    read -r _ <"$rig/inside"
    echo "0 0 1000000" >"/proc/$process/uid_map"
    echo "0 0 1000000" >"/proc/$process/gid_map"
    echo >"$rig/mapped"
  ) &
  exec unshare --user --mount bash -euc '
    rig=$1
    shift
    echo >"$rig/inside"
    read -r _ <"$rig/mapped"
    mount -t binfmt_misc rules "$rig/rules"
    elf="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    printf "%s" ":qemu-aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):POCF" >"$rig/rules/register"
    exec "$@"' with_rule "$rig" "$@"
}

container() {
  local rig=$dir/rig upper=$dir/rig/upper
  # the upper directory cannot be below the lower one, so it is a file system of its own
  mount -t tmpfs -o mode=755 rig "$rig"
  mkdir -m 755 "$upper" "$rig/work" "$rig/root" "$rig/state" "$rig/bundle" "$rig/rules"
  mount -t overlay -o "lowerdir=/,upperdir=$upper,workdir=$rig/work" overlay "$rig/root"
  mkdir -p "$rig/root$dir/tools" "$rig/root$dir/user"
  if [[ $kind == overlay ]]; then
    cp -aT "$dir/user" "$rig/root$dir/user"
  fi
  if [[ $uid == 200000 ]]; then
    # as in an image whose files Docker has given to the mapped ids
    chown "$uid:$gid" "$rig/root"/{,tmp,root,run,var,var/tmp,home,opt,srv,mnt}
  fi
  if [[ -e $dir/without ]]; then
    while read -r program; do rm "$rig/root$(command -v "$program")"; done <"$dir/without"
  fi
  cp "$dir/config.json" "$rig/bundle/"
  # a name for the control group, which is not of this mount namespace
  local name status=0
  name=$(basename "$dir")-$$-$RANDOM
  trap 'runc --root "$rig/state" delete --force "$name" 2>/dev/null' EXIT
  trap 'exit 1' TERM
  local runc=(runc)
  if [[ $kind == emulating ]]; then runc=(with_rule runc); fi
  "${runc[@]}" --root "$rig/state" run --bundle "$rig/bundle" "$name" &
  wait -n || status=$?
  if [[ $kind == overlay ]]; then
    cp -a "$rig/root$dir/user/." "$dir/user/"
  fi
  exit "$status"
}

if [[ $kind == machine ]]; then main=machine; else main=container; fi
"$main" "$@" </dev/null &
program=$!
exec 3<&0
read -r _ <&3 &
ended=0
wait -n || ended=$?
if kill -TERM "$program" 2>/dev/null && [[ $main == container ]]; then
  wait "$program" || true
fi
exit "$ended"
