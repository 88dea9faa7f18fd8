"""Exported programs that would run code when torch loads them: refused, and nothing in them has run."""

import contextlib
import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacal.errors import UsageError
from lacal.models.torch.archive import check_exported, without_sample_inputs
from lacal.models.torch.exported_graph import NotPlain, plain_json
from lacal.models.torch.load import load_program
from tests.faults.evil.programs import PROGRAMS as EVIL
from tests.faults.evil.programs import pickled_samples
from tests.models.torch_models import exported, files_of, packed, torch, written


@pytest.mark.parametrize("evil", EVIL)
def test_what_can_run_code_needs_trust(evil: str, tmp_path: Path) -> None:
    spoil, words = EVIL[evil]
    files, marker = files_of(exported("linear")), tmp_path / "marker"
    spoil(files, marker)
    path = written(tmp_path, packed(files))
    for look in (lambda: check_exported(path, trust=False), lambda: without_sample_inputs(path)):
        with pytest.raises(UsageError) as caught:
            look()
        assert words in str(caught.value)
        assert "--trust-model" in str(caught.value)
    check_exported(path, trust=True)
    assert not marker.exists()


@pytest.mark.parametrize("evil", ["opaque object", "pickled weight", "expression", "guard"])
def test_the_traps_are_live(evil: str, tmp_path: Path) -> None:
    """With trust the very same files do run their code, so the tests above mean something."""
    files, marker = files_of(exported("linear")), tmp_path / "marker"
    EVIL[evil][0](files, marker)
    with contextlib.suppress(Exception):  # what the code leaves behind is no model
        load_program(written(tmp_path, packed(files)), trust=True).module()(torch.ones(3, 6))
    assert marker.exists()


def test_sample_inputs_are_never_unpickled(tmp_path: Path) -> None:
    files, marker = files_of(exported("linear")), tmp_path / "marker"
    pickled_samples(files, marker)
    path = written(tmp_path, packed(files))
    for trust in (False, True):
        assert load_program(path, trust=trust).module()(torch.ones(3, 6)).shape == (3, 5)
    assert not marker.exists()
    logging.disable(logging.WARNING)  # torch warns once it has happened
    with contextlib.suppress(AssertionError):
        torch.export.load(io.BytesIO(path.read_bytes()))
    logging.disable(logging.NOTSET)
    assert marker.exists()


EXPRESSIONS = {
    "Symbol('s31', positive=True, integer=True)": True,
    "Mul(Integer(2), Symbol('s6', positive=True, integer=True))": True,
    "Pow(Symbol('s6', positive=True, integer=True), Integer(2))": True,
    "L['x'].size()[0] == L['y'].size()[0]": True,
    "(L['x'].size()[0] // 2) != 1 and not 4*s0 >= 2": True,
    "Max(1, s0**2)": True,
    "9**9**9": False,
    "Pow(Integer(9), Integer(8))": False,
    "s0**100": False,
    "L['x'].__class__": False,
    "L['x'].size": False,
    "L['x'].storage()": False,
    "s0.size(print(1))": False,
    "(lambda: 1)()": False,
    "[x for x in s0]": False,
    "eval('1')": False,
    "Symbol('a b')": False,
    "L['x'][f'{s0}']": False,
    "1 <<99": False,
    "(a := 1)": False,
    "1" * 20: False,
    "(": False,
    "s0 +" * 5000 + "1": False,
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(expression: str) -> None:
    content = json.dumps({"guards_code": [expression]}).encode()
    if EXPRESSIONS[expression]:
        assert json.loads(plain_json(content)) == json.loads(content)
    else:
        with pytest.raises(NotPlain, match="the expression"):
            plain_json(content)


def test_operators_of_ordinary_graphs_are_plain() -> None:
    targets = [
        *("torch.ops.aten.linear.default", "torch.ops.aten.__and__.Tensor", "_operator.floordiv"),
        *("torch.ops.aten._softmax.default", "torch.ops.aten.sym_size.int", "torch.sym_max"),
        *("torch.ops.higher_order.wrap_with_set_grad_enabled", "math.ceil"),
    ]
    plain_json(json.dumps([{"target": target} for target in targets]).encode())


@given(st.text(max_size=40))
def test_no_text_can_end_a_name(text: str) -> None:
    """Whatever is let through as a name holds nothing that calls, quotes, indexes or ends a line."""
    try:
        plain_json(json.dumps({"name": text}).encode())
    except NotPlain:
        return
    assert not set(text) & set("()[]{}'\"\\;#\n\r\t`$!&^~?")


@pytest.mark.parametrize(
    "target", ["torch.ops.aten.__class__.mro", "torch.ops.aten.add.__call__", "operator.call"]
)
def test_no_operator_leads_elsewhere(target: str) -> None:
    with pytest.raises(NotPlain):
        plain_json(json.dumps({"target": target}).encode())
