# The C in the right column of docs/cheatsheet.md compiles: each row as a function, among declarations of what
# the sheet takes for granted. And the sheet has every code that shoal/base.h explains.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sheet=docs/cheatsheet.md

cat > "$work/sheet.c" <<END
#include <shoal/shoal.h>
struct thing { shoal_lock lock; };
static shoal_arena *arena;
static shoal_process *p;
static shoal_pool *pool;
static shoal_result *r;
static shoal_queue *q;
static shoal_pipe_end *mine, *its;
static shoal_value *hits;
static shoal_array *a;
static shoal_list *l;
static shoal_dict *d;
static shoal_any v;
static shoal_ref ref;
static shoal_time time;
static struct thing *x;
static struct { int number; } job;
static void *memory, *arg;
static int in[8], out[8], code, rc, y;
static size_t n = 8, bytes = 64;
static const char *name = "";
int use(const void *in);
int init(void *memory, void *arg);
END
# What is a definition or a prototype goes in front; what are options becomes some. A single name is none of
# this check's affair.
awk -v sheet="$sheet" '
	/^\| code / { exit }
	!/^\| / || /^\| (I want|---) / { next }
	{
		row = $0; sub(/^\| .* \| /, "", row)
		count = split(row, part, "`"); body = ""
		where = "#line " FNR " \"" sheet "\"\n"
		for (i = 2; i <= count; i += 2) {
			c = part[i]
			if (c ~ /^-?[A-Za-z0-9_]+$/)
				continue
			if (c ~ /^int [a-z]+\(.*}$/)
				print where "static " c
			else if (c ~ /^int [a-z]+\(.*\)$/)
				print where c ";"
			else if (c ~ /^return /)
				body = body where "if (rc) { " c " }\n"
			else if (c ~ /^[.]/)
				body = body where "(void)(shoal_" (c ~ /PIPE/ ? "pipe" : "queue") "_options){ " c " };\n"
			else
				body = body where c ";\n"
		}
		if (body != "")
			rows = rows "int row" FNR "(shoal_task *t)\n{\n" body "return t == NULL;\n}\n"
	}
	END { printf "%s", rows }' "$sheet" > "$work/rows"
cat "$work/rows" >> "$work/sheet.c"
sed -n 's/^ [*]\t\(-E[A-Z]*\(, -E[A-Z]*\)*\)  .*/\1/p' include/shoal/base.h | tr -d ' ' | tr ',' '\n' | sort -u > "$work/codes"
bad=0
test -s "$work/rows" && test -s "$work/codes" || { echo "no rows in $sheet, or no codes in shoal/base.h"; bad=1; }
$CC -std=c11 -Iinclude -fsyntax-only -Wall -Werror -Wno-unused "$work/sheet.c" -Wno-unused-result > "$work/out" 2>&1 ||
	{ cat "$work/out"; bad=1; }
for code in $(cat "$work/codes"); do
	grep -qF "\`$code\`" "$sheet" || { echo "shoal/base.h explains $code, $sheet does not"; bad=1; }
done
test $bad = 0 && echo "$(grep -c '^int row' "$work/rows") rows compile, $(wc -l < "$work/codes") codes"
exit $bad
