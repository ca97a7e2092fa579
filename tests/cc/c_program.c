// Prints the file that it was compiled from, and the version of a library's code and of its header.
#include <stdio.h>
#include <zlib.h>

int main(void) {
	printf("%s: zlib %s, header %s\n", __FILE__, zlibVersion(), ZLIB_VERSION);
	return 0;
}
