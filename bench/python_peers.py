# What Python's multiprocessing carries messages with, and its shared dict, timed inside Python: bytes
# objects of a fixed size, a stamp in front that is checked as in the C loops. Run by
# subject_python.c, never alone: KIND MEASURE PRODUCERS CONSUMERS BYTES CAPACITY WARM_NS WINDOW_NS;
# of a dict PRODUCERS are its users and CAPACITY its keys. NAME VALUE pairs come out.
import ctypes
import multiprocessing as mp
import multiprocessing.managers
import os
import random
import resource
import signal
import struct
import sys
import time

kind, measure = sys.argv[1:3]
producers, consumers, size, capacity, warm_ns, window_ns = map(int, sys.argv[3:9])
fork = mp.get_context("fork")
now = time.monotonic_ns
PR_SET_PDEATHSIG = 1
THINK_NS = 80000
END = (1 << 64) - 1


# pin gives the n-th processor of those that there are, counted round.
def pin(n):
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[n % len(cpus)]})


class Way:
    def __init__(self):
        if kind == "Pipe":
            self.reader, self.writer = fork.Pipe(duplex=False)
            self.send, self.recv = self.writer.send_bytes, self.reader.recv_bytes
        else:
            queue = fork.Queue(capacity) if kind == "Queue" else fork.SimpleQueue()
            self.send, self.recv = queue.put, queue.get
            self.queue = queue

    # What a feeder thread still holds is on its way when this returns.
    def flush(self):
        if kind == "Queue":
            self.queue.close()
            self.queue.join_thread()


def message(stamp):
    return struct.pack("<Q", stamp).ljust(size, b"\x5a")


def stamp_of(got):
    return int.from_bytes(got[:8], "little")


def used():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return int((r.ru_utime + r.ru_stime) * 1e9), r.ru_nvcsw + r.ru_nivcsw


def produce(way, index, stop):
    count = total = 0
    send, tail = way.send, b"\x5a" * (size - 8)
    while not stop.value:
        for _ in range(16):
            count += 1
            stamp = index << 56 | count
            total += stamp
            send(struct.pack("<Q", stamp) + tail)
    way.flush()
    return count, total & END, 0


def consume(way, index, counts):
    total = count = bad = 0
    last = {}
    recv = way.recv
    while True:
        got = recv()
        stamp = stamp_of(got)
        if stamp == END:
            return count, total & END, bad
        sender = stamp >> 56
        bad += stamp <= last.get(sender, 0) or len(got) != size
        last[sender] = stamp
        count += 1
        total += stamp
        counts[index] = count


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def work(function, args, processor, results):
    end_with_parent()
    pin(processor)
    before = used()
    answer = function(*args)
    after = used()
    results.put((function.__name__, answer, after[0] - before[0], after[1] - before[1]))


def start(function, args, processor, results):
    process = fork.Process(target=work, args=(function, args, processor, results))
    process.start()
    return process


def one_way():
    way, results = Way(), fork.SimpleQueue()
    stop = fork.Value("b", 0, lock=False)
    counts = fork.Array("Q", consumers, lock=False)
    crew = [start(produce, (way, i, stop), i, results) for i in range(producers)]
    crew += [start(consume, (way, i, counts), producers + i, results) for i in range(consumers)]
    while sum(counts) == 0:
        time.sleep(0.001)
    time.sleep(warm_ns / 1e9)
    first, began = sum(counts), now()
    while sum(counts) == first or now() < began + window_ns:
        time.sleep(window_ns / 1e9)
    last, ended = sum(counts), now()
    stop.value = 1
    answers = [results.get() for _ in range(producers)]
    for _ in range(consumers):
        way.send(message(END))
    answers += [results.get() for _ in range(consumers)]
    for process in crew:
        process.join()
    return (last - first) * 1e3 / (ended - began), answers


def think():
    until = now() + THINK_NS
    while now() < until:
        pass


def ping(there, back, asleep, trips):
    times, end = [], now() + warm_ns + window_ns * (4 if asleep else 1)
    bad = number = 0
    began = now()
    while began < end or len(times) < 50:
        number += 1
        there.send(message(now() if asleep else number))
        got = stamp_of(back.recv())
        ended = now()
        if asleep:
            times.append(ended - got)
            think()
        else:
            bad += got != number
            times.append(ended - began)
        began = now()
    there.send(message(END))
    trips.put(("ping", times))
    return len(times), 0, bad


def pong(there, back, asleep, trips):
    times = []
    while True:
        got = stamp_of(there.recv())
        if got == END:
            trips.put(("pong", times))
            return len(times), 0, 0
        times.append(now() - got)
        if asleep:
            think()
        back.send(message(now() if asleep else got))


def round_trip():
    there, back, results, trips = Way(), Way(), fork.SimpleQueue(), fork.SimpleQueue()
    asleep = measure == "asleep"
    crew = [start(function, (there, back, asleep, trips), i, results)
            for i, function in enumerate((ping, pong))]
    sides = dict([trips.get(), trips.get()])
    answers = [results.get() for _ in crew]
    for process in crew:
        process.join()
    times = sides["ping"]
    if asleep:
        times = [a + b for a, b in zip(times, sides["pong"])]
    return times[len(times) // 10:], answers


# A key's value: its number and a stamp, again and again.
def value(number, stamp=0):
    return struct.pack("<II", stamp, number) * (size // 8)


def key_of(number):
    return number * 0x9E3779B97F4A7C15 & END


def use(shared, index, counts, stop):
    draw = random.Random(os.getpid()).random
    sets_below = 0.5 if measure == "half" else 0.05
    count = bad = 0
    while not stop.value:
        number = int(draw() * capacity)
        if draw() < sets_below:
            shared[key_of(number)] = value(number, count & 0xFFFFFFFF)
        else:
            got = shared[key_of(number)]
            bad += got != got[:8] * (size // 8) or int.from_bytes(got[4:8], "little") != number
        count += 1
        counts[index] = count
    return count, 0, bad


def shared_dict():
    manager = mp.managers.SyncManager(ctx=fork)
    manager.start(end_with_parent)
    with manager:
        shared, results = manager.dict(), fork.SimpleQueue()
        shared.update({key_of(i): value(i) for i in range(capacity)})
        stop = fork.Value("b", 0, lock=False)
        counts = fork.Array("Q", producers, lock=False)
        crew = [start(use, (shared, i, counts, stop), i, results) for i in range(producers)]
        while 0 in list(counts):
            time.sleep(0.001)
        time.sleep(warm_ns / 1e9)
        first, began = sum(counts), now()
        while sum(counts) == first or now() < began + window_ns:
            time.sleep(window_ns / 1e9)
        last, ended = sum(counts), now()
        stop.value = 1
        answers = [results.get() for _ in crew]
        for process in crew:
            process.join()
        return (last - first) * 1e3 / (ended - began), answers


def say(**values):
    print(" ".join("%s %.17g" % pair for pair in values.items()))


def usage_of(answers):
    return sum(a[2] for a in answers), sum(a[3] for a in answers)


if kind == "Manager().dict":
    rate, answers = shared_dict()
    cpu, switches = usage_of(answers)
    count = sum(a[1][0] for a in answers)
    say(rate=rate, messages=count, cpu_ns=cpu / count, switches=switches * 1e6 / count,
        bad=sum(a[1][2] for a in answers), differs=0)
elif measure == "oneway":
    rate, answers = one_way()
    sent = [a[1] for a in answers if a[0] == "produce"]
    got = [a[1] for a in answers if a[0] == "consume"]
    equal = all(sum(s[i] for s in sent) % 2**64 == sum(g[i] for g in got) % 2**64 for i in (0, 1))
    cpu, switches = usage_of(answers)
    count = sum(g[0] for g in got)
    say(rate=rate, messages=count, cpu_ns=cpu / count, switches=switches * 1e6 / count,
        bad=sum(g[2] for g in got), differs=not equal)
else:
    times, answers = round_trip()
    cpu, switches = usage_of(answers)
    count = 2 * len(times)
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))] / 1e3
    say(messages=count, cpu_ns=cpu / count, switches=switches * 1e6 / count, p50=at(0.5), p99=at(0.99),
        p999=at(0.999), bad=sum(a[1][2] for a in answers), differs=0)
