# SPDX-License-Identifier: Apache-2.0
"""The truth: a llama-like decoder in float64, written from the formulas.

Touvron et al. 2023 (llama), Su et al. 2021 (rotary embedding), Ainslie et al. 2023 (grouped queries).
"""
from dataclasses import dataclass

import numpy as np


@dataclass
class Shape:
    """A model's sizes and traits; names as in GGUF metadata."""
    architecture: str
    dim: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    layers: int = 2
    context: int = 512
    epsilon: float = 1e-5
    rope_base: float = 10000.0
    linear_scale: float = 1.0   # positions are divided by it
    rope_factors: bool = False  # rope_freqs.weight divides the frequencies
    tied: bool = False          # the output head is the embedding table
    qkv_bias: bool = False
    all_bias: bool = False      # biases on all seven products of a layer

    @property
    def interleaved(self):
        """Llama files turn values 2i and 2i + 1 together, all others i and i + half."""
        return self.architecture == "llama"

    @property
    def qk_norm(self):
        return self.architecture == "qwen3"


def silu(x):
    return x / (1 + np.exp(-x))


class Sequence:
    """One sequence of tokens under a model: feeds tokens, remembers keys and values."""

    def __init__(self, shape, tensors):
        self.shape = shape
        self.w = tensors  # float64, by GGUF name
        self.length = 0
        none = np.zeros((0, shape.kv_heads, shape.head_dim))
        self.keys = [none] * shape.layers
        self.values = [none] * shape.layers

    def feed(self, ids):
        """Logits [len(ids), vocabulary] after each of the next tokens."""
        s, w = self.shape, self.w
        positions = np.arange(self.length, self.length + len(ids))
        x = w["token_embd.weight"][ids]
        for layer in range(s.layers):
            block = f"blk.{layer}."
            x = x + self.attention(layer, self.norm(x, block + "attn_norm"), positions)
            x = x + self.feed_forward(block, self.norm(x, block + "ffn_norm"))
        self.length += len(ids)
        head = w["token_embd.weight" if s.tied else "output.weight"]
        return self.norm(x, "output_norm") @ head.T

    def attention(self, layer, x, positions):
        s, block = self.shape, f"blk.{layer}."
        n = len(x)
        q = self.product(x, block + "attn_q").reshape(n, s.heads, s.head_dim)
        k = self.product(x, block + "attn_k").reshape(n, s.kv_heads, s.head_dim)
        v = self.product(x, block + "attn_v").reshape(n, s.kv_heads, s.head_dim)
        if s.qk_norm:
            q = self.norm(q, block + "attn_q_norm")
            k = self.norm(k, block + "attn_k_norm")
        q = self.rotate(q, positions)
        k = self.keys[layer] = np.concatenate([self.keys[layer], self.rotate(k, positions)])
        v = self.values[layer] = np.concatenate([self.values[layer], v])
        future = np.arange(len(k))[None, :] > positions[:, None]
        out = np.empty((n, s.heads, s.head_dim))
        for head in range(s.heads):
            group = head * s.kv_heads // s.heads
            scores = q[:, head] @ k[:, group].T / np.sqrt(s.head_dim)
            scores[future] = -np.inf
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            out[:, head] = p / p.sum(axis=1, keepdims=True) @ v[:, group]
        return self.product(out.reshape(n, -1), block + "attn_output")

    def feed_forward(self, block, x):
        gated = silu(self.product(x, block + "ffn_gate")) * self.product(x, block + "ffn_up")
        return self.product(gated, block + "ffn_down")

    def product(self, x, name):
        return x @ self.w[name + ".weight"].T + self.w.get(name + ".bias", 0)

    def norm(self, x, name):
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + self.shape.epsilon) * self.w[name + ".weight"]

    def rotate(self, x, positions):
        s = self.shape
        half = s.head_dim // 2
        frequencies = s.rope_base ** (-np.arange(half) / half) / self.w.get("rope_freqs.weight", 1)
        angles = (positions[:, None] / s.linear_scale * frequencies)[:, None, :]
        i = np.arange(half)
        first, second = (2 * i, 2 * i + 1) if s.interleaved else (i, i + half)
        a, b = x[..., first], x[..., second]
        turned = np.empty_like(x)
        turned[..., first] = a * np.cos(angles) - b * np.sin(angles)
        turned[..., second] = a * np.sin(angles) + b * np.cos(angles)
        return turned


def negative_log_likelihoods(logits, ids):
    """-log softmax(logits[i])[ids[i]] of each row."""
    largest = logits.max(axis=1)
    log_sum = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
    return log_sum - logits[np.arange(len(ids)), ids]


def top2_gap(logits):
    first, second = np.sort(logits)[[-1, -2]]
    return first - second
