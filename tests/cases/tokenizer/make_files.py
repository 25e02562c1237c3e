# SPDX-License-Identifier: Apache-2.0
"""Makes the small tokenizers in files/, and golden.json: what their own libraries make of texts.

usage: python make_files.py   (packages tokenizers 0.23, sentencepiece 0.2.2)"""
import base64, itertools, json, os, random, unicodedata

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "files")
SPACE = "\u2581"
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

TEXTS = [
    "", " ", "  ", "\n", "a", " a", "a ", "  a  ", "the lantern", "The Lantern", "THE LANTERN",
    "kamire losti", "kami, losti! reka? mes.", "12 345 6789", "3.14", "a1b2c3", "lo's we'll I'VE",
    "tab\there", "line\nbreak", "two\n\nbreaks ", "cr\r\nlf", "caf\u00e9 no\u00ebl", "cafe\u0301",
    "\ufb01ne \ufb01re", "\u2460 \u2461", "\u65e5\u672c\u8a9e", "a\u65e5b", "\U0001f600 lo \U0001f600",
    "\u043b\u043e\u0441\u0442\u0438", "\u00a0x\u3000y", "\u0000\u0001", "a\u200bb", "\u2581a\u2581b",
    "<unk>", "<0x41>", "<|im_start|>lo<|im_end|>", "a <|endoftext|> b", "<|im_en", "loloLOLOlolo",
    "aaaaaaaaaaaaaaaa", "[CLS] lo [SEP] ##ka", "mesmesmes" * 8, "x" * 101, "XaXXaXXX", "-- --- ----",
]


def corpus():
    """Words of a few syllables, by a rule."""
    dice = random.Random(1)
    syllables = ["lo", "ka", "mi", "re", "sti", "mes", "lan", "tern", "the", "a", "\u00e9", "12", "7"]
    out = []
    for _ in range(400):
        words = ["".join(dice.choices(syllables, k=dice.randint(1, 3))) for _ in range(8)]
        words = [word.title() if dice.random() < 0.2 else word for word in words]
        out.append(" ".join(words) + dice.choice([".", "!", ",", " 's", "'ll"]))
    return out


def fields(data):
    """The fields of a protocol buffer's message."""
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = varint()
        size = {0: None, 1: 8, 2: -1, 5: 4}[tag & 7]
        if size is None:
            yield tag >> 3, varint()
        else:
            size = varint() if size < 0 else size
            at += size
            yield tag >> 3, data[at - size:at]


def sentencepiece_model(name, kind, **options):
    with open("rules.tsv", "w") as rules:  # code points in hexadecimal, from and to
        rules.write("FB01\t66 69\n65 301\tE9\n2460\t31\nA0\t20\n3000\t20\n9\t20\nA\t20\n200B\t\n58\t59\n58 58\t5A\n")
    prefix = os.path.join(HERE, name)
    options.setdefault("normalization_rule_tsv", "rules.tsv")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_prefix=prefix, model_type=kind, minloglevel=2,
        num_threads=1, max_sentence_length=4192, **options)
    os.remove(prefix + ".vocab")
    os.remove("rules.tsv")
    return sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")


def save(name, tokenizer):
    tokenizer.save(os.path.join(HERE, name + ".json"), pretty=False)
    return tokenizer


def byte_level(pre, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    trainer = trainers.BpeTrainer(
        special_tokens=CONTROL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False, min_frequency=2, **options)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main():
    os.makedirs(HERE, exist_ok=True)
    jsons, golden = {}, {}

    jsons["bpe-gpt2"] = save(
        "bpe-gpt2", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), vocab_size=320))
    digits = Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
                   r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split(digits, "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), vocab_size=320)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("ternre", normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A <|im_end|>",
        special_tokens=[("<|im_start|>", 1), ("<|im_end|>", 2)])
    jsons["bpe-qwen2"] = save("bpe-qwen2", tokenizer)

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=120, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    jsons["wordpiece"] = save("wordpiece", tokenizer)

    processors_ = {
        "unigram": sentencepiece_model("unigram", "unigram", vocab_size=330, byte_fallback=True,
                                       character_coverage=0.98),
        "unigram-plain": sentencepiece_model(
            "unigram-plain", "unigram", vocab_size=70, character_coverage=0.98,
            normalization_rule_tsv="", normalization_rule_name="identity", add_dummy_prefix=False,
            remove_extra_whitespaces=False, control_symbols=["<|im_end|>"]),
        "bpe": sentencepiece_model("bpe", "bpe", vocab_size=330, byte_fallback=True,
                                   character_coverage=0.98, normalization_rule_tsv="",
                                   normalization_rule_name="identity",
                                   remove_extra_whitespaces=False),
    }

    bpe = processors_["bpe"]
    vocabulary = {bpe.id_to_piece(i): i for i in range(bpe.vocab_size())}
    merges = []
    for piece, i in sorted(vocabulary.items(), key=lambda item: -bpe.get_score(item[1])):
        if bpe.is_byte(i) or bpe.is_control(i) or bpe.is_unknown(i):
            continue
        splits = [(piece[:k], piece[k:]) for k in range(1, len(piece))]
        merges += [s for s in splits if s[0] in vocabulary and s[1] in vocabulary]
    tokenizer = Tokenizer(models.BPE(
        vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)])
    jsons["bpe-sentencepiece"] = Tokenizer.from_str(save("bpe-sentencepiece", tokenizer).to_str())

    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    jsons["bpe-metaspace"] = save("bpe-metaspace", tokenizer)

    unigram = processors_["unigram"]
    with open(os.path.join(HERE, "unigram.model"), "rb") as file:
        normalizer = dict(fields(dict(fields(file.read()))[3]))
    pieces = [(unigram.id_to_piece(i), unigram.get_score(i)) for i in range(unigram.vocab_size())]
    tokenizer = Tokenizer(models.Unigram(pieces, 0, True))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(normalizer[2]), normalizers.Strip(False, True),
        normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="always")])
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in ["<unk>", "<s>", "</s>"]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)])
    jsons["unigram"] = save("unigram", tokenizer)

    for name, tokenizer in jsons.items():
        golden[name + ".json"] = [
            {"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids,
             "whole": tokenizer.encode(text).ids,
             "decoded": tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids,
                                         skip_special_tokens=False)} for text in TEXTS]
    for name, processor in processors_.items():
        golden[name + ".model"] = [
            {"text": text, "ids": processor.encode(text), "decoded": processor.decode(processor.encode(text))}
            for text in TEXTS]
    with open(os.path.join(HERE, "golden.json"), "w") as file:
        parts = []
        for name, cases in golden.items():
            lines = ",\n  ".join(json.dumps(case) for case in cases)
            parts.append(f" {json.dumps(name)}: [\n  {lines}]")
        file.write("{\n" + ",\n".join(parts) + "\n}\n")


main()
