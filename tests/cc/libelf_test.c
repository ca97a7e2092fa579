// libelf reads this very program: its header, and the section that holds its code.
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
	size_t names;
	GElf_Ehdr header;
	Elf_Scn *section = NULL;

	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(open("/proc/self/exe", O_RDONLY), ELF_C_READ, NULL);
	if (elf == NULL || gelf_getehdr(elf, &header) == NULL || header.e_type != ET_EXEC || elf_getshdrstrndx(elf, &names) != 0) {
		fprintf(stderr, "%s: %s\n", argv[0], elf_errmsg(-1));
		return 1;
	}
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr s;
		if (gelf_getshdr(section, &s) != NULL && strcmp(elf_strptr(elf, names, s.sh_name), ".text") == 0)
			return 0;
	}
	fprintf(stderr, "%s: no section .text\n", argv[0]);
	return 1;
}
