#include "ring/storm_message.h"
#include <string.h>

struct head {
	uint32_t life, number;
	uint64_t check;
};

/* splitmix64 */
uint64_t
dice_next(struct dice *dice)
{
	uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint32_t
dice_roll(struct dice *dice, uint32_t sides)
{
	return (uint32_t)((dice_next(dice) >> 32) * sides >> 32);
}

static struct dice
dice_of(size_t bytes, uint32_t life, uint32_t number)
{
	return (struct dice){ ((uint64_t)life << 32 | number) * 31 + bytes };
}

void
message_fill(void *at, size_t bytes, uint32_t life, uint32_t number)
{
	struct dice dice = dice_of(bytes, life, number);
	struct head head = { life, number, dice_next(&dice) };
	char *to = at;
	memcpy(to, &head, sizeof head);
	for (size_t i = sizeof head; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = dice_next(&dice);
		size_t left = bytes - i;
		memcpy(to + i, &word, left < sizeof word ? left : sizeof word);
	}
}

bool
message_read(const void *at, size_t bytes, uint32_t *life, uint32_t *number)
{
	struct head head;
	const char *from = at;
	if (bytes < sizeof head)
		return false;
	memcpy(&head, from, sizeof head);
	struct dice dice = dice_of(bytes, head.life, head.number);
	if (head.check != dice_next(&dice))
		return false;
	for (size_t i = sizeof head; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = dice_next(&dice);
		size_t left = bytes - i;
		if (memcmp(from + i, &word, left < sizeof word ? left : sizeof word) != 0)
			return false;
	}
	*life = head.life;
	*number = head.number;
	return true;
}
