"""Damage to ONNX graphs: any field of any message, and the operators and names that graphs are made of."""

import random
from typing import Any

from tests.soak.mutants.mutation import bytewise, near, text

OPERATORS = (
    "MatMul", "Gemm", "Add", "Sub", "Mul", "Div", "Relu", "Softmax", "LogSoftmax", "Identity", "Reshape", "Transpose", "Cast",
    "Concat", "Slice", "Gather", "Squeeze", "Unsqueeze", "Flatten", "ReduceSum", "ReduceMean", "ArgMax", "TopK", "Max", "Min",
    "Sum", "Mean", "Dropout", "BatchNormalization", "LayerNormalization", "Conv", "MaxPool", "GlobalAveragePool", "Pad", "Where",
    "Expand", "Tile", "Shape", "ConstantOfShape", "Range", "OneHot", "NonZero", "Split", "RandomNormal", "RandomNormalLike",
    "RandomUniform", "Einsum", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "MatMulInteger", "Clip",
    "Exp", "Log", "Pow", "Sqrt", "Equal", "Not", "And", "If", "SequenceConstruct", "SequenceAt", "Optional", "StringNormalizer",
    "LSTM", "Resize", "ScatterND", "GatherND", "Bernoulli", "CumSum", "Hardmax", "Compress", "Unique", "NoSuchOperator",
)  # fmt: skip


def graph(data: bytes, chance: random.Random) -> bytes:
    """One to four changes of the model; 1 in 12 is bytewise."""
    import onnx

    if chance.random() < 1 / 12:
        return bytewise(data, chance)
    model = onnx.ModelProto.FromString(data)
    for _ in range(chance.choice((1, 1, 2, 3, 4))):
        if chance.random() < 0.5 and model.graph.node:
            _node(model.graph, chance)
        else:
            _field(model, chance)
    return bytes(model.SerializeToString())


def _node(inside: Any, chance: random.Random) -> None:
    """A node's operator, inputs, outputs or attributes, with names that the graph knows."""
    node = chance.choice(inside.node)
    known = [name for one in inside.node for name in (*one.input, *one.output)] + ["", "nosuch"]
    known += [one.name for one in (*inside.initializer, *inside.input, *inside.output)]
    match chance.randrange(9):
        case 0 | 1:
            node.op_type = chance.choice(OPERATORS)
        case 2 if node.input:
            node.input[chance.randrange(len(node.input))] = chance.choice(known)
        case 3:
            node.input.append(chance.choice(known))
        case 4 if node.input:
            del node.input[chance.randrange(len(node.input))]
        case 5 if node.output:
            node.output[chance.randrange(len(node.output))] = chance.choice(known)
        case 6:
            inside.node.insert(chance.randrange(len(inside.node) + 1), chance.choice(inside.node))
        case 7:
            attribute = node.attribute.add()
            attribute.name = chance.choice(
                ("axis", "axes", "perm", "to", "transB", "alpha", "epsilon", "scale", "value", "k")
            )
            attribute.type = chance.choice((1, 2, 3, 7))
            attribute.i = near(chance.randrange(-3, 4), chance) % 2**63
            attribute.f = chance.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
            attribute.ints.extend([near(1, chance) % 2**63, 0])
        case _:
            fresh = inside.node.add()
            fresh.op_type = chance.choice(OPERATORS)
            fresh.input.extend(chance.choice(known) for _ in range(chance.randrange(4)))
            fresh.output.append(chance.choice(known))


def _field(model: Any, chance: random.Random) -> None:
    """Any field of any message: set to something else, cleared, an item doubled, dropped or moved."""
    messages = [model]
    for one in messages:  # grows as it is walked
        for field, value in one.ListFields():
            if field.type == field.TYPE_MESSAGE:
                messages += value if _repeated(field) else [value]
    message = chance.choice(messages)
    fields = message.ListFields()
    if not fields or chance.random() < 0.15:
        _set(message, chance.choice(message.DESCRIPTOR.fields), chance)
        return
    field, value = chance.choice(fields)
    if not _repeated(field):
        if chance.random() < 0.2:
            message.ClearField(field.name)
        else:
            _set(message, field, chance)
        return
    at = chance.randrange(len(value))
    match chance.randrange(4):
        case 0:
            del value[at]
        case 1:
            value.append(value[at])
        case 2:
            items = list(value)
            chance.shuffle(items)
            copies = (
                [type(one).FromString(one.SerializeToString()) for one in items]
                if field.type == field.TYPE_MESSAGE
                else items
            )
            del value[:]
            value.extend(copies)
        case _ if field.type != field.TYPE_MESSAGE:
            value[at] = _scalar(field, value[at], chance)


def _repeated(field: Any) -> bool:
    return bool(
        field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED
    )


def _set(message: Any, field: Any, chance: random.Random) -> None:
    if field.type == field.TYPE_MESSAGE:
        getattr(message, field.name).add() if _repeated(field) else getattr(
            message, field.name
        ).SetInParent()
    elif _repeated(field):
        getattr(message, field.name).append(_scalar(field, field.default_value or 0, chance))
    else:
        setattr(message, field.name, _scalar(field, getattr(message, field.name), chance))


def _scalar(field: Any, old: Any, chance: random.Random) -> Any:
    match field.type:
        case field.TYPE_STRING:
            return text(chance).replace("\ud800", "")
        case field.TYPE_BYTES:
            return bytewise(old or b"12345678", chance)
        case field.TYPE_FLOAT | field.TYPE_DOUBLE:
            return chance.choice((0.0, -1.0, 1e38, -1e38, float("nan"), float("inf"), 0.5))
        case field.TYPE_ENUM:
            return chance.choice(field.enum_type.values).number
    bits = 32 if field.type in (field.TYPE_INT32, field.TYPE_UINT32) else 64
    value = chance.randrange(17) if chance.random() < 0.5 else near(int(old or 0), chance)
    if field.type in (field.TYPE_UINT32, field.TYPE_UINT64):
        return value % (1 << bits)
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
