"""Pictures of a run as SVG, drawn by gnuplot: rate and bandwidth by size, latency, rate by shape."""
import os
import shutil
import statistics
import subprocess

# Who is shown, and how: ours thick and warm, the kernel's blue, libraries green, spinners grey.
LINES = {
    "shoal queue": ("#c00000", 3), "shoal pipe": ("#ff7000", 3), "shoal queue x32": ("#c00000", 1),
    "shoal pipe 256 KiB": ("#ffa060", 1),
    "shoal pipe x32": ("#ff7000", 1), "shoal queue in place": ("#c00000", 2),
    "shoal pipe in place": ("#ff7000", 2), "pipe(2)": ("#003f9f", 2), "pipe(2) of 1 MiB": ("#2f6fcf", 1),
    "vmsplice": ("#5f9fef", 1), "vmsplice in place": ("#5f9fef", 2), "socketpair stream": ("#00a0c0", 1),
    "socketpair seqpacket": ("#00c0b0", 1), "POSIX mq": ("#7050c0", 1), "eventfd ring": ("#a080e0", 1),
    "pthread ring": ("#207020", 1), "Boost message_queue": ("#40a040", 1), "ZeroMQ ipc": ("#70c070", 1),
    "nng ipc": ("#a0d080", 1), "sequence ring": ("#404040", 2), "ck_ring mpmc": ("#707070", 1),
    "rte_ring": ("#909090", 1), "rte_ring HTS": ("#b0b0b0", 1), "Python Queue": ("#d0a000", 1),
}


def median(series, key):
    found = [s[key] for s in series["samples"] if s["ok"]]
    return statistics.median(found) if found else 0


def lines_of(series, point):
    """By subject, in the order of LINES: points, where there are any."""
    lines = {}
    for one in series:
        if one["subject"] in LINES:
            lines.setdefault(one["subject"], []).extend(point(one))
    return {name: sorted(lines[name]) for name in LINES if lines.get(name)}


def plot(directory, name, lines, settings):
    data = os.path.join(directory, name + ".dat")
    with open(data, "w", encoding="utf-8") as out:
        for subject, points in lines.items():
            out.write(f"# {subject}\n" + "".join(f"{x:.6g} {y:.6g}\n" for x, y in points) + "\n\n")
    style = [f'"{data}" index {i} title "{subject}" with linespoints lc rgb "{LINES[subject][0]}" '
             f"lw {LINES[subject][1]} pt 7 ps 0.4" for i, subject in enumerate(lines)]
    script = (f'set terminal svg size 960,560 background "white" font "sans,12"\n'
              f'set output "{os.path.join(directory, name + ".svg")}"\n'
              "set key outside right noenhanced\nset grid\n" + settings + "plot " + ", \\\n  ".join(style) + "\n")
    done = subprocess.run(["gnuplot"], input=script, text=True, check=False)
    os.remove(data)
    return done.returncode == 0


def sizes(title):
    return (f'set title "{title}"\nset logscale xy\nset xlabel "bytes a message"\nset format y "%g"\n'
            'set xtics ("8" 8, "64" 64, "1 Ki" 1024, "64 Ki" 65536, "1 Mi" 1048576)\n')


def single(one):
    return one["producers"] == 1 and one["consumers"] == 1


def draw(run, directory):
    """The names of the pictures drawn."""
    if not shutil.which("gnuplot"):
        print("no gnuplot (Debian's gnuplot-nox): no pictures")
        return []
    os.makedirs(directory, exist_ok=True)
    one_way, touched = run.of("one way"), run.of("one way, every byte made and read")
    late = run.of("latency at a fixed rate")
    shapes = sorted({(one["producers"], one["consumers"]) for one in one_way})
    ticks = ", ".join(f'"{p}:{c}" {i}' for i, (p, c) in enumerate(shapes))
    rate = lambda one: median(one, "million_per_s")
    wanted = {
        "rate-by-size": (
            lines_of(filter(single, one_way), lambda one: [(one["bytes"], rate(one))]),
            sizes("one way, 1:1") + 'set ylabel "million messages a second"\n'),
        "bandwidth-by-size": (
            lines_of(filter(single, touched), lambda one: [(one["bytes"], rate(one) * one["bytes"] / 1e3)]),
            sizes("one way, 1:1, every byte made and read") + 'set ylabel "GB/s"\n'),
        "rate-by-shape": (
            lines_of((one for one in one_way if one["bytes"] == 8),
                     lambda one: [(shapes.index((one["producers"], one["consumers"])), rate(one))]),
            f'set title "8 B, producers:consumers"\nset logscale y\nset xtics ({ticks})\nset format y "%g"\n'
            'set ylabel "million messages a second"\n'),
        "latency": (
            lines_of((one for one in late if one["bytes"] == 64 and rate(one) >= 0.95 * one["target_million_per_s"]),
                     lambda one: curve(one)),
            'set title "64 B, 1:1, at half the rate of pipe(2): delay of all but so many messages"\n'
            'set logscale y\nset ylabel "microseconds after it was due"\nset format y "%g"\n'
            'set xtics ("all" 0, "1 in 10" 1, "1 in 100" 2, "1 in 1000" 3, "1 in 10^4" 4, "1 in 10^5" 5)\n'),
    }
    return [name for name, (lines, settings) in wanted.items() if lines and plot(directory, name, lines, settings)]


def curve(one):
    """The median over the repetitions, at each place; place i is for all but 10^(-i/4)."""
    places = zip(*(s["curve_us"] for s in one["samples"] if s["ok"]))
    return [(i / 4, max(statistics.median(at), 0.01)) for i, at in enumerate(places)]
