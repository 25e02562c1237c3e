#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh SETTINGS [NAME]
#
# Plants the bugs of bugs.txt, one at a time (or the one of this name), and demands that the tests
# turn red by the detector that the bug names. Without it the same tests must be green. SETTINGS is
# what CMake wrote of its build (planted.settings): its sanitizer decides which bugs are planted.

set -euo pipefail
# shellcheck source=/dev/null
source "$1"
only=${2:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# ThreadSanitizer needs addresses where it expects them.
fixed=()
if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi

die() {
  printf '%s\n' "$@" >&2
  exit 2
}

# The build in which a detector works, and what it prints. Words behind its name stand in that line.
detector() {
  case $1 in
    bound) echo "plain FAILED.*expected .*${2:-}" ;;
    bits) echo "plain FAILED.*but .* (row by row|in a step|in steps)" ;;
    order) echo "plain FAILED.* with order ${2:-}" ;;
    emulator) echo "plain FAILED.*emulator: .*${2:-}" ;;
    thread) echo "thread ThreadSanitizer: data race.*${2:-}" ;;
    address) echo "address AddressSanitizer: .*${2:-}" ;;
    *) die "$name: red: $1: must be bound, bits, order, emulator, thread or address" ;;
  esac
}

run_tests() { # program filter
  "${fixed[@]}" timeout 120 "$1" "$CASES" --seed 1 --filter "$2"
}

# Plants one bug ($name $file $compile $filter $red $find $with) and says what came of it.
plant() {
  local folder=$work/$name text pattern status=0
  mkdir "$folder"
  cp -r "$KERNELS" "$folder/kernels"
  text=$(<"$folder/kernels/$file")$'\n'
  [[ $text == *"$find"* ]] || die "$name: $file has this text no more, plant the bug anew:" "$find"
  [[ ${text#*"$find"} != *"$find"* ]] || die "$name: $file has this text more than once:" "$find"
  printf '%s' "${text%%"$find"*}$with${text#*"$find"}" >"$folder/kernels/$file"
  # CXX, FLAGS and OBJECTS are lists of words.
  # shellcheck disable=SC2086
  $CXX $FLAGS -O1 -I"$folder/kernels" -I"$folder/kernels/include" -I"$NATIVE/include" \
    -x c++ -c "$folder/kernels/$compile" -o "$folder/planted.o"
  # shellcheck disable=SC2086
  $CXX $FLAGS "$folder/planted.o" $OBJECTS "$LIBRARY" -lpthread -o "$folder/tests"
  # shellcheck disable=SC2086
  pattern=$(detector $red)
  run_tests "$folder/tests" "$filter" >"$folder/log" 2>&1 || status=$?
  if ((status == 0)) || ! grep -Eq -- "${pattern#* }" "$folder/log"; then
    printf 'NOT FOUND  %s: nothing like "%s" (status %d)\n' "$name" "${pattern#* }" "$status"
    head -c 2000 "$folder/log"
    return 1
  fi
  printf 'found      %-50s %s\n' "$name" "$red"
  rm -rf "$folder"
}

failed=0 planted=0
declare -A filters=()
collect() { # waits for planted bugs until at most $1 are left
  while (($(jobs -rp | wc -l) > $1)); do wait -n || failed=1; done
}

# A bug of the file is complete: plant it if this build has its detector.
finish() {
  [[ -n $name ]] || return 0
  [[ -n $kind && -n $file && -n $filter && -n $red && -n $find ]] ||
    die "$name: needs kind, file, test, red and the text to find"
  local pattern
  # shellcheck disable=SC2086
  pattern=$(detector $red)
  if [[ ${pattern%% *} == "$SANITIZER" && (-z $only || $only == "$name") ]]; then
    filters[$filter]=1
    planted=$((planted + 1))
    collect $((JOBS - 1))
    plant &
  fi
  name=""
}

name=""
while IFS= read -r line || [[ -n $line ]]; do
  case $line in
    '#'*) ;;
    '') finish ;;
    'bug: '*) name=${line#*: } kind="" file="" compile="" filter="" red="" find="" with="" ;;
    'kind: '*) kind=${line#*: } ;;
    'file: '*) file=${line#*: } compile=${compile:-$file} ;;
    'compile: '*) compile=${line#*: } ;;
    'test: '*) filter=${line#*: } ;;
    'red: '*) red=${line#*: } ;;
    -*) find+=${line#-}$'\n' ;;
    +*) with+=${line#+}$'\n' ;;
    *) die "bugs.txt: what is '$line'?" ;;
  esac
done <"$BUGS"
finish
collect 0
((planted > 0)) || die "no bug to plant in this build (${SANITIZER})"

for filter in "${!filters[@]}"; do
  run_tests "$RUNNER" "$filter" >"$work/log" 2>&1 || {
    printf 'RED WITHOUT A BUG  %s\n' "$filter"
    head -c 2000 "$work/log"
    failed=1
  }
done
printf '%d bugs planted, %d tests green without them\n' "$planted" "${#filters[@]}"
exit "$failed"
