# SPDX-License-Identifier: Apache-2.0
"""Two made-up vocabularies with plain tokenizers for them: SentencePiece's BPE and byte-level BPE.

Both learn their merges from CORPUS. The tokenizers follow the definitions word by word and are slow.
"""
import re
from collections import Counter
from functools import cache

CORPUS = """
the old miller had a cat and the cat had the mill. in the evening, when the wheel stood still, the
miller sat by the water and told the cat about the day: how much grain came in, how much flour went
out, and who had paid. the cat listened with one ear, as cats do, and watched the mice with the other.
one winter the river froze, the wheel stopped, and nobody came to the mill at all. then the cat went
to the miller and said: let me count the mice, and you count the flour, and we shall see who has more
when the spring comes. they counted until the ice broke, and both of them had enough.
"""

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # token types of the GGUF specification


def learn_merges(words, count):
    """Byte-pair encoding: joins the most frequent neighbours, `count` times; ties go to the lower pair."""
    words = Counter(tuple(word) for word in words)
    merges = []
    for _ in range(count):
        pairs = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({tuple(join(word, best)): times for word, times in words.items()})
    return merges


def join(symbols, pair):
    """The symbols with every occurrence of a pair joined, from the left."""
    joined = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            joined.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            joined.append(symbols[i])
            i += 1
    return joined


class SentencePiece:
    """Characters, a space written as U+2581; of all neighbours that make a token the best scored are joined."""

    def __init__(self, merges, byte_fallback):
        self.tokens = ["<unk>", "<s>", "</s>"]
        self.types = [UNKNOWN, CONTROL, CONTROL]
        if byte_fallback:
            self.tokens += [f"<0x{byte:02X}>" for byte in range(256)]
            self.types += [BYTE] * 256
        letters = sorted(set(CORPUS) - set(" \n") | {"\u2581"})
        words = ["\u2581" + word for word in CORPUS.split()]
        pieces = ["".join(pair) for pair in learn_merges(words, merges)] + letters
        self.scores = [0.0] * len(self.tokens) + [-float(i) for i in range(len(pieces))]
        self.tokens += pieces
        self.types += [NORMAL] * len(pieces)
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.byte_fallback = byte_fallback
        self.bos = 1

    def encode(self, text):
        # No token has a space but in front, so words may be taken one by one.
        words = re.findall("\u2581[^\u2581]*", "\u2581" + text.replace(" ", "\u2581")) if text else []
        return [self.bos] + [i for word in words for i in self.word_ids(word)]

    @cache
    def word_ids(self, word):
        symbols = list(word)
        while True:
            pairs = [(a, b) for a, b in zip(symbols, symbols[1:]) if a + b in self.ids]
            if not pairs:
                break
            best = max(pairs, key=lambda pair: self.scores[self.ids[pair[0] + pair[1]]])
            at = list(zip(symbols, symbols[1:])).index(best)
            symbols[at:at + 2] = [best[0] + best[1]]
        ids = []
        for symbol in symbols:
            if symbol in self.ids:
                ids.append(self.ids[symbol])
            elif self.byte_fallback:
                ids += [self.ids[f"<0x{byte:02X}>"] for byte in symbol.encode()]
            else:
                raise ValueError(f"no token for {symbol!r}")
        return ids

    def decode(self, ids):
        text = "".join(self.tokens[i] for i in ids if self.types[i] == NORMAL)
        return text.replace("\u2581", " ").removeprefix(" ")

    def printable(self, i):
        return self.types[i] == NORMAL

    def write(self, writer):
        writer.add_tokenizer_model("llama")
        writer.add_token_list(self.tokens)
        writer.add_token_scores(self.scores)
        writer.add_token_types(self.types)
        writer.add_unk_token_id(0)
        writer.add_bos_token_id(self.bos)
        writer.add_eos_token_id(2)
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(False)


class ByteLevel:
    """GPT-2's byte-level BPE with Qwen 2's words: merges within a word, the earliest learnt first."""

    # \p{L} and \p{N} in the words of Python's re: enough for the texts used here.
    LETTER, DIGIT = r"[^\W\d_]", r"\d"
    WORD = re.compile(
        r"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
        + rf"|(?:(?!{LETTER}|{DIGIT})[^\r\n])?{LETTER}+|{DIGIT}"
        + rf"| ?(?:(?!{LETTER}|{DIGIT})\S)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

    def __init__(self, merges):
        visible = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        hidden = [byte for byte in range(256) if byte not in visible]
        self.letter = {byte: chr(byte) for byte in visible}
        self.letter |= {byte: chr(256 + i) for i, byte in enumerate(hidden)}
        self.byte = {letter: byte for byte, letter in self.letter.items()}
        text = " ".join(CORPUS.split())
        self.merges = learn_merges([self.spell(word) for word in self.WORD.findall(text)], merges)
        self.tokens = [self.letter[byte] for byte in range(256)] + [a + b for a, b in self.merges]
        self.types = [NORMAL] * len(self.tokens)
        self.tokens += ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        self.types += [CONTROL] * 3
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.bos = None

    def spell(self, word):
        return [self.letter[byte] for byte in word.encode()]

    def encode(self, text):
        return [i for word in self.WORD.findall(text) for i in self.word_ids(word)]

    @cache
    def word_ids(self, word):
        symbols = self.spell(word)
        for pair in self.merges:
            symbols = join(symbols, pair)
        return [self.ids[symbol] for symbol in symbols]

    def decode(self, ids):
        letters = "".join(self.tokens[i] for i in ids)
        return bytes(self.byte[letter] for letter in letters).decode()

    def printable(self, i):
        return self.types[i] == NORMAL and all(
            " " <= chr(self.byte[letter]) <= "~" for letter in self.tokens[i])

    def write(self, writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        writer.add_token_merges([f"{a} {b}" for a, b in self.merges])
        writer.add_eos_token_id(self.ids["<|im_end|>"])
        writer.add_pad_token_id(self.ids["<|endoftext|>"])
        writer.add_add_bos_token(False)
