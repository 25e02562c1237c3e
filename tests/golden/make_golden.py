# SPDX-License-Identifier: Apache-2.0
"""Makes tiny models with random weights, and what they must compute. README.md says how to run it."""
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from transformer import Sequence, Shape, negative_log_likelihoods, top2_gap
from vocabularies import ByteLevel, SentencePiece

LOGIT_STD = 2.5      # spreads the next token's probability over a few tokens
TEXT_CHUNKS = 8      # the text sampled from each model is this many chunks
PERPLEXITY_CONTEXT = 64
GREEDY_TOKENS = 24


@dataclass
class Model:
    """One file to make. `types` maps a tensor's last name to a type other than `type`."""
    name: str
    seed: int
    shape: Shape
    type: Type
    vocabulary: object
    types: dict = field(default_factory=dict)
    version: int = 3
    pieces: int = 1


def models():
    # 67 tokens, a multiple of nothing; 310 and 289 with all bytes.
    letters, bytes_too, byte_level = SentencePiece(37, False), SentencePiece(24, True), ByteLevel(30)
    # K types have blocks of 256; rows that are no multiple of it fall back to another type.
    short_rows = {"attn_output": Type.Q8_0}
    return [
        # Sizes that no vector register divides; the older header.
        Model("llama-f32", 1,
              Shape("llama", 36, 52, heads=6, kv_heads=2, head_dim=6, tied=True, all_bias=True,
                    qkv_bias=True, linear_scale=2.5),
              Type.F32, letters, version=2),
        # Frequency factors as Llama 3 has them; in pieces.
        Model("llama-f16", 12,
              Shape("llama", 32, 88, heads=4, kv_heads=1, head_dim=8, rope_base=500000.0,
                    rope_factors=True),
              Type.F16, bytes_too, pieces=3),
        Model("qwen2-bf16", 3,
              Shape("qwen2", 48, 80, heads=6, kv_heads=2, head_dim=8, tied=True, qkv_bias=True,
                    epsilon=1e-6),
              Type.BF16, byte_level),
        Model("qwen3-q8_0", 4,
              Shape("qwen3", 64, 96, heads=4, kv_heads=2, head_dim=32, epsilon=1e-6,
                    rope_base=1000000.0),
              Type.Q8_0, letters),
        Model("llama-q4_0", 5,
              Shape("llama", 64, 128, heads=4, kv_heads=2, head_dim=16), Type.Q4_0, letters),
        Model("llama-q4_k", 6,
              Shape("llama", 256, 256, heads=4, kv_heads=1, head_dim=64, layers=1),
              Type.Q4_K, letters),
        Model("qwen2-q5_k", 7,
              Shape("qwen2", 256, 256, heads=8, kv_heads=2, head_dim=32, layers=1, qkv_bias=True),
              Type.Q5_K, letters),
        Model("llama-q6_k", 8,
              Shape("llama", 256, 256, heads=2, kv_heads=1, head_dim=48, layers=1),
              Type.Q6_K, letters, short_rows),
        # The mixture that llama.cpp calls Q4_K_M.
        Model("qwen3-q4_k_m", 9,
              Shape("qwen3", 256, 256, heads=2, kv_heads=1, head_dim=128, layers=1, epsilon=1e-6),
              Type.Q4_K, letters,
              {"output": Type.Q6_K, "attn_v": Type.Q6_K, "ffn_down": Type.Q6_K}),
    ]


PROMPTS = {
    "letters": ["when the river froze, the old miller sat by his wheel and told the cat: we shall see.",
                "how much flour", ""],
    "bytes": ["the miller's café sold 12 loaves, each for 3 €: who paid more?", "how much flour", ""],
    "byte level": ["The miller's café sold 12 loaves,  each for 3 €: who\nhas paid?", "how much flour"],
}


def prompts(vocabulary):
    if isinstance(vocabulary, ByteLevel):
        return PROMPTS["byte level"]
    return PROMPTS["bytes" if vocabulary.byte_fallback else "letters"]


# --- weights


def random_blocks(rng, type, rows, cols, std):
    """A matrix of random bytes in a block format, its scales such that the weights have this deviation."""
    size, length = gguf.GGML_QUANT_SIZES[type]
    blocks = rng.integers(0, 256, (rows * cols // size, length), dtype=np.uint8)
    # Where the float16 scales of a block are, and how large the second one is beside the first,
    # so that the weights' mean is zero: minimum = half of the largest 4-bit or 5-bit number.
    scales = {Type.Q4_K: ((0, 1.0), (2, 7.5)),
              Type.Q5_K: ((0, 1.0), (2, 15.5)),
              Type.Q6_K: ((length - 2, 1.0),)}[type]
    size_of = rng.uniform(0.8, 1.2, len(blocks))
    unit = with_scales(blocks, scales, size_of)
    unit_std = gguf.quants.dequantize(unit, type).std()
    return with_scales(blocks, scales, size_of * std / unit_std).reshape(rows, -1)


def with_scales(blocks, scales, values):
    blocks = blocks.copy()
    for at, factor in scales:
        stored = (values * factor).astype("<f2")
        blocks[:, at:at + 2] = stored.view(np.uint8).reshape(-1, 2)
    return blocks


def stored(rng, type, rows, cols, std):
    """A random matrix as the file holds it: an array of the type's own, or of its bytes."""
    if type in (Type.Q4_K, Type.Q5_K, Type.Q6_K):
        return random_blocks(rng, type, rows, cols, std)
    values = (rng.standard_normal((rows, cols)) * std).astype(np.float32)
    return values if type == Type.F32 else gguf.quants.quantize(values, type)


def make_weights(model):
    """The tensors of a model by name: (type, as stored)."""
    s = model.shape
    rng = np.random.default_rng(model.seed)
    tensors = {}

    def matrix(name, rows, cols, std):
        type = model.types.get(name.split(".")[-1], model.type)
        tensors[name + ".weight"] = (type, stored(rng, type, rows, cols, std))

    def vector(name, length, mean, std):
        tensors[name] = (Type.F32, (mean + std * rng.standard_normal(length)).astype(np.float32))

    vocabulary = len(model.vocabulary.tokens)
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    # Small beside what the layers add, or else a tied head repeats the last token.
    matrix("token_embd", vocabulary, s.dim, 0.2)
    if s.rope_factors:
        factors = np.linspace(1, 8, s.head_dim // 2) ** 1.5
        tensors["rope_freqs.weight"] = (Type.F32, factors.astype(np.float32))
    for layer in range(s.layers):
        block = f"blk.{layer}."
        vector(block + "attn_norm.weight", s.dim, 1, 0.2)
        # Queries and keys are larger than a fresh model's, so that heads attend to few tokens.
        matrix(block + "attn_q", q, s.dim, 1.2 / math.sqrt(s.dim))
        matrix(block + "attn_k", kv, s.dim, 1.2 / math.sqrt(s.dim))
        matrix(block + "attn_v", kv, s.dim, 1 / math.sqrt(s.dim))
        matrix(block + "attn_output", s.dim, q, 1 / math.sqrt(q))
        vector(block + "ffn_norm.weight", s.dim, 1, 0.2)
        matrix(block + "ffn_gate", s.hidden, s.dim, 1 / math.sqrt(s.dim))
        matrix(block + "ffn_up", s.hidden, s.dim, 1 / math.sqrt(s.dim))
        matrix(block + "ffn_down", s.dim, s.hidden, 1 / math.sqrt(s.hidden))
        if s.qkv_bias:
            for name, length in (("attn_q", q), ("attn_k", kv), ("attn_v", kv)):
                vector(f"{block}{name}.bias", length, 0, 0.5)
        if s.all_bias:
            lengths = {"attn_output": s.dim, "ffn_gate": s.hidden, "ffn_up": s.hidden, "ffn_down": s.dim}
            for name, length in lengths.items():
                vector(f"{block}{name}.bias", length, 0, 0.5)
        if s.qk_norm:
            vector(block + "attn_q_norm.weight", s.head_dim, 1.2, 0.2)
            vector(block + "attn_k_norm.weight", s.head_dim, 1.2, 0.2)
    vector("output_norm.weight", s.dim, 1, 0.2)
    if not s.tied:
        matrix("output", vocabulary, s.dim, 1 / math.sqrt(s.dim))
    spread_logits(model, tensors)
    return tensors


def spread_logits(model, tensors):
    """Scales the last norm so that logits have the deviation LOGIT_STD."""
    ids = model.vocabulary.encode(prompts(model.vocabulary)[0])
    logits = Sequence(model.shape, decoded(tensors)).feed(ids)
    type, norm = tensors["output_norm.weight"]
    scale = np.float32(round(LOGIT_STD / logits.std(), 3))
    tensors["output_norm.weight"] = (type, norm * scale)


def decoded(tensors):
    """What the stored weights are worth, in float64."""
    return {name: gguf.quants.dequantize(data, type).astype(np.float64)
            for name, (type, data) in tensors.items()}


# --- files


def write_model(model, tensors, folder):
    s, a = model.shape, model.shape.architecture
    most = math.ceil(len(tensors) / model.pieces) if model.pieces > 1 else 0
    writer = gguf.GGUFWriter(folder / f"{model.name}.gguf", a, split_max_tensors=most)
    writer.add_name(f"random {model.name}")
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.dim)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.hidden)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    if s.head_dim * s.heads != s.dim:
        writer.add_key_length(s.head_dim)
        writer.add_value_length(s.head_dim)
    writer.add_rope_dimension_count(s.head_dim)
    writer.add_layer_norm_rms_eps(s.epsilon)
    writer.add_rope_freq_base(s.rope_base)
    if s.linear_scale != 1:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(s.linear_scale)
    writer.add_vocab_size(len(model.vocabulary.tokens))
    model.vocabulary.write(writer)
    for name, (type, data) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if model.version == 2:  # the same bytes but for the number: version 3 only added big-endian files
        with open(folder / f"{model.name}.gguf", "r+b") as file:
            file.seek(4)
            file.write(model.version.to_bytes(4, "little"))
    return sorted(folder.glob(f"{model.name}*.gguf"))


# --- what the models must compute


def greedy(sequence, logits, count):
    """The likeliest tokens one after the other, and the smallest lead that one of them had."""
    ids, gap = [], math.inf
    for _ in range(count):
        ids.append(int(logits.argmax()))
        gap = min(gap, top2_gap(logits))
        logits = sequence.feed(ids[-1:])[-1]
    return ids, gap


def mean_nll(logits, ids):
    return round(float(negative_log_likelihoods(logits[:-1], ids[1:]).mean()), 6)


def prompt_case(model, weights, text):
    ids = model.vocabulary.encode(text)
    sequence = Sequence(model.shape, weights)
    logits = sequence.feed(ids)
    tokens, gap = greedy(sequence, logits[-1], GREEDY_TOKENS)
    if gap < 1e-3:
        raise RuntimeError(f"{model.name}: a near tie after {text!r}: take another seed")
    case = {"text": text, "ids": ids, "greedy": tokens, "smallest_top2_gap": round(float(gap), 6)}
    if len(ids) > 1:
        case["mean_nll"] = mean_nll(logits, ids)
    case["logits"] = [[round(x, 5) for x in row] for row in logits.tolist()]
    return case


def sampled_ids(model, weights):
    """A text drawn from the model, chunk by chunk as `perplexity` reads it, so that it is likely there.

    Only printable tokens, and only such that the text is encoded as it was drawn."""
    vocabulary = model.vocabulary
    rng = np.random.default_rng(model.seed + 1000)
    printable = np.array([vocabulary.printable(i) for i in range(len(vocabulary.tokens))])
    ids = vocabulary.encode("the")
    sequence = Sequence(model.shape, weights)
    logits = sequence.feed(ids)[-1]
    while len(ids) < TEXT_CHUNKS * PERPLEXITY_CONTEXT:
        p = np.exp(logits - logits.max()) * printable
        for token in rng.choice(len(p), size=np.count_nonzero(p), replace=False, p=p / p.sum()):
            longer = ids + [int(token)]
            if vocabulary.encode(vocabulary.decode(longer)) == longer:
                break
        else:
            raise RuntimeError(f"{model.name}: no token may follow {vocabulary.decode(ids)!r}")
        if len(ids) % PERPLEXITY_CONTEXT == 0:
            sequence = Sequence(model.shape, weights)
            logits = sequence.feed(chunk_of(model, longer[-1:]))[-1]
        else:
            logits = sequence.feed(longer[-1:])[-1]
        ids = longer
    return ids


def text_case(model, weights):
    ids = sampled_ids(model, weights)
    logits = Sequence(model.shape, weights).feed(ids)
    return {
        "text": model.vocabulary.decode(ids),
        "ids": ids,
        "top": logits.argmax(axis=1).tolist(),
        "top2_gap": [round(float(top2_gap(row)), 4) for row in logits],
        "mean_nll": mean_nll(logits, ids),
        "perplexity": perplexity(model, weights, ids),
    }


def perplexity(model, weights, ids):
    """As llama-perplexity defines it: whole chunks, each from an empty cache, scored from the middle on."""
    n = PERPLEXITY_CONTEXT
    scores = []
    for start in range(0, len(ids) - n + 1, n):
        chunk = chunk_of(model, ids[start:start + n])
        logits = Sequence(model.shape, weights).feed(chunk)
        scores.append(negative_log_likelihoods(logits[n // 2:-1], chunk[n // 2 + 1:]))
    scores = np.concatenate(scores)
    return {"context": n, "scores": len(scores), "value": round(math.exp(scores.mean()), 6)}


def chunk_of(model, ids):
    """The ids of a chunk of text: BOS stands for the first where the model has one."""
    return ids if model.vocabulary.bos is None else [model.vocabulary.bos] + ids[1:]


def to_json(golden):
    """JSON with a line for each row of logits and each list of ids."""
    def lines(value, indent):
        inner = indent + " "
        if isinstance(value, dict):
            parts = [f"{inner}{json.dumps(k)}: {lines(v, inner)}" for k, v in value.items()]
            return "{\n" + ",\n".join(parts) + "\n" + indent + "}"
        if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
            return "[\n" + ",\n".join(inner + lines(v, inner) for v in value) + "\n" + indent + "]"
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return lines(golden, "") + "\n"


def make(model, folder):
    for old in folder.glob(f"{model.name}*.gguf"):
        old.unlink()
    tensors = make_weights(model)
    weights = decoded(tensors)
    files = write_model(model, tensors, folder)
    golden = {
        "file": files[0].name,
        "type": model.type.name,
        "prompts": [prompt_case(model, weights, text) for text in prompts(model.vocabulary)],
        "sampled": text_case(model, weights),
    }
    (folder / f"{model.name}.json").write_text(to_json(golden), encoding="utf-8")
    size = sum(file.stat().st_size for file in files)
    gaps = [case["smallest_top2_gap"] for case in golden["prompts"]]
    lengths = [len(case["ids"]) for case in golden["prompts"]]
    print(f"{model.name}: {len(files)} file(s), {size} bytes, perplexity "
          f"{golden['sampled']['perplexity']['value']}, prompts of {lengths}, greedy gaps {gaps}",
          flush=True)
    return size


def main():
    folder = Path(__file__).parent
    print(f"{sum(make(model, folder) for model in models())} bytes in all")


if __name__ == "__main__":
    sys.exit(main())
