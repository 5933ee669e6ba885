/*
 * Keeps the stock of a shop: a shared dict of lists, one list an article, of its pieces' numbers.
 *
 *	inventory put ARTICLE COUNT      so many pieces came in
 *	inventory sell ARTICLE [COUNT]   the oldest go out
 *	inventory show                   what there is, as JSON
 *	inventory close                  the shop is given up
 *
 * Every call is a program of its own, started by hand; they meet by the arena's name. Any of them
 * may be killed at any moment: the others go on, no piece is there twice, and the only one that may
 * be missing is the one that the killed program had just taken and not yet written down as sold.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shoal/shoal.h>

static shoal_arena *arena;
static shoal_dict *stock, *made, *sold;

static const char *
shop_name(void)
{
	const char *name = getenv("INVENTORY");

	return name ? name : "inventory";
}

static int
open_shop(void)
{
	static const shoal_arena_options shared = { .flags = SHOAL_OR_ATTACH };
	static const shoal_container_options either = { .flags = SHOAL_OR_OPEN };
	int rc = shoal_arena_create(shop_name(), &shared, &arena);

	if (rc == 0)
		rc = shoal_dict_create(arena, "stock", &either, &stock);
	if (rc == 0)
		rc = shoal_dict_create(arena, "made", &either, &made);
	if (rc == 0)
		rc = shoal_dict_create(arena, "sold", &either, &sold);
	return rc;
}

/* Two programs may make an article's list at once: setdefault gives both the one that is kept. */
static int
pieces_of(const char *article, shoal_any *pieces)
{
	shoal_list *list;
	int rc = shoal_dict_get(stock, SHOAL_ANY(article), pieces);

	if (rc != -ENOENT)
		return rc;
	rc = shoal_list_create(arena, NULL, NULL, &list);
	if (rc < 0)
		return rc;
	rc = shoal_dict_setdefault(stock, SHOAL_ANY(article), SHOAL_ANY(list), pieces);
	/* From here on the dict alone keeps the list; where it has another one, nobody does. */
	shoal_list_destroy(arena, list);
	return rc;
}

static int
put(const char *article, long count)
{
	shoal_any pieces;
	int rc = pieces_of(article, &pieces);

	if (rc < 0)
		return rc;
	for (long i = 0; i < count && rc == 0; i++) {
		int64_t number;

		rc = shoal_dict_add_int(made, SHOAL_ANY(article), 1, &number);
		if (rc == 0)
			rc = shoal_list_append(shoal_any_to_list(&pieces), SHOAL_ANY(number));
	}
	shoal_any_clear(&pieces);
	return rc;
}

static int
sell(const char *article, long count)
{
	shoal_any pieces, piece;
	int rc = shoal_dict_get(stock, SHOAL_ANY(article), &pieces);

	if (rc < 0)
		return rc;
	for (long i = 0; i < count && rc == 0; i++) {
		rc = shoal_list_pop(shoal_any_to_list(&pieces), 0, &piece);
		if (rc == 0) {
			shoal_any_clear(&piece);
			rc = shoal_dict_add_int(sold, SHOAL_ANY(article), 1, NULL);
		}
	}
	shoal_any_clear(&pieces);
	return rc;
}

static int
show(void)
{
	const shoal_any *article, *pieces;
	shoal_cursor cursor = { 0 };
	const char *comma = "";
	int rc;

	fputs("{\"stock\": {", stdout);
	while ((rc = shoal_dict_next(stock, &cursor, &article, &pieces)) > 0) {
		fputs(comma, stdout);
		shoal_any_print(article, stdout);
		fputs(": ", stdout);
		rc = shoal_list_print(shoal_any_to_list(pieces), stdout);
		comma = ", ";
		if (rc < 0)
			break;
	}
	shoal_cursor_clear(&cursor);
	if (rc < 0)
		return rc;
	fputs("}, \"made\": ", stdout);
	rc = shoal_dict_print(made, stdout);
	fputs(", \"sold\": ", stdout);
	if (rc == 0)
		rc = shoal_dict_print(sold, stdout);
	fputs("}\n", stdout);
	return rc;
}

static int
usage(void)
{
	fputs("usage: inventory put ARTICLE COUNT | sell ARTICLE [COUNT] | show | close\n", stderr);
	return 2;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool puts = strcmp(what, "put") == 0 && argc == 4;
	bool sells = strcmp(what, "sell") == 0 && (argc == 3 || argc == 4);
	bool shows = strcmp(what, "show") == 0 && argc == 2;
	bool closes = strcmp(what, "close") == 0 && argc == 2;
	char *end = "";
	long count = argc > 3 ? strtol(argv[3], &end, 10) : 1;
	int rc;

	if (!(puts || sells || shows || closes) || *end || count < 1)
		return usage();
	rc = closes ? shoal_arena_unlink(shop_name()) : open_shop();
	if (rc == 0 && puts)
		rc = put(argv[2], count);
	else if (rc == 0 && sells)
		rc = sell(argv[2], count);
	else if (rc == 0 && shows)
		rc = show();
	if (rc < 0) {
		shoal_perror("inventory");
		return 1;
	}
	return 0;
}
