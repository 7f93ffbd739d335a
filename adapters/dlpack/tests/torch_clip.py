"""Clips PyTorch's own memory in place through DLPack, and compares each element with the exact one.

    benches/peers/setup.sh                      # PyTorch, below target/
    python3 adapters/dlpack/tests/torch_clip.py

Expected numbers are fractions: an element times the bound over the norm, whose root is taken to 400 bits. Where PyTorch's
`clip_grad_norm_` is right, it has to agree with us to its own epsilon, 1e-6 over the norm.
"""

import importlib.machinery
import importlib.util
import math
import os
import pathlib
import subprocess
import sys
from fractions import Fraction

ROOT = pathlib.Path(__file__).resolve().parents[3]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
PEERS = TARGET / "peers-python" / "bin" / "python"

try:
    import torch
except ModuleNotFoundError:
    if PEERS.exists() and pathlib.Path(sys.prefix) != PEERS.parents[1]:
        os.execv(PEERS, [str(PEERS), *sys.argv])
    sys.exit("wants PyTorch: benches/peers/setup.sh")


def extension():
    """The module of adapters/dlpack/python, built as it stands."""
    # What is imported by an interpreter need not be linked with one.
    environment = {**os.environ, "PYO3_BUILD_EXTENSION_MODULE": "1", "PYO3_PYTHON": sys.executable}
    command = ["cargo", "build", "--quiet", "--release", "-p", "steadygrad-dlpack-python"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    names = {"darwin": "libsteadygrad_python.dylib", "win32": "steadygrad_python.dll"}
    path = str(TARGET / "release" / names.get(sys.platform, "libsteadygrad_python.so"))
    loader = importlib.machinery.ExtensionFileLoader("steadygrad_python", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


clip_global_norm_ = extension().clip_global_norm_

# Digits behind the first one, the exponent of the smallest normal number, units in the last place that are promised.
FORMATS = {
    torch.float32: (23, -126, 1),
    torch.float64: (52, -1022, 4),
    torch.float16: (10, -14, 1),
    torch.bfloat16: (7, -126, 1),
}


def exact(tensor):
    """The elements, row by row."""
    return [Fraction(x) for x in tensor.double().flatten().tolist()]


def root(square):
    """The square root, to 400 bits."""
    n, d = square.numerator, square.denominator
    shift = max(0, 400 - (n * d).bit_length() // 2)
    return Fraction(math.isqrt(n * d << 2 * shift), d << shift)


def units(got, wanted, dtype):
    """How far `got` is from `wanted`, in units in the last place of the latter."""
    digits, least, _ = FORMATS[dtype]
    exponent = least
    if wanted:
        magnitude = abs(wanted)
        exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
        exponent -= Fraction(2) ** exponent > magnitude
    return abs(got - wanted) / Fraction(2) ** (max(exponent, least) - digits)


def worst(tensors, wanted):
    """The largest distance in any tensor as a multiple of what is promised of its type, and in units."""
    most, share = Fraction(0), Fraction(0)
    for tensor, values in zip(tensors, wanted):
        for got, value in zip(exact(tensor), values, strict=True):
            distance = units(got, value, tensor.dtype)
            most, share = max(most, distance), max(share, distance / FORMATS[tensor.dtype][2])
    return most, share


def by_torch(tensors, max_norm):
    """What `clip_grad_norm_` makes of copies, and the norm that it tells."""
    params = [torch.nn.Parameter(torch.zeros_like(tensor)) for tensor in tensors]
    for param, tensor in zip(params, tensors):
        param.grad = tensor.clone()
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm)
    return [param.grad for param in params], float(norm)


cases = 0


def check(name, tensors, max_norm, torch_is_right=True):
    global cases
    cases += 1
    before = [exact(tensor) for tensor in tensors]
    norm = root(sum((x * x for values in before for x in values), Fraction(0)))
    factor = min(Fraction(1), Fraction(max_norm) / norm) if norm else Fraction(1)
    wanted = [[x * factor for x in values] for values in before]
    theirs, their_norm = by_torch(tensors, max_norm)
    places = [tensor.data_ptr() for tensor in tensors]

    told = clip_global_norm_(tensors, max_norm)

    assert [tensor.data_ptr() for tensor in tensors] == places, name
    assert abs(Fraction(told) - norm) <= norm / 2**50, (name, told, float(norm))
    ours, share = worst(tensors, wanted)
    assert share <= 1, (name, float(ours))
    if factor == 1:
        assert ours == 0, (name, "changed under the bound")
    line = f"{name}: norm {told:.4g} to {max_norm:g}, off by {float(ours):.2f} units at most"
    if torch_is_right:
        assert abs(their_norm - told) <= 1e-2 * told, (name, their_norm, told)
        epsilon = Fraction(1, 10**6) / norm if norm else Fraction(0)
        for tensor, other in zip(tensors, theirs):
            # It rounds norm and factor to the widest type among the tensors, then each element.
            rounding = Fraction(4, 2 ** min(FORMATS[t.dtype][0] for t in tensors))
            tiny = Fraction(2) ** (FORMATS[tensor.dtype][1] - FORMATS[tensor.dtype][0])
            for x, y in zip(exact(tensor), exact(other), strict=True):
                assert abs(x - y) <= abs(x) * (rounding + epsilon) + tiny, (name, float(x), float(y))
    else:
        shown = ", ".join(f"{x:.3g}" for x in theirs[0].double().flatten()[:3].tolist())
        line += f"; PyTorch: norm {their_norm:.4g}, [{shown}]"
    print(line)


def refused(what, tensors, max_norm, words, kind=ValueError):
    global cases
    cases += 1
    before = [tensor.detach().clone() for tensor in tensors if isinstance(tensor, torch.Tensor)]
    try:
        clip_global_norm_(tensors, max_norm)
    except kind as error:
        assert words in str(error), (what, str(error))
    else:
        raise AssertionError(f"not refused: {what}")
    after = [tensor.detach() for tensor in tensors if isinstance(tensor, torch.Tensor)]
    for old, new in zip(before, after):
        assert torch.equal(old, new) or torch.equal(old.isnan(), new.isnan()), what


torch.manual_seed(1)
random = torch.randn

for dtype in FORMATS:
    name = str(dtype).removeprefix("torch.")
    check(name, [random(40, 30).to(dtype), random(30).to(dtype), random(2, 3, 4).to(dtype)], 0.5)
    check(f"{name}, under the bound", [random(20, 10).to(dtype)], 1e4)
check("all types", [random(50).to(dtype) for dtype in FORMATS], 1.0)
check("none, empty, of no axis", [torch.zeros(0, 3), torch.tensor(3.0), torch.tensor([[4.0]])], 1.0)
check("all zero", [torch.zeros(5)], 1.0)

# Views: transposed, every second, reversed axes, and columns of one matrix that lie between each other.
matrix, line, box = random(30, 40), random(101), random(4, 5, 6).to(torch.bfloat16)
kept = matrix.clone(), line.clone()
check("views", [matrix[:, :7].t(), matrix[:, 9:], line[1::2], box.permute(2, 0, 1)], 0.1)
assert torch.equal(matrix[:, 7:9], kept[0][:, 7:9]) and torch.equal(line[::2], kept[1][::2])

wide = [
    ("f32 of 1e25", torch.float32, [1e25, 1e25, 1.0], 1.0),
    ("f32 of 1e25, strided", torch.float32, [1e25, 1e25, 1.0], 1.0),
    ("f32 of 1e-25", torch.float32, [1e-25, 1e-25], 1e-26),
    ("f32, smallest", torch.float32, [1e-45, 3e-45, 1e-44], 1e-44),
    ("bf16 of 3e38", torch.bfloat16, [3e38, 1e38, 2.0], 1.0),
    ("f64 of 1e200", torch.float64, [1e200, 1e200, -3e199], 1.0),
    ("f64 of 1e-200", torch.float64, [3e-200, 4e-200], 1e-200),
]
for name, dtype, values, max_norm in wide:
    tensor = torch.tensor(values, dtype=dtype)
    if "strided" in name:
        tensor = torch.stack([tensor, torch.ones_like(tensor)], dim=1)[:, 0]
    check(name, [tensor], max_norm, torch_is_right=False)

# A step of a real model: the gradients are those that autograd left, and the optimiser goes on with them.
model = torch.nn.LSTM(5, 16, num_layers=2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    (100 * model(random(12, 4, 5))[0].square().mean()).backward()
    check(f"LSTM, step {step}", [param.grad for param in model.parameters()], 0.5)
    optimizer.step()

# A tensor that is listed twice counts once, and a gradient that has not come not at all.
tied = torch.tensor([3.0, 4.0])
assert clip_global_norm_([tied, None, tied], 1.0) == 5.0
assert tied.tolist() == torch.tensor([0.6, 0.8]).tolist()

ones = torch.ones(3, 4)
refused("integers", [ones, torch.ones(3, dtype=torch.int64)], 1.0, "1: expected f32, f64, f16 or bf16, found int64")
refused("repeated", [torch.ones(1, 3).expand(2, 3)], 1.0, "0: expected each element once")
refused("shared", [ones, ones[1]], 1.0, "1: expected elements of its own, found some that 0 has, too")
refused("NaN", [ones, torch.tensor([1.0, math.nan])], 1.0, "1: expected finite numbers, found 1 NaN")
refused("a bound below 0", [ones], -1.0, "max norm: expected a number ≥ 0, found -1")
refused("no tensor", [[1.0]], 1.0, "DLPack protocol", TypeError)

# Others speak DLPack, too.
try:
    import numpy
except ModuleNotFoundError:
    print("not run with NumPy, which is not there")
else:
    array = numpy.array([3.0, 9.0, 4.0, 9.0])
    assert clip_global_norm_([array[::2]], 2.5) == 5.0 and array.tolist() == [1.5, 9.0, 2.0, 9.0]
    refused("reversed", [array[::-1]], 1.0, "0: expected strides ≥ 0, found [-1]")
    array.setflags(write=False)
    refused("read-only", [array], 1.0, "0: expected a tensor to write to, found a read-only one")

print(f"all {cases} cases: PyTorch {torch.__version__}, in place")
