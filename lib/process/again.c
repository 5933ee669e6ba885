#include "process/again.h"
#include "base/atomic.h"
#include "base/error.h"
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define MODULES_MAX 1024

typedef void initialiser(int argc, char **argv, char **envp);

/* ---- whether the library is there from the program's start ---- */

/* The strings of a module's dynamic section. */
struct needs {
	const char *names;
	const char *own; /* DT_SONAME; empty: none */
};

static const char *
leaf(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* Some C libraries write the address over the offset when they load a module, others do not. */
static struct needs
read_needs(const struct link_map *m)
{
	struct needs n = { .names = "", .own = "" };
	uintptr_t names = 0, own = 0;
	for (size_t i = 0; m->l_ld[i].d_tag != DT_NULL; i++) {
		if (m->l_ld[i].d_tag == DT_STRTAB)
			names = m->l_ld[i].d_un.d_ptr;
		if (m->l_ld[i].d_tag == DT_SONAME)
			own = m->l_ld[i].d_un.d_val;
	}
	if (!names)
		return n;
	n.names = (const char *)(names < m->l_addr ? names + m->l_addr : names);
	n.own = own ? n.names + own : "";
	return n;
}

static bool
goes_by(const struct link_map *m, const char *name)
{
	return !strcmp(leaf(m->l_name), leaf(name)) || !strcmp(read_needs(m).own, leaf(name));
}

/* Marks what `m` needs directly; true when something is new. */
static bool
mark_needed(const struct link_map *m, const struct link_map *all, bool *there)
{
	bool more = false;
	struct needs n = read_needs(m);
	for (size_t i = 0; m->l_ld[i].d_tag != DT_NULL; i++) {
		if (m->l_ld[i].d_tag != DT_NEEDED)
			continue;
		size_t k = 0;
		for (const struct link_map *o = all; o && k < MODULES_MAX; o = o->l_next, k++) {
			if (there[k] || !goes_by(o, n.names + m->l_ld[i].d_un.d_val))
				continue;
			there[k] = more = true;
		}
	}
	return more;
}

/* Everything that the program needs, and what that needs, is loaded before it starts. */
static bool
needed_from(const struct link_map *program, const struct link_map *wanted)
{
	bool there[MODULES_MAX] = { true }, more = true;
	while (more) {
		more = false;
		size_t i = 0;
		for (const struct link_map *m = program; m && i < MODULES_MAX; m = m->l_next, i++) {
			if (there[i] && m == wanted)
				return true;
			more |= there[i] && mark_needed(m, program, there);
		}
	}
	return false;
}

/* Without a dynamic section the program is one piece, this library included. */
bool
again_has(const void *address)
{
	Dl_info info;
	struct link_map *own = NULL;
	const struct link_map *program = _r_debug.r_map;
	if (!program || !program->l_ld)
		return true;
	return dladdr1(address, &info, (void **)&own, RTLD_DL_LINKMAP) &&
	       needed_from(program, own);
}

/* The kernel takes what such a one executes for a program with privileges of its own. */
static bool
has_two_ids(void)
{
	return geteuid() != getuid() || getegid() != getgid();
}

int
again_check_ids(void)
{
	if (!has_two_ids())
		return 0;
	return fail(-ENOSYS,
	            "the program has other effective ids (user %u, group %u) than real ones (%u, %u), "
	            "so it cannot be executed again; set both, or use SHOAL_FORK",
	            geteuid(), getegid(), getuid(), getgid());
}

/* Whatever its ids are now. */
static bool
is_linked(void)
{
	enum { UNKNOWN, POSSIBLE, IMPOSSIBLE };
	static word32 known;
	if (!load_relaxed(&known)) {
		bool can = !getauxval(AT_SECURE) && again_has((void *)(uintptr_t)again_check);
		store_relaxed(&known, can ? POSSIBLE : IMPOSSIBLE);
	}
	return load_relaxed(&known) == POSSIBLE;
}

bool
again_possible(void)
{
	return is_linked() && !has_two_ids();
}

int
again_check(void)
{
	if (is_linked())
		return 0;
	if (getauxval(AT_SECURE))
		return fail(-ENOSYS, "a program with privileges of its own is not executed again; "
		                     "use SHOAL_FORK");
	return fail(-ENOSYS, "libshoal was loaded by dlopen, so it would be missing when the program "
	                     "is executed again; link the program with it, or use SHOAL_FORK");
}

/* ---- instead of main ---- */

/* Of programs without a dynamic section, where the linker gives these. */
extern initialiser *__init_array_start[] __attribute__((weak));
extern initialiser *__init_array_end[] __attribute__((weak));

static struct {
	initialiser *last;
	void (*run)(void);
} instead;

static void
last_of_all(int argc, char **argv, char **envp)
{
	instead.last(argc, argv, envp);
	instead.run();
}

struct array {
	initialiser **first;
	size_t count;
};

static int
read_array(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct array *a = arg;
	(void)bytes;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		struct link_map m = { .l_addr = info->dlpi_addr };
		m.l_ld = (void *)(m.l_addr + info->dlpi_phdr[i].p_vaddr);
		for (size_t k = 0; m.l_ld[k].d_tag != DT_NULL; k++) {
			if (m.l_ld[k].d_tag == DT_INIT_ARRAY)
				a->first = (initialiser **)(m.l_addr + m.l_ld[k].d_un.d_ptr);
			if (m.l_ld[k].d_tag == DT_INIT_ARRAYSZ)
				a->count = m.l_ld[k].d_un.d_val / sizeof *a->first;
		}
		return 1;
	}
	a->first = __init_array_start;
	a->count = (size_t)(__init_array_end - __init_array_start);
	return 1; /* the program comes first, and no other is looked at */
}

/* The array is made read-only when it has been relocated. */
static bool
replace(initialiser **at, initialiser *by)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)at & ~(page - 1);
	uintptr_t to = ((uintptr_t)(at + 1) + page - 1) & ~(page - 1);
	if (mprotect((void *)from, to - from, PROT_READ | PROT_WRITE))
		return false;
	*at = by;
	return true;
}

/* A program that has the library in it may have this caller's constructor as its last. */
void
again_instead_of_main(void (*self)(void), void (*run)(void))
{
	struct array a = { NULL, 0 };
	dl_iterate_phdr(read_array, &a);
	if (!a.count || (void (*)(void))a.first[a.count - 1] == self) {
		run();
		return;
	}
	instead.last = a.first[a.count - 1];
	instead.run = run;
	if (!replace(&a.first[a.count - 1], last_of_all))
		run();
}
