"""Reference numbers from PyTorch, in float64.

    python tests/oracle/recurrent.py

writes beside itself

    recurrent.txt  outputs and gradients of nn.RNN, nn.LSTM and nn.GRU
    penalty.txt    L1, L2 and elastic-net penalties with their gradients by autograd
    clip.txt       torch.nn.utils.clip_grad_norm_

Each file says in its first lines how it reads. Numbers are printed so that reading gives the same
float64 back. Needs torch only; the committed files were written by torch 2.15.0 on a CPU.
"""

import pathlib

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = pathlib.Path(__file__).parent


def numbers(tensor):
    return " ".join(repr(x) for x in tensor.detach().reshape(-1).tolist())


def line(name, tensor):
    shape = "x".join(str(n) for n in tensor.shape)
    return f"{name} {shape} {numbers(tensor)}"


def recurrent_case(kind, time, batch, inputs, hidden, seed):
    """L = sum of d_outputs * outputs, plus the same for the final state: every gradient by autograd."""
    torch.manual_seed(seed)
    if kind == "lstm":
        net = torch.nn.LSTM(inputs, hidden)
    elif kind == "gru":
        net = torch.nn.GRU(inputs, hidden)
    else:
        # PyTorch's nn.RNN knows tanh and relu; sigmoid and identity are written out below.
        net = torch.nn.RNN(inputs, hidden, nonlinearity=kind if kind in ("tanh", "relu") else "tanh")
    for p in net.parameters():
        # Wider than the default, so that the nonlinearities work outside their linear range.
        torch.nn.init.uniform_(p, -0.8, 0.8)
    xs = torch.randn(time, batch, inputs, requires_grad=True)
    h0 = torch.randn(batch, hidden, requires_grad=True)
    c0 = torch.randn(batch, hidden, requires_grad=True)
    d_outputs = torch.randn(time, batch, hidden)

    if kind == "lstm":
        outputs, (h_n, c_n) = net(xs, (h0[None], c0[None]))
    elif kind in ("tanh", "relu", "gru"):
        outputs, h_n = net(xs, h0[None])
    else:
        phi = {"sigmoid": torch.sigmoid, "identity": lambda z: z}[kind]
        h, steps = h0, []
        for x in xs:
            h = phi(
                torch.nn.functional.linear(x, net.weight_ih_l0, net.bias_ih_l0)
                + torch.nn.functional.linear(h, net.weight_hh_l0, net.bias_hh_l0)
            )
            steps.append(h)
        outputs, h_n = torch.stack(steps), h[None]

    (d_outputs * outputs).sum().backward()
    # The biases of a GRU's last gate are two: the recurrent one stands inside the reset gate.
    summed = 2 * hidden if kind == "gru" else None
    assert torch.allclose(net.bias_ih_l0.grad[:summed], net.bias_hh_l0.grad[:summed], rtol=1e-12, atol=1e-13)
    rows = [
        f"case {kind} {time} {batch} {inputs} {hidden}",
        line("w_in", net.weight_ih_l0),
        line("w_rec", net.weight_hh_l0),
        line("bias_ih", net.bias_ih_l0),
        line("bias_hh", net.bias_hh_l0),
        line("xs", xs),
        line("h0", h0),
        line("d_outputs", d_outputs),
        line("outputs", outputs),
        line("h_n", h_n[0]),
        line("d_w_in", net.weight_ih_l0.grad),
        line("d_w_rec", net.weight_hh_l0.grad),
        line("d_bias", net.bias_ih_l0.grad),
        line("d_xs", xs.grad),
        line("d_h0", h0.grad),
    ]
    if kind == "lstm":
        rows += [line("c0", c0), line("c_n", c_n[0]), line("d_c0", c0.grad)]
    if kind == "gru":
        rows += [line("d_bias_rec", net.bias_hh_l0.grad[summed:])]
    return rows


def recurrent():
    rows = [
        "# A case: kind time batch inputs hidden. Then one tensor a line: name, shape, row-major numbers.",
        "# The loss is the sum of d_outputs * outputs; d_name is its gradient.",
    ]
    seed = 0
    for kind in ("tanh", "relu", "sigmoid", "identity", "lstm"):
        for time, batch in ((1, 1), (2, 3), (20, 1), (20, 2)):
            seed += 1
            rows += recurrent_case(kind, time, batch, 2, 3, seed)
    for time, batch in ((1, 1), (1, 3), (7, 1), (7, 3)):
        for inputs, hidden in ((2, 3), (1, 5), (4, 1)):
            seed += 1
            rows += recurrent_case("gru", time, batch, inputs, hidden, seed)
    (HERE / "recurrent.txt").write_text("\n".join(rows) + "\n")


def penalty():
    """w |-> l1 * sum|w| + l2/2 * sum w^2."""
    weights = torch.tensor([0.5, -2.0, 0.0, 3.25, -1e-3, 1e8, -7e-9])
    rows = [
        "# weights: the vector. Then: name l1 l2 value gradient...",
        "# value = l1 * sum|w| + l2/2 * sum w^2; autograd's gradient of |w| at 0 is 0.",
        f"weights {numbers(weights)}",
    ]
    for name, l1, l2 in (
        ("l1", 0.01, 0.0),
        ("l1", 3.0, 0.0),
        ("l2", 0.0, 1e-4),
        ("l2", 0.0, 2.5),
        ("elastic_net", 0.01, 1e-4),
        ("elastic_net", 0.3, 0.7),
    ):
        w = weights.clone().requires_grad_()
        value = l1 * w.abs().sum() + 0.5 * l2 * w.square().sum()
        value.backward()
        rows.append(f"{name} {l1!r} {l2!r} {value.item()!r} {numbers(w.grad)}")
    (HERE / "penalty.txt").write_text("\n".join(rows) + "\n")


def clip():
    rows = [
        "# A case: case p max_norm total_norm tensors. Then, for each tensor, two lines: before ..., after ...",
        "# torch.nn.utils.clip_grad_norm_ divides by (total_norm + 1e-6), so its results are off by about",
        "# 1e-6/total_norm, relatively; norms of a set are taken over all its elements.",
    ]
    torch.manual_seed(7)
    sets = (
        [torch.tensor([3.0, 4.0])],
        [torch.tensor([3.0, 4.0]), torch.tensor([12.0])],
        [torch.randn(5) * 10, torch.randn(3), torch.zeros(2)],
    )
    for tensors in sets:
        for p in (1.0, 2.0, 3.0, float("inf")):
            for max_norm in (1.0, 1000.0):
                params = [torch.nn.Parameter(torch.zeros_like(t)) for t in tensors]
                for param, t in zip(params, tensors):
                    param.grad = t.clone()
                total = torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type=p)
                rows.append(f"case {p!r} {max_norm!r} {total.item()!r} {len(tensors)}")
                for param, t in zip(params, tensors):
                    rows.append(f"before {numbers(t)}")
                    rows.append(f"after {numbers(param.grad)}")
    (HERE / "clip.txt").write_text("\n".join(rows) + "\n")


recurrent()
penalty()
clip()
