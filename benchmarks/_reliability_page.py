"""docs/results/reliability.md, written from reliability.json alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks._reliability_words import drift_words, threads_words

Part = Mapping[str, Any]


def page(results: Mapping[str, Any]) -> str:
    """The whole page; a part that was not measured has no section."""
    sections = {"kills": _kills, "equality": _equality, "drift": _drift, "overhead": _overhead}
    lines = ["# Reliability, measured", ""]
    lines += [
        "Whether a training that is killed, repeated or computed otherwise ends alike. Written by the scripts below."
    ]
    for name, section in sections.items():
        if name in results:
            lines += ["", *section(results[name]), "", *_made_with(results[name])]
    return "\n".join([*lines, ""])


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]


def _made_with(part: Part) -> list[str]:
    facts = part["environment"]
    commit, *modified = str(facts["git_revision"]).split("-")
    return [
        f"`{part['command']}`, revision {'-'.join([commit[:12], *modified])}, Python {facts['python']}, torch "
        f"{facts['torch']}, monai {facts['monai']}, mlflow {facts['mlflow']}; {facts['cpu_count']} cores "
        f"({facts['processor']}), {facts['system']}, load {facts['load_average']} at the beginning."
    ]


def _kills(part: Part) -> list[str]:
    trials = part["trials"]
    killed = sum(len(trial["kills"]) for trial in trials)
    equal = [trial for trial in trials if trial["equal"]]
    return [
        "## Kills survived",
        "",
        f"{killed} times SIGKILL to a whole process group, in {len(trials)} runs of both stages and the evaluation "
        f"(tiny preset, {_settings(part['settings'])}; seed {part['seed']} of the moments). Each run was started again "
        f"with the same command until it ended by itself. {len(equal)} of {len(trials)} runs ended as the undisturbed "
        "one, bit for bit.",
        "",
        *table(
            ["killed", "runs", "kills", "ended by themselves", "equal to the undisturbed run"],
            [_group(name, [each for each in trials if each["group"] == name]) for name in _groups(trials)],
        ),
        "",
        *_failures(trials),
        *_compared(part),
        "",
        *_reached(trials),
        "",
        "Places that were chosen, one run a group, killed at one place after the other:",
        "",
        *table(["group", "place", "what the run had reached", "equal"], _places(trials)),
    ]


def _groups(trials: Iterable[Part]) -> list[str]:
    return list(dict.fromkeys(trial["group"] for trial in trials))


def _group(name: str, trials: Sequence[Part]) -> list[Any]:
    kills = sum(len(trial["kills"]) for trial in trials)
    ended = sum(trial["failure"] is None for trial in trials)
    return [name, len(trials), kills, ended, sum(trial["equal"] for trial in trials)]


def _failures(trials: Iterable[Part]) -> list[str]:
    failed = [trial for trial in trials if not trial["equal"]]
    if not failed:
        return []
    rows = []
    for trial in failed:
        where = "; ".join(
            kill["place"] or f"after {kill['processor']:.1f} s of the processor, {kill['reached']}"
            for kill in trial["kills"]
        )
        what = trial["failure"] or f"{trial['differences'][0]} ({len(trial['differences'])} differences)"
        rows.append([trial["trial"], where, " ".join(what.split()).replace("|", "/")])
    return ["**Not as the undisturbed run:**", "", *table(["run", "killed", "what happened"], rows), ""]


def _compared(part: Part) -> list[str]:
    trials = [trial for trial in part["trials"] if trial["equal"]]
    if not trials:
        return []
    most = {key: max(trial[key] for trial in trials) for key in ("files", "leaves", "points")}
    left = Counter(_kind(name) for trial in trials for name in trial["left_over"])
    repeated = [trial["repeated"] for trial in trials if trial["repeated"]]
    lines = [
        f"Compared in a run: {most['files']} files byte by byte, {most['leaves']} leaves of the checkpoints, "
        f"{most['points']} points of the MLflow store, and that the store holds one run, FINISHED, with exactly the "
        "numbers of history.csv. Left out, and nothing else:",
        "",
        *table(["what", "why"], part["excluded"].items()),
        "",
        f"Points that the store holds twice, with one and the same value: in {len(repeated)} of {len(trials)} runs, at "
        f"most {max(repeated, default=0)} points.",
    ]
    repacked = [trial["repacked"] for trial in trials]
    lines.append(
        f"Checkpoints of equal leaves and other bytes: {sum(repacked)} files in {sum(map(bool, repacked))} runs."
    )
    told = ", ".join(f"{count} {name}" for name, count in sorted(left.items())) or "nothing"
    return [*lines, f"Left behind by the kills in {len(trials)} runs: {told}."]


def _kind(name: str) -> str:
    last = name.rsplit("/", 1)[-1]
    if last.startswith(".tmp-"):
        return "temporary files"
    return "damaged checkpoints" if last.endswith(".damaged") else "surplus checkpoints"


def _reached(trials: Sequence[Part]) -> list[str]:
    kills = [kill for trial in trials for kill in trial["kills"] if not kill["place"]]
    counts = Counter(kill["reached"].split(",")[0] for kill in kills)
    early = sum(kill["processor"] < 1 for kill in kills)
    plain = sum(len(trial["kills"]) for trial in trials if trial["plain"])
    spared = sum(not trial["kills"] for trial in trials)
    where = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return [
        f"The {len(kills)} random moments met runs: {where}. {early} struck in the first second of the processor. "
        f"{plain} struck a plain `python -m monai.bundle run`; the others a copy of a process that had imported "
        "everything, which saves the imports of each start and nothing else. "
        f"{spared} runs ended before their moments came."
    ]


def _places(trials: Iterable[Part]) -> list[list[str]]:
    return [
        [trial["group"], kill["place"], kill["reached"], "yes" if trial["equal"] else "**no**"]
        for trial in trials
        for kill in trial["kills"]
        if kill["place"]
    ]


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _equality(part: Part) -> list[str]:
    rows = [
        [
            found["title"],
            found["files"],
            found["leaves"],
            "yes" if found["equal"] else f"**no**: {found['differences'][0]}",
        ]
        for found in part["variations"].values()
    ]
    threads = part["threads"]
    stages = [
        [stage, kind, f"{found['differ']} of {found['leaves']}", f"{found['largest']:.1e}", f"{found['relative']:.1e}"]
        for stage, kinds in threads["stages"].items()
        for kind, found in kinds.items()
    ]
    model = threads["model"]
    stages.append(["", "model handed over", "", f"{model['largest']:.1e}", f"{model['relative']:.1e}"])
    predictions = [
        [name, f"{found['rms_db']:.1e}", f"{found['largest_db']:.1e}"] for name, found in threads["predictions"].items()
    ]
    return [
        "## Two runs, equal or not",
        "",
        f"Against one run of both stages and the evaluation (tiny preset, {_settings(part['settings'])}), everything "
        "compared as above. Records of the changed setting itself (config.json, its copy and the parameter in MLflow) "
        "are left out.",
        "",
        *table(["changed", "files", "leaves", "equal, bit for bit"], rows),
        "",
        "### 2 threads against 1",
        "",
        *threads_words(threads),
        "",
        *table(["stage", "leaves of its last checkpoint", "differ", "largest difference", "relative length"], stages),
        "",
        *table(["prediction", "root mean square difference, dB", "largest, dB"], predictions),
    ]


def _drift(part: Part) -> list[str]:
    rows = []
    for name, pair in part["pairs"].items():
        for place in _looks(pair["steps"]):
            step = pair["steps"][place]
            rows.append(
                [
                    f"{part['lanes']['float32']['title']} and {part['lanes'][name]['title']}",
                    step,
                    f"{pair['loss'][step - 1]:.1e}",
                    f"{pair['gamma'][step - 1]:.1e}",
                    f"{pair['weights_relative'][place]:.1e}",
                    f"{pair['predictions_rms_db'][place]:.1e}",
                    f"{pair['predictions_largest_db'][place]:.1e}",
                ]
            )
    head = ["lanes", "step", "loss", "gamma", "weights, relative", "predictions, RMS dB", "largest, dB"]
    return [
        "## Drift of the arithmetic",
        "",
        f"{part['steps']} steps of stage 2 (SGM, tiny preset, batches of {part['batch']} from {part['training_cases']} "
        f"training cases, seed {part['seed']}), each lane from the same {part['weights']} weights on the same batches: "
        "differences of the losses and of gamma, distance of the weights, and of the predictions for "
        f"{part['held_out_cases']} held-out eyes.",
        "",
        "![Drift over the steps](reliability.png)",
        "",
        *table(head, rows),
        "",
        *drift_words(part),
    ]


def _looks(steps: Sequence[int]) -> list[int]:
    """Places of some steps, about evenly on a logarithmic scale, the last one included."""
    wanted = {steps[-1], *(step for step in (5, 10, 20, 50, 100) if step < steps[-1])}
    return [place for place, step in enumerate(steps) if step in wanted]


def _overhead(part: Part) -> list[str]:
    settings = {name: value for name, value in part["settings"].items() if name != "device"}
    sizes = part["checkpoint_mib"]
    return [
        "## What a resume costs",
        "",
        f"The default network, as a plain command ({_settings(settings)}), once undisturbed and once killed at the "
        f"beginning of step {part['kill_at']} of stage 2 and started again; "
        f"{'both ended equal' if part['equal'] else '**they did not end equal**'}.",
        "",
        f"- undisturbed {part['whole_seconds']:.1f} s, of which {part['first_step_seconds']:.1f} s before the first "
        "step of stage 2",
        f"- killed after {part['killed_seconds']:.1f} s; the second start took {part['resumed_seconds']:.1f} s, "
        f"of which {part['resumed_first_step_seconds']:.1f} s before its first step: imports, cache, store, checkpoint",
        f"- together {part['overhead_seconds']:+.1f} s, {100 * part['overhead_of_run']:+.0f} % of this short run; "
        f"{part['lost_steps']} steps were done twice",
        f"- a save takes {1000 * part['save_seconds']:.0f} ms (median of {part['saves']}, flushed to disk), "
        f"{100 * part['save_of_default_epoch']:.2f} % of a default epoch of {part['default_steps_per_epoch']} steps of "
        f"{1000 * part['step_seconds']:.0f} ms",
        f"- a checkpoint has {sizes['pretrain']:.1f} MiB in stage 1 and {sizes['train']:.1f} MiB in stage 2",
    ]
