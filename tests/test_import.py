"""`import neurodecode` is fast and light, and every module can be imported without the heavy libraries."""

from __future__ import annotations

import pytest

from bench import import_time


def test_import_is_fast() -> None:
    assert import_time.best_time() < import_time.LIMIT_S


def test_import_loads_no_heavy_library() -> None:
    assert import_time.heavy_loaded() == []


def test_no_module_loads_a_heavy_library_at_import() -> None:
    assert import_time.heavy_loaded_by_modules() == {}


def test_the_measurement_sees_a_heavy_library() -> None:
    """The tests above could pass because the measurement is blind: it must see what is really loaded."""
    found = import_time.fresh(
        "import json, sys\nimport matplotlib\nprint(json.dumps('matplotlib' in sys.modules))"
    )
    assert found.strip() == "true"
    with pytest.raises(RuntimeError, match="no_such_library"):
        import_time.fresh("import no_such_library")


def test_the_package_lists_what_it_has() -> None:
    import neurodecode

    assert set(neurodecode.__all__) <= set(dir(neurodecode))
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        neurodecode.no_such_name  # noqa: B018
