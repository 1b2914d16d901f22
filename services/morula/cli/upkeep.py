"""`morula doctor` and `morula sweep`: whether all is well, what takes disk space, and how to get some back."""

from __future__ import annotations

from typing import Annotated

import typer

from morula.cli.printing import AsJson, Data, folder_of, in_words, print_json, print_table
from morula.common.errors import Unavailable
from morula.onebox.failures import Failure


def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check that everything needed is here, and show what takes disk space."""
    from morula.onebox.disk_usage import measure, other_databases
    from morula.onebox.doctor import Finding, examine

    folder = folder_of(data)
    findings = examine(folder)
    try:
        usages = measure(folder) if folder.root.is_dir() else []
        if strangers := other_databases(folder):
            remedy = "nothing is deleted (morula sweep --alone, if they are gone for good)"
            findings.append(Finding("objects", True, f"{strangers} other database(s) use them: {remedy}"))
    except (Failure, Unavailable) as error:
        findings.append(Finding("room", False, str(error)))
        usages = []
    if as_json:
        shown = [{"name": f.name, "ok": f.is_ok, "detail": f.detail} for f in findings]
        print_json({"findings": shown, "room": [vars(usage) for usage in usages]})
    else:
        print_table(("what", "", "detail"), [(f.name, "ok" if f.is_ok else "MISSING", f.detail) for f in findings])
        print_table(
            ("takes space", "files", "size"), [(r.kind, f"{r.count:,}", in_words(r.size_bytes)) for r in usages]
        )
    missing = [finding.name for finding in findings if not finding.is_ok]
    if missing:
        raise Failure(f"missing: {', '.join(missing)}; what to do stands beside each")


def sweep(
    delete: Annotated[bool, typer.Option("--delete", help="Delete them; without it they are only shown.")] = False,
    hours: Annotated[
        float, typer.Option("--older-than-hours", min=1, help="Younger ones may be on their way to be named.")
    ] = 24.0,
    alone: Annotated[
        bool, typer.Option("--alone", help="Take the store over: no other database uses it any more.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Find objects that nothing names any more, and delete them."""
    from morula.onebox.disk_usage import sweep as sweep_folder

    swept = sweep_folder(folder_of(data), hours * 3600, delete=delete, alone=alone)
    if as_json:
        print_json({"orphans": [orphan._asdict() for orphan in swept.orphans], "deleted_count": swept.deleted_count})
        return
    size = in_words(sum(orphan.size_bytes for orphan in swept.orphans))
    for orphan in swept.orphans:
        typer.echo(f"{in_words(orphan.size_bytes):>10}  {orphan.key}")
    done = f"{swept.deleted_count} deleted" if delete else "delete them with --delete"
    typer.echo(f"{len(swept.orphans)} objects that nothing names, {size}" + (f"; {done}" if swept.orphans else ""))
