"""PyTorch's recurrent cells, speaking the line protocol of src/cells/child.rs: `cells.py torch THREADS`."""

import os
import statistics
import sys
import time

GRADIENT, WEIGHT = 0, 1


def filled(shape, role, index):
    """The values of src/sets.rs: evenly spread over [-1, 1), the same on every run."""
    start = np.uint32((2 * index + role) * 0x9E3779B9 & 0xFFFFFFFF)
    mixed = np.arange(np.prod(shape), dtype=np.uint32) + start
    mixed *= np.uint32(0x9E3779B1)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x85EBCA77)
    values = (mixed >> np.uint32(8)).astype(np.float32) * np.float32(2**-23) - np.float32(1)
    return torch.from_numpy(values.reshape(shape))


class Trainer:
    """One of nn.RNN, nn.LSTM and nn.GRU, and what it is run on."""

    def __init__(self, cell, steps, batch, inputs, hidden):
        self.cell, self.hidden = cell, hidden
        make, gates = {"rnn": (torch.nn.RNN, 1), "lstm": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3)}[cell]
        self.layer = make(inputs, hidden)
        rows, scale = gates * hidden, np.float32(1) / np.sqrt(np.float32(hidden))
        with torch.no_grad():
            self.layer.weight_ih_l0.copy_(filled((rows, inputs), WEIGHT, 0) * scale)
            self.layer.weight_hh_l0.copy_(filled((rows, hidden), WEIGHT, 1) * scale)
            self.layer.bias_ih_l0.copy_(filled((rows,), WEIGHT, 2) * scale)
            self.layer.bias_hh_l0.zero_()
            if cell == "gru":
                # Of the recurrent biases only that of the new gate is more than a summand of the other.
                self.layer.bias_hh_l0[2 * hidden :] = filled((hidden,), WEIGHT, 3) * scale
        self.xs = filled((steps, batch, inputs), GRADIENT, 0).requires_grad_()
        self.d_outputs = filled((steps, batch, hidden), GRADIENT, 1)
        states = [torch.zeros(1, batch, hidden, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)]
        self.states = states
        self.state = tuple(states) if cell == "lstm" else states[0]
        self.leaves = [*self.layer.parameters(), self.xs, *states]

    def train(self):
        for leaf in self.leaves:
            leaf.grad = None
        outputs, _ = self.layer(self.xs, self.state)
        outputs.backward(self.d_outputs)

    def norms(self):
        layer = self.layer
        grads = {
            "w_in": layer.weight_ih_l0.grad,
            "w_rec": layer.weight_hh_l0.grad,
            "bias": layer.bias_ih_l0.grad,
            "inputs": self.xs.grad,
        }
        if self.cell == "gru":
            grads["bias_rec"] = layer.bias_hh_l0.grad[2 * self.hidden :]
        for name, state in zip("hc", self.states):
            grads[f"initial_{name}"] = state.grad
        return " ".join(f"{name}={torch.linalg.norm(grad.double().flatten()):e}" for name, grad in grads.items())

    def time(self, budget_ms):
        """The median milliseconds of a pass to and fro, of as many as fit into the budget."""
        samples = []
        start = time.perf_counter()
        while not samples or (time.perf_counter() - start) * 1e3 < budget_ms:
            begun = time.perf_counter()
            self.train()
            samples.append((time.perf_counter() - begun) * 1e3)
        return statistics.median(samples)


def peak_mib():
    """The most memory this process ever had, where Linux tells it."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return None


def main():
    global np, torch
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    try:
        import numpy as np
        import torch
    except ImportError as error:
        print(
            f"missing {error.name} is not importable: run benches/peers/setup.sh, or pip install torch numpy", file=answers
        )
        return
    torch.set_num_threads(int(sys.argv[2]))
    print(f"ready PyTorch {torch.__version__.split('+')[0]}", file=answers)
    trainer = None
    for line in sys.stdin:
        answer = None
        match line.split():
            case ["cell", cell, *sizes]:
                trainer = None
                trainer = Trainer(cell, *map(int, sizes))
                trainer.train()
                answer = trainer.norms()
            case ["train", budget] if trainer:
                answer = f"{trainer.time(float(budget)):e}"
            case ["memory"]:
                answer = peak_mib()
        print("no" if answer is None else f"ok {answer}", file=answers)


if __name__ == "__main__":
    main()
