"""Trained networks as ONNX files with cards, proved equal to torch while they are exported."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from contrafact.errors import InputError, SettingsError, TrainingError
from contrafact.files import write_bytes, write_text
from contrafact.runtime import open_session
from contrafact.training import checkpoint
from contrafact.training.game import Exportable
from contrafact.training.loop import CHECKPOINTS
from contrafact.training.recipe import Method, Recipe, find_method, parse, settings
from contrafact.training.state import result_networks
from contrafact.weights import WeightsCard

Storage = Literal["float32", "float16"]
TOLERANCE = 1e-4
OPSET = 18
SMALL = 64  # tensors of fewer numbers stay float32: they cost nothing
GROWTH = 3  # a free dimension is checked at its example size, and this much larger


@dataclass(frozen=True)
class Trained:
    """What a run has learned.

    Attributes:
        method, recipe: of the run.
        networks: the result with averaged weights, in evaluation mode.
        step: training steps done.
    """

    method: Method
    recipe: Recipe
    networks: dict[str, nn.Module]
    step: int


def read_run(run: Path, method: Method | None = None) -> Trained:
    """The newest whole checkpoint of a run.

    Args:
        run: the run's folder.
        method: where the recipe's name is not in a registry.

    Raises:
        InputError: RUN_EMPTY, or no checkpoint is whole.
    """
    found = checkpoint.latest(run / CHECKPOINTS)
    if found is None:
        raise InputError("RUN_EMPTY", f"There is no checkpoint in {run}.", "Train first.")
    recipe = parse(found.facts["recipe"])
    method = method or find_method(recipe.method)
    config, training, _ = settings(recipe, method)
    return Trained(
        method, recipe, result_networks(method.network.make_game(config, training), found.tensors), found.step
    )


def export(
    run: Path,
    target: Path,
    *,
    storage: Storage = "float32",
    metrics: dict[str, Any] | None = None,
    method: Method | None = None,
) -> WeightsCard:
    """Write a run's result to ``target`` and its card beside it.

    Args:
        run: folder of a run.
        target: file ending in ``.onnx``; or in ``.safetensors`` for methods whose inference is no ONNX graph: the
            result's weights by "network/key".
        storage: "float16" halves the file; weights are rounded before they are compared.
        metrics: measured figures for the card.
        method: where the recipe's name is not in a registry.

    Raises:
        SettingsError: EXPORT_NAME, or RECIPE_CARD where the recipe does not tell what its weights are made from.
        InputError: no whole checkpoint.
        TrainingError: EXPORT_DIFFERS, ONNX Runtime and torch disagree; nothing is written.
        OutputError: ``target`` cannot be written.
    """
    if target.suffix not in (".onnx", ".safetensors"):
        raise SettingsError("EXPORT_NAME", f"{target.name!r} is no name for weights.", "End it in .onnx.")
    trained = read_run(run, method)
    if not trained.recipe.trained_on:
        raise SettingsError("RECIPE_CARD", "The recipe does not tell its material.", "Set trained_on in the recipe.")
    config, _, _ = settings(trained.recipe, trained.method)
    difference, inputs, outputs = 0.0, {}, {}
    if target.suffix == ".onnx":
        exportable: Exportable = trained.method.network.make_export(config, trained.networks)
        data, difference, shapes = convert(exportable, storage)
        inputs = _named(exportable, {k: v.shape for k, v in exportable.inputs.items()})
        outputs = {name: list(shape) for name, shape in shapes.items()}
    else:
        data = plain(trained.networks, storage)
    card = WeightsCard(
        name=target.stem,
        file=target.name,
        sha256=hashlib.sha256(data).hexdigest(),
        method=trained.recipe.method,
        config=asdict(config),
        recipe=_without_places(asdict(_as_done(trained))),
        step=trained.step,
        parameters=sum(p.numel() for network in trained.networks.values() for p in network.parameters()),
        trained_on=trained.recipe.trained_on,
        license=trained.recipe.license,
        storage=storage,
        largest_difference=difference,
        inputs=inputs,
        outputs=outputs,
        metrics=metrics or {},
        versions=checkpoint.versions(),
    )
    write_bytes(target, data)
    write_text(target.with_suffix(".json"), json.dumps(asdict(card), indent=1) + "\n")
    return card


def _as_done(trained: Trained) -> Recipe:
    """The recipe with the steps that were done and no more: it trains these weights; as planned where none was."""
    if not trained.step:
        return trained.recipe
    return replace(trained.recipe, loop=replace(trained.recipe.loop, steps=trained.step))


def _without_places(values: Any) -> Any:
    """Settings whose paths have lost the folders before their last part, which are nobody else's business."""
    if isinstance(values, dict):
        return {key: _without_places(value) for key, value in values.items()}
    if isinstance(values, str) and Path(values).is_absolute():
        return Path(values).name
    return values


def plain(networks: dict[str, nn.Module], storage: Storage) -> bytes:
    """The weights as a safetensors file, by "network/key"."""
    found = {
        f"{name}/{key}": tensor for name, network in networks.items() for key, tensor in network.state_dict().items()
    }
    halved = {k: t.half() if storage == "float16" and t.is_floating_point() else t for k, t in found.items()}
    return safetensors.torch.save({k: t.detach().cpu().contiguous().clone() for k, t in halved.items()})


def convert(exportable: Exportable, storage: Storage = "float32") -> tuple[bytes, float, dict[str, tuple[Any, ...]]]:
    """The module as ONNX, its largest difference to torch, and the shapes of its outputs.

    Raises:
        TrainingError: EXPORT_DIFFERS.
    """
    import onnx

    module = exportable.module.cpu().eval()
    if storage == "float16":
        _round(module)
    arguments = tuple(torch.from_numpy(v) for v in exportable.inputs.values())
    sizes = _free_dimensions(exportable)
    shapes = tuple(
        {axis: sizes[name] for axis, name in exportable.dynamic.get(k, {}).items()} for k in exportable.inputs
    )
    with _quiet():
        program = torch.onnx.export(
            module,
            arguments,
            input_names=list(exportable.inputs),
            output_names=list(exportable.outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
        )
    assert program is not None
    model = program.model_proto
    forget_origin(model)
    if storage == "float16":
        _store_halves(model)
    onnx.checker.check_model(model)
    data = model.SerializeToString(deterministic=True)
    found = {
        v.name: tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim) for v in model.graph.output
    }
    return data, _compare(exportable, data), found


def _free_dimensions(exportable: Exportable) -> dict[str, Any]:
    names = sorted({name for axes in exportable.dynamic.values() for name in axes.values()})
    return {name: torch.export.Dim(name) for name in names}


def _named(exportable: Exportable, shapes: dict[str, tuple[int, ...]]) -> dict[str, list[Any]]:
    """Shapes with names in place of free dimensions."""
    return {
        name: [exportable.dynamic.get(name, {}).get(axis, size) for axis, size in enumerate(shape)]
        for name, shape in shapes.items()
    }


def _compare(exportable: Exportable, data: bytes) -> float:
    """Run both at the example sizes and at larger ones.

    Raises:
        TrainingError: EXPORT_DIFFERS.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(data)
        session = open_session(path)
        cases = (exportable.inputs, _grown(exportable))
        worst = max(_difference(exportable.module, session.run(None, case), case) for case in cases)
    if not worst <= TOLERANCE:
        raise TrainingError(
            "EXPORT_DIFFERS",
            f"The exported network differs from torch by {worst:.2g}, more than {TOLERANCE:g}.",
            "Nothing was written; the method's make_export is at fault.",
        )
    return worst


def _difference(module: nn.Module, exported: list[NDArray[Any]], inputs: dict[str, NDArray[Any]]) -> float:
    """Largest difference, relative to the output's largest value where that is above 1."""
    with torch.no_grad():
        expected = module(*(torch.from_numpy(v) for v in inputs.values()))
    expected = expected if isinstance(expected, tuple | list) else (expected,)
    worst = 0.0
    for mine, theirs in zip(exported, expected, strict=True):
        right = theirs.numpy()
        scale = max(1.0, float(np.abs(right).max(initial=0)))
        worst = max(worst, float(np.abs(mine.astype(np.float64) - right).max(initial=0)) / scale)
    return worst


def _grown(exportable: Exportable) -> dict[str, NDArray[Any]]:
    """The example with each free dimension a little larger, by repeating what is there."""
    grown = {}
    for name, example in exportable.inputs.items():
        values = example
        for axis in exportable.dynamic.get(name, {}):
            values = np.take(values, np.arange(values.shape[axis] + GROWTH) % values.shape[axis], axis)
        grown[name] = np.ascontiguousarray(values)
    return grown


def _round(module: nn.Module) -> None:
    """Weights as float16 will store them."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.dtype == torch.float32 and tensor.numel() >= SMALL:
                tensor.copy_(tensor.half().float())


def forget_origin(model: Any) -> None:
    """Drop, in place, what the exporter notes of where the network's source text lay: files of equal networks are
    equal wherever they are made."""
    for part in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for function in model.functions:
        for part in (function, *function.node):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")


def _store_halves(model: Any) -> None:
    """Replace large float32 initializers by float16 ones and a cast, in place."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALL:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    outside = {c.output[0] for c in casts}
    kept = [v for v in model.graph.value_info if v.name not in outside]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints its progress and warns about its own internals."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
