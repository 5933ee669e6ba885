#!/usr/bin/env python3
"""Prints the tables of docs/performance.md, dict, from what shoal-bench --measure map --json has written.

usage: map_tables.py MAP.json
"""
import json
import statistics
import sys

SUBJECTS = ["shoal dict", "Boost map", "LMDB", "Redis", "memcached", "Python dict", "cds_lfht (threads)",
            "private table"]
POWERS = {10000: "10⁴", 100000: "10⁵", 1000000: "10⁶"}


def short(value):
    return f"{value:.{2 if value >= 10 else 3 if value >= 0.1 else 4}f}"


def median(one, key):
    values = [sample[key] for sample in one["samples"] if sample["ok"]]
    return statistics.median(values) if values else None


def row(cells):
    print("| " + " | ".join(cells) + " |")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        series = json.load(file)["series"]
    found = {(one["subject"], one["cell"]): one for one in series}
    names = [name for name in SUBJECTS if any(one["subject"] == name for one in series)]
    row(["million calls a second"] + names)
    row(["---"] + ["---:"] * len(names))
    for keys, power in POWERS.items():
        for reads in (95, 50):
            cell = f"map, {reads} % reads, 2 processes, {keys} keys, values of 64 B"
            rates = [median(found[name, cell], "million_per_s") if (name, cell) in found else None for name in names]
            row([f"{power} keys, {reads} % reads, 2 processes"] + [short(r) if r else "" for r in rates])
    print()
    row(["growth to 10⁶ keys", "million/s", "longest pause, ms"])
    row(["---", "---:", "---:"])
    for one in series:
        if one["cell"].startswith("map, growing") and median(one, "million_per_s"):
            row([one["subject"], short(median(one, "million_per_s")), f"{median(one, 'pause_us') / 1000:.1f}"])


main()
