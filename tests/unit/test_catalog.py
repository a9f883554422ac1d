from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from katibpy.catalog import ALGORITHMS, STOPPING, Kind, find, load, names, nearest, rows
from katibpy.errors import MissingExtra, UnknownName, Unsupported

PLUGIN = Kind("algorithm", "no_such_package.catalog", "katibpy_test_plugins", frozenset(("later",)))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "spare_algorithms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spare-algorithms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[katibpy_test_plugins]\n"
        "annealing = spare_algorithms:Annealing\n"
        "broken = spare_algorithms_missing:Nothing\n"
        "[katibpy.algorithms]\n"
        "random = spare_algorithms:Annealing\n"
    )
    (tmp_path / "spare_algorithms.py").write_text("class Annealing: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_built_in_algorithms_are_there() -> None:
    assert {"random", "grid", "sobol", "tpe"} <= set(names(ALGORITHMS))


def test_every_row_loads_and_is_called_as_it_says() -> None:
    for row in rows(ALGORITHMS):
        loaded = load(ALGORITHMS, row.name)
        assert (loaded.name, loaded.summary) == (row.name, row.summary)


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="there is no algorithm 'randon'; did you mean 'random'"):
        find(ALGORITHMS, "randon")


@pytest.mark.parametrize("name", sorted(ALGORITHMS.planned - set(names(ALGORITHMS))))
def test_a_known_name_without_a_row_is_said_to_be_missing_from_this_version(name: str) -> None:
    with pytest.raises(
        Unsupported, match=f"algorithm '{name}' is not part of this version yet; available: .*tpe"
    ):
        find(ALGORITHMS, name)


def test_other_distributions_add_rows(plugin: None) -> None:
    assert names(PLUGIN) == ("annealing", "broken")
    assert find(PLUGIN, "annealing").distribution == "spare-algorithms"
    assert load(PLUGIN, "annealing").__name__ == "Annealing"


def test_a_built_in_name_cannot_be_taken(plugin: None) -> None:
    assert find(ALGORITHMS, "random").distribution == ""


def test_a_plug_in_that_does_not_import_is_named_with_its_distribution(plugin: None) -> None:
    with pytest.raises(
        MissingExtra, match=r"spare_algorithms_missing.*it comes from the distribution spare-alg"
    ):
        load(PLUGIN, "broken")


def test_what_an_extra_would_bring_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "extra_rows.py").write_text(
        "from katibpy.catalog import Row\nROWS = (Row('gp', 'no_torch_here:Gp', extra='gp'),)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"no_torch_here.*run: pip install 'katibpy\[gp\]'"):
        load(Kind("algorithm", "extra_rows"), "gp")


def test_a_catalogue_that_does_not_import_is_not_taken_for_an_absent_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_rows.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        rows(Kind("algorithm", "broken_rows"))


def test_stopping_rules_have_a_catalogue_of_their_own() -> None:
    with pytest.raises((UnknownName, Unsupported), match="early stopping algorithm"):
        find(STOPPING, "tpe")


def test_nearest_ignores_case_and_gives_nothing_far_away() -> None:
    assert nearest("RANDOM", ["random", "grid"]) == "random"
    assert nearest("zzz", ["random", "grid"]) is None


def test_listing_names_imports_no_algorithm() -> None:
    code = (
        "import sys; from katibpy.catalog import ALGORITHMS, names; names(ALGORITHMS); "
        "print(sorted(m for m in sys.modules if m.startswith(('numpy', 'optuna', 'suggestion_services.'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['suggestion_services.catalog']"
