"""Whether the JSON inside an exported program describes tensors and a graph, and nothing else.

Torch reads these texts as code: symbolic sizes are evaluated, guards and names are compiled, an operator
is whatever Python object its dotted name leads to. So every text is held against what torch itself writes;
anything else is refused here, before torch sees it. What a graph does not need is left out.
"""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

EXPRESSION_LIMIT = 10_000  # characters
INTEGER_LIMIT = 2**63
POWER_LIMIT = 8

# Nothing here can end a name and begin a call, a text or a statement.
TEXT = re.compile(r"[\w.,:+\-><=*/|@% ]*", re.ASCII)
IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
STORED_AS = re.compile(r"(?:weight|tensor)_[0-9]+")
OPERATOR = re.compile(
    r"torch\.ops\.(?:aten|prims|quantized_decomposed|torchvision)"
    r"\.(?!from_file\.)(?:__i?(?:and|or|xor|lshift|rshift)__|_?[A-Za-z]\w*)\.[A-Za-z]\w*"
    r"|torch\.ops\.higher_order\.(?:cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(?:add|sub|mul|truediv|floordiv|mod|pow|neg|pos|getitem|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.(?:ceil|floor|trunc|sqrt)"
    r"|torch\.sym_(?:int|float|max|min|not|ite|sum)|torch\._sym_sqrt",
    re.ASCII,
)
TREE_TYPES = {
    None,
    "builtins.tuple",
    "builtins.list",
    "builtins.dict",
    "collections.OrderedDict",
}

# What symbolic sizes and guards are made of, as torch prints them.
FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Max", "Min", "Abs", "Mod"),
    *("PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "ModularIndexing", "Where", "CeilToInt"),
    *("FloorToInt", "TruncToInt", "TruncToFloat", "RoundToInt", "RoundDecimal", "PowByNatural"),
    *("FloatPow", "FloatTrueDiv", "IntTrueDiv", "ToFloat", "Identity", "Tuple", "Piecewise"),
    *("IsNonOverlappingAndDenseIndicator", "ExprCondPair", "Equality", "Unequality", "LessThan"),
    *("StrictLessThan", "GreaterThan", "StrictGreaterThan", "Eq", "Ne", "Lt", "Le", "Gt", "Ge"),
    *("And", "Or", "Not", "floor", "ceiling", "max", "min", "abs"),
}
POWERS = {"Pow", "PowByNatural", "FloatPow"}
METHODS = {"size", "stride", "dim", "numel", "storage_offset"}
SYNTAX = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.Subscript,
    ast.keyword,
    ast.Tuple,
    ast.Name,
    ast.Load,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Pow,
    ast.UAdd,
    ast.USub,
    ast.Not,
    ast.And,
    ast.Or,
    ast.cmpop,
)


class NotPlain(ValueError):  # noqa: N818 - the name says what the graph is
    """The JSON holds something that is neither tensor nor graph; says what."""


def plain_json(content: bytes) -> bytes:
    """The JSON with every text checked, less the notes that torch keeps for debugging.

    Raises:
        NotPlain: It holds code, pickles or foreign objects, or a text that could become code.
        ValueError: It is not JSON.
    """
    try:
        root = json.loads(content)
        _check(root)
        return json.dumps(root).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _check(root: Any) -> None:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("metadata"), dict):
                value["metadata"] = {}  # stack traces and dotted names, which torch looks up
            for key, inner in value.items():
                _check_entry(key, inner)
                if key == "range_constraints" and isinstance(inner, dict):
                    inner = list(inner.values())  # its keys are looked up, never evaluated
                if key not in CHECKS:
                    waiting.append(inner)
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            _check_text(value)


def _check_entry(key: str, value: Any) -> None:
    _check_text(key)
    if key == "use_pickle" and value is not False:
        raise NotPlain("a pickled tensor (use_pickle)")
    if key in ("as_custom_obj", "custom_obj_values") and value:
        raise NotPlain("a custom object")
    if key in CHECKS and value is not None:
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                raise NotPlain(f"an unknown form of '{key}'")
            CHECKS[key](text)


def _check_text(text: str) -> None:
    if not TEXT.fullmatch(text):
        raise NotPlain(f"the text '{text}', which could become code")


def _check_operator(target: str) -> None:
    if not OPERATOR.fullmatch(target):
        raise NotPlain(f"the operator '{target}'")


def _check_stored_as(name: str) -> None:
    if not STORED_AS.fullmatch(name):
        raise NotPlain(f"the constant '{name}'")


def _check_tree(text: str) -> None:
    waiting = [json.loads(text)] if text else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if value.get("type") not in TREE_TYPES:
                raise NotPlain(f"inputs or outputs of type '{value.get('type')}'")
            _check_keys(value.get("context"))
            waiting.append(value.get("children_spec"))
        elif isinstance(value, str):
            raise NotPlain(f"the text '{value}' among its inputs and outputs")


def _check_keys(context: Any) -> None:
    keys = json.loads(context) if isinstance(context, str) else context
    for key in keys if isinstance(keys, list) else [keys]:
        if isinstance(key, str):
            _check_text(key)
        elif key is not None and not isinstance(key, int):
            raise NotPlain("keys of inputs or outputs that are neither text nor number")


def _check_expression(text: str) -> None:
    fault = NotPlain(f"the expression '{text}'")
    if len(text) > EXPRESSION_LIMIT:
        raise fault
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError) as error:
        raise fault from error
    # The method of a call is an attribute; one that is not called is refused.
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not _harmless(node, id(node) in called):
            raise fault


def _harmless(node: ast.AST, is_called: bool) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=args):
            powers = name in POWERS
            return name in FUNCTIONS and not (powers and not _small_power(args))
        case ast.Call(func=ast.Attribute(), args=[], keywords=[]):
            return True
        case ast.Attribute(attr=name):
            return is_called and name in METHODS
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _small_power([left, right])
        case ast.Constant(value=value):
            return _small_constant(value)
    return isinstance(node, SYNTAX)


def _small_constant(value: object) -> bool:
    if isinstance(value, str):
        return bool(IDENTIFIER.fullmatch(value))
    if isinstance(value, int):
        return abs(value) < INTEGER_LIMIT
    return value is None or isinstance(value, float)


def _small_power(operands: list[ast.expr]) -> bool:
    """Whether a symbol is raised to a small constant: towers of powers take for ever."""
    if len(operands) != 2:
        return False
    base, power = operands
    if isinstance(base, ast.Call):
        base = base.func if ast.unparse(base.func) == "Symbol" else base
    text = ast.unparse(power).removeprefix("Integer(").removesuffix(")").removeprefix("-")
    return isinstance(base, ast.Name) and text.isdigit() and int(text[:9]) <= POWER_LIMIT


CHECKS: dict[str, Callable[[str], None]] = {
    "target": _check_operator,
    "as_operator": _check_operator,
    "path_name": _check_stored_as,
    "in_spec": _check_tree,
    "out_spec": _check_tree,
    "expr_str": _check_expression,
    "guards_code": _check_expression,
}
