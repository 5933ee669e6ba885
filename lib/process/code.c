#include "process/code.h"
#include "base/error.h"
#include "process/family.h"
#include <link.h>
#include <string.h>

#define ID_TEXT_BYTES (2 * CODE_ID_BYTES + 1)
#define NOTE_OWNER "GNU"

/* One loaded module as the search sees it. */
struct module {
	const char *name; /* without directories */
	uintptr_t base;
	const struct dl_phdr_info *info;
	bool main;
	bool has_id;
	uint8_t id[CODE_ID_BYTES];
};

/* Entries of all modules, guarded by the family's lock. */
static struct shoal_entry_ *entries;

static bool
covers(const struct module *m, uintptr_t at, size_t bytes, unsigned flags)
{
	for (size_t i = 0; i < m->info->dlpi_phnum; i++) {
		ElfW(Phdr) part = m->info->dlpi_phdr[i];
		uintptr_t from = m->base + part.p_vaddr;
		if (part.p_type == PT_LOAD && (part.p_flags & flags) == flags && at >= from &&
		    bytes <= part.p_memsz && at - from <= part.p_memsz - bytes)
			return true;
	}
	return false;
}

static size_t
padded(size_t bytes, size_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

/* Notes are a head, the owner's name and the value, each padded. */
static bool
read_notes(struct module *m, ElfW(Phdr) part)
{
	size_t align = part.p_align == 8 ? 8 : 4, left = part.p_memsz;
	const char *at = (const char *)(m->base + part.p_vaddr);
	if (!covers(m, (uintptr_t)at, left, PF_R))
		return false;
	while (left >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) head;
		memcpy(&head, at, sizeof head);
		size_t value = sizeof head + padded(head.n_namesz, align);
		size_t all = value + padded(head.n_descsz, align);
		if (all > left)
			return false;
		if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == sizeof NOTE_OWNER &&
		    !memcmp(at + sizeof head, NOTE_OWNER, sizeof NOTE_OWNER)) {
			memcpy(m->id, at + value,
			       head.n_descsz < CODE_ID_BYTES ? head.n_descsz : CODE_ID_BYTES);
			return true;
		}
		at += all;
		left -= all;
	}
	return false;
}

static const char *
leaf(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The C library gives the program first, and without a name. */
static struct module
describe(const struct dl_phdr_info *info, bool first)
{
	struct module m = {
		.name = first ? program_invocation_short_name : leaf(info->dlpi_name),
		.base = info->dlpi_addr,
		.info = info,
		.main = first,
	};
	for (size_t i = 0; i < info->dlpi_phnum && !m.has_id; i++)
		if (info->dlpi_phdr[i].p_type == PT_NOTE)
			m.has_id = read_notes(&m, info->dlpi_phdr[i]);
	return m;
}

/* The end of a long name tells more than its beginning. */
static void
write_text(char *to, const char *name)
{
	size_t bytes = strlen(name);
	const char *from = bytes < CODE_TEXT_BYTES ? name : name + bytes - (CODE_TEXT_BYTES - 1);
	strcpy(to, from);
}

static uint64_t
hash(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h | 1; /* 0 is none */
}

struct refer {
	uintptr_t at;
	struct code_ref *out;
	bool first;
	int rc;
};

/* Returns 1 at the module that has the function, which ends the search. */
static int
refer_to(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	(void)bytes;
	struct refer *r = arg;
	bool first = r->first;
	r->first = false;
	struct module m = { .base = info->dlpi_addr, .info = info };
	if (!covers(&m, r->at, 1, PF_X))
		return 0;
	m = describe(info, first);
	if (!m.has_id) {
		r->rc = fail(-EINVAL,
		             "%s has no build-id by which other processes know its functions; link "
		             "it with -Wl,--build-id",
		             m.name);
		return 1;
	}
	*r->out = (struct code_ref){ .offset = r->at - m.base, .main = m.main };
	memcpy(r->out->id, m.id, CODE_ID_BYTES);
	write_text(r->out->text, m.name);
	r->rc = 0;
	return 1;
}

static bool
refer_by_name(void (*fn)(void), struct code_ref *out)
{
	family_lock();
	const struct shoal_entry_ *e = entries;
	while (e && e->fn != fn)
		e = e->next;
	if (e) {
		*out = (struct code_ref){ .name = hash(e->name) };
		write_text(out->text, e->name);
	}
	family_unlock();
	return e;
}

int
code_refer(void (*fn)(void), struct code_ref *out)
{
	struct refer r = { .at = (uintptr_t)fn, .out = out, .first = true };
	if (!fn)
		return fail(-EINVAL, "there is no function to run: NULL");
	if (refer_by_name(fn, out))
		return 0;
	if (!dl_iterate_phdr(refer_to, &r))
		return fail(-EINVAL,
		            "no module has the function at %#zx, so no other process can find it",
		            (size_t)r.at);
	return r.rc;
}

struct find {
	const struct code_ref *ref;
	char text[CODE_TEXT_BYTES]; /* its text, whatever is behind it */
	uintptr_t at;               /* the function; 0: not found */
	bool first, alike;          /* alike: a module of that name, with another build-id */
	bool no_code;
	uint8_t id[CODE_ID_BYTES];  /* the build-id of that one */
};

/* The same file may be loaded twice, as a copy: the one of the same name is the right one. */
static int
find_in(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	(void)bytes;
	struct find *f = arg;
	struct module m = describe(info, f->first);
	f->first = false;
	char text[CODE_TEXT_BYTES];
	write_text(text, m.name);
	bool alike = f->ref->main ? m.main : !strcmp(text, f->text);
	if (!m.has_id || memcmp(m.id, f->ref->id, CODE_ID_BYTES)) {
		if (alike)
			memcpy(f->id, m.id, CODE_ID_BYTES);
		f->alike |= alike;
		return 0;
	}
	uintptr_t at = m.base + f->ref->offset;
	f->no_code = !covers(&m, at, 1, PF_X);
	if (!f->no_code && (!f->at || alike))
		f->at = at;
	return alike;
}

static const char *
id_text(const uint8_t *id, char *to)
{
	for (int i = 0; i < CODE_ID_BYTES; i++)
		sprintf(to + 2 * i, "%02x", id[i]);
	return to;
}

static int
not_found(const struct find *f)
{
	char here[ID_TEXT_BYTES], there[ID_TEXT_BYTES];
	id_text(f->id, here);
	id_text(f->ref->id, there);
	if (f->no_code)
		return fail(-EPROTO, "offset %#llx of %s (build-id %s) leads to no code",
		            (unsigned long long)f->ref->offset, f->text, there);
	if (f->alike)
		return fail(-EPROTO,
		            "%s has build-id %s here and %s where its function was named; let both "
		            "run the same build, or name the function with SHOAL_ENTRY",
		            f->text, here, there);
	return fail(-ENOENT,
	            "%s (build-id %s), which has the function, is not loaded here; link the program "
	            "with it, or dlopen it first",
	            f->text, there);
}

static int
find_by_name(const struct code_ref *ref, const char *text, void (**fn)(void))
{
	void (*found)(void) = NULL;
	bool twice = false;
	family_lock();
	for (const struct shoal_entry_ *e = entries; e; e = e->next) {
		if (hash(e->name) != ref->name)
			continue;
		twice |= found && found != e->fn;
		found = e->fn;
	}
	family_unlock();
	if (twice)
		return fail(-EEXIST, "two functions of this program are SHOAL_ENTRY(%s, …)", text);
	if (!found)
		return fail(-ENOENT, "this program has no SHOAL_ENTRY(%s, …)", text);
	*fn = found;
	return 0;
}

int
code_find(const struct code_ref *ref, void (**fn)(void))
{
	struct find f = { .ref = ref, .first = true };
	memcpy(f.text, ref->text, CODE_TEXT_BYTES - 1);
	if (ref->name)
		return find_by_name(ref, f.text, fn);
	dl_iterate_phdr(find_in, &f);
	if (!f.at)
		return not_found(&f);
	*fn = (void (*)(void))f.at;
	return 0;
}

void
shoal_entry_add_(struct shoal_entry_ *e)
{
	family_lock();
	e->next = entries;
	entries = e;
	family_unlock();
}

void
shoal_entry_remove_(struct shoal_entry_ *e)
{
	family_lock();
	struct shoal_entry_ **at = &entries;
	while (*at && *at != e)
		at = &(*at)->next;
	if (*at)
		*at = e->next;
	family_unlock();
}
