"""A real ONNX file of a few hundred bytes, written by hand: the mean of the features through a sigmoid.

The fields are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), so that no test needs
the `onnx` package to give onnxruntime something to load.
"""

from __future__ import annotations

FLOAT = 1
INTS_ATTRIBUTE, INT_ATTRIBUTE = 7, 2


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes([value])
    return bytes([value & 0x7F | 0x80]) + _varint(value >> 7)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _tensor(name: str, shape: tuple[int | str, ...]) -> bytes:
    """A ValueInfoProto; a dimension with a name is free."""
    sizes = (_part(2, size) if isinstance(size, str) else _number(1, size) for size in shape)
    dimensions = b"".join(_part(1, size) for size in sizes)
    return _part(1, name) + _part(2, _part(1, _number(1, FLOAT) + _part(2, dimensions)))


def _node(operator: str, takes: str, gives: str, *attributes: bytes) -> bytes:
    return _part(1, takes) + _part(2, gives) + _part(4, operator) + b"".join(_part(5, each) for each in attributes)


def _ints(name: str, *values: int) -> bytes:
    return _part(1, name) + b"".join(_number(8, value) for value in values) + _number(20, INTS_ATTRIBUTE)


def _int(name: str, value: int) -> bytes:
    return _part(1, name) + _number(3, value) + _number(20, INT_ATTRIBUTE)


def mean_model(input_name: str = "input_features", bands: int = 80, steps: int = 800) -> bytes:
    """`input_name` [batch, bands, steps] to `logits` [batch, 1]."""
    nodes = (
        _node("ReduceMean", input_name, "mean", _ints("axes", 1, 2), _int("keepdims", 1)),
        _node("Flatten", "mean", "flat", _int("axis", 1)),
        _node("Sigmoid", "flat", "logits"),
    )
    graph = b"".join(_part(1, node) for node in nodes) + _part(2, "mean")
    graph += _part(11, _tensor(input_name, ("batch", bands, steps))) + _part(12, _tensor("logits", ("batch", 1)))
    return _number(1, 8) + _part(7, graph) + _part(8, _part(1, "") + _number(2, 13))
