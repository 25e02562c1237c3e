#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# neighbour.sh MODEL [ROUNDS]
#
# Decodes alone and beside a busy loop that is pinned to one processor, in turn, and prints a line
# of JSON: medians, their ratio, and the least that it should be. The loop and the team share that
# processor, so N processors have N - 1/2 left for the team; half of that share is the bound.
# Threads that spin at barriers fall far below it. TOKAMAK names the program, ./tokamak by default.

set -euo pipefail

model=${1:?usage: neighbour.sh MODEL [ROUNDS]} rounds=${2:-3}
tokamak=${TOKAMAK:-$(dirname "${BASH_SOURCE[0]}")/../../tokamak}
cpus=$(nproc) last=$(taskset -cp $$ | sed 's/.*[^0-9]//')

decode() {
  "$tokamak" bench -m "$model" -p 1 -n 64 -r 3 --backend cpu --threads "$cpus" --json --quiet |
    sed -n 's/.*"decode":{"tok_s":\([0-9.]*\).*/\1/p'
}

alone=() beside=()
for ((round = 0; round < rounds; round++)); do
  alone+=("$(decode)")
  taskset -c "$last" sh -c 'while :; do :; done' &
  neighbour=$!
  trap 'kill $neighbour' EXIT
  beside+=("$(decode)")
  kill $neighbour
  trap - EXIT
done

median() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }
awk -v model="$(basename "$model")" -v cpus="$cpus" -v rounds="$rounds" \
  -v alone="$(median "${alone[@]}")" -v beside="$(median "${beside[@]}")" 'BEGIN {
    bound = (cpus - 0.5) / cpus / 2
    printf "{\"model\":\"%s\",\"threads\":%d,\"rounds\":%d,\"alone_tok_s\":%.2f,", model, cpus, rounds, alone
    printf "\"beside_tok_s\":%.2f,\"ratio\":%.3f,\"bound\":%.3f}\n", beside, beside / alone, bound
    exit beside / alone < bound
  }'
