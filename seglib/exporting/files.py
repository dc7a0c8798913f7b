"""A captured network as the bytes of a file, ONNX or torch.export, and such bytes as a function again."""

import io
import json
import warnings
import zipfile

import numpy as np
import torch
from torch.export import ExportedProgram

from seglib.exporting.checking import Network
from seglib.exporting.description import INPUT, OUTPUT

OPSET = 18  # of ONNX


class Onnx:
    """A captured network as ONNX, weights inside; its description is `metadata_props`, each value as JSON."""

    file, what = "model.onnx", f"ONNX, opset {OPSET}"
    needs = ("onnx", "onnxruntime", "onnxscript")  # of the extra `export`

    def __init__(self, program: ExportedProgram):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own deprecations
            made = torch.onnx.export(
                program, input_names=[INPUT], output_names=[OUTPUT], opset_version=OPSET, dynamo=True, verbose=False
            )
        self.proto = made.model_proto
        _strip(self.proto)

    def content(self, description: dict) -> bytes:
        """The file's bytes."""
        import onnx

        told = {"file": self.what, **description}
        self.proto.doc_string = f"{description['model']}, run {description['run']}"
        onnx.helper.set_model_props(self.proto, {name: json.dumps(value) for name, value in told.items()})
        onnx.checker.check_model(self.proto)
        return self.proto.SerializeToString(deterministic=True)

    @staticmethod
    def network(content: bytes) -> Network:
        """A file's bytes as a function, by onnxruntime on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return lambda images: session.run([OUTPUT], {INPUT: images})[0]

    @staticmethod
    def description(content: bytes) -> dict:
        """What a file's bytes say of themselves."""
        import onnx

        return {entry.key: json.loads(entry.value) for entry in onnx.load_from_string(content).metadata_props}


class TorchExport:
    """A captured network as `torch.export.save` has it; its description is an extra file, as JSON."""

    file, what = "model.pt2", f"torch.export, torch {torch.__version__}"
    extra = "description.json"
    needs = ()

    def __init__(self, program: ExportedProgram):
        self.program = program
        for module in program.graph_module.modules():
            for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
                node.meta.pop("stack_trace", None)  # it names files of this machine

    def content(self, description: dict) -> bytes:
        """The file's bytes."""
        buffer, told = io.BytesIO(), json.dumps({"file": self.what, **description}, indent=1)
        torch.export.save(self.program, buffer, extra_files={self.extra: told})
        return buffer.getvalue()

    @staticmethod
    def network(content: bytes) -> Network:
        """A file's bytes as a function."""
        module = torch.export.load(io.BytesIO(content)).module()

        def network(images: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return module(torch.from_numpy(images)).numpy()

        return network

    @classmethod
    def description(cls, content: bytes) -> dict:
        """What a file's bytes say of themselves; nothing in them is run or unpickled."""
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/{cls.extra}"))
            return json.loads(archive.read(name))


def _strip(message) -> None:
    """Removes what the exporter notes for debugging, everywhere: it names files of this machine."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type and field.is_repeated:
            for part in value:
                _strip(part)
        elif field.message_type:
            _strip(value)


FORMATS = {"onnx": Onnx, "torch": TorchExport}
