"""Runs in MLflow: one MLflow run per run of the store, found again by its key."""

from collections.abc import Iterable

from seglib.track import Log

EXPERIMENT = "seglib"
KEY, EPOCHS = "seglib.key", "seglib.epochs"  # tags: the run, and how many of its epochs are logged
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


def write(logs: Iterable[Log], uri: str = "", experiment: str = EXPERIMENT) -> dict[str, bool]:
    """Logs each run's curves, test scores and config; key → whether anything was new.

    Epochs that were logged before are not logged again: the tag seglib.epochs, written with them, counts them.
    Args: uri — of the tracking server or database (sqlite:///mlflow.db); empty: what MLFLOW_TRACKING_URI says.
    Raises: ImportError if mlflow is not installed; RuntimeError with what MLflow says, of a server out of reach, say.
    """
    try:
        import mlflow
    except ImportError:
        raise ImportError(
            "mlflow is not installed, and only this command needs it: `pip install mlflow-skinny` (for a server) or "
            "`pip install mlflow` (for files and databases, too)"
        ) from None
    try:
        client = mlflow.MlflowClient(tracking_uri=uri or None)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        return {log.key: _write_one(client, number, log) for log in logs}
    except mlflow.exceptions.MlflowException as error:
        raise RuntimeError(f"MLflow at {uri or 'MLFLOW_TRACKING_URI'}: {error}") from error


def _write_one(client, experiment: str, log: Log) -> bool:
    from mlflow.entities import Metric, Param, RunTag

    known = client.search_runs([experiment], f"tags.`{KEY}` = '{log.key}'")
    if known:
        run = known[0]
    else:
        tags = {KEY: log.key, EPOCHS: "0", "mlflow.runName": log.label, **log.facts}
        run = client.create_run(experiment, start_time=_ms(log.started), tags=tags)
        params = [Param(name, str(value)[:6000]) for name, value in log.config.items()]
        for i in range(0, len(params), 100):  # as many as the server takes at once
            client.log_batch(run.info.run_id, params=params[i : i + 100])
    done = int(run.data.tags.get(EPOCHS, "0"))
    for epoch, row in sorted(log.epochs.items()):
        if epoch > done:
            metrics = [Metric(name, value, _ms(log.times[epoch]), epoch) for name, value in row.items()]
            client.log_batch(run.info.run_id, metrics=metrics, tags=[RunTag(EPOCHS, str(epoch))])
    status = STATUS.get(log.status, "RUNNING")
    if run.info.status == status and done >= max(log.epochs, default=0):
        return False
    if log.status == "finished" and run.info.status != status:
        last = max(log.epochs, default=0)
        metrics = [Metric(f"test_{name}", value, _ms(log.ended), last) for name, value in log.test.items()]
        client.log_batch(run.info.run_id, metrics=metrics, tags=[RunTag(k, v) for k, v in log.facts.items()])
    if status == "RUNNING":
        client.update_run(run.info.run_id, status=status)
    else:
        client.set_terminated(run.info.run_id, status, end_time=_ms(log.ended or max(log.times.values(), default=0)))
    return True


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
