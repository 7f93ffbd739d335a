"""Reference numbers from PyTorch, in float64, for stacks, both directions, padded batches and dropout between layers.

    python tests/oracle/wrappers.py

writes wrappers.txt beside itself, whose first lines say how it reads. Numbers are printed so that reading gives the same
float64 back. Needs torch only; the committed file was written by torch 2.15.0 on a CPU.
"""

import pathlib

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent

BATCH, INPUTS, HIDDEN = 3, 2, 3


def line(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape)
    return f"{name} {shape} " + " ".join(repr(x) for x in tensor.detach().reshape(-1).tolist())


def leaf(*shape):
    return torch.randn(*shape, requires_grad=True)


def parameters(net, layers, directions, prefix=""):
    """Ours: one bias, the sum of both, whose gradient is that of either; of a GRU's last gate both stay apart."""
    rows = []
    for layer in range(layers):
        for suffix in ("", "_reverse")[:directions]:
            name = f"{prefix}{layer}{suffix}"
            w_in, w_rec, b_in, b_rec = (
                getattr(net, f"{kind}_l{layer}{suffix}")
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            bias, is_gru = b_in + b_rec, isinstance(net, torch.nn.GRU)
            if is_gru:
                bias = torch.cat([bias[: 2 * HIDDEN], b_in[2 * HIDDEN :]])
            rows += [
                line(f"{name}.w_in", w_in),
                line(f"{name}.w_rec", w_rec),
                line(f"{name}.bias", bias),
                line(f"d_{name}.w_in", w_in.grad),
                line(f"d_{name}.w_rec", w_rec.grad),
                line(f"d_{name}.bias", b_in.grad),
            ]
            if is_gru:
                rows += [
                    line(f"{name}.bias_rec", b_rec[2 * HIDDEN :]),
                    line(f"d_{name}.bias_rec", b_rec.grad[2 * HIDDEN :]),
                ]
    return rows


def made(kind, inputs, layers=1, directions=1):
    of = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    net = of(inputs, HIDDEN, num_layers=layers, bidirectional=directions == 2)
    for p in net.parameters():
        # Wider than the default, so that the nonlinearities work outside their linear range.
        torch.nn.init.uniform_(p, -0.8, 0.8)
    return net


def case(kind, layers, directions, time, lengths, seed):
    torch.manual_seed(seed)
    net = made(kind, INPUTS, layers, directions)
    xs, d_outputs = leaf(time, BATCH, INPUTS), torch.randn(time, BATCH, directions * HIDDEN)
    parts = 2 if kind == "lstm" else 1
    start = [leaf(layers * directions, BATCH, HIDDEN) for _ in range(parts)]
    d_end = [torch.randn(layers * directions, BATCH, HIDDEN) for _ in range(parts)]
    state = tuple(start) if kind == "lstm" else start[0]
    if lengths:
        packed = pack_padded_sequence(xs, torch.tensor(lengths), enforce_sorted=False)
        outputs, end = net(packed, state)
        outputs, _ = pad_packed_sequence(outputs, total_length=time)
    else:
        outputs, end = net(xs, state)
    end = end if kind == "lstm" else (end,)
    loss = (d_outputs * outputs).sum() + sum((d * s).sum() for d, s in zip(d_end, end))
    loss.backward()
    of = "-".join(str(n) for n in lengths) if lengths else "all"
    rows = [f"case {kind} {layers} {directions} {of}", *parameters(net, layers, directions)]
    rows += [line("xs", xs), line("d_xs", xs.grad), line("outputs", outputs), line("d_outputs", d_outputs)]
    for part, s, e, d in zip("hc", start, end, d_end):
        rows += [line(f"{part}0", s), line(f"d_{part}0", s.grad), line(f"{part}_n", e), line(f"d_{part}_n", d)]
    return rows


def dropout_case(kind, time, steps, seed):
    """What nn.LSTM(dropout=p) does between its layers, with a mask that is written down: of every step or of all."""
    torch.manual_seed(seed)
    below, above = made(kind, INPUTS), made(kind, HIDDEN)
    xs, d_outputs = leaf(time, BATCH, INPUTS), torch.randn(time, BATCH, HIDDEN)
    mask = torch.bernoulli(torch.full((steps, BATCH, HIDDEN), 0.6)) / 0.6
    outputs, _ = above(mask * below(xs)[0])
    (d_outputs * outputs).sum().backward()
    return [
        f"case dropout-{kind} 2 1 all",
        *parameters(below, 1, 1),
        *[row.replace("0.", "1.", 1) for row in parameters(above, 1, 1)],
        line("mask", mask),
        line("xs", xs),
        line("d_xs", xs.grad),
        line("outputs", outputs),
        line("d_outputs", d_outputs),
    ]


rows = [
    "# A case: kind layers directions lengths. Then one tensor a line: name, shape, row-major numbers.",
    "# The loss is the sum of d_outputs * outputs, and of d_h_n * h_n and d_c_n * c_n; any other d_name is its gradient.",
    "# States are [layers * directions, batch, hidden], the directions of a layer side by side, as PyTorch has them.",
]
seed = 100
for kind in ("rnn", "lstm", "gru"):
    for layers, directions, lengths in (
        (2, 1, None),
        (1, 2, None),
        (2, 2, None),
        (1, 1, (5, 2, 4)),
        (2, 1, (1, 5, 3)),
        (1, 2, (3, 5, 1)),
        (2, 2, (5, 2, 4)),
        (2, 2, (4, 2, 3)),  # all shorter than the array
    ):
        seed += 1
        rows += case(kind, layers, directions, 5, lengths, seed)
    for steps in (1, 5):
        seed += 1
        rows += dropout_case(kind, 5, steps, seed)
(HERE / "wrappers.txt").write_text("\n".join(rows) + "\n")
