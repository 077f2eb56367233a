"""The commands `submit` and `jobs`: a cluster's jobs, and the runs of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from errors import ConfigError
from options import Address, AsJson, ConfigDir, Overrides, RunReference, RunsDir
from printing import err, out, print_json

if TYPE_CHECKING:
    from tuning.jobserver import JobServer

app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode="rich")

EXAMPLE_SUBMIT = """
Send a tuning job to a running Ray cluster, and follow its log; takes what `tune` takes.

Ctrl-C stops following only. The command ends with the job's own exit code.

[bold]Examples[/bold]

  tabularay submit data.source=/shared/churn.csv data.target=churned runs=/shared/runs registry=/shared/registry

  tabularay submit experiment=credit_default search.num_trials=50 --address http://10.0.0.1:8265 --detach

  tabularay submit data.source=sql:postgresql://me@db/crm#churn data.target=churned --env PGPASSWORD
"""


def submit(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    address: Address = None,
    env: Annotated[
        list[str] | None, typer.Option(help="Environment variable that goes with the job.", metavar="NAME")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "--no-wait", help="Do not wait for the job's end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a tuning job to a running Ray cluster, and follow its log."""
    from printing_jobs import print_sent
    from tuning.jobserver import JobServer, exit_code, job_server_address
    from tuning.submit import prepare

    job = prepare(overrides or (), config_dir, env or ())
    server = JobServer(
        job_server_address(address, job.config.cluster.jobs_address, job.config.cluster.address)
    )
    if job.local_paths and not server.is_here:
        err.print(
            f"The cluster must see these too: {', '.join(job.local_paths)}", highlight=False, markup=False
        )
    with err.status("Sending"):
        server.submit(job.job_id, job.entrypoint(server.is_here), job.runtime_env())
    if not as_json:
        print_sent(server, job.job_id)
    if not detach:
        _follow_log(server, job.job_id, sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json(server.job(job.job_id) | {"address": server.address})
    if not detach:
        raise typer.Exit(exit_code(server.job(job.job_id)))


def _follow_log(server: JobServer, job_id: str, stream: TextIO) -> None:
    """Copy a job's log until it ends; Ctrl-C leaves the job alone."""
    try:
        for text in server.follow(job_id):
            stream.write(text)
            stream.flush()
    except KeyboardInterrupt:
        see, stop = server.command("logs --follow", job_id), server.command("cancel", job_id)
        err.print(f"{job_id} goes on. See it: {see}; stop it: {stop}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


@app.callback()
def jobs(
    context: typer.Context,
    runs: RunsDir = Path("runs"),
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first, with state and progress; with a cluster, its jobs too.

    A run is running, finished, failed, interrupted (it can be resumed), or lost: its process is gone without a
    result, and it can be resumed as well.

    [bold]Examples[/bold]

      tabularay jobs

      tabularay jobs show latest --follow

      tabularay jobs cancel latest

      tabularay jobs --address http://10.0.0.1:8265
    """
    if context.invoked_subcommand:
        _refuse_options(context)
        return
    from printing_jobs import print_cluster_jobs, print_runs
    from tuning.watch import RunWatch, find_runs

    rows = [RunWatch(run).row() for run in reversed(find_runs(runs))]
    server = _named_cluster(address)
    cluster_jobs = server.jobs() if server else []
    if as_json:
        print_json({"runs": rows, "cluster_jobs": cluster_jobs})
        return
    if rows:
        print_runs(rows)
    else:
        out.print(f"No runs in {runs}. Make one: tabularay tune data.source=FILE data.target=COLUMN")
    if server:
        print_cluster_jobs(cluster_jobs, server.address)


def _refuse_options(context: typer.Context) -> None:
    """An option before a subcommand would be lost: say where it belongs."""
    for name in ("runs", "address", "as_json"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--json" if name == "as_json" else f"--{name}"
            raise ConfigError(f"{option}: give it after `jobs {context.invoked_subcommand}`")


def _named_cluster(address: str | None) -> JobServer | None:
    """The cluster that was asked for; one that the environment alone names may be down."""
    from tuning.jobserver import JobServer, has_job_server_address, job_server_address

    if address is None and not has_job_server_address():
        return None
    try:
        return JobServer(job_server_address(address))
    except ConfigError as error:
        if address is not None:
            raise
        err.print(f"Without the cluster's jobs: {error}", highlight=False, markup=False, soft_wrap=True)
        return None


@app.command("show")
def jobs_show(
    run: RunReference,
    runs: RunsDir = Path("runs"),
    follow: Annotated[
        bool, typer.Option("--follow", "--watch", "-f", help="Keep showing progress until the run ends.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one run in detail: families, failures, last events, and what to type next.

    [bold]Examples[/bold]

      tabularay jobs show latest

      tabularay jobs show runs/churn-20260131-120000 --follow
    """
    from printing_jobs import print_run
    from tuning.runs import find_run
    from tuning.watch import RunWatch, follow_run

    watch = RunWatch(find_run(run, runs))
    if follow:
        follow_run(watch, err)
    if as_json:
        print_json(watch.detail())
    else:
        print_run(watch.detail())


@app.command("cancel")
def jobs_cancel(
    job: Annotated[str, typer.Argument(help="A run (directory, name, 'latest'), or a job of a cluster.")],
    runs: RunsDir = Path("runs"),
    address: Address = None,
) -> None:
    """End a run or a cluster's job as Ctrl-C would: finished folds are kept, and it can be resumed.

    [bold]Examples[/bold]

      tabularay jobs cancel latest

      tabularay jobs cancel job-churn-9f2c1a --address http://10.0.0.1:8265
    """
    from tuning.cancel import cancel

    out.print(cancel(job, runs, address), highlight=False, markup=False, soft_wrap=True)


@app.command("logs")
def jobs_logs(
    job: Annotated[str, typer.Argument(help="A job of a cluster.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until the job ends.")] = False,
    address: Address = None,
) -> None:
    """Print what a cluster's job has printed.

    [bold]Examples[/bold]

      tabularay jobs logs job-churn-9f2c1a --follow
    """
    from tuning.jobserver import JobServer, job_server_address

    server = JobServer(job_server_address(address))
    if follow:
        _follow_log(server, job, sys.stdout)
    else:
        sys.stdout.write(server.log(job))
