from __future__ import annotations

from pathlib import Path

import pytest

from katibpy.api.experiment import Experiment
from katibpy.api.suggestion import Suggestion
from katibpy.errors import AlreadyExists
from katibpy.stores.sql.opening import open_database
from katibpy.stores.sql.parsed import LIMIT
from katibpy.stores.sql.resources import SqlResourceStore
from katibpy.testing.store_cases import SteppingClock, add_experiment, add_suggestion, reply_of, save


def test_what_is_read_again_is_not_parsed_again(tmp_path: Path) -> None:
    with open_database(tmp_path / "katib.db") as database:
        store = SqlResourceStore(database, SteppingClock())
        add_experiment(store)
        assert store.find(Experiment, "default", "tune") is store.find(Experiment, "default", "tune")


def test_what_another_process_wrote_is_seen_at_once(tmp_path: Path) -> None:
    with open_database(tmp_path / "katib.db") as ours, open_database(tmp_path / "katib.db") as theirs:
        mine, yours = SqlResourceStore(ours, SteppingClock()), SqlResourceStore(theirs, SteppingClock())
        experiment = add_experiment(mine)
        for count in (7, 8):
            known = yours.find(Experiment, "default", "tune")
            assert known == mine.find(Experiment, "default", "tune")
            assert known is not None
            experiment = yours.replace_spec(known.but(spec=known.spec.but(max_trial_count=count)))
            assert mine.find(Experiment, "default", "tune") == experiment
        yours.delete(Experiment, "default", "tune")
        marked = mine.find(Experiment, "default", "tune")
        assert marked is not None
        assert marked.metadata.deletion_timestamp is not None


def test_what_was_rolled_back_is_not_remembered(tmp_path: Path) -> None:
    with open_database(tmp_path / "katib.db") as database:
        store = SqlResourceStore(database, SteppingClock())
        owner = add_experiment(store)
        suggestion = save(store, add_suggestion(store, owner), owner, 1)
        refused = suggestion.but(status=suggestion.status.but(suggestion_count=2, note="refused"))
        with pytest.raises(AlreadyExists):
            store.save_reply(refused, reply_of(owner, 0, 1), memory=None)
        # The version that was not committed is given to this one.
        written = store.replace_status(suggestion.but(status=suggestion.status.but(note="written")))
        assert store.find(Suggestion, "default", "tune") == written
        assert written.status.note == "written"


def test_no_more_than_so_many_are_kept(tmp_path: Path) -> None:
    with open_database(tmp_path / "katib.db") as database:
        store = SqlResourceStore(database, SteppingClock())
        experiments = [add_experiment(store, f"tune-{number}") for number in range(LIMIT + 1)]
        kept = [store.find(Experiment, *each.key[1:]) is each for each in reversed(experiments)]
        assert kept == [True] * LIMIT + [False]
