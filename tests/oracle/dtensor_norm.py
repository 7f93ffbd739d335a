"""What PyTorch sends for the norm of sharded gradients, and the norm it gives, for the README of `adapters/mpi`.

    torchrun --nproc-per-node 2 tests/oracle/dtensor_norm.py

Prints, for 1, 8 and 64 tensors, the collective calls of `clip_grad_norm_` on `DTensor` gradients that are sharded over
all ranks. Needs torch only.
"""

import os

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode


def main():
    dist.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for tensors in [1, 8, 64]:
        torch.manual_seed(1)
        params = []
        for _ in range(tensors):
            param = torch.nn.Parameter(distribute_tensor(torch.zeros(64, 8), mesh, [Shard(0)]))
            param.grad = distribute_tensor(torch.randn(64, 8), mesh, [Shard(0)])
            params.append(param)
        with CommDebugMode() as calls:
            norm = torch.nn.utils.clip_grad_norm_(params, 1.0).full_tensor()
        if dist.get_rank() == 0:
            counts = {str(op): count for op, count in calls.get_comm_counts().items()}
            print(f"torch {torch.__version__}, {os.environ['WORLD_SIZE']} ranks, {tensors} tensors: {counts}, norm {norm.item():.9g}")
    dist.destroy_process_group()


main()
