// Stands in for libedit, of which Debian's nft calls only this, and only for its interactive mode: there the input ends
// at once. Without libc, because programs of any libc may load it.
#include <stddef.h>

int history_length;
void *rl_instream, *rl_outstream;
char *rl_prompt;
const char *rl_readline_name;

int add_history(const char *line) { return 0; }
void *history_get(int number) { return NULL; }
int history_set_pos(int position) { return 0; }
int read_history(const char *file) { return 0; }
char *readline(const char *prompt) { return NULL; }
void rl_deprep_terminal(void) {}
int rl_set_prompt(const char *prompt) { return 0; }
int write_history(const char *file) { return 0; }
