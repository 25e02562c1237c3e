#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Losses of the training objectives and their derivatives, by PyTorch's autograd in float64.

    python3 make_objectives.py > objectives.json

Made with PyTorch 2.13. Four answers in pairs (DPO) or groups (GRPO); the formulas are those of
Rafailov et al. 2023 (equation 7, with the likelihood of Pang et al. 2024) and of Shao et al. 2024
(equation 3), over all tokens alike as in Yu et al. 2025.
"""
import json

import torch

torch.manual_seed(11)
TARGETS = [3, 2, 4, 1]
WEIGHTS = [1.0, 0.5, 2.0, 1.0]
REWARDS = torch.tensor([[1.0, 0.0], [0.0, 0.25]], dtype=torch.float64)
BETA, NLL, CLIP, KL = 0.3, 0.5, 0.2, 0.1


def float32(x):
    return x.to(torch.float32).to(torch.float64)


n = sum(TARGETS)
now = float32(-0.2 - 2 * torch.rand(n, dtype=torch.float64))
old = float32(now + 0.5 * torch.randn(n, dtype=torch.float64))
reference = float32(now + 0.3 * torch.randn(n, dtype=torch.float64))
mean = REWARDS.mean(1, keepdim=True)
advantages = ((REWARDS - mean) / REWARDS.std(1, keepdim=True, correction=0)).flatten().tolist()


def split(x):
    return torch.split(x, TARGETS)


def cross_entropy(x):
    total = sum(w * t for w, t in zip(WEIGHTS, TARGETS))
    return -sum(w * part.sum() for w, part in zip(WEIGHTS, split(x))) / total


def dpo(x, nll):
    gains = [(a - b).sum() for a, b in zip(split(x), split(reference))]
    loss = 0
    for i in (0, 2):
        loss = loss - torch.nn.functional.logsigmoid(BETA * (gains[i] - gains[i + 1]))
        loss = loss - nll * split(x)[i].mean()
    return loss / 2


def grpo(x, kl):
    loss = 0
    for advantage, a, b, r in zip(advantages, split(x), split(old), split(reference)):
        ratio = torch.exp(a - b)
        held = torch.clamp(ratio, 1 - CLIP, 1 + CLIP)
        loss = loss - torch.minimum(ratio * advantage, held * advantage).sum()
        loss = loss + kl * (torch.exp(r - a) - (r - a) - 1).sum()
    return loss / n


def case(loss_of):
    x = now.clone().requires_grad_(True)
    loss = loss_of(x)
    loss.backward()
    return {"loss": loss.item(), "coefficients": x.grad.tolist()}


print(
    json.dumps(
        {
            "examples": [
                {"targets": t, "weight": w, "advantage": a, "one": 1.0}
                for t, w, a in zip(TARGETS, WEIGHTS, advantages)
            ],
            "rewards": REWARDS.tolist(),
            "now": now.tolist(),
            "old": old.tolist(),
            "reference": reference.tolist(),
            "cases": {
                "cross_entropy": case(cross_entropy),
                "dpo": case(lambda x: dpo(x, 0)),
                "dpo_nll": case(lambda x: dpo(x, NLL)),
                "grpo": case(lambda x: grpo(x, 0)),
                "grpo_kl": case(lambda x: grpo(x, KL)),
            },
        },
        indent=1,
    )
)
