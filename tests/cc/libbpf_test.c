// libbpf builds BTF, and opens an object as an ELF file through libelf: this program is not one for BPF, and it says so.
#include <btf.h>
#include <libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int silent(enum libbpf_print_level level, const char *format, va_list args) { return 0; }

int main(void) {
	libbpf_set_print(silent);
	struct btf *btf = btf__new_empty();
	int id = btf__add_int(btf, "u64", 8, 0);
	if (id <= 0 || btf__resolve_size(btf, id) != 8) {
		perror("BTF of an integer");
		return 1;
	}
	btf__free(btf);
	if (bpf_object__open_file("/proc/self/exe", NULL) != NULL || errno != LIBBPF_ERRNO__FORMAT) {
		fprintf(stderr, "opening a program that is not BPF: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
