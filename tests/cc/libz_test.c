// What libz compresses, it decompresses.
#include <stdio.h>
#include <string.h>
#include <zlib.h>

int main(void) {
	char text[4096], packed[4096], unpacked[4096];
	uLongf packed_size = sizeof packed, unpacked_size = sizeof unpacked;

	memset(text, 'x', sizeof text);
	if (compress((Bytef *)packed, &packed_size, (Bytef *)text, sizeof text) != Z_OK || packed_size > 100) {
		fprintf(stderr, "compress: %lu bytes\n", packed_size);
		return 1;
	}
	if (uncompress((Bytef *)unpacked, &unpacked_size, (Bytef *)packed, packed_size) != Z_OK ||
	    unpacked_size != sizeof text || memcmp(text, unpacked, sizeof text) != 0) {
		fprintf(stderr, "uncompress: %lu bytes, or others\n", unpacked_size);
		return 1;
	}
	return 0;
}
