"""PyTorch and optax, speaking the line protocol of src/child.rs: `peers.py torch|optax THREADS`."""

import gc
import importlib.util
import math
import os
import statistics
import sys
import time

LAMBDA, RATE = 1e-4, 1e-7
INF, NAN = math.inf, math.nan
# The list of src/facts.rs: values, maximum, whether they are f16.
FACTS = [
    ([1e25, 1e25, 1.0], 1.0, False),
    ([3e-25, 4e-25], 1e-25, False),
    ([3e-9, 4e-9], 1e-9, False),
    ([3.0, 4.0], 5.0, False),
    ([NAN, 1.0], 1.0, False),
    ([INF, 1.0], 1.0, False),
    ([0.0, 0.0], 0.0, False),
    ([3.0, 4.0], -1.0, False),
    ([300.0], 1.0, True),
]


def show(values):
    """`[3, 0.6, 1e25, NaN]`, as src/facts.rs writes it."""

    def number(x):
        if math.isnan(x):
            return "NaN"
        text = f"{x:.8g}"
        if "e" in text:
            mantissa, exponent = text.split("e")
            return f"{mantissa}e{int(exponent)}"
        return text

    return "[" + ", ".join(number(float(x)) for x in values) + "]"


class Torch:
    """What a PyTorch training loop calls."""

    def __init__(self, threads):
        global torch
        import torch

        torch.set_num_threads(threads)
        self.about = f"PyTorch {torch.__version__.split('+')[0]}"

    def load(self, shapes):
        self.weights = []
        gc.collect()
        self.weights = [torch.empty(shape).uniform_(-1, 1).requires_grad_() for shape in shapes]
        for w in self.weights:
            w.grad = torch.empty_like(w).uniform_(-1, 1)
        self.sgd = torch.optim.SGD(self.weights, lr=RATE)

    def refill(self):
        for w in self.weights:
            w.grad.uniform_(-1, 1)

    def runner(self, work):
        """A function of the bound that does the work once and returns what it found."""
        clip, weights = torch.nn.utils.clip_grad_norm_, self.weights
        grads = [w.grad for w in weights]

        def value(bound):
            torch.nn.utils.clip_grad_value_(weights, bound)

        def step(bound):
            norm = clip(weights, bound)
            self.sgd.step()
            return norm

        def penalty(term):
            def run(_):
                loss = sum(term(w) for w in weights)
                loss.backward()
                return loss.detach()

            return run

        @torch.no_grad()
        def l1_foreach(_):
            total = torch.stack(torch._foreach_norm(weights, 1)).sum() * LAMBDA
            torch._foreach_add_(grads, torch._foreach_sign(weights), alpha=LAMBDA)
            return total

        @torch.no_grad()
        def l2_foreach(_):
            total = torch.stack(torch._foreach_norm(weights)).square().sum() * (LAMBDA / 2)
            torch._foreach_add_(grads, weights, alpha=LAMBDA)
            return total

        return {
            "measure": lambda _: torch.nn.utils.get_total_norm(grads),
            "keep": lambda bound: clip(weights, bound),
            "clip": lambda bound: clip(weights, bound),
            "value": value,
            "sgd": step,
            "l1": penalty(lambda w: LAMBDA * w.abs().sum()),
            "l2": penalty(lambda w: LAMBDA / 2 * w.square().sum()),
            "l1-foreach": l1_foreach,
            "l2-foreach": l2_foreach,
        }.get(work)

    def fact(self, values, bound, half):
        w = torch.zeros(len(values), dtype=torch.float16 if half else torch.float32, requires_grad=True)
        w.grad = torch.tensor(values, dtype=w.dtype)
        torch.nn.utils.clip_grad_norm_([w], bound)
        return w.grad.tolist()


class Optax:
    """Compiled optax transformations that may reuse the memory of what they are given."""

    # Compiling a function of 10,000 arguments takes minutes.
    MOST_TENSORS = 1000

    def __init__(self, threads):
        # XLA has no setting for its number of threads; it asks for the processors it may use.
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        global jax, jnp, np, optax
        import jax
        import jax.numpy as jnp
        import numpy as np
        import optax

        self.about = f"optax {optax.__version__} (jax {jax.__version__})"
        self.compiled = {}

    def load(self, shapes):
        self.grads = self.weights = None
        self.compiled = {}
        gc.collect()
        self.shapes = shapes
        self.weights = self.uniform() if len(shapes) <= self.MOST_TENSORS else None
        self.refill()

    def uniform(self):
        random = np.random.default_rng(1)
        return [jnp.asarray(random.random(shape, np.float32) * 2 - 1) for shape in self.shapes]

    def refill(self):
        self.grads = None
        if self.weights is not None:
            self.grads = self.uniform()

    def compile(self, work):
        def clip(grads, bound):
            return optax.clip_by_global_norm(bound).update(grads, optax.EmptyState())[0]

        def value(grads, bound):
            return optax.clip(bound).update(grads, optax.EmptyState())[0]

        def step(grads, weights, bound):
            rule = optax.chain(optax.clip_by_global_norm(bound), optax.sgd(RATE))
            updates, _ = rule.update(grads, rule.init(weights), weights)
            return optax.apply_updates(weights, updates)

        def penalty(term):
            def run(grads, weights):
                loss, slopes = jax.value_and_grad(lambda ws: sum(jnp.sum(term(w)) for w in ws))(weights)
                return loss, [g + slope for g, slope in zip(grads, slopes)]

            return jax.jit(run, donate_argnums=0)

        return {
            "measure": lambda: jax.jit(optax.global_norm),
            "keep": lambda: jax.jit(clip, donate_argnums=0),
            "clip": lambda: jax.jit(clip, donate_argnums=0),
            "value": lambda: jax.jit(value, donate_argnums=0),
            "sgd": lambda: jax.jit(step, donate_argnums=1),
            "l1": lambda: penalty(lambda w: LAMBDA * jnp.abs(w)),
            "l2": lambda: penalty(lambda w: LAMBDA / 2 * jnp.square(w)),
        }[work]()

    def runner(self, work):
        if self.weights is None or work.endswith("-foreach"):
            return None
        function = self.compiled.setdefault(work, None) or self.compile(work)
        self.compiled[work] = function

        def run(bound):
            if work == "measure":
                return function(self.grads).block_until_ready()
            if work in ("l1", "l2"):
                loss, self.grads = function(self.grads, self.weights)
                jax.block_until_ready(self.grads)
                return loss
            if work == "sgd":
                self.weights = function(self.grads, self.weights, bound)
                jax.block_until_ready(self.weights)
            else:
                self.grads = function(self.grads, bound)
                jax.block_until_ready(self.grads)
            return None

        return run

    def fact(self, values, bound, half):
        grads = jnp.asarray(values, jnp.float16 if half else jnp.float32)
        return optax.clip_by_global_norm(bound).update(grads, optax.EmptyState())[0].tolist()


def measure(peer, work, budget_ms, elements):
    """Median milliseconds and the first value found, by the rules of src/child.rs."""
    run = peer.runner(work)
    if run is None:
        return None
    falls = work in ("clip", "value", "sgd")
    first = {"clip": 0.9 * math.sqrt(elements / 3), "sgd": 0.9 * math.sqrt(elements / 3), "value": 0.9}.get(work, 1e30)
    bound = first
    if falls:
        peer.refill()
        run = peer.runner(work)
    start = time.perf_counter()
    value = run(bound)
    value = NAN if value is None else float(value)
    once = time.perf_counter() - start
    batch = int(min(max(20e-6 / once, 1), 100))
    samples = []
    start = time.perf_counter()
    while len(samples) < 3 or (time.perf_counter() - start) * 1e3 < budget_ms:
        if bound < 0.5 * first:
            peer.refill()
            run = peer.runner(work)
            bound = first
        begun = time.perf_counter()
        for _ in range(batch):
            if falls:
                bound *= 0.999
            run(bound)
        samples.append((time.perf_counter() - begun) * 1e3 / batch)
    return statistics.median(samples), value


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # Whatever a library prints must not be taken for an answer.
    os.dup2(2, 1)
    name, threads = sys.argv[1], int(sys.argv[2])
    needs = {"torch": ["torch", "numpy"], "optax": ["jax", "optax"]}[name]
    for module in needs:
        try:
            importlib.util.find_spec(module) or importlib.import_module(module)
        except ImportError:
            print(f"missing {module} is not importable: run benches/peers/setup.sh, or pip install {' '.join(needs)}", file=answers)
            return
    peer = (Torch if name == "torch" else Optax)(threads)
    print(f"ready {peer.about}", file=answers)
    elements = 0
    for line in sys.stdin:
        match line.split():
            case ["set", _, text]:
                shapes = [tuple(int(dim) for dim in shape.split("x")) for shape in text.split(",")]
                elements = sum(math.prod(shape) for shape in shapes)
                peer.load(shapes)
                answer = "ok"
            case ["run", work, budget]:
                found = measure(peer, work, float(budget), elements)
                answer = "no" if found is None else f"ok {found[0]:e} {found[1]:e}"
            case ["facts"]:
                answer = "ok " + "|".join(show(peer.fact(*fact)) for fact in FACTS)
            case _:
                answer = "no"
        print(answer, file=answers)


if __name__ == "__main__":
    main()
