"""What multiprocessing calls public: one line "OWNER NAME" for each name of each module's __all__, for what its
most used classes have, and for what a manager makes. For tools/check/python.sh."""
import importlib
import multiprocessing
import pkgutil
from multiprocessing import connection, managers, pool, process, queues, shared_memory, sharedctypes, synchronize
from threading import Barrier

for name in sorted(multiprocessing.__all__):
    print('multiprocessing', name)
for module in pkgutil.iter_modules(multiprocessing.__path__):
    try:
        names = importlib.import_module('multiprocessing.' + module.name).__all__
    except (ImportError, AttributeError):
        continue        # for Windows only
    for name in names:
        if name not in multiprocessing.__all__ and name[0] != '_':
            print(module.name, name)
for of in (process.BaseProcess, connection.Connection, connection.Listener, queues.JoinableQueue, queues.SimpleQueue,
           pool.Pool, pool.AsyncResult, pool.IMapIterator, managers.BaseManager, managers.DictProxy,
           managers.ListProxy, shared_memory.SharedMemory, shared_memory.ShareableList, synchronize.Condition,
           synchronize.Event, sharedctypes.SynchronizedString, Barrier):
    for name in dir(of):
        if name[0] != '_' and (of, name) != (pool.Pool, 'Process'):
            print(of.__name__, name)
for name in managers.SyncManager._registry:
    print('SyncManager', name)
