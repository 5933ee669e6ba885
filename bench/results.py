#!/usr/bin/env python3
"""Writes RESULTS.md and its pictures from what shoal-bench --json has written.

usage: results.py FULL.json [BARS.json] --markdown RESULTS.md --pictures DIR --reasons loses.txt

Everything in RESULTS.md is computed, the section "Where shoal loses" too; only the reasons in it are
taken from a file by hand. Pictures need gnuplot and are left out with a word where there is none.
"""
import argparse
import datetime
import json
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pictures

NOISE = 1.05


def size_text(count):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} B"


def short(value):
    if value == 0:
        return "0"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def in_times(series):
    return series["samples"][0].get("p50_us", 0) > 0


class Run:
    """One file of --json, its series by cell and by subject."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.json = json.load(file)
        if not self.json.get("schema", "").startswith("shoal-bench "):
            sys.exit(f"{path} was not written by shoal-bench --json")
        self.series = self.json["series"]
        self.cells = {}
        for one in self.series:
            self.cells.setdefault(one["cell"], []).append(one)

    def of(self, measure):
        return [one for one in self.series if one["measure"] == measure]


def values(series, key):
    return [s[key] for s in series["samples"] if s["ok"]]


def median(series, key):
    found = values(series, key)
    return statistics.median(found) if found else 0


def table(heads, rows):
    text = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---"] + ["---:"] * (len(heads) - 1)) + " |"]
    text += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(text) + "\n"


def who(series):
    name = series["subject"]
    return f"**{name}**" if name.startswith("shoal") else name


def line_of(series):
    """How far the processors were from each other in all their repetitions: median and range, in ns."""
    found = [s["line_ns"] for one in series for s in one["samples"] if s.get("line_ns", 0) > 0]
    return f"{statistics.median(found):.0f} ({min(found):.0f}–{max(found):.0f})" if found else ""


def grid(run, series, column, head, scale):
    """A table of subjects by what column() says of a series, each with its range; empty where something was
    not measured. The last row is how far the processors were from each other."""
    columns, rows = [], {}
    for one in series:
        key = column(one)
        if key not in columns:
            columns.append(key)
        rows.setdefault(one["subject"], {})[key] = one
    columns.sort()
    lines = []
    for cells in rows.values():
        first = next(iter(cells.values()))
        lines.append([who(first), first["waits"]] +
                     [ranged(cells[c], scale(cells[c])) if c in cells else "" for c in columns])
    far = [line_of([one for one in series if column(one) == c]) for c in columns]
    if any(far):
        lines.append(["*a line's way, ns*", ""] + far)
    return table(["", "waits"] + [head(c) for c in columns], lines)


def ranged(one, scale):
    found = [value * scale for value in values(one, "million_per_s")]
    if not found:
        return "failed"
    return f"{short(statistics.median(found))} ({short(min(found))}–{short(max(found))})"


def rate(one):
    return median(one, "million_per_s")


def in_millions(_one):
    return 1


def in_gigabytes(one):
    return one["bytes"] / 1e3


def shape_of(one):
    return one["producers"], one["consumers"]


def shape_text(shape):
    return f"{shape[0]}:{shape[1]}"


def delays(run):
    text = []
    for cell, series in run.cells.items():
        if series[0]["measure"] != "latency at a fixed rate":
            continue
        target = series[0]["target_million_per_s"]
        rows = []
        for one in series:
            behind = rate(one) < 0.95 * target
            times = [short(median(one, key)) for key in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")]
            rows.append([who(one), one["waits"]] + (["cannot keep up"] + [""] * 4 if behind else times) +
                        [short(median(one, "cpu_ns"))])
        text.append(f"{cell}, {target:.3g} million a second; microseconds after it was due.\n\n" +
                    table(["", "waits", "p50", "p90", "p99", "p99.9", "max", "cpu ns"], rows))
    return "\n".join(text)


def cell_table(series):
    base = next((one for one in series if one["base"]), None)
    times = in_times(series[0])
    key = "p50_us" if times else "million_per_s"
    rows = []
    for one in series:
        value, its = median(one, key), median(base, key) if base else 0
        ratio = (its / value if times else value / its) if value and its else 0
        found = values(one, key) or [0]
        rows.append([who(one), one["waits"], short(value), f"{short(min(found))} – {short(max(found))}",
                     short(median(one, "p99_us")) if times else "", short(median(one, "cpu_ns")),
                     f"{ratio:.2f}" if ratio else ""])
    heads = ["", "waits", "µs, p50" if times else "million/s", "min – max", "p99" if times else "", "cpu ns",
             "× " + base["subject"] if base else ""]
    return table(heads, rows)


def others(run, wanted):
    return "\n".join(f"### {cell}\n\n" + cell_table(series) for cell, series in run.cells.items()
                     if wanted(series[0]["measure"]))


# Ours that a peer is to be compared with: whoever may spin is no match for one that must sleep; but
# one that sleeps when it must, and is ahead of one that never does, is ahead all the more. Batches
# are compared with batches.
def match(ours, peer):
    if not ours["subject"].startswith("shoal"):
        return False
    if ours["subject"].endswith("x32") != peer["subject"].endswith("x32"):
        return False
    if peer["waits"] == "spins":
        return ours["waits"] in ("spins", "both")
    return ours["waits"] != "spins"


def same_line(one, other):
    """Whether the processors were about as far from each other for both."""
    here, there = one.get("line_ns", 0), other.get("line_ns", 0)
    return here <= 2 * there and there <= 2 * here


def lead_of(peer, ours):
    """How far the peer is ahead, repetition by repetition; 0 where it is within the noise."""
    key = "p50_us" if in_times(peer) else "million_per_s"
    both = [(p, o) for p, o in zip(peer["samples"], ours["samples"])
            if p["ok"] and o["ok"] and p[key] > 0 and o[key] > 0]
    near = [(p, o) for p, o in both if same_line(p, o)]
    ratios = [p[key] / o[key] for p, o in near or both]
    if key == "p50_us":
        ratios = [1 / r for r in ratios]
    if not ratios or min(ratios) <= 1 or statistics.median(ratios) <= NOISE:
        return 0
    return statistics.median(ratios)


def families(ours):
    """Queues, pipes, locks ..., each in all the ways that it is used here."""
    found = {}
    for one in ours:
        found.setdefault(" ".join(one["subject"].split()[:2]), []).append(one)
    return found.values()


def losses(run):
    """Peers that are ahead of every way of using a queue, or a pipe, or whatever else of ours is there."""
    for cell, series in run.cells.items():
        target = series[0]["target_million_per_s"]
        for peer in series:
            if peer["subject"].startswith("shoal") or peer["threads"] or peer["private"]:
                continue
            if target and rate(peer) < 0.95 * target:
                continue
            for family in families(one for one in series if match(one, peer)):
                leads = [(lead_of(peer, one), one) for one in family]
                if all(lead > 0 for lead, _ in leads):
                    yield cell, peer, *min(leads, key=lambda pair: pair[0])


def read_reasons(path):
    """Paragraphs: a line with a pattern for "CELL / PEER", then the reason."""
    try:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"(?m)^#.*\n", "", file.read())
    except OSError:
        return []
    parts = [part.strip().split("\n", 1) for part in text.split("\n\n") if part.strip()]
    return [(re.compile(p[0]), " ".join(p[1].split())) for p in parts if len(p) == 2]


def loses(run, reasons):
    groups = {}
    for cell, peer, lead, ours in losses(run):
        label = f"{cell} / {peer['subject']} / {ours['subject']}"
        reason = next((text for pattern, text in reasons if pattern.search(label)), None)
        groups.setdefault(reason, []).append([f"{cell}", peer["subject"], peer["waits"], ours["subject"], f"{lead:.2f}"])
    if not groups:
        return "In no row is a cross-process peer that waits in the same way ahead by more than the noise.\n"
    text = []
    for reason, rows in groups.items():
        text.append((reason or "No reason is written for these yet.") + "\n\n" +
                    table(["row", "ahead", "waits", "behind", "times"], rows))
    return "\n".join(text)


def machine(run):
    host, build = run.json["host"], run.json["build"]
    day = datetime.datetime.fromtimestamp(run.json["ended"], datetime.timezone.utc).strftime("%Y-%m-%d")
    text = [f"{host['cpu']}, {host['processors']} processors ({host['cores']} cores, {host['packages']} package), "
            f"{host['kernel']} {host['machine']}, hypervisor: {host['virt']}, governor: {host['governor']}, "
            f"clock: {host['clock']}, huge pages: {host['thp']} (shared memory: {host['thp_shmem']}).",
            f"shoal {build['git']}, {build['cc']}, `{build['cflags']}`; {day}; "
            f"{run.json['reps']} interleaved repetitions of {run.json['window_ms']:g} ms; "
            f"rings: {run.json.get('rings', 'small')}."]
    text += [f"Warning: {warning}." for warning in host["warnings"]]
    return "\n".join("- " + line for line in text) + "\n"


def limits(run):
    return table(["", "median", "min – max"],
                 [[l["limit"], f"{short(l['median'])} {l['unit']}", f"{short(l['min'])} – {short(l['max'])}"]
                  for l in run.json["limits"]])


def bars(run):
    rows = []
    for bar in run.json["bars"]:
        sign, limit = ("≤", bar["at_most"]) if "at_most" in bar else ("≥", bar["at_least"])
        rows.append([bar["bar"], f"{short(bar['measured'])} {'ms' if bar['unit'] == 'ms' else '×'}",
                     f"{short(bar['min'])} – {short(bar['max'])}", f"{sign} {limit:g}",
                     "met" if bar["met"] else "**not met**", short(bar["line_ns"]) if "line_ns" in bar else ""])
    return table(["", "median", "min – max", "bar", "", "a line's way, ns"], rows)


def failures(run):
    lines = [f"- {one['subject']}, {one['cell']}: {sample['error']}" for one in run.series
             for sample in one["samples"] if not sample["ok"]]
    return "## Failed\n\n" + "\n".join(lines) + "\n" if lines else ""


def left_out(run):
    lines = [f"- {one['subject']}: {one['why']}" for one in run.json["left_out"]]
    return "## Left out\n\n" + "\n".join(lines) + "\n" if lines else ""


def picture(names, name, text):
    return f"![{text}](pictures/{name}.svg)\n" if name in names else ""


def document(run, judged, reasons, drawn):
    one_way = run.of("one way")
    singles = [one for one in one_way if shape_of(one) == (1, 1)]
    touched = [one for one in run.of("one way, every byte made and read") if shape_of(one) == (1, 1)]
    parts = [
        "# Results\n\nWritten by `ninja bench-full`; [README.md](README.md) says what is measured, and how. In brackets: the smallest and the largest of the repetitions.\n",
        machine(run),
        "## One way, one producer and one consumer, million messages a second\n",
        grid(run, singles, lambda one: one["bytes"], size_text, in_millions),
        picture(drawn, "rate-by-size", "rate by size"),
        "## The same, every byte made and read, GB/s\n",
        grid(run, touched, lambda one: one["bytes"], size_text, in_gigabytes),
        picture(drawn, "bandwidth-by-size", "bandwidth by size"),
    ]
    for size in sorted({one["bytes"] for one in one_way if shape_of(one) == (20, 20)}):
        parts += [f"## Producers and consumers, {size_text(size)}, million messages a second\n",
                  grid(run, [one for one in one_way if one["bytes"] == size], shape_of, shape_text, in_millions)]
    parts += [
        picture(drawn, "rate-by-shape", "rate by shape"),
        "## What a message costs, 64 B, one producer and one consumer\n\n"
        "Processor time of all together, and how often they were switched for a million messages.\n",
        table(["", "waits", "cpu ns", "switches"],
              [[who(one), one["waits"], short(median(one, "cpu_ns")), short(median(one, "switches_per_million"))]
               for one in singles if one["bytes"] == 64]),
        "## Latency at a fixed rate\n", delays(run),
        picture(drawn, "latency", "latency percentiles"),
        "## Round trips\n", others(run, lambda m: m.startswith("round trip")),
        "## Where shoal loses\n\nRows in which a peer between processes that waits in the same way is ahead in every "
        "repetition, and by more than 5 %.\n", loses(run, reasons),
        "## Memory, locks, maps, processes\n",
        others(run, lambda m: not m.startswith(("one way", "latency", "round trip"))),
        "## Limits of this machine\n", limits(run),
    ]
    if judged:
        parts += ["## Bars\n", bars(judged)]
    parts += [failures(run), left_out(run)]
    return "\n".join(part for part in parts if part)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("full")
    parser.add_argument("bars", nargs="?")
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--pictures", required=True)
    parser.add_argument("--reasons", required=True)
    o = parser.parse_args()
    run = Run(o.full)
    drawn = pictures.draw(run, o.pictures)
    judged = Run(o.bars) if o.bars else None
    with open(o.markdown, "w", encoding="utf-8") as out:
        out.write(document(run, judged, read_reasons(o.reasons), drawn))
    print(f"wrote {o.markdown}")


main()
