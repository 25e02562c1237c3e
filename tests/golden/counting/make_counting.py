#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the data of the README's training: people who count.
usage: make_counting.py   writes counting.txt, questions.jsonl and preferences.jsonl beside itself."""
import json
import pathlib
import random

WORDS = ("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
         "sixteen seventeen eighteen nineteen twenty").split()
NAMES = "Anna Ben Clara David Emma Frank Grace Henry".split()
draw = random.Random(7)
folder = pathlib.Path(__file__).parent


def row(start, length, step):
    return ", ".join(WORDS[start + step * i] for i in range(length))


def rows():
    while True:
        step = draw.choice((1, 1, 1, -1))
        length = draw.randint(3, 7)
        start = draw.randrange(len(WORDS))
        if 0 <= start + step * (length - 1) < len(WORDS):
            yield start, length, step


source = rows()
stories = []
for _ in range(600):
    start, length, step = next(source)
    how = "up" if step > 0 else "down"
    stories.append(f"{draw.choice(NAMES)} counts {how}: {row(start, length, step)}.")
(folder / "counting.txt").write_text("\n<|endoftext|>\n".join(stories) + "\n")

with open(folder / "questions.jsonl", "w") as out:
    for _ in range(300):
        start, length, step = next(source)
        question = f"Count from {WORDS[start]} to {WORDS[start + step * (length - 1)]}."
        print(json.dumps({"messages": [{"role": "user", "content": question},
                                       {"role": "assistant", "content": row(start, length, step) + "."}]}), file=out)

with open(folder / "preferences.jsonl", "w") as out:
    for _ in range(200):
        start, length, step = next(source)
        question = f"Count from {WORDS[start]} to {WORDS[start + step * (length - 1)]}."
        answer = row(start, length, step)
        print(json.dumps({"prompt": question, "chosen": f"{answer}. Done!", "rejected": f"{answer}."}), file=out)
