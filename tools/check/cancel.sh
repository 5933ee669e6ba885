# No call of the library is a cancellation point: what pthreads(7) names is not called. Left out are fcntl, which
# is one where it waits for a lock alone; write, which is what stop() ends the process with; close, which is called in
# one place, with cancellation forbidden; and streams.
points="accept accept4 aio_suspend clock_nanosleep connect copy_file_range creat epoll_pwait epoll_wait
fallocate fdatasync fsync getrandom lockf mq_receive mq_send msgrcv msgsnd msync nanosleep open open64 openat openat64
pause poll posix_fallocate ppoll pread pread64 preadv pselect pthread_cond_timedwait pthread_cond_wait pthread_join
pthread_testcancel pwrite pwrite64 pwritev read readv recv recvfrom recvmmsg recvmsg select sem_timedwait sem_wait
send sendmmsg sendmsg sendto sigpause sigsuspend sigtimedwait sigwait sigwaitinfo sleep splice sync_file_range
system tcdrain tee usleep vmsplice wait wait3 wait4 waitid waitpid writev"
called=$(nm -D --undefined-only build/release/libshoal.so | awk '{ sub(/@.*/, "", $2); print $2 }' | sort)
test -n "$called" || { echo "what build/release/libshoal.so calls is not known"; exit 1; }
found=$(printf '%s\n' $points | sort | comm -12 - /dev/fd/3 3<<EOF
$called
EOF
)
test -z "$found" || { echo "a cancellation point, to be called directly (lib/base/direct.h):" $found; exit 1; }
found=$(grep -rnE '(^|[^_a-z.>])close\(' lib --include=*.c)
test -z "$found" || { printf 'close is a cancellation point, direct_close (lib/base/direct.h) is none:\n%s\n' "$found"; exit 1; }
echo "$(printf '%s\n' "$called" | wc -l) functions of other libraries, no cancellation point"
