/*
 * json_read.c - what report_json wrote, read back
 *
 * Any JSON is read, but of escapes only those that are one character after a backslash mean
 * something. A program that compares two files ends soon: nothing is ever freed.
 */
#include "json_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 64
};

struct reader {
	const char *at;
	int depth;
	bool bad;
};

static struct json *read_value(struct reader *);

static void *
grown(void *memory, size_t bytes)
{
	memory = realloc(memory, bytes);
	if (!memory) {
		fputs("shoal-bench: out of memory\n", stderr);
		exit(2);
	}
	return memory;
}

static bool
next_is(struct reader *r, char c)
{
	while (isspace((unsigned char)*r->at))
		r->at++;
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

static char *
read_text(struct reader *r)
{
	char *text, *to;

	if (!next_is(r, '"')) {
		r->bad = true;
		return NULL;
	}
	to = text = grown(NULL, strcspn(r->at, "\n") + 1);
	while (*r->at && *r->at != '"' && *r->at != '\n') {
		if (*r->at == '\\' && r->at[1])
			r->at++;
		*to++ = *r->at++;
	}
	*to = '\0';
	r->bad |= !next_is(r, '"');
	return text;
}

static void
read_children(struct reader *r, struct json *parent, bool named, char end)
{
	struct json **last = &parent->child;

	if (next_is(r, end))
		return;
	do {
		char *name = named ? read_text(r) : NULL;

		if (named)
			r->bad |= !next_is(r, ':');
		if (r->bad)
			return;
		*last = read_value(r);
		(*last)->name = name;
		last = &(*last)->next;
	} while (!r->bad && next_is(r, ','));
	r->bad |= !next_is(r, end);
}

static void
read_word(struct reader *r, struct json *v)
{
	static const char *const words[] = { "false", "true", "null" };
	char *end;

	for (int i = 0; i < 3; i++) {
		if (strncmp(r->at, words[i], strlen(words[i])))
			continue;
		v->number = i == 1;
		r->at += strlen(words[i]);
		return;
	}
	v->number = strtod(r->at, &end);
	r->bad |= end == r->at;
	r->at = end;
}

static struct json *
read_value(struct reader *r)
{
	struct json *v = grown(NULL, sizeof *v);

	memset(v, 0, sizeof *v);
	r->bad |= ++r->depth > DEPTH_MAX;
	if (r->bad)
		return v;
	if (next_is(r, '{'))
		read_children(r, v, true, '}');
	else if (next_is(r, '['))
		read_children(r, v, false, ']');
	else if (*r->at == '"')
		v->text = read_text(r);
	else
		read_word(r, v);
	r->depth--;
	return v;
}

static char *
whole_file(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t have = 0, room = 1 << 16, got;
	char *text;

	if (!file)
		return NULL;
	text = grown(NULL, room);
	while ((got = fread(text + have, 1, room - have - 1, file)) > 0) {
		have += got;
		if (have + 1 == room)
			text = grown(text, room *= 2);
	}
	fclose(file);
	text[have] = '\0';
	return text;
}

struct json *
json_read(const char *path)
{
	struct reader r = { .at = whole_file(path) };
	struct json *v;

	if (!r.at) {
		fprintf(stderr, "shoal-bench: cannot read %s: %s\n", path, strerror(errno));
		return NULL;
	}
	v = read_value(&r);
	if (!r.bad)
		return v;
	fprintf(stderr, "shoal-bench: %s is not JSON, near '%.20s'\n", path, r.at);
	return NULL;
}

const struct json *
json_child(const struct json *parent, const char *name)
{
	const struct json *v = parent ? parent->child : NULL;

	while (v && (!v->name || strcmp(v->name, name)))
		v = v->next;
	return v;
}

const char *
json_text(const struct json *parent, const char *name)
{
	const struct json *v = json_child(parent, name);

	return v && v->text ? v->text : "";
}

double
json_number(const struct json *parent, const char *name)
{
	const struct json *v = json_child(parent, name);

	return v ? v->number : 0;
}
