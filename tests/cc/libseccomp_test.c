// A filter that libseccomp compiles is loaded by the kernel, and refuses the call that it names.
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/stat.h>

int main(void) {
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (filter == NULL ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ETXTBSY), SCMP_SYS(fchmod), 0) != 0 ||
	    seccomp_load(filter) != 0) {
		perror("loading a filter");
		return 1;
	}
	seccomp_release(filter);
	if (fchmod(2, 0600) == 0 || errno != ETXTBSY) {
		perror("fchmod, which the filter refuses with ETXTBSY");
		return 1;
	}
	return 0;
}
