#include "base/error.h"
#include "process/code.h"
#include "process/common.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void
hidden(void)
{
	test_fail(__FILE__, __LINE__, "nobody calls it");
}

static void
named_one(void)
{
	test_fail(__FILE__, __LINE__, "nor it");
}
SHOAL_ENTRY(code_test_named, named_one);

static void
other(void)
{
	test_fail(__FILE__, __LINE__, "nor them");
}
SHOAL_ENTRY(code_test_twice, other);

static struct shoal_entry_ second = { "code_test_twice", hidden, NULL };

static void
comes_back(void (*fn)(void), struct code_ref *ref)
{
	void (*found)(void) = NULL;
	REQUIRE_EQ(code_refer(fn, ref), 0);
	REQUIRE_EQ(code_find(ref, &found), 0);
	REQUIRE(found == fn);
}

Test(process_code, a_static_function_is_found_again)
{
	struct code_ref ref;
	comes_back(hidden, &ref);
	REQUIRE(ref.main);
	REQUIRE_EQ(ref.name, 0);
}

Test(process_code, a_function_of_a_library_is_found_again)
{
	struct code_ref ref;
	comes_back((void (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "qsort"), &ref);
	REQUIRE(!ref.main);
	REQUIRE(strstr(ref.text, ".so"));
}

Test(process_code, an_entry_is_found_by_its_name)
{
	struct code_ref ref;
	comes_back(named_one, &ref);
	REQUIRE(ref.name != 0);
	/* Whatever build the other side is of. */
	ref.offset = 12345;
	memset(ref.id, 7, sizeof ref.id);
	void (*found)(void) = NULL;
	REQUIRE_EQ(code_find(&ref, &found), 0);
	REQUIRE(found == named_one);
}

Test(process_code, two_entries_of_one_name_are_refused)
{
	struct code_ref ref;
	void (*found)(void);
	comes_back(other, &ref);
	shoal_entry_add_(&second);
	REQUIRE_EQ(code_find(&ref, &found), -EEXIST);
	REQUIRE(strstr(shoal_error(), "code_test_twice"));
	shoal_entry_remove_(&second);
	comes_back(other, &ref);
}

Test(process_code, a_name_that_no_entry_has_is_refused)
{
	struct code_ref ref;
	void (*found)(void);
	shoal_entry_add_(&second);
	REQUIRE_EQ(code_refer(hidden, &ref), 0);
	shoal_entry_remove_(&second);
	ref.name ^= 2;
	REQUIRE_EQ(code_find(&ref, &found), -ENOENT);
	REQUIRE(strstr(shoal_error(), "code_test_twice"));
}

Test(process_code, what_is_no_function_is_refused)
{
	struct code_ref ref;
	static int data;
	REQUIRE_EQ(code_refer(NULL, &ref), -EINVAL);
	REQUIRE_EQ(code_refer((void (*)(void))(uintptr_t)&data, &ref), -EINVAL);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE_EQ(code_refer((void (*)(void))(uintptr_t)page, &ref), -EINVAL);
	REQUIRE(strstr(shoal_error(), "no module"));
	munmap(page, 4096);
}

Test(process_code, what_succeeds_leaves_no_sentence)
{
	struct code_ref ref;
	void (*found)(void);
	static const char before[] = "said before";
	fail(-EIO, "%s", before);
	REQUIRE_EQ(code_refer(hidden, &ref), 0);
	REQUIRE_EQ(code_refer(named_one, &ref), 0);
	REQUIRE_EQ(code_find(&ref, &found), 0);
	comes_back(hidden, &ref);
	REQUIRE_STR_EQ(shoal_error(), before);
}

/* Both build-ids and the module's name are in the sentence. */
Test(process_code, another_build_is_refused)
{
	struct code_ref ref;
	void (*found)(void) = NULL;
	char there[3];
	comes_back(hidden, &ref);
	snprintf(there, sizeof there, "%02x", ref.id[0] ^ 0x55);
	ref.id[0] ^= 0x55;
	REQUIRE_EQ(code_find(&ref, &found), -EPROTO);
	REQUIRE(!found);
	REQUIRE(strstr(shoal_error(), ref.text));
	REQUIRE(strstr(shoal_error(), there));
	REQUIRE(strstr(shoal_error(), "build-id"));
}

Test(process_code, a_module_that_is_not_loaded_is_refused)
{
	struct code_ref ref;
	void (*found)(void) = NULL;
	comes_back((void (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "qsort"), &ref);
	strcpy(ref.text, "libabsent.so.3");
	ref.id[0] ^= 0x55;
	REQUIRE_EQ(code_find(&ref, &found), -ENOENT);
	REQUIRE(strstr(shoal_error(), "libabsent.so.3"));
}

/* As when somebody has written over it: never an address outside the module's code. */
Test(process_code, a_damaged_reference_leads_to_no_data)
{
	struct code_ref ref;
	void (*found)(void) = NULL;
	comes_back(hidden, &ref);
	memset(ref.text, 'x', sizeof ref.text);
	static const uint64_t offsets[] = { 0, UINT64_MAX, UINT64_MAX / 2, 1 };
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		ref.offset = offsets[i];
		REQUIRE_EQ(code_find(&ref, &found), -EPROTO);
	}
	REQUIRE(!found);
}
