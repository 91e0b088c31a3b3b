"""The registry: everything that lists methods derives from the decorator on each class."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import longway
from longway import ERM, METHODS, LongwayError, Method
from longway.methods import _registry
from longway.methods._index import method_modules
from longway.methods._parameters import parameter, parameters_of
from longway.methods._registry import Registry, register
from longway.methods._search_space import Real
from longway.utils.rules import POSITIVE

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_of_a_method_is_found_without_being_imported():
    code = "import sys, longway; print(len(longway.METHODS), 'torch' in sys.modules, 'HSFM' in longway.__all__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(len(METHODS)), "False", "True"]


def test_a_method_goes_by_the_name_of_its_class():
    assert {name: cls.__name__.lower() for name, cls in METHODS.items()} == {name: name for name in METHODS}
    assert all(getattr(longway, cls.__name__) is cls for cls in METHODS.values())
    assert set(method_modules()) <= set(longway.__all__)


def test_stubs_name_what_the_packages_export():
    sys.path.insert(0, str(ROOT))
    try:
        import hatch_build
    finally:
        sys.path.remove(str(ROOT))
    hatch_build.write_stubs()
    for package, names in ((longway, longway.__all__), (longway.methods, longway.methods.__all__)):
        tree = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
        stubs = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert set(names) <= stubs


def test_a_class_of_the_users_own_can_be_registered(monkeypatch):
    monkeypatch.setattr(_registry, "METHODS", Registry())

    @register
    class Own(ERM):
        """A method of a user's own."""

        temperature: float = parameter(1.0, POSITIVE, search=Real(0.5, 2.0))

    assert _registry.METHODS["own"] is Own
    assert Own(temperature=2.0).get_params()["temperature"] == 2.0
    assert {"temperature", "l2"} <= Own.search_space().keys()
    with pytest.raises(LongwayError, match="temperature=0 must be a number above 0"):
        Own(temperature=0).check()
    with pytest.raises(TypeError):
        Own(2.0)


def test_the_nearest_declaration_of_a_parameter_holds():
    for cls in METHODS.values():
        for name, declared in parameters_of(cls).items():
            assert getattr(cls(), name) == declared.default, f"{cls.__name__}.{name}"
    assert longway.DFR().validation_fraction == longway.LLR().validation_fraction == 0.2
    assert (longway.ERM().selection, longway.RWG().selection) == ("average", "worst_group")


def test_at_most_two_levels_stand_between_a_method_and_the_contract():
    def depth(cls):
        return 0 if cls is Method else 1 + max(depth(base) for base in cls.__bases__ if issubclass(base, Method))

    assert max(depth(cls) for cls in METHODS.values()) <= 2


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        longway.Nothing
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        longway.methods.Nothing
