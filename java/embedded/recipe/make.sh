#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A model's whole life: the embedded model, from texts to the file that is shipped, and what each
# stage is worth. Each step goes on where it was broken off.
#
#   java/embedded/recipe/make.sh CORPORA WORK
#
# CORPORA: the texts that README.md lists. WORK: a folder with some 2 GB free.

set -euo pipefail
recipe=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$recipe/../../.." && pwd)
tokamak=$root/tokamak
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
release=$("$java" -version 2>&1 | sed -n '1s/[^"]*"\([0-9]*\).*/\1/p')
((release >= 25)) || {
  echo "$java is of release ${release:-unknown}, expected 25 or later: set JAVA_HOME to a JDK 25" >&2
  exit 1
}
corpora=$(cd "$1" && pwd)
mkdir -p "$2" && cd "$2"
ln -sfn "$corpora" corpora

train() { # stage, configuration
  cp "$recipe/$2.yaml" .
  "$tokamak" train "$1" --config "$2.yaml" --resume
}

# 1. Data that programs make.
[[ -e data/eval-absent-plain.jsonl ]] || "$java" "$recipe/MakeData.java" corpora data

# 2. A model that goes on with texts, then one that answers.
train pretrain pretrain
train sft sft

# 3. Of its own answers to a request, one with more of the words is better.
for seed in 1 2 3 4; do
  [[ -s data/answers-$seed.json ]] || {
    "$tokamak" evaluate --task verify --data data/requests.jsonl -m sft.gguf \
      --temp 0.9 --top-k 0 --top-p 1 --min-p 0.02 -n 400 --parallel 32 --seed "$seed" --json \
      >data/answers.part
    mv data/answers.part "data/answers-$seed.json"
  }
done
[[ -s data/dpo.jsonl ]] || "$java" -cp "$root/java/cli/target/lib/*" "$recipe/Preferences.java" \
  data/dpo.jsonl data/answers-*.json
train dpo dpo

# 4. Right sums earn a reward.
train grpo grpo

# 5. What is shipped.
"$tokamak" quantize grpo.gguf tokamak-stories.gguf q8_0 \
  --set general.name=tokamak-stories --set general.license=apache-2.0 \
  --set general.description="Tells short stories for small children" \
  --set general.sampling.temp=0.7 --set general.sampling.top_p=0.9

# 6. What each stage is worth, on cases that none was trained on. The base model has never seen a
# conversation, so it is asked in the way that it knows, too.
measure() { # model, task
  "$tokamak" evaluate --task verify --data "data/eval-$2.jsonl" -m "$1.gguf" --temp 0 -n 400 \
    --template "$recipe/chatml.jinja" --quiet | sed "s/^/$1 $2: /"
}
for model in base sft dpo grpo tokamak-stories; do
  for task in words word sums find absent; do
    measure "$model" "$task"
    [[ $model != base ]] || measure "$model" "$task-plain"
  done
  "$tokamak" evaluate --task bpb --data corpora/tinystories-more-valid.txt.gz -m "$model.gguf" \
    --quiet | sed "s/^/$model stories: /"
done | tee results.txt
