#!/bin/sh
# Runs the models of the ring, the gate, the locks and the like: the sound ones must hold, the wrong ones must be found out.
#
# usage: run.sh FOLDER [full]
#	FOLDER    where the explorers were built; what Spin writes goes there too
#	full      larger worlds too (some ten minutes and 2 GiB)
# One line each: as expected or not, what was found, the states, the options.
set -u
here=$(dirname "$(realpath "$0")")
folder=$(realpath "$1")
command -v spin >/dev/null || { echo "run.sh: the models need spin (apt install spin)" >&2; exit 2; }
mkdir -p "$1/spin"
cd "$1/spin" || exit 2
full=${2-}
bad=0

# expect WANTED FOUND STATES NAME
expect() {
	if [ "$1" = "$2" ]; then verdict=ok; else verdict=WRONG; bad=1; fi
	printf '%-5s %-5s %9s states  %s\n' "$verdict" "$2" "$3" "$4"
}

# explore EXPLORER WANTED OPTION...: holds or fails
explore() {
	explorer=$1
	wanted=$2
	shift 2
	timeout -k 5 600 "$folder/${explorer}_explore" "$@" >ring.out 2>&1
	case $? in
	0) found=holds ;;
	1) found=fails ;;
	*) found=none ;;
	esac
	states=$(sed -n 's/.*[ (]\([0-9][0-9]*\) states.*/\1/p' ring.out | tail -1)
	expect "$wanted" $found "${states:-?}" "$explorer $*"
}

ring() {
	explore ring "$@"
}

pack() {
	explore ring_pack "$@"
}

# spin_model NAME WANTED DEFINITION...
spin_model() {
	name=$1
	wanted=$2
	shift 2
	rm -f pan pan.* ./*.trail
	spin -a "$@" "$here/$name.pml" >spin.out 2>&1
	${CC-cc} -O2 -DSAFETY -w -o pan pan.c >>spin.out 2>&1
	timeout -k 5 600 ./pan -m200000 >pan.out 2>&1
	case $(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.out) in
	0) found=holds ;;
	'') found=none ;;
	*) found=fails ;;
	esac
	grep -q 'max search depth too small' pan.out && found=none
	states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' pan.out)
	expect "$wanted" $found "${states:-?}" "$name $*"
}
gate() { spin_model gate "$@"; }
lock() { spin_model lock "$@"; }
semaphore() { spin_model semaphore "$@"; }
owned() { spin_model owned "$@"; }
event() { spin_model event "$@"; }
event_order() { spin_model event_order "$@"; }
condition() { spin_model condition "$@"; }
barrier() { spin_model barrier "$@"; }
barrier_late() { spin_model barrier_late "$@"; }
barrier_reset() { spin_model barrier_reset "$@"; }
rwlock() { spin_model rwlock "$@"; }
hold() { spin_model hold "$@"; }
pin() { spin_model pin "$@"; }
ledger() { spin_model ledger "$@"; }

# ---- the ring ----
ring holds -getters 2 -puts 3,0 -kills 2 -stops 1
ring holds -putters 2 -puts 2,1 -kills 2 -stops 1
ring holds -putters 2 -puts 1,1 -kills 2 -stops 1 -close
ring holds -puts 3,0 -kills 3 -stops 1 -births 2 -close
ring holds -getters 2 -puts 2,0 -kills 2 -stops 1 -redeliver -close
ring holds -getters 2 -puts 2,0 -kills 3 -redeliver -tries 1
ring holds -getters 2 -puts 2,0 -kills 1 -stops 1 -redeliver -backs
ring holds -getters 2 -puts 2,0 -kills 1 -stops 1 -redeliver -backs -joinable
ring holds -getters 2 -puts 2,0 -kills 2 -joinable -abort
ring holds -puts 3,0 -kills 3 -births 2 -joinable -redeliver -close
ring holds -getters 2 -puts 2,0 -kills 1 -joinable -redeliver -tries 0 -join
ring holds -puts 3,0 -kills 1 -stops 1 -joinable -abort -join
ring holds -puts 3,0 -kills 1 -stops 1 -abort -size
ring holds -puts 3,0 -kills 2 -stops 1 -births 1 -loans 2
ring holds -puts 3,0 -kills 2 -stops 1 -joinable -loans 2
ring holds -puts 3,0 -kills 3 -births 1 -joinable -redeliver -loans 2
ring holds -getters 2 -puts 1,0 -kills 1 -stops 1 -redeliver -backs -loans 1 -returns 1
ring holds -getters 2 -puts 1,0 -kills 2 -blocks -redeliver -loans 1 -returns 1
ring holds -puts 3,0 -kills 2 -births 1 -joinable -redeliver -loans 2 -returns 1
ring holds -puts 3,0 -kills 2 -stops 1 -blocks
ring holds -puts 3,0 -kills 2 -births 1 -blocks
ring holds -putters 2 -puts 1,1 -kills 2 -blocks
ring holds -puts 3,0 -kills 2 -births 1 -blocks -straight
ring holds -puts 3,0 -kills 2 -stops 1 -blocks -abort -straight
ring holds -getters 2 -puts 2,0 -kills 2 -blocks -redeliver
ring holds -getters 2 -puts 2,0 -kills 2 -blocks -redeliver -tries 0 -straight
ring holds -puts 3,0 -kills 2 -stops 1 -blocks -redeliver -loans 2
ring holds -puts 3,0 -kills 2 -stops 1 -blocks -joinable -loans 2 -straight

ring fails -broken writer-to-empty -putters 2 -puts 1,1 -kills 1
ring fails -broken slow-is-dead -stops 1
ring fails -broken mend-by-store -getters 2 -puts 3,0 -kills 2
ring fails -broken late-count -joinable -kills 1
ring fails -broken early-hand -blocks -kills 1
ring fails -broken unmended -kills 1
ring fails -broken pass-writing -putters 2 -puts 1,1
ring fails -broken keep-word -blocks -kills 1
ring fails -broken hand-by-place -blocks -putters 2 -kills 2
ring fails -broken writer-is-nothing -blocks -putters 2 -kills 2
ring fails -broken hand-without-place -blocks -straight -putters 2 -kills 1
ring fails -broken early-end -redeliver -close -getters 2 -kills 1
ring fails -broken tries-make-hole -redeliver -tries 0 -getters 2 -puts 1,0 -kills 2 -blocks
ring fails -broken backs-is-flag -redeliver -backs -getters 2 -kills 1 -stops 1
ring fails -broken backs-cleared-last -redeliver -backs -getters 2 -kills 2
ring fails -broken base-at-claim -joinable -loans 2
ring fails -broken call-stays -joinable -loans 2 -kills 1
ring fails -broken call-stays -joinable -redeliver -loans 2 -kills 1
ring fails -broken table-order -joinable -loans 2 -kills 1
ring fails -broken hole-sets-done -joinable -join -abort
ring fails -broken early-done -joinable -join -redeliver -tries 0 -getters 2 -kills 2
ring fails -broken reused-early -blocks -kills 1 -births 1
ring fails -broken no-lock -joinable -loans 2 -kills 2 -births 1
ring fails -broken size-one-look -size
ring fails -broken return-unmarked -getters 2 -puts 1,0 -stops 1 -redeliver -backs -loans 1 -returns 1
ring fails -broken return-told-once -getters 2 -puts 1,0 -stops 1 -redeliver -backs -loans 1 -returns 1
ring fails -broken return-block-last -getters 2 -puts 1,0 -blocks -redeliver -loans 1 -returns 1

# ---- groups of places ----
pack holds -getters 2 -puts 4,0 -kills 1 -stops 1
pack holds -getters 2 -puts 3,0 -group 3 -groups 2 -kills 1 -stops 1
pack holds -puts 9,0 -group 3 -kills 2 -stops 1
pack holds -putters 2 -puts 3,2 -kills 1
pack holds -putters 2 -puts 3,2 -kills 1 -hints
pack holds -putters 2 -puts 3,3 -group 3 -kills 1
pack holds -putters 2 -puts 3,1 -kills 2 -close
pack holds -puts 4,0 -groups 2 -kills 2 -stops 1 -close
pack holds -puts 6,0 -group 3 -groups 2 -kills 2 -stops 1 -close -hints

pack fails -broken spread-up -group 3 -puts 6,0
pack fails -broken spread-back -group 3 -getters 2 -puts 3,0 -kills 1
pack fails -broken spread-all -group 3 -getters 2 -puts 3,0 -kills 1
pack fails -broken open-leader -puts 4,0
pack fails -broken open-back -putters 2 -puts 6,4
pack fails -broken pack-unseen -getters 2 -puts 4,0
pack fails -broken writer-to-empty -putters 2 -puts 2,2 -kills 1
pack fails -broken no-leader -putters 2 -puts 6,1
pack fails -broken pass-spread -getters 2 -groups 2 -puts 4,0 -kills 1
pack fails -broken slow-is-dead
pack fails -broken mend-by-store -getters 2 -kills 2
pack fails -broken drop-one -kills 1

# ---- the gate ----
gate holds -DKILLS=0 -DTAKERS=3 -DSENDERS=1 -DPUTS=3 -DBATCH
gate holds -DKILLS=1
gate holds -DKILLS=2 -DSENDERS=1 -DPUTS=2
gate holds -DKILLS=2 -DSENDERS=1 -DPUTS=2 -DBATCH
gate holds -DKILLS=2 -DSENDERS=1 -DREDELIVER
gate fails -DKILLS=1 -DGATE_ALONE
gate fails -DKILLS=0 -DTWO_STEPS
gate fails -DKILLS=1 -DNO_PENDING
gate fails -DKILLS=0 -DNO_CHAIN -DSENDERS=1 -DPUTS=2 -DBATCH
gate fails -DKILLS=0 -DNO_WALK -DTAKERS=3 -DSENDERS=1 -DPUTS=3 -DBATCH
gate fails -DKILLS=1 -DFULL_ALONE
gate fails -DKILLS=1 -DNO_LIFE
gate fails -DKILLS=1 -DNO_TELLING -DSENDERS=1 -DREDELIVER

# ---- the lock ----
lock holds -DKILLS=1
lock holds -DKILLS=2 -DROUNDS=1
lock holds -DKILLS=2 -DTAKERS=2
lock holds -DKILLS=1 -DROUNDS=1 -DGIVE_UP
lock holds -DKILLS=2 -DROUNDS=1 -DSUSPECT
lock fails -DCLASSIC
lock fails -DTWO_STEPS -DKILLS=0
lock fails -DCLEAR_DUMB -DKILLS=0
lock fails -DNO_PENDING
lock fails -DOLD_KERNEL
lock fails -DNO_CHAIN -DSUSPECT -DROUNDS=1

# ---- the semaphores and the event ----
semaphore holds -DKILLS=1
semaphore holds -DKILLS=1 -DGIVERS=1 -DGIVES=2
semaphore holds -DKILLS=1 -DPLAIN
semaphore holds -DKILLS=1 -DPLAIN -DGIVERS=1 -DGIVES=2
semaphore holds -DKILLS=0 -DPLAIN -DTAKERS=3 -DGIVERS=1 -DGIVES=2
semaphore fails -DKILLS=0 -DPLAIN -DCLEAR_DUMB
semaphore fails -DKILLS=1 -DGATE_ALONE
semaphore fails -DKILLS=0 -DTWO_STEPS
semaphore fails -DKILLS=1 -DNO_PENDING
semaphore fails -DKILLS=1 -DNO_BATON
semaphore fails -DKILLS=0 -DLEAVE_DUMB -DGIVERS=1
owned holds -DKILLS=0 -DGIVE_UP
owned holds -DKILLS=1
owned holds -DKILLS=1 -DPERMITS=2
owned holds -DKILLS=2 -DTAKERS=2 -DROUNDS=2
owned holds -DKILLS=2 -DTAKERS=2 -DEARLY=1 -DGIVE_UP
owned fails -DKILLS=1 -DNO_SLICE
owned fails -DKILLS=1 -DNO_PENDING
owned fails -DKILLS=1 -DCOUNTED
owned fails -DKILLS=0 -DNO_CAS
owned fails -DKILLS=0 -DTWO_STEPS
owned fails -DKILLS=0 -DLOOK_ONCE
owned fails -DKILLS=0 -DLEAVE_DUMB -DGIVE_UP
event holds -DKILLS=1
event holds -DKILLS=2 -DSETTERS=1 -DTURNS=2
event fails -DKILLS=1 -DGATE_ALONE
event fails -DKILLS=1 -DNO_PENDING
event fails -DKILLS=1 -DNO_CHAIN
event fails -DKILLS=0 -DFLAG
event_order holds
event_order fails -DLOADS_ALONE

# ---- the condition ----
condition holds -DKILLS=0
condition holds -DKILLS=1
condition holds -DKILLS=1 -DALL
condition holds -DKILLS=0 -DENDS=2 -DNOTES=2
condition holds -DKILLS=1 -DENDS=1
condition fails -DKILLS=1 -DNO_PENDING
condition fails -DKILLS=1 -DNO_RING -DWAITERS=3
condition fails -DKILLS=1 -DNO_PASS -DWAITERS=3
condition fails -DKILLS=0 -DENDS=1 -DNOTES=2 -DLEAVE_GRANT

# ---- the barrier and the rwlock ----
barrier holds -DKILLS=0
barrier holds -DKILLS=2
barrier fails -DTURN_ALONE
barrier fails -DNO_LOOK
barrier fails -DNO_CHAIN
barrier_late holds
barrier_late holds -DPARTIES=3 -DTHREADS=6
barrier_late fails -DNEXT_TURN
barrier_reset holds
barrier_reset holds -DPARTIES=1 -DCALLS=3 -DRESETS=2 -DKILLS=1
barrier_reset holds -DPARTIES=1 -DCALLS=3 -DRESETS=2 -DHISTORY=2
barrier_reset fails -DNO_LOOK
barrier_reset fails -DLOOK_FIRST
barrier_reset fails -DKEEP_LATE
barrier_reset fails -DANY_STATE -DPARTIES=1 -DRESETS=2
rwlock holds -DKILLS=0 -DROUNDS=2
rwlock holds -DKILLS=1
rwlock holds -DKILLS=1 -DREADERS=1 -DWRITERS=2 -DROUNDS=2
rwlock fails -DKILLS=0 -DLOOK_FIRST
rwlock fails -DNO_ASKING
rwlock fails -DGATE_ALONE

# ---- references and pins ----
hold holds -DKILLS=1
hold holds -DKILLS=2 -DREFS=1
hold fails -DKILLS=1 -DNO_INTENT
hold fails -DKILLS=1 -DRELATIVE
hold fails -DKILLS=1 -DOPEN_FIRST
hold fails -DKILLS=1 -DNO_SETTLE
pin holds -DKILLS=1
pin holds -DKILLS=1 -DAGAIN
pin fails -DKILLS=0 -DNO_BARRIER
pin fails -DKILLS=0 -DBARRIER_LAST
pin fails -DKILLS=0 -DONE_LOOK
pin fails -DKILLS=0 -DHOLD_FIRST
pin fails -DKILLS=0 -DNO_NOTE
pin fails -DKILLS=0 -DCLEAR_LAST
pin fails -DKILLS=0 -DNO_LOCK -DAGAIN
# ---- the containers' ledger ----
ledger holds -DKILLS=2 -DREADS=0
ledger holds -DKILLS=1
ledger fails -DKILLS=1 -DFREE_FIRST
ledger fails -DKILLS=1 -DNO_CHAIN
ledger fails -DKILLS=1 -DNO_TAKING
ledger fails -DKILLS=1 -DNO_OP
ledger fails -DKILLS=1 -DOP_ALONE
ledger fails -DKILLS=1 -DREADS=0 -DWRITERS=3 -DROUNDS=2 -DROUNDS_0=1 -DNO_INDEX

if [ -n "$full" ]; then
	ring holds -putters 2 -getters 2 -puts 1,1 -kills 2
	ring holds -getters 2 -puts 3,0 -kills 3 -stops 1
	ring holds -getters 2 -puts 2,0 -kills 2 -stops 1 -redeliver -backs
	ring holds -getters 2 -puts 2,0 -kills 2 -stops 1 -joinable -join -redeliver -tries 0
	ring holds -puts 3,0 -kills 3 -births 2 -blocks
	ring holds -puts 3,0 -kills 3 -births 2 -blocks -redeliver -straight
	ring holds -putters 2 -puts 2,1 -kills 2 -blocks
	ring holds -putters 2 -puts 2,1 -kills 2 -blocks -straight
	ring holds -getters 2 -puts 2,0 -kills 3 -blocks -redeliver -tries 0
	ring holds -getters 2 -puts 2,0 -kills 2 -stops 1 -loans 2 -redeliver -close
	ring holds -getters 2 -puts 2,0 -kills 1 -stops 1 -redeliver -backs -loans 1 -returns 1
	pack holds -getters 2 -puts 5,0 -kills 2 -stops 1
	pack holds -getters 2 -puts 6,0 -group 3 -kills 1 -stops 1
	pack holds -putters 2 -puts 3,3 -group 3 -kills 1 -stops 1
	pack holds -putters 2 -puts 3,2 -groups 2 -kills 1 -stops 1
	ledger holds -DKILLS=1 -DREADS=0 -DWRITERS=3 -DROUNDS=2 -DROUNDS_0=1
	ledger holds -DKILLS=1 -DEMPTYING
	gate holds -DKILLS=2
	gate holds -DKILLS=2 -DSENDERS=1 -DPUTS=2 -DREDELIVER
	gate fails -DKILLS=2 -DNESTED
fi
exit $bad
