"""What can be known to be wrong with a study before anything of it runs."""

from seglib import data, digest, experiment, params, rows
from seglib.params import Study
from seglib.sam import comparison


def study(wanted: Study) -> dict[str, list]:
    """Decodes each notebook's data and builds its models once, so that what is wrong is said before anything runs.

    Returns: notebook → what its results depend on, for the notebooks that have data of their own.
    """
    depends, checked = {}, set()
    for notebook, values in wanted.notebooks.items():
        try:
            if "checkpoints" in values:
                comparison.check(values)
            rows_of_notebook = list(rows.of(values).values())
            if not rows_of_notebook:
                depends |= {notebook: [data.load(params.to_config(values)).fingerprint]} if "dataset" in values else {}
                continue
            depends[notebook] = [experiment.inputs(experiment.resolve(row)) for row in rows_of_notebook]
            for row, inputs in zip(rows_of_notebook, depends[notebook], strict=True):
                if (key := digest.of_value(inputs)) not in checked:
                    experiment.check(row)
                    checked.add(key)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{notebook}: {error}") from error
        except ValueError as error:  # not its own kind: a UnicodeDecodeError, say, cannot be made from a text
            raise ValueError(f"{notebook}: {error}") from error
    return depends
