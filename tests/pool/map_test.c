#include "pool/common.h"

Test(pool_map, every_item_runs_and_lands_in_its_place)
{
	static const size_t chunks[] = { 0, 1, 7, 1000, 100000 };
	enum { COUNT = 10000 };
	static int in[COUNT], out[COUNT];
	shoal_pool *p = pool_of(3);
	for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
		shoal_map_options o = { .chunk = chunks[c] };
		for (int i = 0; i < COUNT; i++) {
			in[i] = i - 500;
			out[i] = -1;
		}
		REQUIRE_EQ(shoal_pool_map(p, square, in, sizeof *in, out, sizeof *out, COUNT, &o), 0);
		for (int i = 0; i < COUNT; i++)
			REQUIRE_EQ(out[i], in[i] * in[i]);
	}
	finish(p);
}

Test(pool_map, imap_gives_results_in_order)
{
	enum { COUNT = 1000 };
	static int in[COUNT];
	shoal_pool *p = pool_of(3);
	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	for (size_t chunk = 1; chunk < 200; chunk += 99) {
		shoal_map_options o = { .chunk = chunk };
		shoal_results *it;
		REQUIRE_EQ(shoal_pool_imap(p, square, in, sizeof *in, sizeof *in, COUNT, &o, &it), 0);
		for (int i = 0; i < COUNT; i++) {
			size_t index;
			int value;
			REQUIRE_EQ(shoal_results_next(it, &index, &value, sizeof value, SHOAL_SEC(5)),
			           sizeof value);
			REQUIRE_EQ(index, i);
			REQUIRE_EQ(value, i * i);
		}
		size_t index = 0;
		REQUIRE_EQ(shoal_results_next(it, &index, NULL, 0, SHOAL_SEC(5)), -EPIPE);
		REQUIRE_EQ(index, COUNT);
		shoal_results_free(it);
	}
	finish(p);
}
