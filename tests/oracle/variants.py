"""Reference numbers of LSTMs with options and of the peephole LSTM, from PyTorch in float64.

    python tests/oracle/variants.py

writes variants.txt beside itself. The projection is torch.nn.LSTM(proj_size=...); the others are their formulas
in plain tensor operations, with every gradient by autograd. Numbers are printed so that reading gives the same
float64 back. Needs torch only; the committed file was written by torch 2.15.0 on a CPU.
"""

import pathlib

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent

CELL_CLIP = 0.6
GATE_CLIP = 0.9
EPSILON = 1e-5


def line(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape)
    numbers = " ".join(repr(x) for x in tensor.detach().reshape(-1).tolist())
    return f"{name} {shape} {numbers}"


def normalised(a):
    """(a - mean) / sqrt(variance + eps), over the last axis, the variance over n."""
    mean = a.mean(dim=-1, keepdim=True)
    variance = (a - mean).square().mean(dim=-1, keepdim=True)
    y = (a - mean) / (variance + EPSILON).sqrt()
    assert torch.allclose(y, torch.nn.functional.layer_norm(a, a.shape[-1:], eps=EPSILON), rtol=1e-11, atol=1e-12)
    return y


def step(options, p, x, h, c):
    """One step, its formulas line by line."""
    from_x, from_h = x @ p["w_in"].T, h @ p["w_rec"].T
    if "layer_norm" in options:
        from_x, from_h = p["gain_in"] * normalised(from_x), p["gain_rec"] * normalised(from_h)
    z = from_x + from_h + p["bias"]
    if "gate_clip" in options:
        z = z.clamp(-GATE_CLIP, GATE_CLIP)
    if "coupled" in options:
        z_f, z_g, z_o = z.chunk(3, dim=1)
        f = torch.sigmoid(z_f)
        i = 1 - f
    else:
        z_i, z_f, z_g, z_o = z.chunk(4, dim=1)
        if "peephole" in options:
            z_i, z_f = z_i + p["peep_i"] * c, z_f + p["peep_f"] * c
        i, f = torch.sigmoid(z_i), torch.sigmoid(z_f)
    c = f * c + i * torch.tanh(z_g)
    if "cell_clip" in options:
        c = c.clamp(-CELL_CLIP, CELL_CLIP)
    if "peephole" in options:
        z_o = z_o + p["peep_o"] * c
    shown = p["gain_c"] * normalised(c) + p["shift_c"] if "layer_norm" in options else c
    h = torch.sigmoid(z_o) * torch.tanh(shown)
    if "projection" in options:
        h = h @ p["w_proj"].T
    return h, c


def parameters(options, inputs, hidden, outputs):
    rows = (3 if "coupled" in options else 4) * hidden
    shapes = {"w_in": (rows, inputs), "w_rec": (rows, outputs), "bias": (rows,)}
    if "projection" in options:
        shapes["w_proj"] = (outputs, hidden)
    if "layer_norm" in options:
        shapes |= {"gain_in": (rows,), "gain_rec": (rows,), "gain_c": (hidden,), "shift_c": (hidden,)}
    if "peephole" in options:
        shapes |= {f"peep_{gate}": (hidden,) for gate in "ifo"}
    # Wide enough that the nonlinearities work outside their linear range, and that clips bite here and there.
    return {name: (torch.rand(shape) * 1.8 - 0.9).requires_grad_() for name, shape in shapes.items()}


def by_module(p, xs, h0, c0):
    """The same by torch.nn.LSTM, where it knows how."""
    net = torch.nn.LSTM(xs.shape[2], c0.shape[1], proj_size=h0.shape[1])
    weights = {
        "weight_ih_l0": p["w_in"],
        "weight_hh_l0": p["w_rec"],
        "bias_ih_l0": p["bias"],
        "bias_hh_l0": torch.zeros_like(p["bias"]),
        "weight_hr_l0": p["w_proj"],
    }
    outputs, (h, c) = torch.func.functional_call(net, weights, (xs, (h0[None], c0[None])))
    return outputs, h[0], c[0]


def case(title, time, batch, inputs, hidden, outputs, seed):
    """The loss looks at every output and at the final state."""
    torch.manual_seed(seed)
    options = title.split("+")
    p = parameters(options, inputs, hidden, outputs)
    leaves = {
        "xs": torch.randn(time, batch, inputs),
        "h0": torch.randn(batch, outputs),
        "c0": torch.randn(batch, hidden),
    }
    xs, h0, c0 = (leaf.requires_grad_() for leaf in leaves.values())
    upstream = {
        "d_outputs": torch.randn(time, batch, outputs),
        "d_h_n": torch.randn(batch, outputs),
        "d_c_n": torch.randn(batch, hidden),
    }
    if title == "projection":
        all_outputs, h, c = by_module(p, xs, h0, c0)
    else:
        h, c, steps = h0, c0, []
        for x in xs:
            h, c = step(options, p, x, h, c)
            steps.append(h)
        all_outputs = torch.stack(steps)
    results = {"outputs": all_outputs, "h_n": h, "c_n": c}
    sum((d * result).sum() for d, result in zip(upstream.values(), results.values())).backward()

    rows = [f"case {title} {time} {batch} {inputs} {hidden} {outputs}"]
    rows += [line(name, t) for name, t in (p | leaves | upstream | results).items()]
    rows += [line(f"d_{name}", t.grad) for name, t in (p | leaves).items()]
    return rows


rows = [
    "# A case: options time batch inputs hidden outputs. Then one tensor a line: name, shape, row-major numbers.",
    "# The loss is the sum of d_outputs * outputs, d_h_n * h_n and d_c_n * c_n; any other d_name is its gradient.",
    f"# cell_clip {CELL_CLIP}, gate_clip {GATE_CLIP}, epsilon {EPSILON}.",
]
seed = 0
for title in (
    "projection",
    "coupled",
    "cell_clip",
    "gate_clip",
    "layer_norm",
    "coupled+projection",
    "cell_clip+gate_clip",
    "layer_norm+projection",
    "coupled+cell_clip+gate_clip+layer_norm+projection",
    "peephole",
):
    for time, batch in ((1, 1), (2, 3), (20, 2)):
        seed += 1
        projected = "projection" in title
        rows += case(title, time, batch, 2, 3, 2 if projected else 3, seed)
(HERE / "variants.txt").write_text("\n".join(rows) + "\n")
