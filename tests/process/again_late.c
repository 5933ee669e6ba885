/* Linked last, so its constructor is the program's last; its state is all that it has. */
extern int again_late;
int again_late;

__attribute__((constructor)) static void
be_late(void)
{
	again_late = 1;
}
