"""What the page on Segment Anything says in words: of what was run, and of what was not."""

import numpy as np

from seglib import scores, stats, tables, words
from seglib.escaping import bold, plain
from seglib.sam import checkpoints, outputs, prompts, table
from seglib.sam.comparison import Comparison, Found

INSTALL = "pip install -e '.[sam]'"


def of_choice(compared: Comparison):
    """Which of the study's models are shown, and on which images."""
    shown = "; ".join(f"{bold(label)} ({compared.ranking.loc[label, 'val_iou']:.3f})" for label in compared.groups)
    count = len(compared.dataset.test)
    images = (
        f"all {count} test images" if count == compared.all_images
        else f"{count} of the {compared.all_images} test images, chosen by a hash of their names"
    )  # fmt: skip
    size = compared.dataset.test.images.shape[-1]
    few = " Of so few images intervals are too narrow." if count < stats.NARROW else ""
    if count < stats.MIN_IMAGES:
        few = f" Of fewer than {stats.MIN_IMAGES} images no interval is given, and nothing is tested."
    count_of_models = len(compared.ranking)
    recorded = f"{count_of_models} were validated on the same images" if count_of_models > 1 else "one is recorded"
    return words.markdown(
        f"Of the study's models ({recorded}) the best by validation IoU, of the epoch kept and mean over seeds: "
        f"{shown}. No test image had a say in that. Here everyone is scored on {images}."
        f"{few} SAM, too, gets the images of {size} × {size} pixels that our models see, resized to its own input: "
        "what it would make of larger originals is not measured here."
    )


def of_state(compared: Comparison, found: Found):
    """Which checkpoints were run, which were not, and how to get these."""
    ran = [name for name in found if name != outputs.BOX]
    missing = [name for name, folder in compared.folders.items() if folder is None]
    lines = [
        f"Segment Anything was run here: {', '.join(map(bold, ran))}." if ran else "**Segment Anything: not run.**"
    ]
    if not checkpoints.transformers_installed():
        lines.append(f"The library transformers is not installed: `{INSTALL}`.")
    if not compared.folders:
        lines.append("No checkpoint was asked for.")
    if missing:
        commands = ", ".join(f"`seglib weights {name}`" for name in missing)
        lines.append(
            f"Not here, and so not run: {', '.join(map(bold, missing))}. Nothing is downloaded unasked: {commands} "
            f"{'each fetch one' if len(missing) > 1 else 'fetches it'}, and the next report has it."
        )
    if not ran:
        lines.append(
            "What follows holds all that needs no checkpoint: our models on the same images, the prompts that SAM "
            f"would be given, and as a floor the **{outputs.BOX}**, the prompt itself taken as the mask."
        )
    return words.markdown(" ".join(lines))


def of_sources(compared: Comparison):
    """The sources of prompts, one by one."""
    first = compared.groups[compared.best][0].config.seed
    ours = f" ({compared.best}, seed {first})" if len(compared.groups[compared.best]) > 1 else ""
    told = {**prompts.SOURCES, prompts.OUR_BOX: prompts.SOURCES[prompts.OUR_BOX] + plain(ours)}
    lines = [f"- **{prompts.named(source)}**: {text}." for source, text in told.items()]
    return words.markdown("\n".join(lines))


def of_observed():
    """Report 5's observations, each with the metric that answers it."""
    return words.markdown("\n".join(f"- {text}: by **{metric}**." for metric, (text, _) in table.OBSERVED.items()))


def of_verdicts(compared: Comparison, found: Found, score: str = "IoU"):
    """The verdicts as a list."""
    pairs = table.verdicts(compared, found, score)
    return words.listed(pairs, len(pairs), score)


def of_classes(compared: Comparison, found: Found, score: str):
    """A score class by class, or the sentence that there is one class."""
    if len(compared.dataset.class_names) < 2:
        return words.markdown(f"There is one class, {compared.dataset.class_names[0]}: its {score} is that above.")
    return tables.show(table.classes(compared, found, score), compared.study, f"07_{score}_by_class")


def of_automatic(compared: Comparison, found: Found):
    """What SAM's automatic masks are besides the matched ones, or the sentence that there are none."""
    counted = table.automatic(found)
    if counted.empty:
        return words.markdown("No checkpoint was run, so there are no automatic masks to count.")
    return tables.show(counted, compared.study, "07_automatic")


def of_answers(compared: Comparison, found: Found):
    """The closing words: who is best by itself, what oracles add, and the answers to report 5's observations."""
    groups = table.rows(compared, found)
    iou = {label: scores.estimate(group, "IoU") for label, group in groups.items()}
    best, labels = compared.best, table.of_sam(found)
    lines = [f"- By itself, without any prompt, {bold(best)} reaches an IoU of **{iou[best]}** and a "
             f"recall of {scores.estimate(groups[best], 'recall')} on these images."]  # fmt: skip
    for source in prompts.SOURCES:
        of_source = {label: name for label, (name, question) in table.asked(found).items() if question.source == source}
        if of_source:
            told = "; ".join(f"{plain(name)} {iou[label]}" for label, name in of_source.items())
            lines.append(f"- Given {_given(source)}: IoU of {told}.")
    lines += _observed(compared, found) if labels else [
        "- Report 5's observations on Segment Anything are **not answered** here: no checkpoint was run."
    ]  # fmt: skip
    return words.markdown("\n".join(lines))


def _given(source: str) -> str:
    if source == prompts.AUTOMATIC:
        return "a grid of points alone, and an oracle that picks among its masks"
    return f"a **{prompts.named(source)}**"


def _observed(compared: Comparison, found: Found) -> list[str]:
    """An observation per line, its answers source by source."""
    answers, of = table.observations(compared, found), table.asked(found)
    sources = answers["SAM's row"].map(lambda label: prompts.named(of[label][1].source))
    lines = []
    for metric, part in answers.groupby("metric", sort=False):
        told = [
            f"{source} {', '.join(f'{count} {answer}' for answer, count in rows['answer'].value_counts().items())}"
            for source, rows in part.groupby(sources, sort=False)
        ]
        lines.append(f"- *{table.OBSERVED[metric][0]}* ({metric}), counted over checkpoints: {'; '.join(told)}.")
    return lines


def of_jitter(compared: Comparison, found: Found):
    """What moving the true box's sides by the most costs, checkpoint by checkpoint."""
    moved = table.jitter(compared, found)
    most = moved["jitter"].max()
    if not most:
        return words.markdown("The boxes were not moved.")
    lines = []
    for name, part in moved.groupby("name", sort=False):
        still = part.loc[part["jitter"] == 0, "IoU"].iloc[0].mean
        worst = part.loc[part["jitter"] == most, "IoU"].iloc[0].mean
        if np.isfinite(still) and np.isfinite(worst):
            lines.append(f"{bold(name)} goes from an IoU of {still:.3f} to {worst:.3f}")
    overlap = moved.loc[moved["jitter"] == most, "box IoU"].iloc[0]
    return words.markdown(
        f"With sides moved by up to {100 * most:.0f} % (the box's own IoU with the true one is then {overlap:.2f} on "
        f"average): {'; '.join(lines)}."
    )
