/* json_read.h - what report_json wrote, read back */
#ifndef BENCH_JSON_READ_H
#define BENCH_JSON_READ_H

/* A value of any kind; of an object or an array the first child, and each has its next one. */
struct json {
	char *name; /* within an object, else NULL */
	char *text; /* of a string, else NULL */
	double number; /* of a number; true is 1 */
	struct json *child, *next;
};

/* NULL where the file cannot be read or is not JSON, with a word on stderr. Never freed. */
struct json *json_read(const char *path);

/* NULL where there is none of that name; the text of a missing one is empty, its number 0. */
const struct json *json_child(const struct json *, const char *name);
const char *json_text(const struct json *, const char *name);
double json_number(const struct json *, const char *name);

#endif
