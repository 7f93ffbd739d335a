"""Losses and their gradients by PyTorch, in float64.

    python tests/oracle/loss.py

writes loss.txt beside itself: one case after another, "case kind", then one tensor a line: name, shape, row-major numbers.
Each has outputs [time, batch, features], targets, a mask [time, batch] of what counts, the loss as the mean over that, and
d_outputs by autograd. Needs torch only; the committed file was written by torch 2.15.0 on a CPU.
"""

import pathlib

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(13)


def line(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape) or "1"
    return f"{name} {shape} " + " ".join(repr(float(x)) for x in tensor.detach().reshape(-1))


def case(kind, scale, lengths):
    time, batch, features = 4, 3, 5
    outputs = (torch.randn(time, batch, features) * scale).requires_grad_()
    mask = torch.arange(time)[:, None] < torch.tensor(lengths)[None, :]
    if kind == "squared_error":
        targets = torch.randn(time, batch, features)
        loss = F.mse_loss(outputs[mask], targets[mask])
    elif kind == "cross_entropy":
        targets = torch.randint(features, (time, batch))
        loss = F.cross_entropy(outputs[mask], targets[mask])
    else:
        targets = torch.rand(time, batch, features).round(decimals=1)
        loss = F.binary_cross_entropy_with_logits(outputs[mask], targets[mask])
    loss.backward()
    lines = [f"case {kind}", line("outputs", outputs), line("targets", targets)]
    lines += [line("lengths", torch.tensor(lengths)), line("loss", loss), line("d_outputs", outputs.grad)]
    return lines


lines = ["# A case: kind. Then one tensor a line: name, shape, row-major numbers."]
for kind in ("squared_error", "cross_entropy", "bernoulli"):
    for scale in (1.0, 30.0):
        for lengths in ([4, 4, 4], [4, 2, 0]):
            lines += case(kind, scale, lengths)
(pathlib.Path(__file__).parent / "loss.txt").write_text("\n".join(lines) + "\n")
