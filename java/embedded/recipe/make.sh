#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A model's whole life: the embedded model, from texts to the file that is shipped, and what each
# stage is worth. Each step goes on where it was broken off.
#
#   java/embedded/recipe/make.sh CORPORA WORK
#
# CORPORA: the texts that ../README.md lists. WORK: a folder with some 2 GB free.

set -euo pipefail
recipe=$(cd "$(dirname "$0")" && pwd)
tokamak=$recipe/../../../tokamak
corpora=$(cd "$1" && pwd)
mkdir -p "$2" && cd "$2"
ln -sfn "$corpora" corpora

# 1. Data that programs make.
[[ -e data/eval-find.jsonl ]] || java "$recipe/MakeData.java" corpora data

# 2. Train: each stage starts from the one before.
for stage in pretrain sft dpo grpo; do
  cp "$recipe/$stage.yaml" .
  "$tokamak" train "$stage" --config "$stage.yaml" --resume
done

# 3. What each stage is worth, on cases that none was trained on.
for model in base sft dpo grpo; do
  for task in words sums find; do
    "$tokamak" evaluate --task verify --data "data/eval-$task.jsonl" -m "$model.gguf" --quiet \
      --template "$recipe/chatml.jinja" \
      | sed "s/^/$model $task: /"
  done
  "$tokamak" evaluate --task bpb --data corpora/tinystories-more-valid.txt.gz -m "$model.gguf" --quiet \
    | sed "s/^/$model stories: /"
done | tee results.txt
