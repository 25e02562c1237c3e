# SPDX-License-Identifier: Apache-2.0
"""Makes tiny models with the gradients and the losses that training must have. README.md says how to run it.

The forward pass is written from the formulas, in float64; PyTorch differentiates it. The optimisers are
torch.optim.AdamW and Muon from its paper's formulas (torch.optim.Muon rounds to bfloat16 on its way).
"""
import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch

from transformer import Shape

VOCABULARY = 23
STEPS = 200
CLIP = 1.0
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
EPSILON = 1e-8


def cases():
    """Each trait of an architecture is on in one of them."""
    small = dict(dim=12, hidden=20, head_dim=4)
    return {
        "llama-linear": Shape("llama", heads=6, kv_heads=2, linear_scale=2.5, tied=True, all_bias=True,
                              qkv_bias=True, **{**small, "head_dim": 2}),
        "llama-factors": Shape("llama", heads=3, kv_heads=1, rope_factors=True, rope_base=500000.0, **small),
        "qwen2": Shape("qwen2", heads=3, kv_heads=3, qkv_bias=True, tied=True, **small),
        "qwen3": Shape("qwen3", heads=4, kv_heads=2, epsilon=1e-6, **{**small, "head_dim": 6}),
    }


def make_weights(shape, rng):
    """Float32 by name, such that every gradient is of a size to be seen."""
    s, w = shape, {}

    def matrix(name, rows, cols, std):
        w[name + ".weight"] = rng.standard_normal((rows, cols)) * std

    def vector(name, length, mean, std):
        w[name] = mean + std * rng.standard_normal(length)

    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    matrix("token_embd", VOCABULARY, s.dim, 0.5)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        vector(block + "attn_norm.weight", s.dim, 1, 0.2)
        for name, rows in (("attn_q", q), ("attn_k", kv), ("attn_v", kv)):
            matrix(block + name, rows, s.dim, 1 / math.sqrt(s.dim))
            if s.qkv_bias:
                vector(f"{block}{name}.bias", rows, 0, 0.3)
        matrix(block + "attn_output", s.dim, q, 1 / math.sqrt(q))
        vector(block + "ffn_norm.weight", s.dim, 1, 0.2)
        matrix(block + "ffn_gate", s.hidden, s.dim, 1 / math.sqrt(s.dim))
        matrix(block + "ffn_up", s.hidden, s.dim, 1 / math.sqrt(s.dim))
        matrix(block + "ffn_down", s.dim, s.hidden, 1 / math.sqrt(s.hidden))
        if s.all_bias:
            lengths = {"attn_output": s.dim, "ffn_gate": s.hidden, "ffn_up": s.hidden, "ffn_down": s.dim}
            for name, length in lengths.items():
                vector(f"{block}{name}.bias", length, 0, 0.3)
        if s.qk_norm:
            vector(block + "attn_q_norm.weight", s.head_dim, 1.2, 0.2)
            vector(block + "attn_k_norm.weight", s.head_dim, 1.2, 0.2)
    vector("output_norm.weight", s.dim, 1, 0.2)
    if not s.tied:
        matrix("output", VOCABULARY, s.dim, 1 / math.sqrt(s.dim))
    return {name: values.astype(np.float32) for name, values in w.items()}


def frequency_factors(shape):
    return (np.linspace(1, 8, shape.head_dim // 2) ** 1.5).astype(np.float32)


# --- the forward pass


class RoundedProduct(torch.autograd.Function):
    """x · wᵀ whose operands, and those of its gradients, are rounded to bfloat16; sums are float64."""

    @staticmethod
    def forward(context, x, w):
        x, w = rounded(x), rounded(w)
        context.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(context, gradient):
        x, w = context.saved_tensors
        gradient = rounded(gradient)
        return gradient @ w, gradient.T @ x


def rounded(x):
    return x.float().bfloat16().double()


class Transformer:
    """One sequence at a time through a model; `w` are tensors by GGUF name."""

    def __init__(self, shape, w, bf16=False, lora_factor=0.0):
        self.shape, self.w, self.bf16, self.lora_factor = shape, w, bf16, lora_factor

    def logits(self, ids):
        s, w = self.shape, self.w
        x = w["token_embd.weight"][ids]
        for layer in range(s.layers):
            block = f"blk.{layer}."
            x = x + self.attention(block, self.norm(x, block + "attn_norm"))
            normed = self.norm(x, block + "ffn_norm")
            gate, up = self.product(normed, block + "ffn_gate"), self.product(normed, block + "ffn_up")
            x = x + self.product(torch.nn.functional.silu(gate) * up, block + "ffn_down")
        return self.product(self.norm(x, "output_norm"), "token_embd" if s.tied else "output")

    def attention(self, block, x):
        s, n = self.shape, len(x)
        q = self.product(x, block + "attn_q").reshape(n, s.heads, s.head_dim)
        k = self.product(x, block + "attn_k").reshape(n, s.kv_heads, s.head_dim)
        v = self.product(x, block + "attn_v").reshape(n, s.kv_heads, s.head_dim)
        if s.qk_norm:
            q, k = self.norm(q, block + "attn_q_norm"), self.norm(k, block + "attn_k_norm")
        q, k = self.rotate(q), self.rotate(k)
        k, v = (t.repeat_interleave(s.heads // s.kv_heads, dim=1) for t in (k, v))
        scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(s.head_dim)
        future = torch.ones(n, n, dtype=torch.bool).triu(1)
        p = scores.masked_fill(future, -math.inf).softmax(dim=-1)
        return self.product(torch.einsum("hij,jhd->ihd", p, v).reshape(n, -1), block + "attn_output")

    def product(self, x, name):
        w = self.w[name + ".weight"]
        y = RoundedProduct.apply(x, w) if self.bf16 else x @ w.T
        if name + ".weight.lora_a" in self.w:  # Hu et al. 2021, as PEFT does it
            a, b = self.w[name + ".weight.lora_a"], self.w[name + ".weight.lora_b"]
            y = y + self.lora_factor * (x @ a.T @ b.T)
        return y + self.w.get(name + ".bias", 0)

    def norm(self, x, name):
        return x * (x.square().mean(-1, keepdim=True) + self.shape.epsilon).rsqrt() * self.w[name + ".weight"]

    def rotate(self, x):
        s, half = self.shape, self.shape.head_dim // 2
        frequencies = s.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
        if s.rope_factors:
            frequencies = frequencies / torch.tensor(frequency_factors(s)).double()
        angles = torch.arange(len(x), dtype=torch.float64)[:, None] / s.linear_scale * frequencies
        cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
        if s.interleaved:
            a, b = x[..., 0::2], x[..., 1::2]
            return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def log_probabilities(model, batch):
    """Of each target that is not masked, -1, in the order of rows."""
    rows = []
    for ids, targets in batch:
        logs = model.logits(torch.tensor(ids)).log_softmax(-1)
        rows += [logs[i, t] for i, t in enumerate(targets) if t >= 0]
    return torch.stack(rows)


def parameters(weights):
    return {name: torch.tensor(w).double().requires_grad_() for name, w in weights.items()}


# --- the optimisers


def learning_rates(peak):
    """Twenty steps up in a line, then a half cosine down to a tenth."""
    warmup = 20
    for step in range(STEPS):
        if step < warmup:
            yield peak * (step + 1) / warmup
        else:
            done = (step - warmup) / (STEPS - warmup)
            yield peak * (0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2)


def is_matrix(name, w):
    return w.ndim == 2 and name not in ("token_embd.weight", "output.weight")


class Muon:
    """Jordan et al. 2024, in float64: orthogonalised Nesterov momentum; the scale is Liu's (2025)."""

    def __init__(self, tensors, momentum=0.95):
        self.tensors, self.momentum = tensors, momentum
        self.buffers = [torch.zeros_like(w) for w in tensors]

    @torch.no_grad()
    def step(self, rate):
        for w, buffer in zip(self.tensors, self.buffers):
            buffer.lerp_(w.grad, 1 - self.momentum)
            x = w.grad.lerp(buffer, self.momentum)
            tall = x.shape[0] > x.shape[1]
            x = x.T if tall else x
            x = x / (x.norm() + 1e-7)
            for _ in range(5):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            w *= 1 - rate * WEIGHT_DECAY
            w -= rate * 0.2 * max(w.shape) ** 0.5 * (x.T if tall else x)


def losses(shape, weights, batches, peak, bf16=False, muon=False):
    """The loss of each step before its update: the mean over the targets."""
    w = parameters(weights)
    matrices = [t for name, t in w.items() if muon and is_matrix(name, t)]
    rest = [t for name, t in w.items() if not (muon and is_matrix(name, t))]
    adamw = torch.optim.AdamW(
        [{"params": [t for t in rest if t.ndim == 2], "weight_decay": WEIGHT_DECAY},
         {"params": [t for t in rest if t.ndim == 1], "weight_decay": 0.0}],
        betas=BETAS, eps=EPSILON)
    orthogonal = Muon(matrices)
    model, all_losses = Transformer(shape, w, bf16), []
    for batch, rate in zip(batches, learning_rates(peak)):
        for t in w.values():
            t.grad = None
        loss = -log_probabilities(model, batch).mean()
        loss.backward()
        all_losses.append(loss.item())
        norm = math.sqrt(sum(t.grad.square().sum().item() for t in w.values()))
        for t in w.values():
            t.grad *= min(1, CLIP / norm)
        for group in adamw.param_groups:
            group["lr"] = rate
        adamw.step()
        orthogonal.step(rate)
    return all_losses


# --- batches


def random_batch(rng):
    """Two sequences of 9 and 14 tokens, a third of the targets masked."""
    batch = []
    for length in (9, 14):
        ids = rng.integers(0, VOCABULARY, length).tolist()
        targets = [int(t) if rng.random() > 1 / 3 else -1 for t in rng.integers(0, VOCABULARY, length)]
        targets[-1] = int(rng.integers(0, VOCABULARY))
        batch.append((ids, targets))
    return batch


def chain_batch(rng):
    """Sequences to learn: one permutation of the tokens says what follows what, but for one in eight."""
    batch = []
    for length in (9, 14):
        ids = [int(rng.integers(0, VOCABULARY))]
        while len(ids) <= length:
            stray = rng.random() < 1 / 8
            ids.append(int(rng.integers(0, VOCABULARY)) if stray else (5 * ids[-1] + 3) % VOCABULARY)
        batch.append((ids[:-1], ids[1:]))
    return batch


# --- files


def write(path, shape, weights, gradients, extra):
    s = shape
    writer = gguf.GGUFWriter(path, s.architecture)
    writer.add_context_length(32)
    writer.add_embedding_length(s.dim)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.hidden)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_key_length(s.head_dim)
    writer.add_value_length(s.head_dim)
    writer.add_rope_dimension_count(s.head_dim)
    writer.add_layer_norm_rms_eps(s.epsilon)
    writer.add_rope_freq_base(s.rope_base)
    if s.linear_scale != 1:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(s.linear_scale)
    for key, values in extra.items():
        writer.add_array("golden." + key, values)
    for name, values in weights.items():
        writer.add_tensor(name, values)
    if s.rope_factors:
        writer.add_tensor("rope_freqs.weight", frequency_factors(s))
    for name, values in gradients.items():
        writer.add_tensor("gradient." + name, values.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def flat(batches):
    """Tokens and targets (-1: none) of all sequences, one behind the other, and their lengths."""
    sequences = [sequence for batch in batches for sequence in batch]
    return {"tokens": [t for ids, _ in sequences for t in ids],
            "targets": [t for _, targets in sequences for t in targets],
            "lengths": [len(ids) for ids, _ in sequences]}


def make_gradients(name, shape, seed, folder):
    rng = np.random.default_rng(seed)
    weights = make_weights(shape, rng)
    batch = random_batch(rng)
    w = parameters(weights)
    logs = log_probabilities(Transformer(shape, w), batch)
    (-logs.mean()).backward()
    write(folder / f"gradients-{name}.gguf", shape, weights, {n: t.grad for n, t in w.items()},
          {**flat([batch]), "log_probabilities": logs.tolist()})


def make_adapters(folder):
    """Adapters of rank 3 and alpha 6 on q, v and down: the only weights with gradients."""
    rng = np.random.default_rng(31)
    shape = cases()["llama-factors"]
    weights = make_weights(shape, rng)
    rank, alpha = 3, 6.0
    adapters = {}
    for layer in range(shape.layers):
        for name in ("attn_q", "attn_v", "ffn_down"):
            name = f"blk.{layer}.{name}.weight"
            rows, cols = weights[name].shape
            adapters[name + ".lora_a"] = (rng.standard_normal((rank, cols)) / math.sqrt(cols)).astype(np.float32)
            adapters[name + ".lora_b"] = (rng.standard_normal((rows, rank)) / 4).astype(np.float32)
    batch = random_batch(rng)
    trained = parameters(adapters)
    w = {name: torch.tensor(values).double() for name, values in weights.items()} | trained
    logs = log_probabilities(Transformer(shape, w, lora_factor=alpha / rank), batch)
    (-logs.mean()).backward()
    write(folder / "gradients-lora.gguf", shape, weights | adapters, {n: t.grad for n, t in trained.items()},
          {**flat([batch]), "log_probabilities": logs.tolist()})


def make_losses(folder):
    rng = np.random.default_rng(21)
    shape = Shape("qwen3", dim=12, hidden=20, heads=4, kv_heads=2, head_dim=4, tied=True, epsilon=1e-6)
    weights = make_weights(shape, rng)
    weights["token_embd.weight"] *= np.float32(0.2)
    batches = [chain_batch(rng) for _ in range(STEPS)]
    runs = {"adamw": losses(shape, weights, batches, 5e-3),
            "bf16": losses(shape, weights, batches, 5e-3, bf16=True),
            "muon": losses(shape, weights, batches, 5e-3, muon=True)}
    for name, run in runs.items():
        print(f"{name}: {run[0]:.3f} … {run[100]:.3f} … {run[-1]:.3f}")
    write(folder / "losses-qwen3.gguf", shape, weights, {},
          {**flat(batches), "rates.adamw": list(learning_rates(5e-3)), "rates.muon": list(learning_rates(5e-3)),
           **{f"losses.{name}": run for name, run in runs.items()}})


def main():
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for seed, (name, shape) in enumerate(cases().items()):
        make_gradients(name, shape, seed, folder)
    make_adapters(folder)
    make_losses(folder)


if __name__ == "__main__":
    main()
