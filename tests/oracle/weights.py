"""A safetensors file as PyTorch's users write it, with what the nets in it compute.

    python tests/oracle/weights.py

writes weights.safetensors beside itself: for each net its state_dict behind "rnn.", "relu.", "lstm.", "gru.", "deep.rnn.",
"deep.lstm." or "deep.gru." (two layers, both directions), "fc." (nn.Linear) or "proj." (proj_size), and under the same prefix with "of." before it the inputs
("xs") and what came out ("outputs", "h_n", "c_n"). Everything is float64. "f32.", "f16." and "bf16." are the weights of
"lstm." in those types, and "count" is an integer, as batch normalisation keeps one.

Needs torch and safetensors; the committed file was written by torch 2.15.0 and safetensors 0.6.2 on a CPU.
"""

import pathlib

import torch
from safetensors.torch import save_file

torch.set_default_dtype(torch.float64)
torch.manual_seed(12)
TIME, BATCH, INPUTS, HIDDEN = 5, 2, 2, 3
tensors = {"count": torch.tensor(7)}

nets = {
    "rnn.": torch.nn.RNN(INPUTS, HIDDEN),
    "relu.": torch.nn.RNN(INPUTS, HIDDEN, nonlinearity="relu"),
    "lstm.": torch.nn.LSTM(INPUTS, HIDDEN),
    "gru.": torch.nn.GRU(INPUTS, HIDDEN),
    "deep.rnn.": torch.nn.RNN(INPUTS, HIDDEN, num_layers=2, bidirectional=True),
    "deep.lstm.": torch.nn.LSTM(INPUTS, HIDDEN, num_layers=2, bidirectional=True),
    "deep.gru.": torch.nn.GRU(INPUTS, HIDDEN, num_layers=2, bidirectional=True),
    "fc.": torch.nn.Linear(INPUTS, HIDDEN),
    "proj.": torch.nn.LSTM(INPUTS, HIDDEN, proj_size=2),
}
for prefix, net in nets.items():
    for p in net.parameters():
        # Wider than the default, so that the nonlinearities work outside their linear range.
        torch.nn.init.uniform_(p, -0.8, 0.8)
    tensors |= net.state_dict(prefix=prefix)
    xs = torch.randn(TIME, BATCH, INPUTS)
    out = net(xs)
    told = {"xs": xs}
    if prefix == "fc.":
        told["outputs"] = out
    elif isinstance(out[1], tuple):
        told |= {"outputs": out[0], "h_n": out[1][0], "c_n": out[1][1]}
    else:
        told |= {"outputs": out[0], "h_n": out[1]}
    tensors |= {f"of.{prefix}{name}": tensor for name, tensor in told.items()}

for prefix, dtype in {"f32.": torch.float32, "f16.": torch.float16, "bf16.": torch.bfloat16}.items():
    tensors |= {prefix + name: p.to(dtype) for name, p in nets["lstm."].state_dict().items()}

save_file(
    {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
    pathlib.Path(__file__).parent / "weights.safetensors",
    metadata={"format": "pt"},
)
