"""Losses and norms of PyTorch's nets, for the package `watch`: nobody tuned them, and some diverge.

    python tests/oracle/watch.py

writes `tests/data/torch_runs.csv`: run, step, loss, and the norms of all gradients and of all parameters before the step,
in four figures. Tasks, optimisers and the ranges that settings are drawn from are those of `examples/watch`. A run ends
with the first loss that is not finite. Needs torch only; the committed file was written by torch 2.15.0 on a CPU.
"""

import math
import pathlib
import random

import torch
from torch import nn

RUNS = 60
ROOT = pathlib.Path(__file__).parents[2]
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def sunspots():
    lines = (ROOT / "examples/sunspots/src/sunspots_monthly.csv").read_text().splitlines()
    values = [float(line.rsplit(",", 1)[1]) for line in lines if line[0].isdigit()]
    series = torch.tensor(values)
    return (series - series.mean()) / series.std()


SERIES = sunspots()


def two_steps(time, draw):
    middle = time // 2
    return draw.randrange(middle), draw.randrange(middle, time)


def adding(time, batch, draw):
    xs = torch.zeros(time, batch, 2)
    xs[:, :, 0] = torch.tensor([[draw.random() for _ in range(batch)] for _ in range(time)])
    for b in range(batch):
        for t in two_steps(time, draw):
            xs[t, b, 1] = 1.0
    return xs, (xs[:, :, :1] * xs[:, :, 1:]).sum(0, keepdim=True)


def temporal_order(time, batch, draw):
    xs, classes = torch.zeros(time, batch, 6), torch.zeros(batch, dtype=torch.long)
    for b in range(batch):
        marked = two_steps(time, draw)
        for t in range(time):
            symbol = draw.randrange(2) if t in marked else draw.randrange(2, 6)
            xs[t, b, symbol] = 1.0
            if t in marked:
                classes[b] = 2 * classes[b] + symbol
    return xs, classes


def next_month(time, batch, draw):
    starts = [draw.randrange(len(SERIES) - time) for _ in range(batch)]
    months = torch.stack([SERIES[s : s + time + 1] for s in starts], dim=1).unsqueeze(2)
    return months[:-1], months[1:]


# Inputs, outputs, whether every step counts, and how a batch is made.
TASKS = [(2, 1, False, adding), (6, 4, False, temporal_order), (1, 1, True, next_month)]


class Net(nn.Module):
    def __init__(self, kind, inputs, hidden, outputs):
        super().__init__()
        cells = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        more = {"nonlinearity": kind} if kind in ("tanh", "relu") else {}
        self.cell = cells[kind](inputs, hidden, **more)
        self.read_out = nn.Linear(hidden, outputs)

    def forward(self, xs, every_step):
        states = self.cell(xs)[0]
        return self.read_out(states if every_step else states[-1:])


def norm(tensors):
    return math.sqrt(sum(float(t.double().square().sum()) for t in tensors))


def log_uniform(draw, low, high):
    return low * (high / low) ** draw.random()


def run(index):
    draw = random.Random(1000 + index)
    torch.manual_seed(index)
    kind = draw.choice(["tanh", "tanh", "relu", "lstm", "gru"])
    inputs, outputs, every_step, make = draw.choice(TASKS)
    net = Net(kind, inputs, int(log_uniform(draw, 4, 65)), outputs)
    time, batch = draw.randint(8, 60), draw.choice([8, 16, 32, 64])
    radius = log_uniform(draw, 0.4, 1.25 if kind == "relu" else 2.0)
    with torch.no_grad():
        w = net.cell.weight_hh_l0
        for gate in w.view(-1, w.shape[1], w.shape[1]):
            gate *= radius / torch.linalg.eigvals(gate).abs().max()
    optimiser, low, high = draw.choice([("sgd", 3e-3, 3.0), ("momentum", 3e-4, 0.3), ("adam", 3e-4, 0.1)])
    rate, is_summed = log_uniform(draw, low, high), draw.random() < 0.5
    terms = batch * (time if every_step else 1)
    scale = terms if is_summed else 1
    if optimiser == "adam":
        step_by = torch.optim.Adam(net.parameters(), lr=rate)
    else:
        rate /= scale
        step_by = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9 if optimiser == "momentum" else 0.0)
    steps = draw.randint(280, 360)
    ramp_from, over, times = draw.randint(35, 65) * steps // 100, draw.randint(1, 60), log_uniform(draw, 2, 2000)
    rows = []
    for step in range(1, steps + 1):
        if index % 3 == 2:
            part = min(1.0, max(0, step - ramp_from) / over)
            for group in step_by.param_groups:
                group["lr"] = rate * times**part
        xs, targets = make(time, batch, draw)
        said = net(xs, every_step)
        if outputs == 4:
            loss = nn.functional.cross_entropy(said[0], targets)
        else:
            loss = nn.functional.mse_loss(said, targets)
        loss = scale * loss
        step_by.zero_grad()
        loss.backward()
        norms = norm(p.grad for p in net.parameters()), norm(p.detach() for p in net.parameters())
        rows.append((loss.item(), *norms))
        if not math.isfinite(rows[-1][0]):
            break
        step_by.step()
    return rows


def short(x):
    """Four figures, without what a reader does not need."""
    text = f"{x:.4g}"
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}e{int(exponent)}"
    return text


with open(ROOT / "tests/data/torch_runs.csv", "w") as file:
    print("run,step,loss,grad_norm,weight_norm", file=file)
    for index in range(RUNS):
        for step, row in enumerate(run(index), 1):
            print(index, step, *map(short, row), sep=",", file=file)
