"""Event files: what TensorBoard's own code writes, and what it reads of ours.

    python tests/oracle/events.py write           # events.tfevents beside itself
    python tests/oracle/events.py read FOLDER     # compares the event file in FOLDER with run.jsonl there

The example `record` of this crate writes such a folder. Needs tensorboard; the committed file was written by
tensorboard 2.21.0.
"""

import io
import json
import math
import pathlib
import sys

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

TIME = 1_700_000_000.25
ALARM = "the norm of the gradients is 3.000, above 2.000 (norm threshold)"
NAN = float("nan")
INF = float("inf")
NUMBERS = ["loss", "grad_norm", "clipped_norm", "factor", "weight_norm", "update_norm"]


def number(x):
    """Past the range of f32 lies infinity; protobuf takes that for an error unless it is given one."""
    with numpy.errstate(over="ignore"):
        return float(numpy.float32(x))


def text(tag, what):
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"),
        data_class=summary_pb2.DATA_CLASS_TENSOR,
    )
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=[what.encode()])
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


def write(path):
    w, b = "cell.w_rec", "b, é"
    steps = {
        1: (
            [("loss", 0.1), ("grad_norm", 3.0), ("clipped_norm", 1.0), ("factor", 1 / 3), ("weight_norm", 1e-300)]
            + [(f"grad_norm/{w}", 3.0), (f"grad_norm/{b}", -0.0)],
            f"- began: {ALARM}\n",
        ),
        300: (
            [("loss", NAN), ("grad_norm", INF), ("clipped_norm", 1e300), ("factor", 1.0), ("update_norm", 0.0)]
            + [(f"grad_norm/{w}", INF), (f"weight_norm/{w}", 2.0), (f"update_ratio/{w}", 0.001)]
            + [(f"grad_norm/{b}", 0.5)],
            f"- ended: {ALARM}\n- skip\n",
        ),
        1 << 40: ([("grad_norm", NAN), ("clipped_norm", NAN), ("factor", 1.0)], ""),
    }
    file = io.BytesIO()
    writer = RecordWriter(file)
    writer.write(event_pb2.Event(wall_time=TIME, file_version="brain.Event:2").SerializeToString())
    for step, (scalars, events) in steps.items():
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=number(x)) for tag, x in scalars]
        values += [text("events", events)] if events else []
        event = event_pb2.Event(wall_time=TIME, step=step, summary=summary_pb2.Summary(value=values))
        writer.write(event.SerializeToString())
    writer.flush()
    path.write_bytes(file.getvalue())


def read(folder):
    """Every scalar and every text of the event file, beside the rows that were written as JSON."""
    rows = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    names = rows[0]["names"]
    expected = {}
    for row in rows:
        of_tensors = zip(names, row.get("tensors", []))
        found = [(tag, row[tag]) for tag in NUMBERS if tag in row]
        found += [(f"{what}/{name}", x) for name, tensor in of_tensors for what, x in tensor.items()]
        for tag, x in found:
            expected.setdefault(tag, []).append((row["step"], number(float(x))))
        told = [f"- {a['phase']}: {a['said']}\n" for a in row.get("alarms", []) if a["phase"] != "goes on"]
        told += [f"- {row['verdict']}\n"] if row["verdict"] != "apply" else []
        if told:
            expected.setdefault("events", []).append((row["step"], "".join(told)))

    [file] = folder.glob("events.out.tfevents.*")
    seen = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    scalars, tensors = seen.Tags()["scalars"], seen.Tags()["tensors"]
    same = lambda a, b: a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
    assert sorted(scalars + tensors) == sorted(expected), (scalars, tensors, sorted(expected))
    assert tensors == ["events"] and seen.SummaryMetadata("events").plugin_data.plugin_name == "text"
    count = 0
    for tag, values in expected.items():
        if tag in scalars:
            found = [(event.step, event.value) for event in seen.Scalars(tag)]
        else:
            found = [(event.step, event.tensor_proto.string_val[0].decode()) for event in seen.Tensors(tag)]
        assert len(found) == len(values), tag
        for (step, x), (of, y) in zip(found, values):
            assert step == of and same(x, y), (tag, step, x, of, y)
        count += len(values)
    print(f"all {count} values of {file.name} are those that were recorded, under {len(expected)} tags")


match sys.argv[1:]:
    case ["write"]:
        write(pathlib.Path(__file__).with_name("events.tfevents"))
    case ["read", folder]:
        read(pathlib.Path(folder))
    case _:
        sys.exit(__doc__)
