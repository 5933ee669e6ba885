/* What the programs of shoal.hpp share: a check that says where it failed; the sections. */
#ifndef OUTSIDE_RAII_HPP
#define OUTSIDE_RAII_HPP
#include <shoal/shoal.hpp>
#include <csignal>
#include <cstring>

#define CHECK(holds) \
	((holds) ? (void)0 \
	         : (std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds), \
	            std::exit(1)))

struct job {
	int number;
	double weight;
};

void messages(const shoal::arena &arena);
void locks(const shoal::arena &arena);
void pools();

/* Calls what is to throw a shoal::error, and gives its code, if that has the text. */
template <class Call>
int
thrown(Call call, const char *text)
{
	try {
		call();
	} catch (const shoal::error &e) {
		return std::strstr(e.what(), text) ? e.code() : 0;
	}
	return 0;
}
#endif
