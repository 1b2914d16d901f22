"""The ledger on SQLite and on a real PostgreSQL: one code path, the same behaviour."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from morula.common.errors import AlreadyExists, Conflict, InvalidArgument, NotFound, Stale
from morula.gateway.labels.fold import check_undo, fold
from morula.gateway.ledger import (
    boards,
    clusterings,
    deletion,
    events,
    jobs,
    label_sets,
    labels,
    objects,
    shards,
    slides,
)
from morula.gateway.ledger.engine import Ledger
from morula.gateway.ledger.ids import now
from morula.gateway.ledger.label_sets import NOT_A_CELL
from morula.gateway.ledger.migrate import OtherSchema, default_project, migrate
from morula.gateway.ledger.tables import metadata
from morula.gateway.listeners import Listeners
from tests.servers.rows import ALL, add_job, add_labelling, add_slide


def test_migrations_lead_to_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_and_at_once_changes_nothing(ledger_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, [ledger_url] * 4))
    opened = Ledger(ledger_url)
    with opened.reading() as tx:
        assert len(label_sets.list_label_sets(tx, default_project(tx), ALL).rows) == 1
    opened.close()


@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = '9999'", "ALTER TABLE slide RENAME COLUMN tissue TO organ"]
)
def test_a_database_of_another_version_is_refused_and_stays_as_it_is(ledger_url: str, change: str) -> None:
    migrate(ledger_url)
    opened = Ledger(ledger_url)
    with opened.writing() as tx:
        tx.execute(text(change))
    with opened.reading() as tx:
        before = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    with pytest.raises(OtherSchema, match="another version of Morula"):
        migrate(ledger_url)
    with opened.reading() as tx:
        assert tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == before
    opened.close()


def test_a_failed_write_leaves_nothing(ledger: Ledger, project: str) -> None:
    def write_and_fail(tx: Connection) -> None:
        add_slide(tx, project)
        raise NotFound("on purpose")

    with pytest.raises(NotFound), ledger.writing() as tx:
        write_and_fail(tx)
    with ledger.reading() as tx:
        assert slides.list_slides(tx, project, ALL) == ([], None)
        assert events.last_change(tx) == 0


def test_a_slide_is_found_by_its_digest_and_its_objects_are_known(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        slide_id = add_slide(tx, project)
    with ledger.reading() as tx:
        found = slides.find_slide(tx, project, "d" * 64)
        assert found is not None
        assert (found["id"], found["mpp"], found["levels"][0]["downsample"]) == (slide_id, None, 1.0)
        assert slides.find_slide(tx, project, "e" * 64) is None
        assert objects.is_used(tx, f"default/{'d' * 64}/slide/a.svs")
        assert not objects.is_used(tx, "other")
        with pytest.raises(NotFound):
            slides.get_slide(tx, "nobody")


def test_the_same_job_is_made_once_unless_it_failed(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        first, created = add_job(tx, project)
        assert created
        assert add_job(tx, project) == (first, False)
        other, created = add_job(tx, project, "other")
        assert created
        jobs.ask_to_cancel(tx, other)
        assert add_job(tx, project, "other") != (other, False), "what is being cancelled comes to nothing"
        jobs.finish_job(tx, first, "failed", error={"reason": "INTERNAL"})
        again, created = add_job(tx, project)
        assert created
        assert again != first


def test_a_job_s_states(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        assert jobs.start_job(tx, job_id)
        assert jobs.start_job(tx, job_id), "a job that is carried on with starts again"
        jobs.ask_to_cancel(tx, job_id)
        assert jobs.job_state(tx, job_id) == "cancelling"
        assert not jobs.start_job(tx, job_id)
        jobs.finish_job(tx, job_id, "cancelled")
        jobs.finish_job(tx, job_id, "succeeded")
        assert jobs.job_state(tx, job_id) == "cancelled", "what ended stays as it is"
        with pytest.raises(Conflict):
            jobs.ask_to_cancel(tx, job_id)
        assert jobs.unfinished_jobs(tx) == []
        assert jobs.queue_age_s(tx) == 0
        retried = jobs.retry_job(tx, job_id)
        assert 0 < jobs.queue_age_s(tx) < 60
        assert (retried["state"], retried["attempt"], retried["finished_at"]) == ("queued", 2, None)
        with pytest.raises(Conflict):
            jobs.retry_job(tx, job_id)


def test_a_job_that_is_retried_says_nothing_of_its_former_success(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        jobs.start_job(tx, job_id)
        jobs.finish_job(tx, job_id, "succeeded", verdict="cells", result_digest="d" * 64)
        jobs.retry_job(tx, job_id, ("succeeded",))
        failed = jobs.finish_job(tx, job_id, "failed", error={"reason": "GONE"})
    assert failed is not None
    assert (failed["state"], failed["verdict"], failed["result_digest"]) == ("failed", None, None)


def test_layers_that_stay_keep_their_objects(ledger: Ledger, project: str) -> None:
    """Three cuts of one version are more layers than are kept, and stay together."""
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
        for seq, cluster_count in ((1, 5), (2, 5), (2, 10), (2, 20)):
            key = f"default/s/class/{seq}-{cluster_count}.bin"
            objects.claim(tx, "labelling", labelling_id, [key, f"{key}.a", f"{key}.b"])
            labels.keep_layer(tx, labelling_id, seq, cluster_count, {"class_layer": {"key": key}}, 0.1)
        labels.prune_layers(tx, 2, before=now() + 1)
        kept = [f"default/s/class/2-{cluster_count}.bin" for cluster_count in (5, 10, 20)]
        assert [key for key in kept if not objects.is_used(tx, key)] == []
        assert not objects.is_used(tx, "default/s/class/1-5.bin")


def test_a_piece_of_work_is_counted_once(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        shards.add_shards(tx, job_id, "cut", 2)
        shards.add_shards(tx, job_id, "cut", 2)
        shards.start_shard(tx, job_id, "cut", 0)
        shards.requeue_shard(tx, job_id, "cut", 0)
        shards.start_shard(tx, job_id, "cut", 0)
        shards.finish_shard(tx, job_id, "cut", 0, {"kept": 3}, written=True)
        shards.finish_shard(tx, job_id, "cut", 0, {"kept": 4}, written=True)
        shards.finish_shard(tx, job_id, "cut", 1, {"kept": 5}, written=False)
        first, second = shards.list_shards(tx, job_id)
        assert (first["attempt_count"], first["busy_count"], first["write_count"]) == (1, 1, 1)
        assert (first["result"], first["state"]) == ({"kept": 3}, "done")
        assert (second["attempt_count"], second["write_count"], second["state"]) == (0, 0, "done")
        [cut] = [row for row in shards.list_stages(tx, [job_id]) if row["stage"] == "cut"]
        assert (cut["done_count"], cut["total_count"]) == (2, 2)
        assert cut["busy_s"] >= 0


def test_what_is_found_after_an_attempt_was_written_by_it(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        shards.add_shards(tx, job_id, "cut", 1)
        shards.start_shard(tx, job_id, "cut", 0)
        shards.finish_shard(tx, job_id, "cut", 0, {}, written=False)
        assert [row["write_count"] for row in shards.list_shards(tx, job_id)] == [1]


def test_overlapping_calls_are_not_counted_twice_as_busy(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
        shards.add_shards(tx, job_id, "cut", 8)
        for number in range(8):
            shards.start_shard(tx, job_id, "cut", number)
        started = min(row["started_at"] for row in shards.list_shards(tx, job_id))
        for number in range(8):
            shards.finish_shard(tx, job_id, "cut", number, {}, written=True)
        ended = max(row["finished_at"] for row in shards.list_shards(tx, job_id))
        [cut] = [row for row in shards.list_stages(tx, [job_id]) if row["stage"] == "cut"]
        assert cut["busy_s"] <= ended - started + 0.05


def test_class_numbers_are_never_used_again(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        set_id = label_sets.create_label_set(tx, project, "Mine", [("One", None), ("Two", "#112233")])
        assert label_sets.add_class(tx, set_id, "Three", None) == 3
        label_sets.change_class(tx, set_id, 1, {"name": "First"})
        rows = [(row["number"], row["name"]) for row in label_sets.list_classes(tx, set_id)]
        assert rows == [(1, "First"), (2, "Two"), (3, "Three"), (NOT_A_CELL, "Not a cell")]
    with pytest.raises(AlreadyExists), ledger.writing() as tx:
        label_sets.add_class(tx, set_id, "Two", None)
    with pytest.raises(NotFound), ledger.writing() as tx:
        label_sets.change_class(tx, set_id, 99, {"name": "x"})


def test_events_are_numbered_without_gaps_and_a_stale_writer_is_told(ledger: Ledger, project: str) -> None:
    body = {"row": 1, "class_number": 1}
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
        assert labels.append_event(tx, labelling_id, "a", "cell_set", body, 0) == 1
        assert labels.append_event(tx, labelling_id, "a", "cell_set", body, None) == 2
    with pytest.raises(Stale), ledger.writing() as tx:
        labels.append_event(tx, labelling_id, "b", "cell_set", body, 1)
    with ledger.reading() as tx:
        assert [event.seq for event in labels.list_events(tx, labelling_id)] == [1, 2]
        with pytest.raises(NotFound):
            labels.get_labelling(tx, "nobody")


def test_words_are_counted_where_they_count_and_boards_with_words_are_offered_first(
    ledger: Ledger, project: str
) -> None:
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
        row = labels.get_labelling(tx, labelling_id)
        empty = labels.create_labelling(tx, row["clustering_id"], row["label_set_id"], 10)
        for kind, body in (
            ("page_named", {"class_number": 1, "cells": [{"row": 7}]}),
            ("page_named", {"class_number": None, "cells": [{"row": 8}]}),
            ("page_named", {"class_number": 2, "cells": [{"row": 9}]}),
            ("cell_set", {"row": 1, "class_number": 2}),
            ("undone", {"seq": 3}),
            ("page_named", {"class_number": 2, "cells": [{"row": 7}]}),
        ):
            labels.append_event(tx, labelling_id, "a", kind, body, None)
        slide_id = clusterings.clustering_slides(tx, row["clustering_id"])[0]["slide_id"]
        offered = boards.boards_of_slides(tx, [slide_id])[slide_id]
        assert boards.labelled_before(tx, row["clustering_id"]) == []
    told = [(one["id"], one["page_count"], one["word_count"], one["slide_count"]) for one in offered]
    assert told == [(labelling_id, 1, 3, 1), (empty, 0, 0, 1)]


async def test_what_rests_on_something_that_is_gone_is_a_conflict(ledger: Ledger, project: str) -> None:
    with ledger.reading() as tx:
        set_id = label_sets.default_label_set(tx, project)
    with pytest.raises(Conflict, match="deleted meanwhile"):
        await ledger.write(labels.create_labelling, "gone", set_id, 4)


async def test_many_writers_lose_nothing(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
    body = {"row": 1, "class_number": 1}
    written = await asyncio.gather(
        *(ledger.write(labels.append_event, labelling_id, "a", "cell_set", body, None) for _ in range(40))
    )
    assert sorted(written) == list(range(1, 41))
    with ledger.reading() as tx:
        assert [event.seq for event in labels.list_events(tx, labelling_id)] == list(range(1, 41))


async def test_of_writers_with_one_expectation_one_wins(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
    body = {"row": 1, "class_number": 1}
    answers = await asyncio.gather(
        *(ledger.write(labels.append_event, labelling_id, "a", "cell_set", body, 0) for _ in range(12)),
        return_exceptions=True,
    )
    assert [answer for answer in answers if not isinstance(answer, Stale)] == [1]


async def test_an_event_is_undone_once_however_many_try(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        labelling_id = add_labelling(tx, project)
        labels.append_event(tx, labelling_id, "a", "cell_set", {"row": 1, "class_number": 1}, None)

    def undo(tx: Connection) -> int:
        seq = labels.append_event(tx, labelling_id, "a", "undone", {"seq": 1}, None)
        check_undo([one for one in labels.list_events(tx, labelling_id) if one.seq < seq], 1)
        return seq

    answers = await asyncio.gather(*(ledger.write(undo) for _ in range(6)), return_exceptions=True)
    assert sorted(type(answer) is int for answer in answers) == [False] * 5 + [True]
    assert all(isinstance(answer, int | InvalidArgument) for answer in answers)
    with ledger.reading() as tx:
        said = fold(labels.list_events(tx, labelling_id))
    assert (said.seq, said.marks) == (2, {})


async def test_a_listener_misses_nothing_and_carries_on(ledger: Ledger, project: str) -> None:
    listeners = Listeners(ledger)
    watch = asyncio.create_task(listeners.run())
    with ledger.writing() as tx:
        job_id, _ = add_job(tx, project)
    heard: list[int] = []
    follower = listeners.follow(0, "job", job_id)
    heard += [change[0] for change in await anext(follower)]

    async def note(number: int) -> None:
        await ledger.write(jobs.note_job, job_id, tile_count=number)

    await asyncio.gather(*(note(number) for number in range(10)))
    with ledger.reading() as tx:
        last = events.last_change(tx)
    while heard[-1] < last:
        heard += [change[0] for change in await anext(follower)]
    assert heard == sorted(heard)
    again = await anext(listeners.follow(last - 1, "job", job_id))
    assert [change[0] for change in again] == [last]
    await listeners.close()
    assert [batch async for batch in listeners.follow(last)] == []
    watch.cancel()


def test_a_job_is_not_retried_while_what_it_goes_on_from_waits_for_its_deletion(ledger: Ledger, project: str) -> None:
    with ledger.writing() as tx:
        source, _ = add_job(tx, project)
        jobs.finish_job(tx, source, "succeeded", verdict="cells")
        values = {"project_id": project, "kind": "evaluation", "slide_id": None, "source_job_ids": [source]}
        values |= {"name": "e", "params": {}, "params_digest": "e"}
        made, _ = jobs.create_job(tx, values, ["evaluate"])
        jobs.finish_job(tx, made["id"], "failed")
        # What it lost is made again, and it runs: its deletion waits for its end.
        jobs.retry_job(tx, source, ("succeeded",))
        jobs.start_job(tx, source)
        assert not deletion.delete_job(tx, source)
    with pytest.raises(Conflict, match="being deleted"), ledger.writing() as tx:
        jobs.retry_job(tx, made["id"])
